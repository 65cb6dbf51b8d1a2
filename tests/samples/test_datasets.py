"""Samples: which rows of a data set they are, from which kinds of file, and what is wrong with a bad one."""

from pathlib import Path

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from evaltape.errors import UserError
from evaltape.samples import sources
from evaltape.samples.dataset import load_samples
from evaltape.samples.sample import Sample
from evaltape.samples.sources import read_rows
from evaltape.suite.definition import Suite

from tests.support.project import ROWS, Project
from tests.support.suites import TALK, refusal, suite_in, write_data

MANY = [{"id": f"m{n}", "dialogue": f"Ann: number {n}", "summary": f"Number {n}."} for n in range(250)]
FORMATS = ["talks.jsonl", "talks.json", "talks.csv", "talks.parquet"]


def ids(suite: Suite) -> list[str]:
    return [sample.id for sample in load_samples(suite)[0]]


def samples_of(folder: Path, *rows: dict[str, object], dataset: str = "", prompt: str = 'user = "{input}"') -> list[Sample]:
    """The samples of these rows."""
    write_data(folder / "talks.jsonl", rows)
    return load_samples(suite_in(folder, dataset, prompt))[0]


def refused(folder: Path, *rows: dict[str, object], dataset: str = "", prompt: str = 'user = "{input}"') -> str:
    return refusal(samples_of, folder, *rows, dataset=dataset, prompt=prompt)


# ---------------------------------------------------------------- selection


@pytest.mark.parametrize(("seed", "samples"), [(42, 200), (0, 20), (42, 250)])
def test_the_selection_is_that_of_datasets(tmp_path: Path, seed: int, samples: int) -> None:
    file = write_data(tmp_path / "talks.jsonl", MANY)
    suite = suite_in(tmp_path, f"samples = {samples}\nseed = {seed}")
    own = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    wanted = own.shuffle(seed=seed).select(range(samples))["id"]
    assert ids(suite) == list(wanted)
    # The same without datasets, so that a change of its shuffle would show.
    assert ids(suite) == [f"m{n}" for n in np.random.default_rng(seed).permutation(250)[:samples]]


def test_without_a_seed_samples_are_the_first_in_their_order(tmp_path: Path) -> None:
    write_data(tmp_path / "talks.jsonl", MANY)
    assert ids(suite_in(tmp_path, "samples = 3")) == ["m0", "m1", "m2"]


def test_without_a_number_all_rows_are_samples(tmp_path: Path) -> None:
    write_data(tmp_path / "talks.jsonl", MANY)
    assert sorted(ids(suite_in(tmp_path, "seed = 1"))) == sorted(row["id"] for row in MANY)


def test_more_samples_than_there_are_is_a_note_and_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    write_data(tmp_path / "talks.jsonl", MANY)
    samples, notes = load_samples(suite_in(tmp_path, "samples = 600\nseed = 1"))
    assert len(samples) == 250
    (note,) = notes
    assert note.endswith("chats.toml: 600 samples asked for, split 'validation' has 250: all are used")
    assert list(recwarn) == []


def test_with_warnings_as_errors_a_recording_of_too_few_rows_passes_and_says_so(project: Project) -> None:
    project.edit_suite('path = "../data/talks.jsonl"', 'path = "../data/talks.jsonl"\nsamples = 7')
    imported = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"  # By the tests' way to start a run.
    words = ["-m", "baseline", "-k", "test_sample", "--record", "-W", "error::UserWarning", "-W", imported]
    run = project.run("evals", *words, "-n 2")
    assert " ".join(run.output.split()).count("7 samples asked for, split 'validation' has 6: all are used") == 1
    assert run.outcomes["passed"] == 6, run.output
    assert run.exit_code == 0


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize("name", FORMATS)
def test_local_files_give_the_same_samples_whatever_their_format(tmp_path: Path, name: str) -> None:
    write_data(tmp_path / name, ROWS)
    samples, _ = load_samples(suite_in(tmp_path, path=name))
    assert [(s.id, s.input, s.references) for s in samples] == [(r["id"], r["dialogue"], (r["summary"],)) for r in ROWS]


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_has_a_file_per_split(tmp_path: Path, name: str) -> None:
    (tmp_path / "talks").mkdir()
    write_data(tmp_path / "talks" / name.replace("talks", "train"), MANY)
    write_data(tmp_path / "talks" / name.replace("talks", "validation"), ROWS)
    assert ids(suite_in(tmp_path, path="talks")) == [row["id"] for row in ROWS]


