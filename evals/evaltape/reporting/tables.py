"""Tables of terminal and Markdown, and the numbers in their cells.

Numbers are rounded here, and nowhere before.
"""

from collections.abc import Iterable, Iterator, Sequence

from evaltape.metrics.metric import Metric
from evaltape.metrics.scorers import decimals_apart, misses
from evaltape.scoring.bounds import Decision, ends_of
from evaltape.scoring.paired import Difference
from evaltape.scoring.statistics import Interval
from evaltape.text import columns, markdown, visible

NONE = "-"
"""Stands for a missing number."""
GAP = "  "
"""Before each column of a terminal's table."""
LONGEST_TEXT = 400
"""Of a cell of Markdown, in characters."""
FEW_DECIMALS = 4
"""Of a score that no metric of the suite makes any more."""


def shown(value: float | None, metric: Metric, signed: bool = False) -> str:
    """Return a score or, signed, a difference of scores with the metric's decimals."""
    return NONE if value is None else f"{value:{'+' if signed else ''}.{metric.decimals}f}"


def interval(estimate: Interval | Difference | None, metric: Metric, beside: float | None = None) -> str:
    """Return both ends of an interval: `0.35 to 0.40`; the known part where equal scores give no end."""
    return NONE if estimate is None else ends_of(estimate, metric.decimals, beside)


def mean_beside(found: Interval | Difference | None, bound: float | None, metric: Metric) -> str:
    """Return a mean, or a mean difference, with as many decimals as it takes to differ from a bound that it misses."""
    if found is None:
        return NONE
    digits = metric.decimals
    if bound is not None and misses(found.mean, bound, metric.higher_is_better):
        digits = decimals_apart(found.mean, bound, digits)
    return f"{found.mean:{'+' if isinstance(found, Difference) else ''}.{digits}f}"


def bound_text(decision: Decision) -> str:
    """Return a bound as the suite file states it: `0.35`, `at most 20` if lower is better, `min_gain 0.05`."""
    bound = decision.bound
    side = f"{bound.suite_key} " if bound.is_paired else "" if decision.metric.higher_is_better else "at most "
    return f"{side}{bound.limit:g}"


def distance(value: float, bound: float, metric: Metric) -> str:
    """Return how far a value is from a bound that it misses: never 0."""
    return f"{abs(value - bound):.{decimals_apart(value, bound, metric.decimals)}f}"


def accepted_cells(before: float | None, now: float | None, metric: Metric | None) -> tuple[str, str, str]:
    """Return accepted, now and change as they are shown: counts whole, scores with as many decimals as tell them apart."""
    decimals = metric.decimals if metric else FEW_DECIMALS
    if isinstance(before, int) and isinstance(now, int):
        return str(before), str(now), f"{now - before:+d}"
    while before is not None and now is not None and decimals < 15 and round(before, decimals) == round(now, decimals):
        decimals += 1
    was, is_now = ("none" if it is None else f"{it:.{0 if isinstance(it, int) else decimals}f}" for it in (before, now))
    return was, is_now, "" if before is None or now is None else f"{now - before:+.{decimals}f}"


# ---------------------------------------------------------------- tables of a terminal


def aligned(rows: Iterable[Sequence[str]], sides: str, least: Sequence[int] = (), longest: int | None = None) -> Iterator[str]:
    """Yield rows of a table as lines; `sides` has `<` or `>` per column, `least` the smallest widths of the first columns.

    A first cell of over `longest` columns stands on a line of its own.
    """
    split: list[Sequence[str]] = []
    for cells in rows:
        is_long = longest is not None and _columns(cells[0]) > longest
        split += [cells[:1], ["", *cells[1:]]] if is_long else [cells]
    widths = widths_of([cells for cells in split if len(cells) > 1], least)
    yield from (row(cells, widths, sides).rstrip() for cells in split)


def widths_of(rows: Iterable[Sequence[str]], least: Sequence[int] = ()) -> list[int]:
    """Return the width of each column: of its widest cell, and at least as `least` says."""
    columns = list(zip(*rows, strict=True))
    smallest = [*least, *[0] * (len(columns) - len(least))]
    return [max(width, *map(_columns, cells)) for width, cells in zip(smallest, columns, strict=True)]


def row(cells: Sequence[str], widths: Sequence[int], sides: str) -> str:
    """Return cells as a line, with the spaces at its end; cells may be fewer than widths."""
    line = ""
    for text, width, side in zip(map(visible, cells), widths, sides, strict=False):
        space = " " * (width - columns(text))
        line += GAP + (text + space if side == "<" else space + text)
    return line


def _columns(text: str) -> int:
    return columns(visible(text))


# ---------------------------------------------------------------- tables of Markdown


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; cells are Markdown."""
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines of Markdown that open on a click."""
    yield f"\n<details><summary>{markdown(title)}</summary>\n"
    yield from lines
    yield "\n</details>"


def cells(texts: Iterable[str]) -> list[str]:
    """Return texts of models and data as cells that show exactly them; long texts are cut."""
    return [markdown(text, LONGEST_TEXT) for text in texts]


def code(command: str, indent: str = "") -> str:
    """Return a command as a block that is shown unchanged and easily copied; indented by two, it belongs to a list's item."""
    return f"\n{indent}    {command}\n"
