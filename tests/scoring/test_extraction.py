"""The part of an answer that is scored: each step of [answer], and what is said where it finds nothing."""

from pathlib import Path

import pytest
from evaltape.errors import UserError
from evaltape.metrics.extraction import NoMatch, extract, load_steps
from evaltape.suite.definition import AnswerTable

FUNCTIONS = """
def first_sentence(text):
    return text.partition(".")[0] or None

def broken(text):
    return 1 / 0

def number(text):
    return 7
"""


def taken(text: str, *rules: tuple[str, str], root: Path = Path()) -> str:
    steps = load_steps(AnswerTable(**dict(rules), written=tuple(dict(rules))), "chats.toml: [answer]", root)
    return extract(text, steps)


def test_steps_apply_in_their_order() -> None:
    thought = 'Hm. {"summary": "draft"}</think>\n```json\n{"summary": "Summary: Ann left.\\nBob stayed."}\n```'
    assert (
        taken(thought, ("after", "</think>"), ("json", "summary"), ("regex", "(?s)Summary: (.*)")) == "Ann left.\nBob stayed."
    )
    assert taken("a</think>b</think> c ", ("after", "</think>")) == "c"
    assert taken("Ann left. Really", ("regex", "Ann \\w+")) == "Ann left"
    assert taken(" whole ") == " whole "


@pytest.mark.parametrize(
    ("rule", "text", "told"),
    [
        (("after", "</think>"), "still thinking", "[answer] after = '</think>' finds nothing in 'still thinking'"),
        (("json", "summary"), '{"text": "a"}', "[answer] json = 'summary' finds nothing in '{\"text\": \"a\"}'"),
        (("json", "summary"), '{"summary": ["a"]}', "[answer] json = 'summary' holds [\"a\"], not a text"),
        (("regex", "Summary: (.*)"), "none", "[answer] regex = 'Summary: (.*)' finds nothing in 'none'"),
        (("regex", "Summary:(.*)"), "Summary: ", "[answer] regex leaves nothing of the answer"),
        (("after", "</think>"), "a</think> ", "[answer] after leaves nothing of the answer"),
    ],
)
def test_what_finds_nothing_says_so(rule: tuple[str, str], text: str, told: str) -> None:
    with pytest.raises(NoMatch) as error:
        taken(text, rule)
    assert str(error.value) == told


def test_a_function_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "extracting.py").write_text(FUNCTIONS)
    assert taken("Ann left. Bob too.", ("function", "extracting:first_sentence"), root=tmp_path) == "Ann left"
    with pytest.raises(NoMatch, match=r"finds nothing in '\. Bob'"):
        taken(". Bob", ("function", "extracting:first_sentence"), root=tmp_path)
    with pytest.raises(NoMatch, match=r"\[answer\] function: .*extracting.py:6: extracting:broken raised ZeroDivisionError"):
        taken("a", ("function", "extracting:broken"), root=tmp_path)
    with pytest.raises(NoMatch, match="returned 7, neither a text nor None"):
        taken("a", ("function", "extracting:number"), root=tmp_path)
    with pytest.raises(UserError, match=r"chats.toml: \[answer\] function = 'extracting:frist_sentence': .*'first_sentence'"):
        taken("a", ("function", "extracting:frist_sentence"), root=tmp_path)
