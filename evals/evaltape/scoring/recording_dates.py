"""When a model was recorded, and whether another model was served under its name meanwhile."""

from collections.abc import Iterable

import msgspec

from evaltape.scoring.prediction import Prediction


class ServedVersion(msgspec.Struct, frozen=True):
    """What an API said that it served, and when."""

    name: str
    """By the answers' `model`."""
    answers: int
    """How many answers it gave."""
    first: str | None
    """The day of the first of them, as `2026-11-24`; None if their recordings don't say."""
    last: str | None
    """The day of the last."""


class RecordingDates(msgspec.Struct, frozen=True):
    """The time of a model's recorded calls."""

    first: str | None
    """The day of the first call, as `2026-11-24`; None if no recording says."""
    last: str | None
    """The day of the last call."""
    versions: tuple[ServedVersion, ...]
    """What was served, in the order of time; several if it changed midway, and the mean is then not that of one model."""


def recording_dates(predictions: Iterable[Prediction]) -> RecordingDates:
    """Return when the recorded calls of some predictions were made, and the served models."""
    recorded = list(predictions)
    names = dict.fromkeys(one.answer.served for one in recorded if one.answer.served)
    versions = [_version(name, [one for one in recorded if one.answer.served == name]) for name in names]
    # Those of unknown days come last, all else by when they began; sorting keeps the order of the samples.
    versions.sort(key=lambda version: (version.first is None, version.first or "", version.last or ""))
    return RecordingDates(*_ends(recorded), tuple(versions))


def _version(name: str, answers: list[Prediction]) -> ServedVersion:
    return ServedVersion(name, len(answers), *_ends(answers))


def _ends(predictions: list[Prediction]) -> tuple[str | None, str | None]:
    days = sorted(one.answer.recorded for one in predictions if one.answer.recorded is not None)
    return (days[0], days[-1]) if days else (None, None)
