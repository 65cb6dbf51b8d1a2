"""When a model was recorded, and whether what was served under its name changed meanwhile."""

from collections.abc import Iterable
from dataclasses import dataclass

from evaltape.scoring.prediction import Prediction
from evaltape.text import counted, visible


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """What an API said that it served, and when."""

    name: str
    """By the answers' `model`."""
    answers: int
    """How many answers it gave."""
    first: str | None
    """The day of the first of them, as `2026-11-24`; None if their recordings don't say."""
    last: str | None
    """The day of the last."""


@dataclass(frozen=True, slots=True)
class RecordingDates:
    """The time of a model's recorded calls."""

    first: str | None
    """The day of the first call, as `2026-11-24`; None if no recording says."""
    last: str | None
    """The day of the last call."""
    versions: tuple[ServedVersion, ...]
    """What was served, in the order of time; several if it changed midway."""

    @property
    def has_changed(self) -> bool:
        """Whether what was served changed midway: the mean is then not that of one model."""
        return len(self.versions) > 1

    @property
    def in_short(self) -> str:
        """When it was recorded, and what was served when if that changed; empty if nothing is known."""
        if not self.has_changed:
            return f"recorded {_days(self.first, self.last)}" if self.first is not None else ""
        parts = []
        for version in self.versions:
            days = f", {_days(version.first, version.last)}" if version.first is not None else ""
            parts.append(f"{visible(version.name)} ({counted(version.answers, 'answer')}{days})")
        return f"what was served changed while it was recorded: {', then '.join(parts)}"


def recording_dates(predictions: Iterable[Prediction]) -> RecordingDates:
    """Return when the recorded calls of some predictions were made, and what was served."""
    recorded = list(predictions)
    names = dict.fromkeys(prediction.served for prediction in recorded if prediction.served)
    versions = [_version(name, [one for one in recorded if one.served == name]) for name in names]
    # Those of unknown days come last, all else by when they began; sorting keeps the order of the samples.
    versions.sort(key=lambda version: (version.first is None, version.first or "", version.last or ""))
    return RecordingDates(*_ends(recorded), tuple(versions))


def _version(name: str, answers: list[Prediction]) -> ServedVersion:
    return ServedVersion(name, len(answers), *_ends(answers))


def _ends(predictions: list[Prediction]) -> tuple[str | None, str | None]:
    days = sorted(prediction.recorded for prediction in predictions if prediction.recorded is not None)
    return (days[0], days[-1]) if days else (None, None)


def _days(first: str | None, last: str | None) -> str:
    return f"{first}" if first == last else f"{first} to {last}"
