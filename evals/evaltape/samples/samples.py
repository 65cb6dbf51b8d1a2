"""Samples: loaded from the data set when recording, frozen beside the cassettes, and read from there in replay.

`samples.jsonl` holds one sample a line; `dataset.json` beside it says what they were taken from, so that a replay notices
when the suite asks for others.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaltape.errors import UserError
from evaltape.files import write_whole
from evaltape.names import file_name, nearest, shown
from evaltape.samples import dataset as source
from evaltape.samples.owner import ORIGIN, OWNER, owner_entry
from evaltape.suite import prompt
from evaltape.suite.reader import Suite

FROZEN = "samples.jsonl"


@dataclass(frozen=True, slots=True)
class Sample:
    """One input with its reference; `columns` holds further columns that the prompt names."""

    id: str
    input: str
    reference: str
    columns: dict[str, str]

    @property
    def name(self) -> str:
        """The id as it stands in file names and test ids."""
        return file_name(self.id)

    @property
    def values(self) -> dict[str, str]:
        """What the prompt's columns stand for."""
        return {**self.columns, "input": self.input}


def record_samples(suite: Suite, folder: Path, fresh: bool) -> list[Sample]:
    """The samples to record with, frozen in `folder`.

    They are loaded from the data set, unless the frozen ones are known to be the same: from the same selection of a local
    file with the same bytes, or, where not `fresh`, from the same selection of a Hub data set.
    """
    origin = _origin(suite)
    if _is_frozen(folder, origin) and (not fresh or origin["sha256"]):
        return read_samples(folder)
    samples = _from_rows(suite)
    write_whole(folder / FROZEN, "".join(_line(sample) for sample in samples))
    write_whole(folder / ORIGIN, json.dumps({**origin, OWNER: owner_entry(folder, suite.file)}, indent=1) + "\n")
    return samples


def preview_samples(suite: Suite, folder: Path) -> list[Sample]:
    """The samples that a recording would have; nothing is written."""
    return read_samples(folder) if _is_frozen(folder, _origin(suite)) else _from_rows(suite)


def replay_samples(suite: Suite, folder: Path, command: str) -> list[Sample]:
    """The frozen samples, once it is sure that they are the ones the suite asks for.

    Raises `UserError` where nothing is recorded, or where it was recorded from another data set, selection or file.
    """
    if not (folder / FROZEN).is_file():
        raise UserError(f"{shown(suite.file)}: no recording of this suite in {shown(folder)} yet. Record it: {command}")
    samples = read_samples(folder)
    known, origin = _read_origin(folder), _origin(suite)
    if known is None:
        raise UserError(f"{shown(folder / ORIGIN)} is missing or damaged. Restore it, or record again: {command}")
    if known["dataset"] != origin["dataset"]:
        change = _first_difference(known["dataset"], origin["dataset"])
        raise UserError(f"{shown(suite.file)}: [dataset] {change}. Record it again: {command}")
    if origin["sha256"] not in (None, known["sha256"]):
        _refuse_changed_rows(suite, folder, samples, command)
    return samples


def read_samples(folder: Path) -> list[Sample]:
    """The samples of `samples.jsonl`; a `UserError` names the line that is none."""
    path = folder / FROZEN
    samples = []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{shown(path)}: not a file of frozen samples ({error})") from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            continue
        try:
            row = json.loads(line)
            sample = Sample(row["id"], row["input"], row["reference"], row.get("columns", {}))
            if not all(isinstance(value, str) for value in (sample.id, *sample.values.values(), sample.reference)):
                raise TypeError("id, input and reference are texts")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{shown(path)}, line {number}: not a frozen sample ({error!r})") from None
        samples.append(sample)
    _check_ids(path, samples)
    return samples


def _from_rows(suite: Suite) -> list[Sample]:
    rows = source.load_rows(suite.dataset, suite.file, suite.dataset.split)
    samples = [as_sample(suite, row) for row in rows]
    _check_ids(suite.file, samples)
    return samples


def as_sample(suite: Suite, row: source.Row) -> Sample:
    """A data set's row as a sample. Raises `UserError` for one without id, input or reference."""
    fields = suite.dataset.fields
    named = prompt.columns(suite.user) | prompt.columns(suite.system or "")
    for column in sorted(named - {"input"}):
        if column not in row:
            raise UserError(
                f"{shown(suite.file)}: [prompt] names {{{column}}}, which is no column.{nearest(column, row)} "
                f"Columns: input, {', '.join(row)}"
            )
    for column in (fields.id, fields.input, fields.reference):
        if row[column] is None or not str(row[column]).strip():
            raise UserError(f"{shown(suite.file)}: row {row[fields.id]!r} of {suite.dataset.path!r} has no {column}")
    columns = {column: str(row[column]) for column in sorted(named - {"input"})}
    return Sample(str(row[fields.id]), str(row[fields.input]), str(row[fields.reference]), columns)


def _check_ids(path: Path, samples: Iterable[Sample]) -> None:
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise UserError(f"{shown(path)}: two samples have the id {sample.id!r}; ids name cassettes and must differ")
        seen.add(sample.id)
    if not seen:
        raise UserError(f"{shown(path)}: there are no samples in it")


def _line(sample: Sample) -> str:
    row = asdict(sample)
    if not sample.columns:
        del row["columns"]
    return json.dumps(row, ensure_ascii=False) + "\n"


def _origin(suite: Suite) -> dict[str, Any]:
    """What samples are taken from: the selection, and the digest of a local file that is at hand."""
    table = asdict(suite.dataset)
    file = source.split_file(suite.dataset, suite.file, suite.dataset.split.name)
    if file is not None:
        table["path"] = Path(suite.dataset.path).name  # Where a folder lies does not matter, what is in it does.
    table["columns"] = sorted((prompt.columns(suite.user) | prompt.columns(suite.system or "")) - {"input"})
    return {"dataset": table, "sha256": source.digest(file) if file and file.is_file() else None}


def _is_frozen(folder: Path, origin: dict[str, Any]) -> bool:
    return (folder / FROZEN).is_file() and _read_origin(folder) == origin


def _read_origin(folder: Path) -> dict[str, Any] | None:
    try:
        origin = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        origin.pop(OWNER, None)  # Where the suite file lies doesn't change what the samples are.
        return origin if isinstance(origin["dataset"], dict) and "sha256" in origin else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _first_difference(recorded: dict[str, Any], asked: dict[str, Any], path: str = "") -> str:
    for key, value in asked.items():
        other = recorded.get(key)
        if isinstance(value, dict) and isinstance(other, dict) and value != other:
            return _first_difference(other, value, f"{path}{key}.")
        if value != other:
            return f"{path}{key} is {value!r}, the recording was made with {other!r}"
    return "differs from the one recorded"


def _refuse_changed_rows(suite: Suite, folder: Path, frozen: list[Sample], command: str) -> None:
    """The local file's bytes changed since the recording; whether a sample did, only loading it can tell."""
    now = _from_rows(suite)
    changed = [sample.id for sample in now if sample not in frozen] or [s.id for s in frozen if s not in now]
    if now != frozen:
        ids = ", ".join(changed[:3]) + (", ..." if len(changed) > 3 else "") if changed else "their order"
        raise UserError(
            f"{shown(suite.file)}: {suite.dataset.path!r} changed since it was recorded in {shown(folder)}: "
            f"{len(changed)} of {len(now)} samples differ ({ids}). Record it again: {command}"
        )
