"""docs/judges.md: every snippet of a suite is one that loads, and its commands exist."""

import re
from pathlib import Path

from evaltape.cli import COMMANDS
from evaltape.suite.reader import load_suite

from tests.support.forked import REPOSITORY

PAGE = (REPOSITORY / "docs/judges.md").read_text(encoding="utf-8")
REST = """
[dataset]
path = "chats.jsonl"

[prompt]
user = "Sum up: {input}"

"""
MODEL = '[models.small]\nmodel = "small"\n'


def snippets() -> list[str]:
    return re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_every_snippet_of_a_suite_loads(tmp_path: Path) -> None:
    first, labels, gates, local = snippets()
    texts = {
        "first": first + MODEL,
        "labels": first.partition("[judges.faithful.exam]")[0] + labels + MODEL,
        "gates": first.partition("[judges.faithful.exam]")[0] + labels + gates,
        "local": local + MODEL + '[metrics]\nsupported = { judge = "supported" }\n',
    }
    suites = {}
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(REST + text)
        suites[name] = load_suite(tmp_path / f"{name}.toml")
    judge = suites["first"].judges["faithful"]
    assert judge.exam is not None
    assert judge.exam.mutants == ("swap_names", "other_name", "negate", "wrong_number")
    assert '{"faithful": true}' in judge.prompt.turns[0][1].replace("{{", "{").replace("}}", "}")
    assert suites["gates"].models["gpt-4o-mini"].gates == {"faithful_corrected": 0.85}
    assert suites["local"].judges["supported"].prompt.turns[0][0] == "system"


def test_its_commands_exist() -> None:
    for command in re.findall(r"`evaltape (\w+)", PAGE):
        assert command in COMMANDS
