"""Intervals in words: both ends, or what is known where equal scores give none."""

from evaltape.metrics.scorers import MOST_DECIMALS, misses
from evaltape.scoring.paired import ROUNDING, Difference
from evaltape.scoring.statistics import Interval
from evaltape.text import counted


def ends_of(estimate: Interval | Difference, decimals: int, beside: float | None = None) -> str:
    """Return both ends: `0.3511 to 0.4021`, of a difference with their signs.

    Where equal scores of a metric without limits give no end: `4.4 or more`, or `unknown: 30 equal scores`. An end that is not
    the bound `beside` it is shown with as many decimals as it takes to see that.
    """
    sign = "+z" if isinstance(estimate, Difference) else ""
    low, high = (None if end is None else _shown(end, sign, decimals, beside) for end in (estimate.low, estimate.high))
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is None and high is None:
        return "unknown: one score" if estimate.samples == 1 else f"unknown: {estimate.samples:,} equal scores"
    return f"{low} or more" if high is None else f"{high} or less"


def interval_text(estimate: Interval | Difference, decimals: int, beside: float | None = None) -> str:
    """Return `95% interval 0.3511 to 0.4021, 200 samples`, with the number of clusters if there are any."""
    label = estimate.label if isinstance(estimate, Difference) else "95%"
    clusters = [] if estimate.clusters is None else [_clusters(estimate)]
    return ", ".join(
        [f"{label} interval {ends_of(estimate, decimals, beside)}", counted(estimate.samples, "sample"), *clusters]
    )


def _clusters(estimate: Interval | Difference) -> str:
    assert estimate.clusters is not None
    few = ": few, so it is not exact" if estimate.has_few_clusters else ""
    return f"{counted(estimate.clusters, 'cluster')}{few}"


def _shown(end: float, sign: str, decimals: int, beside: float | None) -> str:
    if beside is not None and abs(end - beside) > ROUNDING:
        is_under = end < beside
        while decimals < MOST_DECIMALS and not misses(round(end, decimals), round(beside, decimals), is_under):
            decimals += 1
    return f"{end:{sign}.{decimals}f}"
