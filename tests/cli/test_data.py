"""`evaltape init --data`: what it guesses of a user's columns, and the suite it writes of them."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from evaltape.cli.init.data import guess

from tests.support.commands import evaltape, files_of

ROWS = [
    {
        "ticket": f"T-{n}",
        "customer_text": f"The parcel {n} hasn't come, and I have been waiting for {n + 2} days",
        "note": f"Parcel {n} late",
    }
    for n in range(1, 4)
]


def columns(*names: str, rows: int = 3) -> list[dict[str, Any]]:
    """Rows whose values are texts, longer from column to column, that differ from row to row."""
    return [{name: f"row {row} " + "word " * (5 * index) for index, name in enumerate(names)} for row in range(rows)]


@pytest.mark.parametrize(
    ("names", "id_", "input_", "references"),
    [
        (("id", "dialogue", "summary"), "id", "dialogue", ("summary",)),
        (("summary", "dialogue", "id"), "id", "dialogue", ("summary",)),
        (("article", "highlights", "id"), "id", "article", ("highlights",)),
        (("question", "answer"), None, "question", ("answer",)),
        (("prompt", "completion", "chat_id"), "chat_id", "prompt", ("completion",)),
        (("document", "summary", "title"), None, "document", ("summary",)),
        (("Text", "Summary"), None, "Text", ("Summary",)),
        (("input", "reference_1", "reference_2"), None, "input", ("reference_1", "reference_2")),
        (("input", "summary2", "summary1"), None, "input", ("summary2", "summary1")),
        (("a", "b", "c"), None, "c", ("b",)),
        (("b", "summary", "a"), None, "a", ("summary",)),
        (("dialogue", "a", "b"), None, "dialogue", ("b",)),
    ],
)  # fmt: skip
def test_columns_are_guessed_by_their_names_and_else_by_their_length(
    names: tuple[str, ...], id_: str | None, input_: str, references: tuple[str, ...]
) -> None:
    guessed = guess("rows.jsonl", columns(*names))
    assert (guessed.id, guessed.input, guessed.references) == (id_, input_, references)


@pytest.mark.parametrize("ids", [["1", "1", "2"], ["1", None, "2"], ["1", " ", "2"], [1.5, 2.5, 3.5]])
def test_what_does_not_tell_rows_apart_is_not_taken_for_ids(ids: list[Any]) -> None:
    rows = [{**row, "id": value} for row, value in zip(columns("dialogue", "summary"), ids, strict=True)]
    assert guess("rows.jsonl", rows).id is None


def test_a_column_of_codes_is_taken_for_ids_and_not_for_the_input() -> None:
    guessed = guess("rows.jsonl", ROWS)
    assert (guessed.id, guessed.input, guessed.references) == ("ticket", "customer_text", ("note",))


def test_lists_of_texts_are_references() -> None:
    rows = [{"source": f"a longer text {n}", "targets": [f"one {n}", f"two {n}"]} for n in range(3)]
    assert guess("rows.jsonl", rows).references == ("targets",)


def test_a_column_of_messages_is_asked_as_it_stands() -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    rows = [{"turns": [*turns, {"role": "user", "content": str(n)}], "reference": f"Hi {n}"} for n in range(3)]
    guessed = guess("rows.jsonl", rows)
    assert (guessed.conversation, guessed.input, guessed.references) == ("turns", None, ("reference",))


def test_references_of_a_word_or_two_are_compared_as_a_whole() -> None:
    assert guess("rows.jsonl", [{"text": f"a text {n}", "label": "positive"} for n in range(3)]).short
    assert not guess("rows.jsonl", columns("dialogue", "summary")).short


@pytest.mark.parametrize(
    ("reference", "unicode"), [("Ein größerer Überblick", True), ("要約です", True), ("plain words", False)]
)
def test_references_beyond_a_to_z_are_split_into_words_by_unicodes_rules(reference: str, unicode: bool) -> None:
    assert guess("rows.jsonl", [{"text": f"x {n}", "summary": reference} for n in range(3)]).unicode == unicode


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as JSONL, JSON, CSV or Parquet, by the file's name."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".csv":
        path.write_text(
            "\ufeff"
            + "\n".join(",".join(map(json.dumps, values)) for values in [list(rows[0]), *(row.values() for row in rows)])
        )
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_every_kind_of_file_becomes_the_same_suite(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / f"data/tickets.{suffix}", ROWS)
    run = evaltape(tmp_path, "init", "--data", f"data/tickets.{suffix}", "--model", "small")
    assert run.exit_code == 0, run.errors
    suite = tomllib.loads((tmp_path / "evals/suites/tickets.toml").read_text())
    assert suite == {
        "dataset": {
            "path": f"../../data/tickets.{suffix}",
            "fields": {"id": "ticket", "input": "customer_text", "reference": "note"},
        },
        "prompt": {"user": "{input}"},
        "request": {"max_completion_tokens": 256},
        "metrics": {"rouge1": {}, "rougeL": {}},
        "models": {"small": {"model": "small"}},
    }
    assert not (tmp_path / "evals/data").exists()


def test_what_was_guessed_is_said_and_one_row_is_shown_as_it_will_be_asked(tmp_path: Path) -> None:
    write(
        tmp_path / "talks.jsonl",
        [{"id": n, "dialogue": f"Ann: {n}?\nBob: \x1b[31mno", "summary": f"Bob says no to {n}."} for n in range(300)],
    )
    run = evaltape(tmp_path, "init", "--data", "talks.jsonl", "--model", "small", "--base-url", "http://127.0.0.1:8000/v1")
    assert run.output.partition("\n\n")[2] == (
        "talks.jsonl: 300 rows with the columns id, dialogue, summary. Guessed:\n"
        "  id         id\n"
        "  input      dialogue\n"
        "  reference  summary\n"
        "Correct it in evals/suites/talks.toml, under [dataset] fields.\n"
        "\n"
        "The first row, as it will be asked:\n"
        "  user       Summarize the following text in one or two sentences.\n"
        "\n"
        "             Ann: 0?\n"
        "             Bob: \\x1b[31mno\n"
        "  reference  Bob says no to 0.\n"
        "\n"
        "Next:\n"
        "  pytest evals --estimate                  calls nothing: prints the calls, their tokens and their highest cost\n"
        "  pytest evals --record --snapshot-update  asks the model about 200 rows, keeps every answer, accepts the scores\n"
        "  pytest evals                             replays the same answers offline; set your gates by its scores\n"
    )
    assert (tmp_path / "evals/suites/talks.toml").read_text() == (
        "# What is evaluated. Paths are relative to this file. Every key: evaltape schema\n"
        "\n"
        "[dataset]\n"
        'path = "../../talks.jsonl"\n'
        "samples = 200                   # of 300; drop this line and the next to use all\n"
        "seed = 42                       # which ones\n"
        'fields = { id = "id", input = "dialogue", reference = "summary" }\n'
        "\n"
        "[prompt]\n"
        'user = """\n'
        "Summarize the following text in one or two sentences.\n"
        "\n"
        "{input}\n"
        '"""\n'
        "\n"
        "[request]\n"
        "max_completion_tokens = 256     # bounds the length and the cost of an answer\n"
        "\n"
        "[metrics]\n"
        "rouge1 = {}\n"
        "rougeL = {}\n"
        "\n"
        "[models.small]\n"
        'model = "small"\n'
        'base_url = "http://127.0.0.1:8000/v1"\n'
        "# gates = { rougeL = 0.30 }   # the least mean that passes: set it once you have seen the scores\n"
    )


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", columns("dialogue", "summary"))
    evaltape(tmp_path, "init", "--data", "talks.jsonl")
    first = files_of(tmp_path)
    run = evaltape(tmp_path, "init", "--data", "talks.jsonl")
    assert run.exit_code == 0
    assert "Nothing to write: 9 files were there already\n" in run.output
    assert files_of(tmp_path) == first


