"""How failed tests read: the number first, and what one cause did to many samples said once.

pytest prints a section and a line of its short summary for each failed test. For a sample that has no answer neither says
more than the reason, so the report carries that alone, and the terminal shows one section and one line for all samples of a
test that failed for one cause. With -vv, or a style of traceback that was asked for, everything stays as pytest has it.
"""

import copy
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import pytest

from evaltape.findings import Answered, Finding, Unasked
from evaltape.hooks.findings import ACCEPTED, finding_in
from evaltape.reporting.results import Cause, Results
from evaltape.samples.answer import Failure
from evaltape.text import cut, visible

UNCUT = 2
"""The verbosity from which nothing is shortened."""
STYLES = ("auto", "line", "no")
"""Values of --tb with which failures are shown in short: no traceback was asked for."""
NAMED = 3
"""How many samples a section names."""
WIDEST = 200
CATEGORIES = ("failed", "error")

Key = tuple[str, str, str]
"""A sample's test by suite, model and sample."""


def shorten(report: Any, item: pytest.Item, finding: Finding | None) -> None:
    """Let a report begin with what failed; let that of a sample without an answer consist of the reason."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return
    crash.message = crash.message.removeprefix("AssertionError: ").removeprefix("Failed: ")
    if ACCEPTED in item.stash:
        crash.message = crash.message.removeprefix("assert ")
    failure = _failure_in(finding)
    if failure is not None and is_short(item.config):
        report.longrepr = visible(str(failure))


def is_short(config: pytest.Config) -> bool:
    """Return whether failures of samples are shown in short."""
    return config.get_verbosity() < UNCUT and config.option.tbstyle in STYLES


class FailuresByCause:
    """The controller's hook that groups failures for the terminal. `results` are those of the session, once it has ended."""

    def __init__(self, results: Callable[[], Results | None]) -> None:
        self._results = results

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """While pytest shows failures let it see one of each group; what it counts is as it was."""
        results = self._results()
        if results is None or not is_short(terminalreporter.config):
            return (yield)
        whole = {category: terminalreporter.stats[category] for category in CATEGORIES if category in terminalreporter.stats}
        causes = {key: cause for suite in results for cause in suite.causes for key in _keys(suite.name, cause)}
        terminalreporter.stats.update({category: list(_grouped(reports, causes)) for category, reports in whole.items()})
        try:
            return (yield)
        finally:
            terminalreporter.stats.update(whole)


def _keys(suite: str, cause: Cause) -> Iterator[Key]:
    yield from ((suite, model, sample) for model, sample in cause.predictions)


def _grouped(reports: list[Any], causes: Mapping[Key, Cause]) -> Iterator[Any]:
    """Yield the reports in their order, the first of a group in its place for all."""
    groups: dict[tuple[str, int], list[Any]] = {}
    order: list[list[Any]] = []
    for report in reports:
        cause = _cause_of(report, causes)
        if cause is None:
            order.append([report])
            continue
        key = (_function(report), id(cause))
        if key not in groups:
            order.append(groups.setdefault(key, []))
        groups[key].append(report)
    for group in order:
        cause = _cause_of(group[0], causes)
        yield group[0] if len(group) == 1 or cause is None else _stand_in(group, cause)


def _cause_of(report: Any, causes: Mapping[Key, Cause]) -> Cause | None:
    """Return why a sample's test failed; None for any other report."""
    finding = finding_in(report)
    is_failed_sample = _failure_in(finding) is not None and isinstance(report.longrepr, str)
    if isinstance(finding, Unasked) or (isinstance(finding, Answered) and is_failed_sample):
        return causes.get((finding.suite, finding.model, finding.sample))
    return None


def _failure_in(finding: Finding | None) -> Failure | None:
    return finding.answer.failure if isinstance(finding, Answered) else None


def _function(report: Any) -> str:
    """Return the id of a report's test without its parameters: it selects all of them when pasted."""
    return str(report.nodeid).split("[")[0]


def _stand_in(group: list[Any], cause: Cause) -> Any:
    """Return a report for all of a group."""
    first = copy.copy(group[0])
    first.nodeid = _function(first)
    path, line, _ = first.location
    first.location = (path, line, f"{first.nodeid.split('::')[-1]}: {len(group):,} tests")
    command = f"\n{cause.command}" if cause.command else ""
    named = [f"  {visible(report.nodeid.split('[', 1)[-1].rstrip(']'))}: {_reason(report)}" for report in group[:NAMED]]
    more = [f"  and {len(group) - NAMED:,} more: -vv shows all"] if len(group) > NAMED else []
    first.longrepr = "\n".join([f"{visible(cause.text)}{command}", *named, *more])
    first.sections = []
    first.__dict__.pop("node", None)  # The worker that ran one of them.
    return first


def _reason(report: Any) -> str:
    failure = _failure_in(finding_in(report))
    return cut(failure.in_short if failure else str(report.longrepr), WIDEST)
