"""Frozen samples: `samples.jsonl` beside the cassettes, a sample a line, and `dataset.json`, where they come from.

`samples_sha256` is the digest of `samples.jsonl`, so that no line is changed, added or removed unnoticed. A recording that
changes the samples writes both files under another name (`.next`) first, and moves them into place with the first answer to
the new samples: until then, earlier recordings stay valid.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import asdict

from evaltape.errors import UserError
from evaltape.files import conflict_in, refuse_lfs_pointer, write_whole
from evaltape.names import shown
from evaltape.samples.dataset import digest, split_file
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Suite
from evaltape.text import visible

SAMPLES, ORIGIN = "samples.jsonl", "dataset.json"
NEXT_SAMPLES, NEXT_ORIGIN = f"{SAMPLES}.next", f"{ORIGIN}.next"
RETRIES = 2
"""How often files are read again that another process may just be moving into place."""


class NotFrozen(UserError):
    """There are no frozen samples, or they were changed since they were frozen."""


class Origin(msgspec.Struct, frozen=True):
    """The selection that samples were taken from."""

    dataset: Mapping[str, Any]
    """The selection, in the words of the suite file."""
    columns: tuple[str, ...]
    """The further columns that the samples carry."""
    sources: Mapping[str, str]
    """The digest of the local file by its name; empty for a Hub data set, or a file that isn't at hand."""

    @classmethod
    def asked_by(cls, suite: Suite) -> "Origin":
        """Return the origin that a suite asks for today."""
        data = suite.dataset
        fields: dict[str, Any] = {"id": data.fields.id, "input": data.fields.input, "reference": list(data.fields.reference)}
        if data.fields.input is None:
            fields["conversation"] = suite.conversation
        split = {"split": data.split, "samples": data.samples, "seed": data.seed}
        selection = {"path": data.path, "revision": data.revision, **split, "fields": fields}
        file = split_file(suite)
        return cls(selection, suite.columns, {file.name: digest(file)} if file is not None and file.is_file() else {})

    @property
    def is_local(self) -> bool:
        """Whether it is known to be a local file."""
        return bool(self.sources)

    def has_bytes_of(self, asked: "Origin") -> bool:
        """Whether it is surely of the same file, or of the same selection of a Hub data set."""
        return sorted(self.sources.values()) == sorted(asked.sources.values())

    def difference(self, asked: "Origin") -> str | None:
        """Return how the selection differs from the `asked` selection, in the words of the suite; None if they are the same.

        Where a local file lies doesn't matter while it is at hand: its digest stands for its content.
        """
        then, now = _flat(self.dataset), _flat(asked.dataset)
        if self.is_local and asked.is_local:
            then["path"] = now["path"]
        for key in {**now, **then}:
            if then.get(key) != now.get(key):
                return f"{key} is {_shown(now.get(key))}, the recording was made with {_shown(then.get(key))}"
        return None


def _flat(dataset: Mapping[str, Any]) -> dict[str, Any]:
    fields = dataset.get("fields")
    inside = {f"fields.{key}": value for key, value in fields.items()} if isinstance(fields, dict) else {}
    return {**{key: value for key, value in dataset.items() if key != "fields"}, **inside}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(map(repr, value))
    return "none" if value is None else repr(value)


def owner_of(folder: Path) -> Path | None:
    """Return the suite file that the recordings in `folder` belong to; None if no file is named, or it is gone.

    `dataset.json` names it relative to itself, so that a clone can lie anywhere.
    """
    try:
        named = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))["suite"]
        path = (folder / named).resolve()
        return path if path.is_file() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_owner(folder: Path, suite_file: Path) -> None:
    """Raise `UserError` if `folder` holds the recordings of another suite file of this name in another folder.

    A suite file that was moved takes its recordings along.
    """
    owner = owner_of(folder)
    if owner is not None and owner != suite_file.resolve():
        raise UserError(
            f"{shown(folder)} belongs to {visible(shown(owner))}: recording {shown(suite_file)} would replace its samples. "
            "Rename one of the two, or give this one another folder with --cassettes"
        )


