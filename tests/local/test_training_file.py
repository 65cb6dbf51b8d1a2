"""Training files: what is learnt of them, and what is refused, with its line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hostile import VALUES
from tests.support.local_service import NEEDS_EXTRA, examples, jsonl, make_tokenizer

pytestmark = NEEDS_EXTRA
ASKED, ANSWERED = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}


def encoded(tmp_path: Path, rows: list[Any], longest: int = 512) -> Any:
    from evaltape.local.training.training_file import encode

    path = tmp_path / "train.jsonl"
    path.write_bytes(jsonl(rows))
    return encode(path, make_tokenizer(), frozenset([257]), longest)


def learnt(tmp_path: Path, messages: list[Any], longest: int = 512) -> str:
    example = encoded(tmp_path, [*examples(), {"messages": messages}], longest).examples[-1]
    text: str = make_tokenizer().decode([example.ids[position] for position in example.targets])
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
    cut = encoded(tmp_path, [*examples(), {"messages": messages}], longest=128)
    assert (cut.cut, len(cut.examples[-1].ids)) == (1, 128)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": []}, "line 13: expected an object with a list 'messages'"),
        ({"prompt": "a"}, "line 13: expected an object with a list 'messages'"),
        ({"messages": [{"role": "user", "content": "a"}]}, "line 13: the last message must be from the assistant"),
        ({"messages": [{"role": "user", "content": None}]}, "line 13, messages[0]: content is null; expected a string"),
        ({"messages": [{"role": "user", "content": "", "weight": 1}]}, "weight is 1; valid: 0 or 1, for the assistant"),
        ({"messages": [ASKED, {**ANSWERED, "weight": 0}]}, "line 13: no assistant message is to be learnt"),
        ({"messages": [ASKED, {**ANSWERED, "content": "\ud83c"}]}, "messages[1]: content has half of a surrogate pair"),
        ({"messages": [ANSWERED]}, "line 13: the first message must be from the system or the user"),
        ({"messages": [ASKED, ANSWERED], "tools": []}, "line 13: unknown key(s) tools"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, row: Any, words: str) -> None:
    from evaltape.local.training.training_file import InvalidFile

    with pytest.raises(InvalidFile) as invalid:
        encoded(tmp_path, [*examples(), row])
    assert words in str(invalid.value)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    from evaltape.local.training.training_file import InvalidFile, encode

    path = tmp_path / "train.jsonl"
    path.write_bytes(jsonl(examples(2)) + b"\n{broken\n")
    with pytest.raises(InvalidFile, match="line 4: not valid JSON"):
        encode(path, make_tokenizer(), frozenset([257]), 512)


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
    from evaltape.local.training.training_file import InvalidFile, encode

    path = tmp_path_factory.getbasetemp() / "hostile.jsonl"
    path.write_bytes(jsonl(examples()) + json.dumps(row).encode() + junk)
    with pytest.raises(InvalidFile) as invalid:
        encode(path, make_tokenizer(), frozenset([257]), 512)
    str(invalid.value).encode()


@pytest.mark.parametrize("row", ["[" * 900 + "]" * 900, '{"messages": ' + "[" * 900 + "]" * 900 + "}", "[" * 100_000])
def test_a_line_that_is_nested_deeply_is_named(tmp_path: Path, row: str) -> None:
    from evaltape.local.training.training_file import InvalidFile, encode

    path = tmp_path / "train.jsonl"
    path.write_bytes(jsonl(examples()) + row.encode())
    with pytest.raises(InvalidFile, match="line 13"):
        encode(path, make_tokenizer(), frozenset([257]), 512)
