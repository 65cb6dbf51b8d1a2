"""Samples: which rows of a data set they are, from which kinds of file, and what is wrong with a bad one."""

import csv
import json
from pathlib import Path

import datasets
import numpy as np
import pytest
from evaltape.errors import UserError
from evaltape.samples.samples import read_samples, record_samples, replay_samples
from evaltape.suite.reader import Suite, load_suite

from tests.support.project import ROWS, Project

SUITE = """\
[dataset]
path = "{path}"
split = "validation"
{selection}

[prompt]
user = "{prompt}"

[models.small]
model = "small-1"
"""
MANY = [{"id": f"m{n}", "dialogue": f"Ann: number {n}", "summary": f"Number {n}."} for n in range(50)]
Rows = list[dict[str, object]]


def suite_on(folder: Path, path: str = "talks.jsonl", selection: str = "", prompt: str = "Sum up: {input}") -> Suite:
    (folder / "chats.toml").write_text(SUITE.format(path=path, selection=selection, prompt=prompt))
    return load_suite(folder / "chats.toml")


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        datasets.Dataset.from_list(rows).to_parquet(path)
    return path


def freeze(suite: Suite) -> list[str]:
    return [sample.id for sample in record_samples(suite, suite.file.parent / "frozen", fresh=True)]


def refusal(suite: Suite) -> str:
    with pytest.raises(UserError) as caught:
        freeze(suite)
    return str(caught.value)


# ---------------------------------------------------------------- selection


@pytest.mark.parametrize("seed", [0, 42])
def test_the_selection_is_that_of_datasets(tmp_path: Path, seed: int) -> None:
    file = write(tmp_path / "talks.jsonl", MANY)
    suite = suite_on(tmp_path, selection=f"samples = 20\nseed = {seed}")
    own = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    wanted = own.shuffle(seed=seed).select(range(20))["id"]
    assert freeze(suite) == list(wanted)
    # The same without datasets, so that a change of its shuffle would show.
    assert freeze(suite) == [f"m{n}" for n in np.random.default_rng(seed).permutation(50)[:20]]