def is_staged(folder: Path) -> bool:
    """Whether a recording has staged samples that aren't in place yet."""
    return (folder / NEXT_SAMPLES).exists()


def stage(folder: Path, samples: Sequence[Sample], origin: Origin, suite_file: Path | None = None) -> None:
    """Write samples beside the frozen ones, to be moved into place by `promote`; the folder then belongs to `suite_file`."""
    text = "".join(json.dumps(asdict(sample), ensure_ascii=False, allow_nan=False) + "\n" for sample in samples)
    owner = {"suite": Path(os.path.relpath(suite_file.resolve(), folder.resolve())).as_posix()} if suite_file else {}
    values = {**owner, **asdict(origin), "samples_sha256": sha256_of(text.encode())}
    write_whole(folder / NEXT_SAMPLES, text)
    write_whole(folder / NEXT_ORIGIN, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def promote(folder: Path) -> None:
    """Move staged files into place, if there are any. A promotion that was killed midway is completed."""
    for staged, name in ((NEXT_SAMPLES, SAMPLES), (NEXT_ORIGIN, ORIGIN)):
        if (folder / staged).exists():
            os.replace(folder / staged, folder / name)


def discard(folder: Path) -> None:
    """Remove staged files that were not promoted."""
    if not is_staged(folder):
        promote(folder)  # It was killed midway, or has nothing to do.
    (folder / NEXT_ORIGIN).unlink(missing_ok=True)
    (folder / NEXT_SAMPLES).unlink(missing_ok=True)


def sha256_of(content: bytes) -> str:
    """Return the digest of frozen samples; the line ends that git may have changed don't count."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


class Frozen(msgspec.Struct, frozen=True):
    """Frozen samples with their origin."""

    samples: list[Sample]
    origin: Origin


def read_frozen(folder: Path, staged: bool = False) -> Frozen:
    """Read the frozen samples of a suite's folder; with `staged` the samples that its recording has staged, if any.

    Raises `NotFrozen`, with the reason, for missing samples and for samples that were changed since.
    """
    for _ in range(RETRIES):
        with contextlib.suppress(NotFrozen):
            return _read(folder, staged)
    return _read(folder, staged)


def _read(folder: Path, staged: bool) -> Frozen:
    is_waiting, origin = is_staged(folder), folder / NEXT_ORIGIN
    if origin.exists() and (staged or not is_waiting):  # Without the samples, a promotion is under way or was killed midway.
        return _read_pair(folder / (NEXT_SAMPLES if is_waiting else SAMPLES), origin)
    return _read_pair(folder / SAMPLES, folder / ORIGIN)


def _read_pair(samples: Path, origin: Path) -> Frozen:
    content = _content(samples)
    try:
        value = json.loads(_content(origin))
    except (NotFrozen, ValueError, RecursionError):
        value = None
    problem = conflict_in(samples, content) or conflict_in(origin)
    if problem is not None:
        raise NotFrozen(problem)
    try:
        read, recorded = msgspec.convert(value, Origin), value["samples_sha256"]
    except (KeyError, msgspec.ValidationError):
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


def parse_samples(path: Path, content: bytes) -> list[Sample]:
    """Return the samples of a file's bytes. Raises `NotFrozen`, naming the line, for any other line."""
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise NotFrozen(f"{shown(path)}: not a file of frozen samples ({error})") from None
    samples = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
                samples.append(msgspec.convert(row, Sample))
                if not (row["references"] and "columns" in row):
                    raise ValueError("it takes id, input, references and columns")
            except (ValueError, RecursionError) as error:
                raise NotFrozen(f"{shown(path)}, line {number}: not a frozen sample ({error!r})") from None
    return samples
