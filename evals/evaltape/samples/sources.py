"""Reads the rows of a data set: local files of JSON, CSV and Parquet, or the Hugging Face Hub.

Types of local files are never inferred: texts stay as written, and every cell of a CSV file is a text.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import UserError
from evaltape.files import refuse_unusable
from evaltape.names import shown
from evaltape.samples.rows import Literal, Row
from evaltape.suite.definition import Split
from evaltape.text import cut

LONGEST_CELL = 2**31 - 1
"""The limit that Python's csv module is given; its own is 128 KiB."""
LARGEST_TABLE = 2**30
"""Bytes that the rows of a Parquet file may take in memory."""
MOST_ROWS_AT_ONCE = 1024


class Rows(msgspec.Struct, frozen=True):
    """The rows of a split, made when they are picked."""

    columns: tuple[str, ...]
    """The names of all columns."""
    count: int
    """How many rows there are."""
    pick: Callable[[Sequence[int], Sequence[str]], list[Row]]
    """Returns the rows of these numbers, from 0, with these columns."""
    is_text: bool = False
    """Whether numbers, too, come as texts."""


def read_rows(path: Path) -> Rows:
    """Read a data file. Raises `UserError`, naming the line, for an unreadable file; picking rows raises it, too."""
    with _reading(path):
        content = path.read_bytes()
        refuse_unusable(path, content)
        rows = _READERS[path.suffix.lower()](content)

    def pick(numbers: Sequence[int], wanted: Sequence[str]) -> list[Row]:
        with _reading(path):
            return rows.pick(numbers, wanted)

    return msgspec.structs.replace(rows, pick=pick)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Arrow's exceptions have no class in common that Python's don't have.
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"{shown(path)} can't be read: {error.strerror}") from None
        reason = cut(" ".join(str(error).split()), 300)
        raise UserError(f"{shown(path)}: not a readable {path.suffix} data set: {reason}") from None


def _of_objects(columns: Sequence[str], rows: list[Row], is_text: bool = False) -> Rows:
    def pick(numbers: Sequence[int], wanted: Sequence[str]) -> list[Row]:
        return [{column: rows[number].get(column) for column in wanted} for number in numbers]

    return Rows(tuple(columns), len(rows), pick, is_text)


def _read_json(content: bytes) -> Rows:
    """Read an array of objects, or an object a line."""
    text = content.decode("utf-8-sig")
    if text.lstrip().startswith("["):
        rows = {f"item {number}": row for number, row in enumerate(json.loads(text, parse_float=Literal), 1)}
    else:
        rows = {f"line {number}": _line(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()}
    for place, row in rows.items():
        if not isinstance(row, dict):
            raise ValueError(f"{place}: not an object; it takes an object a line, or an array of objects")
    return _of_objects(tuple(dict.fromkeys(column for row in rows.values() for column in row)), list(rows.values()))


def _line(number: int, line: str) -> Any:
    try:
        return json.loads(line, parse_float=Literal)
    except ValueError as error:
        raise ValueError(f"line {number}: not JSON: {error}") from None


def _read_csv(content: bytes) -> Rows:
    """Read a table with the columns' names in its first line. An empty cell is null."""
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        rows = []
        for cells in filter(None, reader):
            if len(cells) != len(header):
                raise ValueError(f"line {reader.line_num} has {len(cells)} cells, line 1 names {len(header)} columns")
            rows.append({column: cell or None for column, cell in zip(header, cells, strict=True)})
    finally:
        csv.field_size_limit(limit)
    if len(set(header)) != len(header):
        raise ValueError(f"line 1 names a column twice: {', '.join(header)}")
    return _of_objects(header, rows, is_text=True)


def _read_parquet(content: bytes) -> Rows:
    """Read the columns' names; rows are read when they are picked, a few at a time.

    A small file can stand for gigabytes, so its size in memory is bounded.
    """
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content))
    columns = tuple(file.schema_arrow.names)
    if len(set(columns)) != len(columns):
        raise ValueError(f"it names a column twice: {', '.join(columns)}")

    def pick(numbers: Sequence[int], wanted: Sequence[str]) -> list[Row]:
        rows = _picked(file, set(numbers), list(wanted))
        return [rows[number] for number in numbers]

    return Rows(columns, file.metadata.num_rows, pick)


def _picked(file: Any, numbers: set[int], columns: list[str]) -> dict[int, Row]:
    rows: dict[int, Row] = {}
    first = size = 0
    for batch in file.iter_batches(batch_size=_rows_at_once(file, columns), columns=columns):
        inside = [number - first for number in range(first, first + batch.num_rows) if number in numbers]
        if inside:
            batch.validate(full=True)
            made = batch.to_pylist()
            size += sum(_size(made[place]) for place in inside)
            _refuse_table(size)
            rows.update({first + place: made[place] for place in inside})
        first += batch.num_rows
        if len(rows) == len(numbers):
            break
    return rows


def _rows_at_once(file: Any, columns: Sequence[str]) -> int:
    """Return how many rows surely fit: a value is no longer than its column is in its group of rows."""
    about = file.metadata
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    sizes = [chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns]
    largest = max(sizes, default=0)
    _refuse_table(largest)
    return max(1, min(MOST_ROWS_AT_ONCE, LARGEST_TABLE // max(largest, 1)))


def _size(value: Any) -> int:
    """Return about how many bytes a value takes."""
    if isinstance(value, dict | list):
        return sum(map(_size, value.values() if isinstance(value, dict) else value))
    return len(value) if isinstance(value, str | bytes) else 8


def _refuse_table(size: int) -> None:
    if size > LARGEST_TABLE:
        raise ValueError(
            f"its rows take over {LARGEST_TABLE / 2**30:g} GiB of memory, the most that is read: "
            "write the rows and columns that the suite uses to a file of their own"
        )


_READERS: dict[str, Callable[[bytes], Rows]] = {
    ".jsonl": _read_json,
    ".json": _read_json,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}


def hub_rows(path: str, revision: str | None, split: str) -> Rows:
    """Load a split. Raises the library's errors.

    The library infers types where a data set doesn't state them, in CSV files even of texts: these are loaded again as
    texts alone, so that an id of 007 stays 007.
    """
    import datasets
    from datasets.packaged_modules.csv.csv import CsvConfig

    datasets.disable_progress_bars()
    builder = datasets.load_dataset_builder(path, revision=revision)
    is_csv = isinstance(builder.config, CsvConfig) and builder.info.features is None
    loaded = datasets.load_dataset(path, revision=revision, split=split)
    if is_csv:
        texts = datasets.Features({column: datasets.Value("string") for column in loaded.column_names})
        how = {"features": texts, "keep_default_na": False, "na_values": [""]}
        loaded = datasets.load_dataset(path, revision=revision, split=split, **how)

    def pick(numbers: Sequence[int], wanted: Sequence[str]) -> list[Row]:
        return list(loaded.select_columns(list(wanted)).select(numbers))

    return Rows(tuple(loaded.column_names), len(loaded), pick, is_text=is_csv)


def selected(split: Split, count: int) -> Sequence[int]:
    """Return the numbers of the rows that a split takes of `count`.

    With a seed they are those of datasets' `shuffle(seed=seed).select(range(samples))`, drawn as the library draws them; the
    library itself takes most of a second to import.
    """
    wanted = min(split.samples or count, count)
    if split.seed is None:
        return range(wanted)
    from numpy.random import default_rng

    return [int(number) for number in default_rng(split.seed).permutation(count)[:wanted]]
