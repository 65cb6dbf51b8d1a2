"""Loads splits through the `datasets` library. Only a recording comes here: replay reads the frozen samples."""

import hashlib
import tempfile
import warnings
from pathlib import Path
from typing import Any

from evaltape.errors import FewerSamples, UserError
from evaltape.names import nearest, shown
from evaltape.suite.reader import Dataset, Split

LOADERS = {".jsonl": "json", ".csv": "csv", ".parquet": "parquet"}

Row = dict[str, Any]


def split_file(dataset: Dataset, suite_file: Path, split: str) -> Path | None:
    """The local file of a split, which need not exist; None for a Hub data set."""
    path = suite_file.parent / dataset.path
    if path.is_dir():
        files = [path / f"{split}{suffix}" for suffix in LOADERS]
        return next((file for file in files if file.is_file()), files[0])
    if path.suffix in LOADERS or dataset.path.startswith((".", "/")):
        return path
    return None


def digest(file: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def load_rows(dataset: Dataset, suite_file: Path, split: Split) -> list[Row]:
    """The rows of a split, selected as `shuffle(seed=seed).select(range(samples))` of `datasets` does.

    Raises `UserError` where the data set, its split or one of its fields is missing, or nothing is in it.
    """
    import datasets

    datasets.disable_progress_bars()
    file = split_file(dataset, suite_file, split.name)
    rows = _from_file(dataset, suite_file, file, split.name) if file else _from_hub(dataset, suite_file, split.name)
    _check_fields(dataset, suite_file, rows.column_names)
    if len(rows) == 0:
        raise _empty(dataset, suite_file, split.name)
    if split.seed is not None:
        rows = rows.shuffle(seed=split.seed)
    return _limited(rows, suite_file, split)


def _limited(rows: Any, suite_file: Path, split: Split) -> list[Row]:
    wanted = split.samples or len(rows)
    if wanted > len(rows):
        warnings.warn(
            f"{shown(suite_file)}: {wanted} samples asked for, split {split.name!r} has {len(rows)}: all are used",
            FewerSamples,
            stacklevel=2,
        )
        wanted = len(rows)
    return list(rows.select(range(wanted)))


def _from_file(dataset: Dataset, suite_file: Path, file: Path, split: str) -> Any:
    import datasets

    if not file.is_file():
        where = suite_file.parent / dataset.path
        there = ", ".join(sorted(path.name for path in where.iterdir())) if where.is_dir() else "no such folder or file"
        what = f"split {split!r} of {dataset.path!r}" if where.is_dir() else f"{dataset.path!r}"
        raise UserError(f"{shown(suite_file)}: [dataset] {what} is not there: looked for {shown(file)} ({there})")
    # A cache of its own, gone afterwards: nothing stale is ever read and nothing is left behind.
    with tempfile.TemporaryDirectory(prefix="evaltape-") as cache:
        try:
            return datasets.load_dataset(
                LOADERS[file.suffix], data_files=str(file), split="train", cache_dir=cache, keep_in_memory=True
            )
        except Exception as error:
            reason = error.__cause__ or error
            if "corresponds to no data" in str(reason):
                raise _empty(dataset, suite_file, split) from None
            raise UserError(f"{shown(file)}: not a readable {file.suffix} data set: {reason}") from None


def _empty(dataset: Dataset, suite_file: Path, split: str) -> UserError:
    return UserError(f"{shown(suite_file)}: [dataset] split {split!r} of {dataset.path!r} is empty")


def _from_hub(dataset: Dataset, suite_file: Path, split: str) -> Any:
    import datasets

    try:
        return datasets.load_dataset(dataset.path, revision=dataset.revision, split=split)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{shown(suite_file)}: [dataset] path = {dataset.path!r}, split {split!r}: the Hub data set can't be loaded: "
            f"{reason} (a local data set is a .jsonl, .csv or .parquet file, or a folder with one per split)"
        ) from None


def _check_fields(dataset: Dataset, suite_file: Path, there: list[str]) -> None:
    for key in ("id", "input", "reference"):
        column = getattr(dataset.fields, key)
        if column not in there:
            raise UserError(
                f"{shown(suite_file)}: [dataset.fields] {key} = {column!r}: no such column.{nearest(column, there)} "
                f"Columns of {dataset.path!r}: {', '.join(there)}"
            )
