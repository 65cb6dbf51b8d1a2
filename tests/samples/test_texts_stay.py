"""Ids and texts are never rewritten by a guess at their type, in no format."""

import datetime
import json
from pathlib import Path

import pytest
from evaltape.samples.dataset import load_samples
from evaltape.samples.sources import hub_rows

from tests.support.suites import TALK, refusal, suite_in, write_data

TEXTS = ["2024-01-01", "2024-01-01T00:00:00", "007", "07", "NA", "null", "None", "true", "1e5", "1.10", "9" * 30, "-", "nan"]


@pytest.mark.parametrize("name", ["talks.jsonl", "talks.json", "talks.csv", "talks.parquet"])
def test_texts_that_look_like_something_else_stay_texts(tmp_path: Path, name: str) -> None:
    rows = [{"id": text, "dialogue": text, "summary": text} for text in TEXTS]
    write_data(tmp_path / name, rows)
    samples, _ = load_samples(suite_in(tmp_path, path=name))
    assert [(sample.id, sample.input, sample.references) for sample in samples] == [(text, text, (text,)) for text in TEXTS]


@pytest.mark.parametrize("number", ["0", "7", "-3", "12345678901234567890123", "1.10", "1.1", "1e5", "1E5", "0.1", "-0.0"])
def test_a_json_number_is_an_id_as_it_is_written(tmp_path: Path, number: str) -> None:
    (tmp_path / "talks.jsonl").write_text(f'{{"id": {number}, "dialogue": {number}, "summary": {number}}}\n')
    (sample,), _ = load_samples(suite_in(tmp_path))
    assert (sample.id, sample.input, sample.references) == (number, number, (number,))


def test_ids_that_are_equal_as_numbers_are_two_ids(tmp_path: Path) -> None:
    rows = [json.dumps({**TALK, "id": "ID"}).replace('"ID"', number) for number in ("1.10", "1.1")]
    (tmp_path / "talks.jsonl").write_text("\n".join(rows))
    assert [sample.id for sample in load_samples(suite_in(tmp_path))[0]] == ["1.10", "1.1"]


def test_numbers_of_a_parquet_file_are_ids(tmp_path: Path) -> None:
    write_data(tmp_path / "talks.parquet", [{**TALK, "id": 7}, {**TALK, "id": 2**62}])
    assert [sample.id for sample in load_samples(suite_in(tmp_path, path="talks.parquet"))[0]] == ["7", str(2**62)]


def test_a_date_is_refused_since_its_text_is_lost(tmp_path: Path) -> None:
    write_data(tmp_path / "talks.parquet", [{**TALK, "id": datetime.date(2024, 1, 1)}])
    assert refusal(load_samples, suite_in(tmp_path, path="talks.parquet")).endswith(
        "column 'id' was read as a date, and how it was written is lost: store it as text"
    )


def test_csv_files_of_a_hub_data_set_are_read_as_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The library takes a folder by the same name, and reads it by the code that reads a repository of the Hub.
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository/validation.csv").write_text("id,dialogue\n007,NA\n07,\n")
    rows = hub_rows(str(tmp_path / "repository"), None, "validation")
    assert rows.pick([1, 0], ["id", "dialogue"]) == [{"id": "07", "dialogue": None}, {"id": "007", "dialogue": "NA"}]
    assert (rows.columns, rows.count, rows.is_text) == (("id", "dialogue"), 2, True)


def test_rows_of_a_hub_data_set_with_types_come_with_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "repository").mkdir()
    row = {"id": 7, "dialogue": "x", "summary": ["a", "b"], "turns": [{"role": "user", "content": "hi"}]}
    write_data(tmp_path / "repository/validation.parquet", [row])
    rows = hub_rows(str(tmp_path / "repository"), None, "validation")
    assert rows.pick([0], list(row)) == [row]
