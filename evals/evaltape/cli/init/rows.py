"""Reads the rows of a user's data set: a local file, a folder with a file per split, or a data set of the Hub."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaltape.errors import UserError
from evaltape.names import nearest, shown
from evaltape.samples.sources import Rows, hub_rows, read_rows

SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
SPLITS = ("validation", "valid", "dev", "test", "train")
"""In the order in which one of them is taken."""
_HUB = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Source:
    """The rows of one split, and how a suite names where they come from."""

    name: str
    """What the user typed."""
    rows: list[dict[str, Any]]
    """All rows of the split."""
    path: Path | None
    """The file or folder; None for a data set of the Hub."""
    split: str | None = None
    """The split; None for a file."""

    @property
    def key(self) -> str:
        """A name for the suite: the file's, or the last part of the Hub's."""
        stem = self.path.stem if self.path else self.name.split("/")[-1]
        return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or "own"


def read_source(name: str, folder: Path) -> Source:
    """Return the rows of what `--data` names, relative to *folder*.

    Raises `UserError` for anything that isn't there, isn't readable, or has no rows.
    """
    path = folder / name
    if path.is_dir():
        file = _file_of_a_split(name, path)
        source = Source(name, _from_file(file), path, file.stem)
    elif path.is_file():
        source = Source(name, _from_file(path), path)
    elif _HUB.fullmatch(name) and path.suffix not in SUFFIXES:
        split, rows = _from_hub(name)
        source = Source(name, rows, None, split)
    else:
        there = sorted(other.name for other in path.parent.glob("*") if other.suffix in SUFFIXES)
        listed = f" Data there: {', '.join(there)}" if there else ""
        raise UserError(f"--data {name}: there is no such file.{nearest(path.name, there)}{listed}")
    if not source.rows:
        raise UserError(f"--data {name}: there are no rows in it")
    return source


def _file_of_a_split(name: str, folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if not files:
        raise UserError(f"--data {name}: there is no {', '.join(SUFFIXES)} file in this folder")
    ranks = {split: rank for rank, split in enumerate(SPLITS)}
    return min(files, key=lambda path: ranks.get(path.stem, len(ranks)))


def _from_file(file: Path) -> list[dict[str, Any]]:
    if file.suffix not in SUFFIXES:
        raise UserError(f"--data {shown(file)}: it takes a {', '.join(SUFFIXES)} file, a folder of them, or a Hub data set")
    return _all(read_rows(file))


def _all(rows: Rows) -> list[dict[str, Any]]:
    return rows.pick(range(rows.count), rows.columns)


def _from_hub(name: str) -> tuple[str, list[dict[str, Any]]]:
    import datasets

    try:
        splits = datasets.get_dataset_split_names(name)
        split = min(splits, key=lambda split: SPLITS.index(split) if split in SPLITS else len(SPLITS))
        return split, _all(hub_rows(name, None, split))
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--data {name}: there is no such file, and the Hub's data set can't be loaded: {reason}") from None
