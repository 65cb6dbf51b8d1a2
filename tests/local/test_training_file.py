"""Training files: what is learnt of them, and what is refused, with its line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hostile import VALUES
from tests.support.local_service import NEEDS_EXTRA, encoder, examples, jsonl, make_tokenizer, preferences

pytestmark = NEEDS_EXTRA
ASKED, ANSWERED = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}


def encoded(tmp_path: Path, content: bytes, made: Any = None, method: str = "supervised") -> list[dict[str, Any]]:
    path = tmp_path / "train.jsonl"
    path.write_bytes(content)
    (made or encoder()).write(path, tmp_path / "rows.jsonl", method)
    return [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]


def learnt(tmp_path: Path, messages: list[Any], longest: int = 512) -> str:
    row = encoded(tmp_path, jsonl([*examples(), {"messages": messages}]), encoder(longest))[-1]
    assert len(row["input_ids"]) == len(row["labels"]) <= longest
    text: str = make_tokenizer().decode([label for label in row["labels"] if label != -100])
    return text


def test_only_the_assistant_s_tokens_are_learnt(tmp_path: Path) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "First.", "weight": 0},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": "Second."},
    ]
    assert learnt(tmp_path, messages) == "Second.<|im_end|>"
    del messages[2]["weight"]
    assert learnt(tmp_path, messages) == "First.<|im_end|>Second.<|im_end|>"


def test_a_row_that_is_too_long_keeps_its_answer(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "x" * 300}, {"role": "assistant", "content": "Short."}]
    assert learnt(tmp_path, messages, longest=60) == "Short.<|im_end|>"
    made = encoder(128)
    row = encoded(tmp_path, jsonl([*examples(), {"messages": messages}]), made)[-1]
    assert (made.cut, len(row["input_ids"])) == (1, 128)


def test_preferences_are_a_prompt_and_two_answers(tmp_path: Path) -> None:
    made = encoder()
    row = encoded(tmp_path, jsonl(preferences()), made, "dpo")[3]
    assert row["prompt"] == [{"role": "user", "content": "Sum up: Ann has 3 pears"}]
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == ("Ann has pears.", "No idea")
    assert made.tokens > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preferred_output": []}, "line 1: preferred_output is []: List should have at least 1 item"),
        ({"preferred_output": [ASKED]}, "'content': 'a'}]: the last message must be from the assistant"),
        ({"input": {"messages": [ANSWERED]}}, "the first message must be from the system or the user"),
        ({"input": "Hi"}, "line 1: input is 'Hi': should be an object"),
        ({"other": 1}, "line 1: unknown key other"),
    ],
)
def test_what_is_wrong_with_preferences_is_said_with_its_line(tmp_path: Path, changes: Any, words: str) -> None:
    from evaltape.local.training.training_file import InvalidFile

    with pytest.raises(InvalidFile, match=re.escape(words)):
        encoded(tmp_path, jsonl([{**preferences(1)[0], **changes}]), method="dpo")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": []}, "line 13: messages is []: List should have at least 1 item"),
        ({"prompt": "a"}, "line 13: messages is missing"),
        ({"messages": [{"role": "user", "content": "a"}]}, "'content': 'a'}]: the last message must be from the assistant"),
        ({"messages": [{"role": "user", "content": None}]}, "line 13: messages[0].content is None: should be a valid string"),
        ({"messages": [{"role": "user", "content": "", "weight": 1}]}, "only messages of the assistant have a weight"),
        ({"messages": [ASKED, {**ANSWERED, "weight": 0}]}, "line 13: no assistant message is to be learnt"),
        (
            {"messages": [ASKED, {**ANSWERED, "content": "\ud83c"}]},
            "line 13: not valid JSON (unexpected end of hex escape at line 1 column 89)",
        ),
        ({"messages": [ANSWERED]}, "'content': 'b'}]: the first message must be from the system or the user"),
        ({"messages": [ASKED, ANSWERED], "tools": []}, "line 13: unknown key tools"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, row: Any, words: str) -> None:
    from evaltape.local.training.training_file import InvalidFile

    with pytest.raises(InvalidFile) as invalid:
        encoded(tmp_path, jsonl([*examples(), row]))
    assert words in str(invalid.value)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    from evaltape.local.training.training_file import InvalidFile

    with pytest.raises(InvalidFile, match="line 4: not valid JSON"):
        encoded(tmp_path, jsonl(examples(2)) + b"\n{broken\n")


@settings(max_examples=150)
@given(
    row=st.dictionaries(
        st.sampled_from(["messages", "role"]),
        st.lists(st.dictionaries(st.sampled_from(["role", "content", "weight", "name"]), VALUES, max_size=3)) | VALUES,
    )
    | VALUES,
    junk=st.binary(max_size=4),
)
def test_whatever_a_line_holds_the_error_can_be_part_of_an_answer(
    tmp_path_factory: pytest.TempPathFactory, row: Any, junk: bytes
) -> None:
    from evaltape.local.training.training_file import InvalidFile

    with pytest.raises(InvalidFile) as invalid:
        encoded(tmp_path_factory.getbasetemp(), jsonl(examples()) + json.dumps(row).encode() + junk)
    str(invalid.value).encode()


@pytest.mark.parametrize("row", ["[" * 900 + "]" * 900, '{"messages": ' + "[" * 900 + "]" * 900 + "}", "[" * 100_000])
def test_a_line_that_is_nested_deeply_is_named(tmp_path: Path, row: str) -> None:
    from evaltape.local.training.training_file import InvalidFile

    with pytest.raises(InvalidFile, match="line 13"):
        encoded(tmp_path, jsonl(examples()) + row.encode())
