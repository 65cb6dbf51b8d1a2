"""Frozen samples: `samples.jsonl` beside the cassettes, a sample a line, and `dataset.json`, where they come from.

`dataset.json` holds the SHA-256 of `samples.jsonl`, so that no line is changed, added or removed unnoticed. A recording
that changes the samples writes both under another name (`.next`) first, and moves them into place when the first answer
to the new samples is written: until then everything that was recorded before stays as valid as it was.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import UserError
from evaltape.files import conflict_in, refuse_lfs_pointer, write_whole
from evaltape.names import shown
from evaltape.samples.origin import Origin
from evaltape.samples.owner import owner_entry
from evaltape.samples.sample import Sample

SAMPLES, ORIGIN, NEXT = "samples.jsonl", "dataset.json", ".next"
RETRIES = 2
"""How often files are read again that another process may just be moving into place."""


class Frozen(msgspec.Struct, frozen=True):
    """Frozen samples with their origin."""

    samples: list[Sample]
    origin: Origin


class NotFrozen(UserError):
    """There are no frozen samples, or they aren't what they were when they were frozen."""


def read_frozen(folder: Path, staged: bool = False) -> Frozen:
    """Read the frozen samples of a suite's folder; with `staged` those that its recording has staged, if it has any.

    Raises `NotFrozen`, saying why, if there are none, or they aren't those that were frozen.
    """
    for _ in range(RETRIES):
        with contextlib.suppress(NotFrozen):
            return _read(folder, staged)
    return _read(folder, staged)


def is_staged(folder: Path) -> bool:
    """Whether a recording has staged samples that aren't in place yet."""
    return _path(folder, SAMPLES, NEXT).exists()


def stage(folder: Path, samples: Sequence[Sample], origin: Origin, suite_file: Path | None = None) -> None:
    """Write samples beside the frozen ones, to be moved into place by `promote`; the folder then belongs to `suite_file`."""
    text = "".join(_line(sample) for sample in samples)
    owner = owner_entry(folder, suite_file) if suite_file else ""
    write_whole(_path(folder, SAMPLES, NEXT), text)
    write_whole(_path(folder, ORIGIN, NEXT), origin.to_json(sha256_of(text.encode()), owner))


def promote(folder: Path) -> None:
    """Move what was staged into place; do nothing if nothing is. A promotion that was killed midway is completed."""
    for name in (SAMPLES, ORIGIN):
        if _path(folder, name, NEXT).exists():
            os.replace(_path(folder, name, NEXT), folder / name)


def discard(folder: Path) -> None:
    """Remove what was staged, if it was not promoted."""
    if not is_staged(folder):
        promote(folder)  # It was killed midway, or has nothing to do.
    _path(folder, ORIGIN, NEXT).unlink(missing_ok=True)
    _path(folder, SAMPLES, NEXT).unlink(missing_ok=True)


def sha256_of(content: bytes) -> str:
    """Return the digest of frozen samples; the line ends that git may have changed don't count."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def parse_samples(path: Path, content: bytes) -> list[Sample]:
    """Return the samples of a file's bytes. Raises `NotFrozen`, naming the line, for anything that isn't one."""
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise NotFrozen(f"{shown(path)}: not a file of frozen samples ({error})") from None
    return [_sample(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


# ---------------------------------------------------------------- reading


def _path(folder: Path, name: str, suffix: str = "") -> Path:
    return folder / f"{name}{suffix}"


def _read(folder: Path, staged: bool) -> Frozen:
    origin_staged = _path(folder, ORIGIN, NEXT)
    if staged and is_staged(folder) and origin_staged.exists():
        return _read_pair(_path(folder, SAMPLES, NEXT), origin_staged)
    if not is_staged(folder) and origin_staged.exists():  # A promotion under way, or killed midway.
        return _read_pair(folder / SAMPLES, origin_staged)
    return _read_pair(folder / SAMPLES, folder / ORIGIN)


def _read_pair(samples: Path, origin: Path) -> Frozen:
    content, value = _content(samples), _json(origin)
    for path, text in ((samples, content), (origin, None)):
        problem = conflict_in(path, text)
        if problem is not None:
            raise NotFrozen(problem)
    try:
        read, recorded = Origin.of_json(value), value["samples_sha256"]
    except (KeyError, TypeError, ValueError):
        raise NotFrozen(f"{shown(origin)} is missing or damaged") from None
    if sha256_of(content) != recorded:
        raise NotFrozen(
            f"{shown(samples)} was changed since it was frozen: its SHA-256 isn't the one in {origin.name}. "
            f"Restore it, as by git checkout {shown(samples)}"
        )
    return Frozen(parse_samples(samples, content), read)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotFrozen(f"{shown(path)} can't be read: {error.strerror or error}") from None
    refuse_lfs_pointer(path, content)
    return content


def _json(path: Path) -> Any:
    try:
        return json.loads(_content(path))
    except (NotFrozen, ValueError, RecursionError):
        return None


def _sample(path: Path, number: int, line: str) -> Sample:
    try:
        row = json.loads(line)
        references = row["references"]
        sample = Sample(row["id"], row["input"], tuple(references), row["columns"])
        texts = (sample.id, sample.input, *sample.references)
        are_texts = isinstance(references, list) and references and all(isinstance(text, str) for text in texts)
        if not (are_texts and isinstance(sample.columns, dict)):
            raise TypeError("id and input are texts, references a list of texts, columns an object")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotFrozen(f"{shown(path)}, line {number}: not a frozen sample ({error!r})") from None
    return sample


def _line(sample: Sample) -> str:
    row = {"id": sample.id, "input": sample.input, "references": sample.references, "columns": sample.columns}
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