def test_a_json_file_may_hold_a_row_a_line(tmp_path: Path) -> None:
    write_data(tmp_path / "talks.jsonl", ROWS).rename(tmp_path / "talks.json")
    assert ids(suite_in(tmp_path, path="talks.json")) == [row["id"] for row in ROWS]


@pytest.mark.parametrize("name", ["talks.jsonl", "talks.json", "talks.csv"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path, name: str) -> None:
    content = write_data(tmp_path / name, ROWS).read_bytes()
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content)
    assert ids(suite_in(tmp_path, path=name)) == [row["id"] for row in ROWS]


def test_a_table_has_cells_of_any_length_over_several_lines(tmp_path: Path) -> None:
    text = 'Ann: one, "two"\nBob: ' + "x" * 300_000
    write_data(tmp_path / "talks.csv", [{**TALK, "dialogue": text}])
    assert load_samples(suite_in(tmp_path, path="talks.csv"))[0][0].input == text


def test_unicode_line_separators_stay_inside_their_sample(tmp_path: Path) -> None:
    text = "Ann: one\u2028two\x85three\x0cfour"
    (sample,) = samples_of(tmp_path, {"id": "a", "dialogue": text, "summary": "\u2029x"})
    assert (sample.input, sample.references) == (text, ("\u2029x",))


def test_a_changed_file_is_read_again_and_not_from_a_cache(tmp_path: Path) -> None:
    suite = suite_in(tmp_path)
    write_data(tmp_path / "talks.jsonl", MANY[:2])
    assert ids(suite) == ["m0", "m1"]
    write_data(tmp_path / "talks.jsonl", MANY[2:4])
    assert ids(suite) == ["m2", "m3"]


# ---------------------------------------------------------------- the parts of a sample


def test_without_an_id_column_ids_are_digests_of_the_inputs(tmp_path: Path) -> None:
    fields = 'fields = { input = "dialogue", reference = "summary" }'
    (sample,) = samples_of(tmp_path, {"dialogue": "Ann: hi", "summary": "Hi."}, dataset=fields)
    assert sample.id == "ff9f90f7cdf3"  # The first digits of: printf 'Ann: hi' | sha256sum


def test_equal_rows_without_ids_ask_for_ids(tmp_path: Path) -> None:
    fields = 'fields = { input = "dialogue", reference = "summary" }'
    message = refused(tmp_path, TALK, {**TALK, "summary": "other"}, dataset=fields)
    assert "two rows have the same input ('Ben: the red car won\\nZoe: great')" in message
    assert message.endswith('Give the rows ids, and name their column: fields = { id = "..." }')


def test_a_list_column_holds_several_references(tmp_path: Path) -> None:
    (sample,) = samples_of(tmp_path, {**TALK, "summary": ["red won", " ", None, "the red one"]})
    assert sample.references == ("red won", "the red one")


def test_several_columns_hold_a_reference_each(tmp_path: Path) -> None:
    fields = 'fields = { id = "id", input = "dialogue", reference = ["summary", "other"] }'
    one, two = samples_of(tmp_path, {**TALK, "other": "red"}, {**TALK, "id": "t2", "other": None}, dataset=fields)
    assert (one.references, two.references) == (("the red car won the race", "red"), ("the red car won the race",))


@pytest.mark.parametrize("name", ["talks.json", "talks.parquet"])
def test_lists_and_messages_come_from_every_format_that_has_them(tmp_path: Path, name: str) -> None:
    turns = [{"role": "user", "content": "hi"}]
    write_data(tmp_path / name, [{**TALK, "summary": ["a", "b"], "turns": turns}])
    (sample,), _ = load_samples(suite_in(tmp_path, prompt='conversation = "turns"', path=name))
    assert sample.references == ("a", "b")
    assert sample.columns == {"turns": turns}


