"""A suite's samples, as a recording, a preview and a replay come by them.

A recording loads them from the data set and freezes them. Replay reads the frozen samples; it loads the data set only to
say how a changed data file differs from the recording.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from evaltape.errors import UserError
from evaltape.git import restored
from evaltape.names import shown
from evaltape.samples.checks import Header, check_samples
from evaltape.samples.dataset import Loaded, fewer_rows, load_samples, split_file
from evaltape.samples.frozen import SAMPLES, Frozen, NotFrozen, Origin, discard, is_staged, promote, read_frozen, stage
from evaltape.samples.sample import Sample
from evaltape.suite.commands import Advice, advise, called_models
from evaltape.suite.definition import Suite
from evaltape.suite.prompt import INPUT
from evaltape.text import counted, listed


def stage_samples(suite: Suite, folder: Path, fresh: bool) -> Loaded:
    """Return the samples to record with, staged in `folder` if they aren't the frozen ones.

    They are loaded from the data set, unless the frozen ones are surely the same: of the same selection of a local file
    with the same bytes, or, if not `fresh`, of the same selection and no file at hand that says otherwise. Staged
    samples wait for `promote` or `settle_samples`.
    Raises `UserError` as `load_samples` does.
    """
    discard(folder)
    asked, frozen = Origin.asked_by(suite), _frozen(folder)
    if frozen is not None and _is_same(frozen, suite, asked, fresh):
        samples, notes = frozen.samples, fewer_rows(suite, len(frozen.samples))
        check_samples(suite, samples)
        if frozen.origin.dataset == asked.dataset:
            return samples, notes
        asked = replace(asked, columns=frozen.origin.columns, sources=asked.sources or frozen.origin.sources)
    else:
        # The Hub isn't asked for samples that were recorded from a local file, which is gone now.
        was_local = frozen is not None and frozen.origin.is_local and frozen.origin.dataset.get("path") == asked.dataset["path"]
        if was_local and split_file(suite) is None:
            raise UserError(
                f"{shown(suite.file)}: [dataset] {suite.dataset.path!r} is not there: it was recorded from a local file. "
                "Put it back to record again"
            )
        samples, notes = load_samples(suite)
    stage(folder, samples, asked, suite.file)
    return samples, notes


def settle_samples(suite: Suite, folder: Path, fresh: bool) -> None:
    """Move staged samples into place if they wait for no answer: once it is sure that the recording begins.

    They wait for none if nothing will be recorded, if the frozen samples are damaged, or if both are the same in another form.
    A recording of missing calls may record nothing at all; there they also wait for none if they ask nothing new (other
    references, further columns, fewer samples): every recorded answer stays an answer.
    """
    if not is_staged(folder):
        return
    frozen, samples = _frozen(folder), read_frozen(folder, staged=True).samples
    if frozen is None:
        waits = not suite.calls_nothing and not (folder / SAMPLES).exists()
    else:
        is_known = suite.calls_nothing or frozen.samples == samples
        waits = not is_known and (fresh or not _asks_nothing_new(suite, frozen.samples, samples))
    if not waits:
        promote(folder)


def preview_samples(suite: Suite, folder: Path) -> Loaded:
    """Return the samples that a recording would have; nothing is written."""
    frozen = _frozen(folder)
    if frozen is not None and _is_same(frozen, suite, Origin.asked_by(suite), fresh=False):
        check_samples(suite, frozen.samples)
        return frozen.samples, fewer_rows(suite, len(frozen.samples))
    return load_samples(suite)


def replay_samples(suite: Suite, folder: Path, record_missing: str, staged: bool = False) -> Loaded:
    """Return the frozen samples, once it is sure that they are the ones the suite asks for.

    With `staged` it serves the processes of a recording. `record_missing` is the command that messages name. Raises
    `UserError` if nothing is recorded, or if it was recorded from other data.
    """
    if not ((folder / SAMPLES).is_file() or (staged and is_staged(folder))):
        if not suite.calls_nothing:
            told = f"{shown(suite.file)}: no recording of this suite in {shown(folder)} yet"
            raise UserError(f"{told}. Record it: {_first_recording(suite, folder, record_missing)}")
        if split_file(suite) is None:
            raise UserError(
                f"{shown(suite.file)}: the samples of the Hub data set {suite.dataset.path!r} are not frozen yet, and a replay "
                f"asks no server. Freeze them, without a call to a model: {record_missing}"
            )
        return load_samples(suite)
    try:
        frozen = read_frozen(folder, staged)
    except NotFrozen as error:
        raise UserError(f"{error}. Or freeze the samples again from the data: {Advice(record_missing)}") from None
    _check_frozen(suite, folder, frozen, record_missing)
    return frozen.samples, fewer_rows(suite, len(frozen.samples))


def _frozen(folder: Path) -> Frozen | None:
    """Return the frozen samples; None if there aren't any, or they are damaged."""
    try:
        return read_frozen(folder)
    except NotFrozen:
        return None


