"""The report of a test: its finding for the controller, and its text if the test failed.

pytest prints a section and a line of its short summary for each failed test. The terminal shows a single section and line for
all samples of a test that failed for the same cause, for all other samples that a test failed on, and for all gates of a test.
The short summary shows a test by its function alone where the id leaves no room for the number. With -vv, or a style of
traceback that was asked for, pytest's own output stays.
"""

import copy
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from evaltape.evaluation import Evaluation
from evaltape.findings import Answered, Asserted, AssertedOtherwise, Compared, Finding, Ran, Unasked, packed, unpacked
from evaltape.hooks.cases import AGAINST, PREDICTION, SCORES, Case
from evaltape.samples.sample import Failure
from evaltape.text import cut, visible, without_commands, wrapped

if TYPE_CHECKING:  # A worker shows nothing.
    from evaltape.hooks.controller import Controller
    from evaltape.reporting.results import Cause

ACCEPTED = pytest.StashKey[Compared]()
"""The finding of the fixture `accepted`."""
ATTRIBUTE = "evaltape"
"""The attribute of a report that carries the finding, as text."""
UNCUT = 2
"""The verbosity from which nothing is shortened."""
STYLES = ("auto", "line", "no")
"""Values of --tb with which failures are shown in short: no traceback was asked for."""
NAMED = 3
"""How many samples a section names."""
WIDEST = 200
ROOM = 10
"""How many columns of a message have to fit beside a test's id; they show its number."""
CATEGORIES = ("failed", "error")
GATES, SAMPLES = "gates", "samples"

Key = tuple[str, str, str]
"""A sample's test by suite, model and sample."""


# ---------------------------------------------------------------- from a test to the controller


def attach(report: pytest.TestReport, item: pytest.Item, case: Case, evaluation: Evaluation) -> None:
    """Let a report carry a test's findings; if the test failed, let it begin with the failure."""
    finding = _finding_of(item, case, evaluation, report)
    setattr(report, ATTRIBUTE, packed(finding))
    if report.outcome == "failed":
        _shorten(report, item, finding)


def is_ours(report: object) -> bool:
    """Return whether a report is of a test of ours."""
    return hasattr(report, ATTRIBUTE)


def finding_in(report: object) -> Finding | None:
    """Return the finding that a report carries, or None."""
    return unpacked(getattr(report, ATTRIBUTE, ""))


def _finding_of(item: pytest.Item, case: Case, evaluation: Evaluation, report: pytest.TestReport) -> Finding | None:
    """Return a test's findings by the end of a phase; None for nothing."""
    if case.judge is not None and report.when == "call" and not evaluation.examined(case.judge).passed:
        return None  # The results have the exam; the test's failure adds nothing.
    has_run = report.when == "call" or (report.when == "setup" and report.outcome == "failed")
    if has_run and case.subject == PREDICTION:
        return _sample(case, evaluation, report)
    # A test of the user's own asserts on a model's scores, or on them beside another side's.
    is_accepted = "accepted" in getattr(item, "fixturenames", ())
    is_own = case.bound is None and (case.subject == AGAINST or (case.subject == SCORES and not is_accepted))
    if is_own and case.model and (has_run or (report.when == "setup" and report.outcome == "skipped")):
        return AssertedOtherwise(case.suite, case.model.key)
    if has_run:
        return Asserted(case.bound) if case.bound else item.stash.get(ACCEPTED, Ran(case.suite))
    return Ran(case.suite) if report.outcome == "failed" else None


def _sample(case: Case, evaluation: Evaluation, report: pytest.TestReport) -> Answered | Unasked:
    assert case.model is not None and case.sample is not None
    key = (case.suite, case.model.key, case.sample.id)
    if report.when == "setup":
        crash = getattr(report.longrepr, "reprcrash", None)
        return Unasked(key, crash.message if crash else str(report.longrepr))
    found, lead = evaluation.prediction(case.model, case.sample), dict(evaluation.lead(case.suite, case.sample))
    return Answered(key, found.answer, dict(found.scores), dict(found.unscored), found.unread, lead)


# ---------------------------------------------------------------- how failures read


def _shorten(report: Any, item: pytest.Item, finding: Finding | None) -> None:
    """Let a report begin with the failure; the report of a sample without an answer is the reason alone."""
    _disarm(report)
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return
    crash.message = crash.message.removeprefix("AssertionError: ").removeprefix("Failed: ")
    if ACCEPTED in item.stash:
        crash.message = crash.message.removeprefix("assert ")
    failure = _failure_in(finding)
    if failure is not None and is_short(item.config):
        report.longrepr = visible(str(failure))


def _disarm(report: Any) -> None:
    """Take commands to a runner of GitHub Actions out of a failed test's report: models and data wrote its texts."""
    report.sections = [(title, without_commands(text)) for title, text in report.sections]
    if isinstance(report.longrepr, str):
        report.longrepr = without_commands(report.longrepr)
        return
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = without_commands(crash.message)
    tracebacks = [each[0] for each in getattr(report.longrepr, "chain", ())]
    for entry in (entry for each in tracebacks for entry in each.reprentries):
        entry.lines[:] = map(without_commands, entry.lines)
        if getattr(entry, "reprlocals", None) is not None:
            entry.reprlocals.lines[:] = map(without_commands, entry.reprlocals.lines)


def is_short(config: pytest.Config) -> bool:
    """Return whether failures of samples are shown in short."""
    return config.get_verbosity() < UNCUT and config.option.tbstyle in STYLES


