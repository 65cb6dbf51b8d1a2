"""Each model beside its recording on the other side, as groups of lines for a table and as notes beneath it."""

from collections.abc import Collection, Iterator, Mapping

from evaltape.against.findings import NOT_CHECKED, UNCHANGED, ModelAgainst
from evaltape.reporting.scoreboard import Group, Line
from evaltape.text import counted

Models = Mapping[str, ModelAgainst]
"""Those that were looked at, by key."""


def against_groups(models: Models, asserted: Collection[tuple[str, str]]) -> Iterator[Group]:
    """Yield a group for each model; `asserted` are the bounds that a test has looked at, by model and metric."""
    for key, found in models.items():
        lines = [_line(found, metric, (key, metric) in asserted) for metric in found.differences]
        facts = [counted(len(found.pairs), "sample")] if not found.not_compared else [f"{NOT_CHECKED}: {found.not_compared}"]
        unchanged = [UNCHANGED] if found.is_unchanged else []
        yield Group(key, facts + unchanged, lines)


def against_notes(models: Models) -> Iterator[str]:
    """Yield what a person should know beside the numbers, and what would settle an inconclusive verdict."""
    for key, found in models.items():
        if found.notes:
            yield f"{key}: {'; '.join(found.notes)}"
        for metric in found.max_drop:
            if found.verdict(metric) == "inconclusive":
                yield f"{key} {metric}: {found.why(metric)}"


def _line(found: ModelAgainst, metric: str, is_asserted: bool) -> Line:
    difference, bound = found.differences[metric], found.max_drop.get(metric)
    verdict = "" if bound is None else found.verdict(metric) if is_asserted else NOT_CHECKED
    kind = "" if bound is None else "max_drop"
    return Line(metric, difference.mean, difference.low, difference.high, kind, bound, verdict, signed=True)