def test_without_an_input_column_the_turns_are_the_input(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi\nthere"}]
    row = {"id": "a", "turns": turns, "answer": "Hello."}
    fields = 'fields = { id = "id", reference = "answer" }'
    (sample,) = samples_of(tmp_path, row, dataset=fields, prompt='conversation = "turns"')
    assert sample.input == "system: Be kind.\nuser: Hi\nthere"


def test_a_sample_carries_the_columns_that_the_suite_names_and_no_others(tmp_path: Path) -> None:
    row = {**TALK, "tone": "warm", "topic": "cars", "thread": 7, "meta": {"url": ["a"]}, "other": 1}
    dataset = 'slices = ["topic"]\ncluster = "thread"\nkeep = ["meta"]'
    (sample,) = samples_of(tmp_path, row, dataset=dataset, prompt='user = "In a {tone} tone: {input}"')
    assert sample.columns == {"tone": "warm", "topic": "cars", "thread": 7, "meta": {"url": ["a"]}}


def test_not_a_number_is_no_value(tmp_path: Path) -> None:
    write_data(tmp_path / "talks.jsonl", [])
    (tmp_path / "talks.jsonl").write_text('{"id": "a", "dialogue": "x", "summary": "y", "size": NaN}\n')
    (sample,), _ = load_samples(suite_in(tmp_path, 'keep = ["size"]'))
    assert sample.columns == {"size": None}


# ---------------------------------------------------------------- bad ones


def test_a_missing_split_names_those_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talks").mkdir()
    write_data(tmp_path / "talks" / "test.jsonl", ROWS)
    assert refusal(load_samples, suite_in(tmp_path, path="talks")) == (
        "chats.toml: [dataset] split 'validation' of 'talks' is not there: looked for talks/validation.jsonl (test.jsonl)"
    )


def test_a_split_in_two_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "talks").mkdir()
    for name in ("validation.jsonl", "validation.csv"):
        write_data(tmp_path / "talks" / name, ROWS)
    message = refusal(load_samples, suite_in(tmp_path, path="talks"))
    assert message.endswith("split 'validation' of 'talks' is in two files: validation.jsonl, validation.csv")


def test_a_missing_field_names_the_nearest_and_all(tmp_path: Path) -> None:
    message = refused(tmp_path, {"id": "a", "dialog": "x", "summary": "y"})
    assert message.endswith(
        "[dataset.fields] input = 'dialogue': no such column. Did you mean 'dialog'? "
        "Columns of 'talks.jsonl': id, dialog, summary"
    )


def test_a_missing_id_column_says_that_ids_may_be_left_to_the_inputs(tmp_path: Path) -> None:
    message = refused(tmp_path, {"dialogue": "x", "summary": "y"})
    assert "[dataset.fields] id = 'id': no such column." in message
    assert message.endswith("Or leave id out of fields: ids are then made of the inputs")


@pytest.mark.parametrize("key", ["slices", "cluster", "keep"])
def test_further_columns_must_be_there(tmp_path: Path, key: str) -> None:
    value = '"topc"' if key == "cluster" else '["topc"]'
    message = refused(tmp_path, {**TALK, "topic": "cars"}, dataset=f"{key} = {value}")
    assert f"[dataset] {key} names 'topc': no such column. Did you mean 'topic'? Columns of 'talks.jsonl': id," in message


@pytest.mark.parametrize(("typo", "meant"), [("imput", "input"), ("sumary", "summary")])
def test_a_column_that_the_prompt_names_must_be_there(tmp_path: Path, typo: str, meant: str) -> None:
    message = refused(tmp_path, TALK, prompt=f'user = "{{input}} {{{typo}}}"')
    assert (
        f"[prompt] names {{{typo}}}, which is no column. Did you mean {{{meant}}}? Columns of 'talks.jsonl': input, id,"
        in message
    )


def test_a_column_that_the_prompt_of_one_model_names_is_looked_for_there(tmp_path: Path) -> None:
    write_data(tmp_path / "talks.jsonl", [TALK])
    models = '[models.a]\nmodel = "a"\n[models.b]\nmodel = "b"\nprompt = { user = "{tone} {input}" }\n'
    message = refusal(load_samples, suite_in(tmp_path, more=models))
    assert "[models.b.prompt] names {tone}, which is no column." in message


@pytest.mark.parametrize("value", ["", "  \n", None])
@pytest.mark.parametrize("field", ["dialogue", "summary"])
def test_a_sample_without_input_or_reference_is_named(tmp_path: Path, field: str, value: str | None) -> None:
    assert refused(tmp_path, TALK, {**TALK, "id": "t7", field: value}).endswith(f"row 't7' of 'talks.jsonl' has no {field}")