class FailuresByCause:
    """The controller's hook that groups failures for the terminal, by the causes in its results."""

    def __init__(self, controller: "Controller") -> None:
        self._controller = controller

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """Show a failure per group; leave the counts unchanged."""
        results = self._controller.results
        if results is None or not is_short(terminalreporter.config):
            return (yield)
        width = terminalreporter._tw.fullwidth
        whole = {category: terminalreporter.stats[category] for category in CATEGORIES if category in terminalreporter.stats}
        causes = {(suite.name, *key): cause for suite in results for cause in suite.causes for key in cause.predictions}
        for category, reports in whole.items():
            shown = _grouped(reports, causes, width)
            terminalreporter.stats[category] = [_with_room(report, len(category) + 1, width) for report in shown]
        try:
            return (yield)
        finally:
            terminalreporter.stats.update(whole)


def _grouped(reports: list[Any], causes: Mapping[Key, "Cause"], width: int) -> Iterator[Any]:
    """Yield the reports in their order, the first of a group in its place for all."""
    groups: dict[tuple[str, Cause | str | int], list[Any]] = {}
    for report in reports:
        groups.setdefault((_function(report), _subject(report, causes)), []).append(report)
    for (_, about), group in groups.items():
        if len(group) == 1:
            yield _told(group[0]) if about == GATES else group[0]
        elif about == GATES:
            yield _stand_in(group, _lines_of_gates(group, width))
        else:
            yield _stand_in(group, _lines_of_samples(group, None if isinstance(about, str | int) else about))


def _subject(report: Any, causes: Mapping[Key, "Cause"]) -> "Cause | str | int":
    """Return what a failed test shares with others: why its sample has no answer, its kind, or nothing."""
    finding, cause = finding_in(report), None
    is_failed_sample = _failure_in(finding) is not None and isinstance(report.longrepr, str)
    if isinstance(finding, Unasked) or (isinstance(finding, Answered) and is_failed_sample):
        cause = causes.get(finding.key)
    if cause is not None:
        return cause
    match finding:
        case Answered() if report.when == "call":
            return SAMPLES
        case Asserted() | AssertedOtherwise() | Compared() if hasattr(report.longrepr, "reprcrash"):
            return GATES
    return id(report)


def _failure_in(finding: Finding | None) -> Failure | None:
    return finding.answer.failure if isinstance(finding, Answered) else None


def _function(report: Any) -> str:
    """Return the id of a report's test without its parameters: it selects all of them when pasted."""
    return str(report.nodeid).split("[")[0]


def _parameters(report: Any) -> str:
    return visible(report.nodeid.split("[", 1)[-1].rstrip("]"))


# ---------------------------------------------------------------- the text of a group


def _stand_in(group: list[Any], lines: Iterator[str]) -> Any:
    first = copy.copy(group[0])
    first.nodeid = _function(first)
    path, line, _ = first.location
    first.location = (path, line, f"{first.nodeid.split('::')[-1]}: {len(group):,} tests")
    first.longrepr = "\n".join(lines)
    first.sections = []
    first.__dict__.pop("node", None)  # The worker that ran it.
    return first


def _lines_of_samples(group: list[Any], cause: "Cause | None") -> Iterator[str]:
    messages = [_reason(report) if cause else _message(report) for report in group[:NAMED]]
    yield visible(cause.text) if cause else f"{len(group):,} tests: {messages[0]}"
    if cause and cause.command:
        yield cause.command
    if cause and cause.cost:
        yield f"It {cause.cost}"
    yield from (f"  {_parameters(report)}: {message}" for report, message in zip(group, messages, strict=False))
    if len(group) > NAMED:
        yield f"  and {len(group) - NAMED:,} more: -vv shows all"


def _lines_of_gates(group: list[Any], width: int) -> Iterator[str]:
    messages = [_message(report) for report in group]
    heads = list(dict.fromkeys(message.split(": ")[0] for message in messages))
    yield cut(f"{len(group):,} tests: {'; '.join(heads)}", width)
    if len(heads) == 1 and not heads[0].startswith(("+", "-")):  # A difference alone doesn't say which bound it missed.
        yield from wrapped(f"  {', '.join(map(_parameters, group))}", width, "  ")
        return
    for report, message in zip(group, messages, strict=True):
        names_itself = isinstance(finding_in(report), Asserted) and not message.startswith("assert ")
        yield cut(f"  {message}" if names_itself else f"  {_parameters(report)}: {message}", width)


def _reason(report: Any) -> str:
    failure = _failure_in(finding_in(report))
    return cut(failure.in_short if failure else str(report.longrepr), WIDEST)


def _message(report: Any) -> str:
    """Return the first line of a test's failure."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return cut((crash.message if crash else str(report.longrepr)).split("\n")[0], WIDEST)


def _told(report: Any) -> Any:
    """Return the report of a gate, its assertion without a traceback; any other stays as it is."""
    message: str = report.longrepr.reprcrash.message
    if message.startswith("assert ") or isinstance(finding_in(report), Compared):
        return report
    shown = copy.copy(report)
    shown.longrepr = message.split("\nassert ")[0]
    return shown


def _with_room(report: Any, taken: int, width: int) -> Any:
    """Return a report that the short summary shows by its function alone where the id leaves too little room for the number."""
    message = _message(report)
    if finding_in(report) is None or taken + len(report.nodeid) + 3 + min(len(message), ROOM) <= width:
        return report
    roomy = copy.copy(report)
    roomy.nodeid = _function(report)
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:  # A decision names its model; any other message needs to.
        roomy.longrepr, roomy_crash = copy.copy(report.longrepr), copy.copy(crash)
        roomy_crash.message = f"{crash.message.splitlines()[0]}: {_parameters(report)}"
        roomy.longrepr.reprcrash = roomy_crash
    return roomy
