"""The command line: options, the settings they make, and the combinations that are refused."""

import contextlib
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from evaltape.errors import UserError
from evaltape.settings import RECORD, RECORD_MISSING, REPLAY, Settings
from evaltape.text import without_commands

DEFAULT_CASSETTES = "cassettes"
DEFAULT_HISTORY = 10
PACK = "the number of samples, 1 or more, from which on the calls of a model are kept in one cassette"
OUTPUTS = ("results", "report", "comment")
"""The options that name a file to write."""
FILES = ("requests_to", *OUTPUTS)
AS_THEY_ARE = (
    *("concurrency", "retrain", "batch", "estimate", "retiring", "suggest"),
    *("history", "repeat", "samples", "against", "mutate"),
)
"""The options that settings hold by the same name, unchanged."""


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("evaltape", "evaluation of models that summarise")
    add = group.addoption
    suite = "a suite file; repeatable, globs allowed (default: ini eval_suite)"
    add("--suite", metavar="PATH", action="append", default=[], help=suite)
    add("--cassettes", metavar="DIR", help="where recordings live (default: ini eval_cassettes, or cassettes)")
    add("--samples", metavar="N", type=int, help="use the first N of each suite's samples; gates are not checked")
    add("--record", action="store_true", help="call the API for every selected sample and replace its recording")
    add("--record-missing", action="store_true", help="call the API only for samples without a valid recording")
    add("--retrain", action="store_true", help="with --record: pay for a new fine-tuning job although one exists")
    add("--batch", action="store_true", help="with --record or --record-missing: ask through the Batch API")
    add("--requests-to", metavar="DIR", help="when recording: call nothing, write the requests as Batch JSONL")
    answers = "when recording: take answers from an engine's output files, or folders of these, in place of calling"
    add("--answers-from", metavar="PATH", nargs="+", action="extend", default=[], help=answers)
    add("--concurrency", metavar="N", type=int, default=16, help="requests in flight, over all workers (default: 16)")
    add("--estimate", action="store_true", help="call nothing: print calls, tokens and an upper bound of their cost")
    budget = "stop recording before the session costs more than this; needs a price in the suite"
    add("--budget", metavar="USD", type=float, help=budget)
    add("--repeat", metavar="N", type=int, default=1, help="with --record: ask each sample N times, to measure noise")
    add("--retiring", action="store_true", help="list which of the suites' models the API retires, and when")
    add("--mutate", action="store_true", help="damage recorded answers in known ways, and show how much each gate notices")
    suggest = "print gates to paste into the suite, by the recorded scores, and the damage each notices"
    add("--suggest", action="store_true", help=suggest)
    history = f"list the scores of the last N commits that changed recordings (default: {DEFAULT_HISTORY})"
    add("--history", metavar="N", nargs="?", type=int, const=DEFAULT_HISTORY, help=history)
    add("--against", metavar="REF", help="compare each model with its recording at a git ref, or in a folder")
    add("--results", metavar="PATH", help="write the results as JSON")
    add("--report", metavar="PATH", help="write the report: a single HTML file that loads nothing")
    add("--comment", metavar="PATH", help="write Markdown for a comment on a pull request, to be updated in place")


def read_settings(config: pytest.Config) -> Settings:
    """Return the session's settings. Raises `UserError` for options that make no sense, alone or together."""
    option: Any = config.option
    root, here = config.rootpath, config.invocation_params.dir
    for problem in _problems(option):
        raise UserError(problem)
    mode = RECORD if option.record else REPLAY
    if option.record_missing or (option.record and option.mutate):  # Of mutants the missing verdicts of judges are recorded.
        mode = RECORD_MISSING
    default_cassettes = root / (str(config.getini("eval_cassettes")) or DEFAULT_CASSETTES)
    snapshots = str(config.getini("eval_snapshots"))
    configured = () if option.suite else _suites(config.getini("eval_suite"), root, "ini eval_suite")
    return Settings(
        mode=mode,
        suites=_suites(option.suite, here, "--suite") if option.suite else configured,
        configured_suites=configured,
        root=root,
        cassettes=here / option.cassettes if option.cassettes else default_cassettes,
        default_cassettes=default_cassettes,
        snapshots=root / snapshots if snapshots else None,
        args=tuple(dict.fromkeys(str(arg).split("::")[0] for arg in config.known_args_namespace.file_or_dir)),
        timeout_s=_ini(config, "eval_timeout_s", "180", _seconds, "a number of seconds over 0"),
        batch_wait_s=_ini(config, "eval_batch_wait", "1 h", _duration_s, "a time, as in 90 s, 30 min or 12 h"),
        pack=int(_ini(config, "eval_pack", "1000", _whole, PACK)),
        answers_from=tuple(here / path for path in option.answers_from),
        runs_nothing=runs_nothing(config),
        budget_usd=option.budget,
        **{name: getattr(option, name) for name in AS_THEY_ARE},
        **{name: here / path for name in FILES if (path := getattr(option, name))},
    )


def runs_nothing(config: pytest.Config) -> bool:
    """Return whether pytest was asked to show tests or fixtures in place of running tests: nothing is called then."""
    option: Any = config.option
    names = ("collectonly", "setuponly", "setupplan", "show_fixtures_per_test", "showfixtures")
    return any(getattr(option, name, False) for name in names)


