"""Reads the local files of a data set: JSON lines and arrays, CSV and Parquet.

No type is inferred: texts stay as they are written, and every cell of a CSV file is a text.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaltape.errors import UserError
from evaltape.files import refuse_lfs_pointer
from evaltape.names import shown
from evaltape.samples.values import Literal
from evaltape.text import cut

LONGEST_CELL = 2**31 - 1
"""What Python's csv module is told to accept; its own limit is 128 KiB."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """The rows of a split, of which only those that are asked for need be made."""

    columns: tuple[str, ...]
    """The names of all columns."""
    count: int
    """How many rows there are."""
    pick: Callable[[Sequence[int], Sequence[str]], list[Row]]
    """Returns the rows of these numbers, from 0, with these columns."""
    is_text: bool = False
    """Whether numbers, too, come as texts."""


def read_rows(path: Path) -> Rows:
    """Read a data file. Raises `UserError`, naming the line, for one that can't be read."""
    try:
        content = path.read_bytes()
        refuse_lfs_pointer(path, content)
        return _READERS[path.suffix.lower()](content)
    except OSError as error:
        raise UserError(f"{shown(path)} can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError, csv.Error) as error:
        reason = cut(" ".join(str(error).split()), 300)
        raise UserError(f"{shown(path)}: not a readable {path.suffix} data set: {reason}") from None


def _of_objects(rows: list[Row], is_text: bool = False) -> Rows:
    columns = tuple(dict.fromkeys(column for row in rows for column in row))

    def pick(numbers: Sequence[int], wanted: Sequence[str]) -> list[Row]:
        return [{column: rows[number].get(column) for column in wanted} for number in numbers]

    return Rows(columns, len(rows), pick, is_text)


# ---------------------------------------------------------------- JSON


def _read_json(content: bytes) -> Rows:
    """Read an array of objects, or one object a line."""
    text = content.decode("utf-8-sig")
    if text.lstrip().startswith("["):
        rows = _parsed(text)
        places = [f"item {number}" for number in range(1, len(rows) + 1)]
    else:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        places = [f"line {number}" for number, _ in lines]
        rows = [_line(number, line) for number, line in lines]
    wrong = next((place for place, row in zip(places, rows, strict=True) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise ValueError(f"{wrong}: not an object; it takes an object a line, or an array of objects")
    return _of_objects(rows)


def _line(number: int, line: str) -> Any:
    try:
        return _parsed(line)
    except ValueError as error:
        raise ValueError(f"line {number}: not JSON: {error}") from None


def _parsed(text: str) -> Any:
    return json.loads(text, parse_float=Literal)


# ---------------------------------------------------------------- CSV


def _read_csv(content: bytes) -> Rows:
    """Read a table whose first line names the columns. An empty cell is null."""
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        rows = [_csv_row(header, cells, reader.line_num) for cells in reader if cells]
    finally:
        csv.field_size_limit(limit)
    if len(set(header)) != len(header):
        raise ValueError(f"line 1 names a column twice: {', '.join(header)}")
    return Rows(tuple(header), len(rows), _of_objects(rows).pick, is_text=True)


def _csv_row(header: list[str], cells: list[str], line: int) -> Row:
    if len(cells) != len(header):
        raise ValueError(f"line {line} has {len(cells)} cells, line 1 names {len(header)} columns")
    return {column: cell or None for column, cell in zip(header, cells, strict=True)}


# ---------------------------------------------------------------- Parquet


def _read_parquet(content: bytes) -> Rows:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)).read()
        table.validate(full=True)
    except Exception as error:  # Arrow's exceptions have no class in common that Python's don't have.
        raise ValueError(str(error)) from None

    def pick(numbers: Sequence[int], wanted: Sequence[str]) -> list[Row]:
        rows: list[Row] = table.select(list(wanted)).take(pyarrow.array(numbers, pyarrow.int64())).to_pylist()
        return rows

    return Rows(tuple(table.column_names), table.num_rows, pick)


_READERS: dict[str, Callable[[bytes], Rows]] = {
    ".jsonl": _read_json,
    ".json": _read_json,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
