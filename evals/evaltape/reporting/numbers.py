"""Numbers as readers see them: rounded here, and nowhere before."""

from evaltape.reporting.facts import MeanScore, MetricFacts
from evaltape.reporting.pair_results import PairedDifference
from evaltape.scoring.bounds import decimals_apart
from evaltape.scoring.bounds import misses as is_beyond

NONE = "-"
"""Stands for a number that there isn't."""


def shown(value: float | None, metric: MetricFacts, signed: bool = False) -> str:
    """Return a score or, signed, a difference of scores with the metric's decimals."""
    return NONE if value is None else _rounded(value, metric.decimals, signed)


def interval(low: float | None, high: float | None, metric: MetricFacts, signed: bool = False) -> str:
    """Return both ends of an interval: `0.35 to 0.40`. An end that isn't known is `?`."""
    if low is None and high is None:
        return NONE
    ends = ["?" if end is None else _rounded(end, metric.decimals, signed) for end in (low, high)]
    return " to ".join(ends)


def mean_beside(score: MeanScore | None, bound: float | None, metric: MetricFacts) -> str:
    """Return a mean with as many decimals as it takes to differ from a bound that it misses."""
    return NONE if score is None else _apart(score.mean, bound, metric, signed=False)


def difference_beside(difference: PairedDifference, metric: MetricFacts) -> str:
    """Return a mean difference, likewise."""
    value = difference.difference
    return NONE if value is None else _apart(value, difference.required, metric, signed=True)


def gate_text(threshold: float, metric: MetricFacts) -> str:
    """Return a gate as the suite file states it; `at most 20` if lower is better."""
    return f"{threshold:g}" if metric.higher_is_better else f"at most {threshold:g}"


def bound_text(difference: PairedDifference) -> str:
    """Return a comparison's bound as the suite file states it: `min_gain 0.05`; empty without one."""
    return "" if difference.bound is None else f"{difference.kind} {difference.bound:g}"


def misses(value: float, bound: float, metric: MetricFacts) -> bool:
    """Return whether a value is beyond a bound, on the worse side."""
    return is_beyond(value, bound, metric.higher_is_better)


def distance(value: float, bound: float, metric: MetricFacts) -> str:
    """Return how far a value is from a bound that it misses: never 0."""
    return _rounded(abs(value - bound), _digits(value, bound, metric), signed=False)


def _apart(value: float, bound: float | None, metric: MetricFacts, signed: bool) -> str:
    return _rounded(value, _digits(value, bound, metric), signed)


def _digits(value: float, bound: float | None, metric: MetricFacts) -> int:
    return metric.decimals if bound is None else decimals_apart(value, bound, metric.decimals, metric.higher_is_better)


def _rounded(value: float, digits: int, signed: bool) -> str:
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
