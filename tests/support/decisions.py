"""Bounds decided as a test needs them."""

from collections.abc import Mapping

from evaltape.metrics.metric import Metric
from evaltape.metrics.scorers import exact
from evaltape.mutation.study import Noticing
from evaltape.scoring.bounds import AGAINST, GATE, MAX_DROP, MIN_GAIN, SLICE_GATE, Bound, Decision, Kind, Verdict
from evaltape.scoring.paired import Difference

SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)


def metric(name: str, higher_is_better: bool = True) -> Metric:
    """A metric of which only the name and the direction count."""
    return Metric(name, exact, "[metrics]", higher_is_better)


def mean_gate(name: str, limit: float) -> Bound:
    """A bound on the mean of the model `base`."""
    return Bound(GATE, "made", "base", name, limit)


def slice_gate(name: str, limit: float) -> Bound:
    """A bound on the slices of the model `base`."""
    return Bound(SLICE_GATE, "made", "base", name, limit)


def paired(kind: Kind, name: str, limit: float, subject: str = "gain", inconclusive: str = "fail") -> Bound:
    """A bound on a difference: `min_gain`, `max_drop` or `against`."""
    return Bound(kind, "made", subject, name, limit, inconclusive=inconclusive)


def gate(name: str, limit: float, passed: bool | None, reason: str = "", higher_is_better: bool = True) -> Decision:
    """A gate that passed, failed or wasn't checked."""
    verdict: Verdict = "not checked" if passed is None else "passed" if passed else "failed"
    return Decision(mean_gate(name, limit), metric(name, higher_is_better), verdict, "", reason=reason)


def compared(
    bound: Bound, verdict: Verdict, found: Difference | None, reason: str = "", higher_is_better: bool = True
) -> Decision:
    """A bound on a difference with its verdict."""
    return Decision(bound, metric(bound.metric, higher_is_better), verdict, "", found, reason=reason)


def difference(mean: float, low: float, high: float, samples: int, sd: float = 0.1) -> Difference:
    """A mean difference with its 90% interval."""
    return Difference(mean, low, high, samples, confidence=0.95, sd=sd, units=float(samples))


def noticing(bound: Bound, undamaged: float, reached: Mapping[float, float], at_least: bool = True) -> Noticing:
    """A bound with one value in all draws of a share; it fails where the value is beyond it."""

    def decided(value: float) -> Decision:
        verdict: Verdict = "failed" if (value < bound.required if at_least else value > bound.required) else "passed"
        return Decision(bound, metric(bound.metric, at_least), verdict, "", value=value)

    draws = {share: (decided(value),) * 20 for share, value in reached.items()}
    return Noticing(decided(undamaged), draws)


__all__ = [
    "AGAINST",
    "MAX_DROP",
    "MIN_GAIN",
    "SHARES",
    "compared",
    "difference",
    "gate",
    "mean_gate",
    "metric",
    "noticing",
    "paired",
    "slice_gate",
]
