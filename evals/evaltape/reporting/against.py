"""Each model beside its recording on the other side, as groups of lines for a table and as notes beneath it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from evaltape.against.findings import NOT_CHECKED, UNCHANGED, ModelAgainst
from evaltape.reporting.scoreboard import Group, Line
from evaltape.text import counted

if TYPE_CHECKING:
    from evaltape.hooks.suite_run import SuiteRun


def against_groups(session: "SuiteRun") -> Iterator[Group]:
    """Yield a group for each model that was looked at."""
    for key, found in session.against.items():
        lines = [_line(session, found, metric) for metric in found.differences]
        facts = [counted(len(found.pairs), "sample")] if not found.not_compared else [f"{NOT_CHECKED}: {found.not_compared}"]
        unchanged = [UNCHANGED] if found.is_unchanged else []
        yield Group(key, facts + unchanged, lines)


def against_notes(session: "SuiteRun") -> Iterator[str]:
    """Yield what a person should know beside the numbers, and what would settle an inconclusive verdict."""
    for key, found in session.against.items():
        if found.notes:
            yield f"{key}: {'; '.join(found.notes)}"
        for metric in found.max_drop:
            if found.verdict(metric) == "inconclusive":
                yield f"{key} {metric}: {found.why(metric)}"


def _line(session: "SuiteRun", found: ModelAgainst, metric: str) -> Line:
    difference, bound = found.differences[metric], found.max_drop.get(metric)
    is_asserted = (found.model.key, metric) in session.evidence.against
    verdict = "" if bound is None else found.verdict(metric) if is_asserted else NOT_CHECKED
    kind = "" if bound is None else "max_drop"
    return Line(metric, difference.mean, difference.low, difference.high, kind, bound, verdict, signed=True)