def _is_same(frozen: Frozen, suite: Suite, asked: Origin, fresh: bool) -> bool:
    """Whether the data set would surely give the frozen samples again, so that it need not be loaded."""
    origin = frozen.origin
    if origin.difference(asked) or not set(suite.columns) <= set(origin.columns):
        return False
    return origin.has_bytes_of(asked) if asked.is_local else not fresh


def _asks_nothing_new(suite: Suite, before: Sequence[Sample], after: Sequence[Sample]) -> bool:
    """Whether every sample asks the same as the frozen sample of its id."""
    asked = [model.prompt.columns for model in suite.models.values()] + [judge.columns for judge in suite.judges.values()]
    named = set[str]().union(*asked) - {INPUT}
    known = {sample.id: (sample.input, _some(sample, named)) for sample in before}
    return all(known.get(sample.id) == (sample.input, _some(sample, named)) for sample in after)


def _some(sample: Sample, columns: set[str]) -> dict[str, object]:
    return {column: sample.columns.get(column) for column in columns}


def _check_frozen(suite: Suite, folder: Path, frozen: Frozen, command: str) -> None:
    asked = Origin.asked_by(suite)
    difference = frozen.origin.difference(asked)
    if difference is not None:
        raise UserError(f"{shown(suite.file)}: [dataset] {difference}. Record what changed: {Advice(command)}")
    add = f". Add it to the recording, without a call: {command}"
    Header(suite, frozen.origin.columns, "Recorded columns", add).check_kept()
    check_samples(suite, frozen.samples)
    if asked.is_local and not frozen.origin.has_bytes_of(asked):
        _refuse_changed_rows(suite, folder, frozen.samples, command)


def _refuse_changed_rows(suite: Suite, folder: Path, frozen: list[Sample], command: str) -> None:
    """The local file's bytes changed since the recording; whether a sample did, only loading it can tell."""
    now, _ = load_samples(suite)
    carried = set(suite.columns)
    before = {sample.id: replace(sample, columns=_some(sample, carried)) for sample in frozen}
    there = {sample.id for sample in now}
    kinds = {
        "changed": [sample.id for sample in now if sample.id in before and before[sample.id] != sample],
        "added": [sample.id for sample in now if sample.id not in before],
        "removed": [sample.id for sample in frozen if sample.id not in there],
    }
    told = [f"{len(ids):,} {kind} ({listed(ids)})" for kind, ids in kinds.items() if ids]
    if told or [sample.id for sample in now] != [sample.id for sample in frozen]:
        raise UserError(
            f"{shown(suite.file)}: {suite.dataset.path!r} changed since it was recorded in {shown(folder)}: of "
            f"{counted(len(frozen), 'sample')} {', '.join(told) or 'the order changed'}. "
            f"Record what changed: {_recording_of(suite, frozen, now, command)}"
        )


def _first_recording(suite: Suite, folder: Path, command: str) -> Advice:
    """Return how to record a suite without recordings: restoring them from git costs nothing."""
    free = restored([folder])
    if split_file(suite) is None:
        return Advice(command, free=free)  # Only the Hub knows the samples.
    samples, _ = load_samples(suite)
    return advise(command, [(model, sample) for model in called_models(suite) for sample in samples], free)


def _recording_of(suite: Suite, before: Sequence[Sample], after: Sequence[Sample], command: str) -> Advice:
    """Return how to record the changes: only a sample that asks something new is a call."""
    new = [sample for sample in after if not _asks_nothing_new(suite, before, [sample])]
    data = split_file(suite)
    free = restored([data]) if data is not None else None
    return advise(command, [(model, sample) for model in called_models(suite) for sample in new], free)
