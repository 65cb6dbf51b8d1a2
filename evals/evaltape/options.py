"""The command line: options, the settings they make, and what can't be combined."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evaltape.errors import UserError

DEFAULT_CASSETTES = "cassettes"
SNAPSHOTS = "evals/__snapshots__"
DEFAULT_TIMEOUT_S = "180"

REPLAY, RECORD, RECORD_MISSING = "replay", "record", "record-missing"


@dataclass(frozen=True)
class Settings:
    """What one session was asked to do. Paths are absolute."""

    mode: str
    suite: Path
    default_suite: Path
    cassettes: Path
    default_cassettes: Path
    snapshots: Path
    concurrency: int
    timeout_s: float
    retrain: bool
    estimate: bool
    retiring: bool
    collect_only: bool
    budget_usd: float | None
    repeat: int
    results: Path | None
    report: Path | None

    @property
    def records(self) -> bool:
        """Whether the API may be called."""
        return self.mode != REPLAY and not self.only_lists and not self.collect_only

    @property
    def previews(self) -> bool:
        """Whether the samples are those that a recording would have, without one being made."""
        return self.estimate or (self.collect_only and self.mode != REPLAY)

    @property
    def only_lists(self) -> bool:
        """Whether the session prints what it was asked for, and runs no test."""
        return self.estimate or self.retiring


def add_options(parser: pytest.Parser) -> None:
    """Declare the options and the settings of pytest.ini."""
    group = parser.getgroup("evaltape", "evaluation of summarisation models")
    add = group.addoption
    add("--suite", metavar="PATH", help="the suite file: what is evaluated (default: ini eval_suite)")
    add("--cassettes", metavar="DIR", default=DEFAULT_CASSETTES, help="where recordings live (default: %(default)s)")
    add("--record", action="store_true", help="call the API for every selected sample and replace its recording")
    add("--record-missing", action="store_true", help="call the API only for what has no valid recording")
    add("--retrain", action="store_true", help="with --record: pay for a new fine-tuning job although one exists")
    add("--concurrency", metavar="N", type=int, default=16, help="requests in flight, over all workers (default: 16)")
    add("--estimate", action="store_true", help="call nothing: print calls, tokens and an upper bound of their cost")
    add("--budget", metavar="USD", type=float, help="stop recording before the session's spend would pass this")
    add("--repeat", metavar="N", type=int, default=1, help="with --record: ask each sample N times, to measure noise")
    add("--retiring", action="store_true", help="list which of the suite's models the API retires, and when")
    add("--results", metavar="PATH", help="write the results as JSON")
    add("--report", metavar="PATH", help="write the report: one self-contained HTML file")


def read_settings(config: pytest.Config) -> Settings:
    """The session's settings. Raises `UserError` for options that make no sense, alone or together."""
    option: Any = config.option
    root, here = config.rootpath, config.invocation_params.dir
    _check(option)
    return Settings(
        mode=RECORD if option.record else RECORD_MISSING if option.record_missing else REPLAY,
        suite=here / option.suite if option.suite else root / str(config.getini("eval_suite")[0]),
        default_suite=root / str([*config.getini("eval_suite"), ""][0]),
        cassettes=(root if option.cassettes == DEFAULT_CASSETTES else here) / option.cassettes,
        default_cassettes=root / DEFAULT_CASSETTES,
        snapshots=root / SNAPSHOTS,
        concurrency=option.concurrency,
        timeout_s=_timeout_s(config),
        retrain=option.retrain,
        estimate=option.estimate,
        retiring=option.retiring,
        collect_only=option.collectonly,
        budget_usd=option.budget,
        repeat=option.repeat,
        results=here / option.results if option.results else None,
        report=here / option.report if option.report else None,
    )


def _check(option: Any) -> None:
    if option.record and option.record_missing:
        raise UserError("--record asks every sample again, --record-missing only what has no recording: use one of them")
    if option.retrain and not option.record:
        raise UserError("--retrain starts a new fine-tuning job, which only --record may: add --record")
    if option.repeat != 1 and not (option.record or option.record_missing or option.estimate):
        raise UserError(f"--repeat {option.repeat} asks samples again to measure noise, which only --record may: add --record")
    if option.repeat < 1:
        raise UserError(f"--repeat {option.repeat}: it takes a whole number from 1")
    if option.concurrency < 1:
        raise UserError(f"--concurrency {option.concurrency}: it takes a whole number from 1")
    if option.estimate and option.retiring:
        raise UserError("--estimate lists what a recording costs, --retiring which models end: use one of them")
    if option.budget is not None and not (option.record or option.record_missing):
        raise UserError("--budget bounds what a recording spends; replay spends nothing: add --record or --record-missing")
    if option.budget is not None and not option.budget > 0:
        raise UserError(f"--budget {option.budget:g}: it takes an amount of USD over 0")


def _timeout_s(config: pytest.Config) -> float:
    text = str(config.getini("eval_timeout_s") or DEFAULT_TIMEOUT_S)
    try:
        timeout_s = float(text)
    except ValueError:
        timeout_s = 0.0
    if not timeout_s > 0:
        raise UserError(f"{config.inipath or 'pytest.ini'}: eval_timeout_s = {text}: it takes a number of seconds over 0")
    return timeout_s


@contextlib.contextmanager
def as_usage_error() -> Iterator[None]:
    """Tell a mistake without a traceback."""
    try:
        yield
    except UserError as mistake:
        raise pytest.UsageError(str(mistake)) from None
