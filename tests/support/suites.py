"""Suite files and data files in a folder, without a project around them."""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from evaltape.errors import UserError
from evaltape.suite.definition import Suite
from evaltape.suite.reader import load_suite

TALK = {"id": "t1", "dialogue": "Ben: the red car won\nZoe: great", "summary": "the red car won the race"}
MISSING = "pytest --record-missing"


def write_suite(
    folder: Path,
    dataset: str = "",
    prompt: str = 'user = "Sum up: {input}"',
    more: str = "",
    path: str = "talks.jsonl",
    name: str = "chats.toml",
) -> Path:
    """Write a suite of one model; `dataset` and `prompt` are lines of these tables, `more` is what follows."""
    file = folder / name
    model = "" if "[models" in more else '[models.small]\nmodel = "small-1"\n'
    file.write_text(f'[dataset]\npath = "{path}"\n{dataset}\n\n[prompt]\n{prompt}\n\n{model}{more}', encoding="utf-8")
    return file


def suite_in(folder: Path, *args: Any, **keywords: Any) -> Suite:
    """Write a suite, and read it."""
    return load_suite(write_suite(folder, *args, **keywords))


def write_data(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows as the file's name asks for: JSON lines, a JSON array, CSV or Parquet."""
    rows = list(rows)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def refusal(call: Any, *args: Any, **keywords: Any) -> str:
    """Return the message of the `UserError` that a call raises; it is always one line."""
    with pytest.raises(UserError) as caught:
        call(*args, **keywords)
    message = str(caught.value)
    assert "\n" not in message
    return message