def test_without_a_seed_samples_are_the_first_in_their_order(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", MANY)
    assert freeze(suite_on(tmp_path, selection="samples = 3")) == ["m0", "m1", "m2"]


def test_without_a_number_all_rows_are_samples(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", MANY)
    assert sorted(freeze(suite_on(tmp_path, selection="seed = 1"))) == sorted(row["id"] for row in MANY)


def test_more_samples_than_there_are_is_a_warning_and_all_are_used(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", MANY)
    with pytest.warns(UserWarning, match=r"60 samples asked for, split 'validation' has 50: all are used"):
        assert len(freeze(suite_on(tmp_path, selection="samples = 60"))) == 50


def test_the_warning_is_shown_when_recording(project: Project, workers: str) -> None:
    project.edit_suite('path = "../data/talks.jsonl"', 'path = "../data/talks.jsonl"\nsamples = 7')
    run = project.record(workers)
    assert run.output.count("7 samples asked for, split 'validation' has 6: all are used") == 1
    run.assert_outcomes(passed=8, warning=1)


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize("name", ["talks.jsonl", "talks.csv", "talks.parquet"])
def test_local_files_give_the_same_samples_whatever_their_format(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, ROWS)
    suite = suite_on(tmp_path, name)
    assert freeze(suite) == [row["id"] for row in ROWS]
    samples = read_samples(tmp_path / "frozen")
    assert [(s.input, s.reference) for s in samples] == [(row["dialogue"], row["summary"]) for row in ROWS]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_folder_has_a_file_per_split(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "talks").mkdir()
    write(tmp_path / "talks" / f"train{suffix}", MANY)
    write(tmp_path / "talks" / f"validation{suffix}", ROWS)
    assert freeze(suite_on(tmp_path, "talks")) == [row["id"] for row in ROWS]


def test_numbers_as_ids_are_texts(tmp_path: Path) -> None:
    write(tmp_path / "talks.csv", [{**row, "id": str(n)} for n, row in enumerate(ROWS)])
    assert freeze(suite_on(tmp_path, "talks.csv")) == ["0", "1", "2", "3", "4", "5"]


def test_unicode_line_separators_stay_inside_their_sample(tmp_path: Path) -> None:
    text = "Ann: one\u2028two\x85three\x0cfour"
    write(tmp_path / "talks.jsonl", [{"id": "a", "dialogue": text, "summary": "\u2029x"}])
    (sample,) = record_samples(suite_on(tmp_path), tmp_path / "frozen", fresh=True)
    assert (sample.input, sample.reference) == (text, "\u2029x")
    assert read_samples(tmp_path / "frozen") == [sample]


def test_a_changed_file_is_read_anew_and_not_from_a_cache(tmp_path: Path) -> None:
    suite = suite_on(tmp_path)
    write(tmp_path / "talks.jsonl", MANY[:2])
    assert freeze(suite) == ["m0", "m1"]
    write(tmp_path / "talks.jsonl", MANY[2:4])
    assert freeze(suite) == ["m2", "m3"]


def test_further_columns_of_the_prompt_are_frozen_with_the_sample(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", [{**row, "tone": "warm", "other": "x"} for row in ROWS])
    suite = suite_on(tmp_path, prompt="Sum up in a {tone} tone: {input}")
    freeze(suite)
    assert {tuple(sample.columns.items()) for sample in read_samples(tmp_path / "frozen")} == {(("tone", "warm"),)}


# ---------------------------------------------------------------- bad ones


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(suite_on(tmp_path)) == (
        "chats.toml: [dataset] 'talks.jsonl' is not there: looked for talks.jsonl (no such folder or file)"
    )


def test_a_missing_split_names_those_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talks").mkdir()
    write(tmp_path / "talks" / "test.jsonl", ROWS)
    assert refusal(suite_on(tmp_path, "talks")) == (
        "chats.toml: [dataset] split 'validation' of 'talks' is not there: looked for talks/validation.jsonl (test.jsonl)"
    )


def test_a_missing_field_names_the_nearest_and_all(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", [{"id": "a", "dialog": "x", "summary": "y"}])
    assert refusal(suite_on(tmp_path)).endswith(
        "[dataset.fields] input = 'dialogue': no such column. Did you mean 'dialog'? "
        "Columns of 'talks.jsonl': id, dialog, summary"
    )


def test_a_column_that_the_prompt_names_must_be_there(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", ROWS)
    assert "[prompt] names {sumary}, which is no column. Did you mean 'summary'?" in refusal(
        suite_on(tmp_path, prompt="{input} {sumary}")
    )


@pytest.mark.parametrize("value", ["", "  \n", None])
@pytest.mark.parametrize("field", ["dialogue", "summary"])
def test_a_sample_without_input_or_reference_is_named(tmp_path: Path, field: str, value: str) -> None:
    write(tmp_path / "talks.jsonl", [*ROWS, {"id": "t7", "dialogue": "Ann: x", "summary": "X.", field: value}])
    assert refusal(suite_on(tmp_path)).endswith(f"row 't7' of 'talks.jsonl' has no {field}")


def test_a_sample_without_id_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", [*ROWS, {"id": "", "dialogue": "Ann: x", "summary": "X."}])
    assert refusal(suite_on(tmp_path)).endswith("row '' of 'talks.jsonl' has no id")


def test_two_samples_of_one_id_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", [*ROWS, {**ROWS[0], "dialogue": "Ann: other"}])
    assert refusal(suite_on(tmp_path)).endswith("two samples have the id 't1'; ids name cassettes and must differ")


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "talks.csv").write_text("id,dialogue,summary\n")
    assert refusal(suite_on(tmp_path, "talks.csv")).endswith("[dataset] split 'validation' of 'talks.csv' is empty")


@pytest.mark.parametrize("text", ["", "\n", "[1, 2", '{"id": "a"}\nnot json\n'])
def test_a_file_that_is_no_data_set_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "talks.jsonl").write_text(text)
    told = refusal(suite_on(tmp_path))
    assert "talks.jsonl" in told
    assert "\n" not in told


def test_a_hub_data_set_that_cannot_be_had_is_one_message(project: Project) -> None:
    project.edit_suite("../data/talks.jsonl", "nobody/nothing")
    run = project.run_in_new_interpreter(
        "evals", "-m", "baseline", "--record", environment={"HF_HUB_OFFLINE": "1", "HF_HOME": str(project.root)}
    )
    run.assert_refused(
        "evals/suites/chats.toml: [dataset] path = 'nobody/nothing', split 'validation': the Hub data set can't be loaded: ",
        "a local data set is a .jsonl, .csv or .parquet file, or a folder with one per split",
    )


# ---------------------------------------------------------------- in replay


def frozen(tmp_path: Path) -> Suite:
    write(tmp_path / "talks.jsonl", ROWS)
    suite = suite_on(tmp_path)
    freeze(suite)
    return suite


def replay_refusal(suite: Suite) -> str:
    with pytest.raises(UserError) as caught:
        replay_samples(suite, suite.file.parent / "frozen", "pytest --record")
    return str(caught.value)


def test_replay_needs_no_data_set(tmp_path: Path) -> None:
    suite = frozen(tmp_path)
    (tmp_path / "talks.jsonl").unlink()
    assert [sample.id for sample in replay_samples(suite, tmp_path / "frozen", "x")] == [row["id"] for row in ROWS]


def test_replay_refuses_another_selection(tmp_path: Path) -> None:
    frozen(tmp_path)
    told = replay_refusal(suite_on(tmp_path, selection="samples = 3"))
    assert "[dataset] split.samples is 3, the recording was made with None. Record it again: pytest --record" in told


def test_replay_refuses_a_data_set_whose_rows_changed_and_names_them(tmp_path: Path) -> None:
    suite = frozen(tmp_path)
    write(tmp_path / "talks.jsonl", [*ROWS[:5], {**ROWS[5], "summary": "Gus buys bread"}])
    told = replay_refusal(suite)
    assert "'talks.jsonl' changed since it was recorded" in told
    assert "1 of 6 samples differ (t6). Record it again: pytest --record" in told


def test_replay_accepts_a_file_that_changed_in_nothing_but_its_form(tmp_path: Path) -> None:
    suite = frozen(tmp_path)
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps({**row, "note": "new"}, indent=None) + "\n" for row in ROWS))
    assert len(replay_samples(suite, tmp_path / "frozen", "x")) == 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: not a frozen sample (JSONDecodeError"),
        ("[]", "line 1: not a frozen sample (TypeError"),
        ('{"id": "a", "input": "b"}', "line 1: not a frozen sample (KeyError('reference'))"),
        ('{"id": 1, "input": "b", "reference": "c"}', "line 1: not a frozen sample (TypeError('id, input and reference are texts'))"),
        ("", "there are no samples in it"),
    ],
)  # fmt: skip
def test_damaged_frozen_samples_are_named_by_their_line(tmp_path: Path, line: str, message: str) -> None:
    suite = frozen(tmp_path)
    (tmp_path / "frozen/samples.jsonl").write_text(line + "\n")
    assert message in replay_refusal(suite)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"dataset": 1, "sha256": ""}'])
def test_a_damaged_origin_of_the_samples_is_refused(tmp_path: Path, text: str) -> None:
    suite = frozen(tmp_path)
    (tmp_path / "frozen/dataset.json").write_text(text)
    assert "dataset.json is missing or damaged. Restore it, or record again: pytest --record" in replay_refusal(suite)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b"{}", b"torn"], ids=["no text", "deep", "empty", "torn"])
def test_frozen_samples_that_are_none_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "samples.jsonl").write_bytes(content)
    with pytest.raises(UserError, match="not a f"):
        read_samples(tmp_path)
