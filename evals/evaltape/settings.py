"""The settings of a session: the same in each of its processes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

REPLAY, RECORD, RECORD_MISSING = "replay", "record", "record-missing"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The command line and the ini file, checked; the defaults are a plain replay's. Paths are absolute.

    `configured_suites` and `default_cassettes` apply without options, so that commands in messages name only
    the differences; `args` are the test paths as they were typed.
    """

    suites: tuple[Path, ...]
    configured_suites: tuple[Path, ...]
    root: Path
    cassettes: Path
    default_cassettes: Path
    mode: str = REPLAY
    snapshots: Path | None = None
    args: tuple[str, ...] = ()
    concurrency: int = 1
    timeout_s: float = 1.0
    batch_wait_s: float = 0.0
    pack: int = 1000
    retrain: bool = False
    batch: bool = False
    requests_to: Path | None = None
    answers_from: tuple[Path, ...] = ()
    estimate: bool = False
    retiring: bool = False
    suggest: bool = False
    history: int | None = None
    runs_nothing: bool = False
    budget_usd: float | None = None
    repeat: int = 1
    samples: int | None = None
    against: str | None = None
    mutate: bool = False
    results: Path | None = None
    report: Path | None = None
    comment: Path | None = None

    @property
    def records(self) -> bool:
        """Whether answers are recorded: of the API, or of another engine's files."""
        return self.mode != REPLAY and not self.only_lists and not self.runs_nothing

    @property
    def previews(self) -> bool:
        """Whether the session reads the samples as a recording would, although it records nothing."""
        return self.estimate or self.requests_to is not None or (self.runs_nothing and self.mode != REPLAY)

    @property
    def only_lists(self) -> bool:
        """Whether the session prints a list and runs no test. With a file to write, a history goes there, and the tests run."""
        lists_history = self.history is not None and not self.writes_files
        return self.estimate or self.retiring or self.suggest or lists_history or self.requests_to is not None

    @property
    def writes_files(self) -> bool:
        """Whether the session writes results, a report or a comment."""
        return any((self.results, self.report, self.comment))

    @property
    def asks_api(self) -> bool:
        """Whether the answers of a recording come from the API, not from files."""
        return self.requests_to is None and not self.answers_from

    def as_json(self) -> dict[str, Any]:
        """Return the settings as builtins that JSON can hold."""
        values: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        return values

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Settings":
        """Return the settings that `as_json` made these builtins of."""
        return msgspec.convert(values, cls, dec_hook=lambda _, path: Path(path))