def test_without_a_model_one_is_named_that_the_suite_can_change(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", columns("dialogue", "summary"))
    run = evaltape(tmp_path, "init", "--data", "talks.jsonl")
    assert "\nNo --model was given: the suite asks gpt-6-luna. Name yours in it, under [models].\n" in run.output
    suite = tomllib.loads((tmp_path / "evals/suites/talks.toml").read_text())
    assert suite["models"] == {"gpt-6-luna": {"model": "gpt-6-luna", "request": {"reasoning_effort": "none"}}}
    assert "  export OPENAI_API_KEY=...  " in run.output


def test_beside_another_suite_the_commands_name_the_new_one(tmp_path: Path) -> None:
    evaltape(tmp_path, "init")
    write(tmp_path / "my talks.jsonl", columns("dialogue", "summary"))
    run = evaltape(tmp_path, "init", "--data", "my talks.jsonl", "--model", "small")
    assert "  pytest evals --suite evals/suites/my-talks.toml --estimate  " in run.output
    assert (tmp_path / "evals/suites/example.toml").exists()


def test_of_a_folder_the_validation_split_is_taken(tmp_path: Path) -> None:
    (tmp_path / "talks").mkdir()
    for split in ("train", "test", "validation"):
        write(tmp_path / f"talks/{split}.jsonl", columns("dialogue", "summary"))
    evaltape(tmp_path, "init", "--data", "talks")
    suite = tomllib.loads((tmp_path / "evals/suites/talks.toml").read_text())
    assert (suite["dataset"]["path"], suite["dataset"]["split"]) == ("../../talks", "validation")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("talks.jsonl", '{"dialogue": "a"}\n', "Columns there: dialogue (text)"),
        ("talks.jsonl", '{"text": "a", "label": 1}\n', "Columns there: text (text), label (numbers)"),
        ("talks.jsonl", '{"dialogue": "a"\n', "talks.jsonl: not a readable .jsonl data set: line 1: "),
        ("talks.jsonl", "[1]\n", "talks.jsonl: not a readable .jsonl data set: item 1: not an object"),
        ("talks.jsonl", "", "--data talks.jsonl: there are no rows in it"),
        ("talks.json", '"a"', "talks.json: not a readable .json data set: "),
        ("talks.parquet", "no", "talks.parquet: not a readable .parquet data set: "),
        ("talks.txt", "no", "it takes a .jsonl, .json, .csv, .parquet file, a folder of them, or a Hub data set"),
        ("talks.jsonl", '{"dialogue": "a", "summary": "b"}\n' * 2, "rows 1 and 2 have the same 'dialogue' and there is no column of ids"),
        (
            "talks.jsonl",
            '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n',
            "the messages under 'messages' end with the assistant's. Put that answer into a column of its own",
        ),
    ],
)  # fmt: skip
def test_data_that_can_not_be_used_is_one_message_and_nothing_is_written(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    run = evaltape(tmp_path, "init", "--data", name)
    assert run.exit_code == 4
    assert message in run.errors
    assert list(files_of(tmp_path)) == [name]


def test_a_mistyped_file_gets_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", columns("dialogue", "summary"))
    run = evaltape(tmp_path, "init", "--data", "talk.jsonl")
    assert run.exit_code == 4
    assert "--data talk.jsonl: there is no such file. Did you mean 'talks.jsonl'? Data there: talks.jsonl" in run.errors


def test_a_suite_that_is_there_already_is_not_described_as_new_nor_recorded_again(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    words = ("init", "--data", "rows.jsonl", "--model", "m", "--base-url", "http://127.0.0.1:1/v1")
    assert "pytest evals --record --snapshot-update  asks the model about 3 rows" in evaltape(tmp_path, *words).output
    again = evaltape(tmp_path, *words).output
    assert "Guessed" not in again and "--record " not in again
    assert "pytest evals --record-missing  asks only for the rows that have no valid recording; replaces none" in again
    other = evaltape(tmp_path, "init", "--data", "rows.jsonl", "--model", "another")
    assert other.exit_code == 4
    assert "--model another: evals/suites/rows.toml is yours, so nothing is added to it." in other.errors
    assert '[models.another]\nmodel = "another"\n' in other.errors