@pytest.mark.parametrize("value", [[], [""], [None]])
def test_an_empty_list_of_references_is_named(tmp_path: Path, value: list[object]) -> None:
    message = refused(tmp_path, {**TALK, "summary": value})
    assert message.endswith("row 't1' of 'talks.jsonl' has an empty list of references in summary")


def test_a_sample_without_id_is_refused_by_its_number(tmp_path: Path) -> None:
    assert refused(tmp_path, TALK, {**TALK, "id": ""}).endswith("row 2 of 'talks.jsonl' has no id")


@pytest.mark.parametrize("field", ["dialogue", "summary", "id"])
def test_half_a_character_is_refused_with_its_row_and_column(tmp_path: Path, field: str) -> None:
    message = refused(tmp_path, {**TALK, field: "\ud800"})
    assert f"of 'talks.jsonl': column {field!r} holds half a character (a lone surrogate), which no file can" in message


def test_an_object_is_no_text(tmp_path: Path) -> None:
    assert refused(tmp_path, {**TALK, "dialogue": {}}).endswith(
        "row 't1' of 'talks.jsonl': column 'dialogue' holds a dict and not a text"
    )


def test_two_samples_of_one_id_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, TALK, {**TALK, "dialogue": "Ann: other"})
    assert message.endswith("two samples have the id 't1'; ids name cassettes and must differ")


def test_ids_that_differ_by_case_alone_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, TALK, {**TALK, "id": "T1"})
    assert "the ids 't1' and 'T1' differ by case alone, and would name one file on macOS and Windows" in message


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "talks.csv").write_text("id,dialogue,summary\n")
    message = refusal(load_samples, suite_in(tmp_path, path="talks.csv"))
    assert message.endswith("[dataset] split 'validation' of 'talks.csv' is empty")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("talks.jsonl", '{"id": "a"}\nnot json\n', "line 2: not JSON: Expecting value"),
        ("talks.jsonl", '{"id": "a"}\n[1]\n', "line 2: not an object"),
        ("talks.json", "[1, 2", "Expecting ',' delimiter"),
        ("talks.json", '[{"id": "a"}, 2]', "item 2: not an object"),
        ("talks.json", '{\n"rows": []\n}', "line 1: not JSON"),
        ("talks.csv", "id,dialogue\na,b,c\n", "line 2 has 3 cells, line 1 names 2 columns"),
        ("talks.csv", 'id,dialogue\na,"b\n', "unexpected end of data"),
        ("talks.csv", "id,id\na,b\n", "line 1 names a column twice: id, id"),
        ("talks.parquet", "torn", "Parquet"),
        ("talks.jsonl", "\udcff\udcfe", "codec can't decode"),
        ("talks.json", "[" * 100_000, "recursion"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_data_set_is_refused_with_its_line(tmp_path: Path, name: str, content: str, reason: str) -> None:
    (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    message = refusal(load_samples, suite_in(tmp_path, path=name))
    assert f"{name}: not a readable {Path(name).suffix} data set: " in message
    assert reason in message


@pytest.mark.parametrize("name", FORMATS)
def test_a_git_lfs_pointer_names_the_command_that_fetches_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    message = refusal(load_samples, suite_in(tmp_path, path=name))
    assert message.endswith(f"{name}: a Git LFS pointer and not the file itself. Fetch it: git lfs pull")


def test_a_small_parquet_file_that_stands_for_gigabytes_is_read_in_parts_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, path = 200_000, tmp_path / "data.parquet"
    numbers = pyarrow.array(range(rows), pyarrow.int32())
    column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * rows, pyarrow.int32()), pyarrow.array(["x" * 1000]))
    pyarrow.parquet.write_table(pyarrow.table({"id": numbers, "dialogue": column}), path)
    monkeypatch.setattr(sources, "LARGEST_TABLE", 2**24)
    before = pyarrow.total_allocated_bytes()
    read = read_rows(path)
    assert (read.columns, read.count) == (("id", "dialogue"), rows)
    assert [row["id"] for row in read.pick([700, 3, rows - 1], ["id"])] == [700, 3, rows - 1]
    assert len(read.pick(range(16_000), ["dialogue"])) == 16_000
    assert pyarrow.total_allocated_bytes() - before < 2**24
    with pytest.raises(UserError, match=r"data\.parquet: not a readable \.parquet data set: its rows take over 0\.015625 GiB"):
        read.pick(range(rows), ["id", "dialogue"])
