"""What is refused of samples: values that can't stand in a prompt, slices that are measures, clusters without a value."""

from pathlib import Path
from typing import Any

import pytest
from evaltape.samples.checks import is_continuous
from evaltape.samples.dataset import load_samples
from evaltape.samples.sample import Sample

from tests.support.suites import TALK, refusal, suite_in, write_data

TURNS = [{"role": "user", "content": "hi"}]


def loaded(
    folder: Path, values: list[Any], dataset: str = "", prompt: str = 'user = "{input}"', name: str = "talks.jsonl"
) -> list[Sample]:
    """Samples with these values in the column `extra`."""
    write_data(
        folder / name, [{**TALK, "id": f"t{n}", "dialogue": f"Ann: {n}", "extra": value} for n, value in enumerate(values)]
    )
    return load_samples(suite_in(folder, dataset, prompt, path=name))[0]


# ---------------------------------------------------------------- prompts


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is empty"),
        (["a", "b"], "holds a list, a prompt takes texts and numbers"),
        ({"a": 1}, "holds an object, a prompt takes texts and numbers"),
    ],
)
def test_a_value_that_cannot_stand_in_a_prompt_names_the_sample(tmp_path: Path, value: Any, reason: str) -> None:
    message = refusal(loaded, tmp_path, ["warm", value], prompt='user = "{extra} {input}"')
    assert message.endswith(f"chats.toml: sample 't1': column 'extra' {reason}")


def test_an_empty_cell_of_a_table_is_no_text_either(tmp_path: Path) -> None:
    message = refusal(loaded, tmp_path, ["warm", ""], prompt='user = "{extra} {input}"', name="talks.csv")
    assert message.endswith("sample 't1': column 'extra' is empty")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "holds nothing and not a list of messages"),
        ("user: hi", "holds a text and not a list of messages"),
        ([], "holds a list and not a list of messages"),
        (["hi"], "holds no message as its item 1: that has exactly the keys role and content"),
        ([{"from": "human", "value": "hi"}], "holds no message as its item 1"),
        ([{**TURNS[0], "name": "Ann"}], "holds no message as its item 1"),
        ([*TURNS, {"role": "bot", "content": "x"}], "has the role 'bot' in message 2; roles: system, developer, user, assistant"),
        ([{"role": "user", "content": " "}], "has no text as the content of message 1"),
        ([{"role": "user", "content": 5}], "has no text as the content of message 1"),
        ([*TURNS, {"role": "assistant", "content": "x"}], "ends with a message of role 'assistant'; a model answers the user's last message"),
    ],
)  # fmt: skip
def test_a_column_that_is_no_conversation_names_the_sample(tmp_path: Path, value: Any, reason: str) -> None:
    message = refusal(loaded, tmp_path, [TURNS, value], prompt='conversation = "extra"')
    assert f"chats.toml: row 't1' of 'talks.jsonl': column 'extra' {reason}" in message
    fields = 'fields = { id = "id", input = "dialogue", reference = "summary" }'
    message = refusal(loaded, tmp_path, [TURNS, value], fields, prompt='conversation = "extra"')
    assert f"chats.toml: sample 't1': column 'extra' {reason}" in message


def test_keys_of_a_message_that_are_null_do_not_count(tmp_path: Path) -> None:
    assert loaded(tmp_path, [[{**TURNS[0], "name": None}]], prompt='conversation = "extra"')


# ---------------------------------------------------------------- slices and clusters


@pytest.mark.parametrize(
    "numbers",
    [[12.5, 12.5], [31, 17, 25, 40, 22, 19], list(range(21)) * 2, [1.0, 2.5]],
    ids=["a fraction", "never the same", "many", "one fraction"],
)
@pytest.mark.parametrize("name", ["talks.jsonl", "talks.csv", "talks.parquet"])
def test_a_slice_column_of_measures_is_refused_with_what_to_do(tmp_path: Path, numbers: list[float], name: str) -> None:
    message = refusal(loaded, tmp_path, numbers, 'slices = ["extra"]', name=name)
    assert (
        f"[dataset] slices names 'extra', a column of {len(set(numbers))} different numbers from {min(numbers):g} to "
        in message
    )
    assert message.endswith("Write a column that bins them, with values like 'short' and 'long', and name that one")


@pytest.mark.parametrize(
    "values",
    [[1, 2, 3, 3, 5, 5], [2024, 2025], [True, False], ["1.5", "2.5"], ["short", "12"], [1, 2.0, None, 2], [None, None]],
    ids=["ratings", "years", "flags", "texts", "labels", "some missing", "all missing"],
)
def test_labels_are_slices(tmp_path: Path, values: list[Any]) -> None:
    assert len(loaded(tmp_path, values, 'slices = ["extra"]')) == len(values)


def test_numbers_that_label_are_told_from_numbers_that_measure() -> None:
    assert not is_continuous([1, 2, 3, 4])
    assert is_continuous([1, 2, 3, 4, 5])
    assert not is_continuous([1, 2, 3, 4, 5, 5])
    assert not is_continuous(list(range(20)) * 2)
    assert is_continuous(list(range(21)) * 2)


def test_a_slice_of_lists_is_refused(tmp_path: Path) -> None:
    message = refusal(loaded, tmp_path, ["a", ["b"]], 'slices = ["extra"]')
    assert "sample 't1': column 'extra' holds a list" in message


def test_a_sample_belongs_to_the_slice_of_its_value(tmp_path: Path) -> None:
    samples = loaded(tmp_path, ["long", 3, True, None, " "], 'slices = ["extra"]')
    assert [sample.slice_of("extra") for sample in samples] == ["long", "3", "true", None, None]


def test_a_sample_without_a_cluster_is_refused(tmp_path: Path) -> None:
    assert refusal(loaded, tmp_path, [7, None], 'cluster = "extra"').endswith("sample 't1': column 'extra' is empty")


def test_a_cluster_may_be_any_number(tmp_path: Path) -> None:
    assert len(loaded(tmp_path, [n * 1009 for n in range(30)], 'cluster = "extra"')) == 30


# ---------------------------------------------------------------- kept columns


def test_a_number_without_end_can_be_no_column(tmp_path: Path) -> None:
    write_data(tmp_path / "talks.jsonl", [])
    (tmp_path / "talks.jsonl").write_text('{"id": "a", "dialogue": "x", "summary": "y", "size": 1e999}\n')
    message = refusal(load_samples, suite_in(tmp_path, 'keep = ["size"]'))
    assert message.endswith("row 'a' of 'talks.jsonl': column 'size' holds a number without end")
