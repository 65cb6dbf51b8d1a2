"""Numbers as readers see them: rounded here, and nowhere before."""

from evaltape.metrics.metric import Metric
from evaltape.metrics.scorers import decimals_apart
from evaltape.metrics.scorers import misses as is_beyond
from evaltape.scoring.bounds import Decision, ends_of
from evaltape.scoring.paired import Difference
from evaltape.scoring.statistics import Interval

NONE = "-"
"""Stands for a number that there isn't."""


def shown(value: float | None, metric: Metric, signed: bool = False) -> str:
    """Return a score or, signed, a difference of scores with the metric's decimals."""
    return NONE if value is None else _rounded(value, metric.decimals, signed)


def interval(estimate: Interval | Difference | None, metric: Metric, beside: float | None = None) -> str:
    """Return both ends of an interval: `0.35 to 0.40`; the known part where equal scores give no end."""
    return NONE if estimate is None else ends_of(estimate, metric.decimals, beside)


def mean_beside(score: Interval | None, bound: float | None, metric: Metric) -> str:
    """Return a mean with as many decimals as it takes to differ from a bound that it misses."""
    return NONE if score is None else _apart(score.mean, bound, metric, signed=False)


def difference_beside(found: Difference | None, required: float | None, metric: Metric) -> str:
    """Return a mean difference, likewise."""
    return NONE if found is None else _apart(found.mean, required, metric, signed=True)


def gate_text(threshold: float, metric: Metric) -> str:
    """Return a gate as the suite file states it; `at most 20` if lower is better."""
    return f"{threshold:g}" if metric.higher_is_better else f"at most {threshold:g}"


def bound_text(decision: Decision) -> str:
    """Return a bound on a difference as the suite file states it: `min_gain 0.05`."""
    return f"{decision.bound.suite_key} {decision.bound.limit:g}"


def misses(value: float, bound: float, metric: Metric) -> bool:
    """Return whether a value is beyond a bound, on the worse side."""
    return is_beyond(value, bound, metric.higher_is_better)


def distance(value: float, bound: float, metric: Metric) -> str:
    """Return how far a value is from a bound that it misses: never 0."""
    return _rounded(abs(value - bound), _digits(value, bound, metric), signed=False)


def _apart(value: float, bound: float | None, metric: Metric, signed: bool) -> str:
    return _rounded(value, _digits(value, bound, metric), signed)


def _digits(value: float, bound: float | None, metric: Metric) -> int:
    return metric.decimals if bound is None else decimals_apart(value, bound, metric.decimals, metric.higher_is_better)


def _rounded(value: float, digits: int, signed: bool) -> str:
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
