"""The order to a session, as every process of it knows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

REPLAY, RECORD, RECORD_MISSING = "replay", "record", "record-missing"


class Settings(msgspec.Struct, frozen=True):
    """The command line and the ini file, checked. Paths are absolute.

    `configured_suites` and `default_cassettes` apply without options, so that commands in messages name only
    the differences; `args` are the test paths as they were typed.
    """

    mode: str
    suites: tuple[Path, ...]
    configured_suites: tuple[Path, ...]
    root: Path
    cassettes: Path
    default_cassettes: Path
    snapshots: Path | None
    args: tuple[str, ...]
    concurrency: int
    timeout_s: float
    batch_wait_s: float
    pack: int
    retrain: bool
    batch: bool
    requests_to: Path | None
    answers_from: tuple[Path, ...]
    estimate: bool
    retiring: bool
    suggest: bool
    history: int | None
    runs_nothing: bool
    budget_usd: float | None
    repeat: int
    samples: int | None
    against: str | None
    mutate: bool
    results: Path | None
    report: Path | None
    comment: Path | None

    @property
    def records(self) -> bool:
        """Whether answers are recorded: of the API, or of another engine's files."""
        return self.mode != REPLAY and not self.only_lists and not self.runs_nothing

    @property
    def previews(self) -> bool:
        """Whether the samples are the samples that a recording would have, although nothing is recorded."""
        return self.estimate or self.requests_to is not None or (self.runs_nothing and self.mode != REPLAY)

    @property
    def only_lists(self) -> bool:
        """Whether the session prints a list, and runs no test."""
        return self.estimate or self.retiring or self.suggest or self.history is not None or self.requests_to is not None

    @property
    def asks_api(self) -> bool:
        """Whether the answers of a recording come from the API, not from files."""
        return self.requests_to is None and not self.answers_from

    def as_json(self) -> dict[str, Any]:
        """Return the settings as builtins that JSON can hold."""
        return {key: _as_json(value) for key, value in msgspec.structs.asdict(self).items()}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Settings":
        """Return the settings that `as_json` made these builtins of."""
        return cls(**{field.name: _of_json(str(field.type), values[field.name]) for field in msgspec.structs.fields(cls)})


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_as_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _of_json(kind: str, value: Any) -> Any:
    make = Path if "Path" in kind else lambda item: item
    if isinstance(value, list):
        return tuple(make(item) for item in value)
    return make(value) if isinstance(value, str) else value