def _suites(patterns: Iterable[str], folder: Path, source: str) -> tuple[Path, ...]:
    """Return the suite files that paths and globs name, each once. A path need not exist: reading it says so."""
    files: dict[Path, None] = {}
    for pattern in patterns:
        path = folder / pattern
        if path.exists() or not glob.has_magic(pattern):
            files[path] = None
            continue
        # The folders that a glob begins with are names if they exist, brackets and all.
        *folders, name = Path(pattern).parts
        base = folder
        while folders and (base / folders[0]).is_dir():
            base /= folders.pop(0)
        found = glob.glob(str(Path(*folders, name)), root_dir=base, recursive=True)
        matches = sorted(base / match for match in found if match.endswith(".toml"))
        if not matches:
            raise UserError(f"{source} {pattern}: no suite file matches. A suite file ends with .toml")
        files.update(dict.fromkeys(matches))
    return tuple(files)


def _problems(option: Any) -> Iterator[str]:
    """Yield the options that make no sense, alone or together, in words."""
    is_recording, updates = option.record or option.record_missing, getattr(option, "update_snapshots", False)
    if option.record and option.record_missing:
        yield "--record asks every sample again, --record-missing only what has no recording: use one of them"
    yield from _beside_readers(option, updates)
    yield from _of_engines(option)
    if option.retrain and not option.record:
        yield "--retrain starts a new fine-tuning job, which only --record may: add --record"
    if option.repeat != 1 and not (is_recording or option.estimate):
        yield f"--repeat {option.repeat} asks samples again to measure noise, which only --record may: add --record"
    for name in ("repeat", "concurrency", "samples", "history"):
        number = getattr(option, name)
        if number is not None and number < 1:
            yield f"--{name} {number}: it takes a whole number from 1"
    if option.samples is not None and updates:
        yield (
            f"--samples {option.samples} looks at a part of the samples, so --snapshot-update would accept the scores of a "
            "part: leave one of them out"
        )
    if option.estimate and option.retiring:
        yield "--estimate lists what a recording costs, --retiring which models end: use one of them"
    if option.against is not None and option.retiring:
        yield "--against compares recordings, --retiring lists which models end: use one of them"
    if option.budget is not None and not is_recording:
        yield "--budget bounds what a recording spends; replay spends nothing: add --record or --record-missing"
    if option.budget is not None and not option.budget > 0:
        yield f"--budget {option.budget:g}: it takes an amount of USD over 0"
    by_path: dict[str, str] = {}
    for name, path in ((name, getattr(option, name)) for name in OUTPUTS if getattr(option, name)):
        other = by_path.setdefault(os.path.realpath(path), name)
        if other != name:  # The second would replace the first.
            yield f"--{other} and --{name} both name {path}: give each a file of its own"


def _beside_readers(option: Any, updates: bool) -> Iterator[str]:
    """Yield the options that can't stand beside `--mutate`, `--suggest` or `--history`, which read recordings.

    With `--record`, `--mutate` asks judges about mutants, and models nothing.
    """
    part = f"--samples {option.samples}"
    beside_mutate = {
        "--record-missing calls models": option.record_missing,
        "--estimate lists what a recording costs": option.estimate and not option.record,
        "--retiring lists which models end": option.retiring,
        f"{part} looks at a part of the samples, which decides no gate": option.samples is not None,
        "--snapshot-update accepts the scores of a run": updates,
    }
    for other in _given(beside_mutate) if option.mutate else ():
        yield f"--mutate damages recorded answers to see which gate notices, {other}: use one of them"
    given = _given(
        {
            "--record": option.record,
            "--record-missing": option.record_missing,
            "--estimate": option.estimate,
            "--retiring": option.retiring,
            "--mutate": option.mutate,
            "--against": option.against is not None,
            "--snapshot-update": updates,
            part: option.samples is not None,
            "--history": option.history is not None,
        }
    )
    for name in given if option.suggest else ():
        yield f"--suggest prints gates from what is recorded of all samples, and runs no test: leave out {name}"
    alone = "" if option.results or option.report or option.comment else ", and runs no test"
    for name in given[:-1] if option.history is not None else ():
        yield f"--history lists the scores of earlier commits{alone}: leave out {name}"


def _of_engines(option: Any) -> Iterator[str]:
    """Yield the fault of a way to other engines without a recording, or beside another way."""
    ways = _given({"--batch": option.batch, "--requests-to": option.requests_to, "--answers-from": option.answers_from})
    if ways and not (option.record or option.record_missing or (option.batch and option.estimate)):
        yield f"{ways[0]} is a way to record: add --record, or --record-missing for what has no recording"
    if len(ways) > 1:
        yield f"{' and '.join(ways)} are different ways to the same answers: use one of them"
    if ways and option.retiring:
        yield f"{ways[0]} is about a recording, --retiring lists which models end: use one of them"
    paid = {"--estimate": option.estimate, "--retrain": option.retrain, "--budget": option.budget is not None}
    for name in _given(paid) if ways and not option.batch else ():
        yield f"{ways[0]} calls nothing, and costs nothing: leave out {name}"


def _given(options: Mapping[str, object]) -> list[str]:
    return [name for name, is_given in options.items() if is_given]


def _ini(config: pytest.Config, key: str, default: str, read: Callable[[str], float | None], takes: str) -> float:
    """Return the value of an ini key, which `read` returns, or None for a text that is none. Raises `UserError`."""
    text = str(config.getini(key) or default).strip()
    value = read(text)
    if value is None:
        raise UserError(f"{config.inipath or 'pytest.ini'}: {key} = {text}: it takes {takes}")
    return value


def _seconds(text: str) -> float | None:
    try:
        return float(text) if 0 < float(text) < float("inf") else None
    except ValueError:
        return None


def _duration_s(text: str) -> float | None:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(s|min|h)?", text)
    return float(found[1]) * {"min": 60, "h": 3600}.get(found[2], 1) if found else None


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


@contextlib.contextmanager
def as_usage_error() -> Iterator[None]:
    """Report a user's error without a traceback."""
    try:
        yield
    except UserError as error:
        raise pytest.UsageError(without_commands(str(error))) from None
