"""Loads the rows of a split, from a local file or the Hub, and makes samples of them."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from evaltape.errors import UserError
from evaltape.files import lfs_digest
from evaltape.names import shown
from evaltape.samples.checks import Header, check_prompt_columns, check_samples, repeated_id
from evaltape.samples.rows import as_sample, columns_of
from evaltape.samples.sample import Sample
from evaltape.samples.sources import Rows, hub_rows, read_rows, selected
from evaltape.suite.definition import Model, Split, Suite
from evaltape.suite.prompt import INPUT
from evaltape.text import cut, visible

Loaded = tuple[list[Sample], list[str]]
"""Samples, and notes for the user about loading them."""

SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
KINDS = "a local data set is a .jsonl, .json, .csv or .parquet file, or a folder with one per split"


def load_samples(suite: Suite) -> Loaded:
    """Return the samples that the suite evaluates, from its data set.

    Raises `UserError` if the data set, its split or a column is missing, or a row can't be a sample.
    """
    rows = _rows(suite, suite.dataset)
    _header(suite, rows).check_kept()
    samples = _samples(suite, suite.columns, rows, suite.dataset)
    check_samples(suite, samples, rows.is_text)
    return samples, fewer_rows(suite, rows.count)


def load_training_rows(suite: Suite, model: Model, split: Split) -> Loaded:
    """Return the rows of a split to train a model on, as samples with the columns that its prompt names.

    Where ids are made of the input, equal rows get distinct ones: they name the rows in messages, nothing else.
    Raises `UserError` as `load_samples` does.
    """
    rows = _rows(suite, split)
    _header(suite, rows).check_prompt(model)
    samples = _samples(suite, model.prompt.columns - {INPUT}, rows, split)
    if suite.dataset.fields.id is None:
        seen = Counter[str]()
        for place, row in enumerate(samples):
            seen[row.id] += 1
            if seen[row.id] > 1:
                samples[place] = replace(row, id=f"{row.id} ({seen[row.id]})")
    twice = repeated_id(samples)
    if twice is not None:
        raise UserError(f"{shown(suite.file)}: two rows of split {split.split!r} have the id {twice!r}")
    check_prompt_columns(suite, samples, model.prompt.columns - {INPUT}, model.prompt.conversation)
    return samples, fewer_rows(suite, rows.count, split)


def split_file(suite: Suite, split: str | None = None) -> Path | None:
    """Return the local file of a split, by default of the evaluated split; None for a Hub data set. It need not exist.

    A path is local if it ends as a data file does, begins with a dot or a slash, exists, or lies in a folder that does.
    """
    dataset, split = suite.dataset, split or suite.dataset.split
    path = suite.file.parent / dataset.path
    if path.is_dir():
        files = [path / f"{split}{suffix}" for suffix in SUFFIXES]
        return next((file for file in files if file.is_file()), files[0])
    looks_local = dataset.path.startswith((".", "/", "~")) or Path(dataset.path).is_absolute()
    lies_local = len(Path(dataset.path).parts) > 1 and path.parent.is_dir()
    is_local = path.suffix.lower() in SUFFIXES or looks_local or path.is_file() or lies_local
    return path if is_local else None


def digest(file: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hex; of a file that Git LFS has not fetched, as its pointer says."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{shown(file)} can't be read: {error.strerror or error}") from None
    return lfs_digest(content) or hashlib.sha256(content).hexdigest()


def fewer_rows(suite: Suite, count: int, split: Split | None = None) -> list[str]:
    """Return a note if a split, by default the evaluated split, has fewer rows than are asked for."""
    split = split or suite.dataset
    if split.samples is None or split.samples <= count:
        return []
    return [f"{shown(suite.file)}: {split.samples} samples asked for, split {split.split!r} has {count}: all are used"]


def _rows(suite: Suite, split: Split) -> Rows:
    file, data = split_file(suite, split.split), suite.dataset
    if file is not None:
        rows = _local_rows(suite, file, split.split)
    else:
        try:
            rows = hub_rows(data.path, data.revision, split.split)
        except Exception as error:
            raise UserError(
                f"{shown(suite.file)}: [dataset] path = {data.path!r}, split {split.split!r}: the Hub data set can't be "
                f"loaded: {cut(' '.join(str(error).split()), 500)} ({KINDS})"
            ) from None
    if rows.count == 0:
        raise UserError(f"{shown(suite.file)}: [dataset] split {split.split!r} of {data.path!r} is empty")
    return rows


def _samples(suite: Suite, kept: Iterable[str], rows: Rows, split: Split) -> list[Sample]:
    kept, numbers = sorted(kept), selected(split, rows.count)
    picked = rows.pick(numbers, columns_of(suite, kept))
    return [as_sample(suite, kept, row, number + 1) for row, number in zip(picked, numbers, strict=True)]


def _header(suite: Suite, rows: Rows) -> Header:
    """Return the columns of rows, once it is sure that the columns under `fields` are there."""
    header = Header(suite, rows.columns, f"Columns of {suite.dataset.path!r}")
    header.check_fields()
    return header


def _local_rows(suite: Suite, file: Path, split: str) -> Rows:
    path, folder = suite.dataset.path, suite.file.parent / suite.dataset.path
    if not file.is_file():
        there = ", ".join(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else "no such folder or file"
        what = f"split {split!r} of {path!r}" if folder.is_dir() else f"{path!r}"
        raise UserError(f"{shown(suite.file)}: [dataset] {what} is not there: looked for {shown(file)} ({cut(there, 300)})")
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(f"{shown(suite.file)}: [dataset] path = {path!r} is no file that Evaltape reads: {KINDS}")
    others = [folder / f"{split}{suffix}" for suffix in SUFFIXES if folder.is_dir()]
    same = [other.name for other in others if other.is_file()]
    if len(same) > 1:
        raise UserError(f"{shown(suite.file)}: [dataset] split {split!r} of {path!r} is in two files: {', '.join(same)}")
    return read_rows(file)


def refuse_links(suite: Suite, root: Path) -> None:
    """Raise `UserError` for a data set or predictions inside `root` that are links to a file outside of it.

    A path that the suite itself names outside of `root` is the suite's to name: it is read in a review.
    """
    jobs = [model.job for model in suite.models.values() if model.job]
    splits = {suite.dataset.split, *(split.split for job in jobs for split in (job.train, job.validation) if split)}
    files = {f"[dataset] path, split {name!r}": split_file(suite, name) for name in sorted(splits)}
    files |= {f"[models.{key}] predictions": model.predictions for key, model in suite.models.items()}
    for place, file in files.items():
        if file is not None and _leads_out(file, root):
            raise UserError(
                f"{shown(suite.file)}: {place}: {shown(file)} is a link out of {shown(root)}, "
                f"to {visible(str(file.resolve()))}. Name that file itself, or put a copy in its place"
            )


def _leads_out(file: Path, root: Path) -> bool:
    try:
        plain = Path(os.path.normpath(file.absolute()))
        is_inside = plain.is_relative_to(root) or plain.is_relative_to(root.resolve())
        return is_inside and not file.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):
        return False  # No possible path, as its reader says.
