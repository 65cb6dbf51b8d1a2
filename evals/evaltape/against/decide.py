"""The statistics of a change: a paired difference with its interval, and whether it keeps to its bound."""

from collections.abc import Hashable, Sequence

from evaltape.scoring import paired
from evaltape.scoring.metrics import Metric
from evaltape.scoring.paired import Difference
from evaltape.scoring.scores import limits, shown_end

CONFIDENCE = 0.95
"""One-sided, as that of a comparison that names none."""


def difference_of(
    before: Sequence[float], after: Sequence[float], clusters: Sequence[Hashable] | None, metric: Metric
) -> Difference:
    """Return the mean change from `before` to `after`, paired by position; `clusters` has a label for each pair."""
    return paired.difference(before, after, confidence=CONFIDENCE, clusters=clusters, bounds=limits(metric))


def decide(difference: Difference, max_drop: float, metric: Metric) -> tuple[str, str]:
    """Return whether a mean got worse by no more than `max_drop`, and of an inconclusive verdict what would settle it."""
    is_up = metric.higher_is_better
    bound = -max_drop if is_up else max_drop
    verdict = difference.verdict(bound, is_up)
    if verdict != "inconclusive":
        return verdict, ""
    needed = difference.pairs_to_settle(bound, is_up)
    settled = f"about {needed} samples would settle it" if needed else "no number of samples would settle it"
    smallest = difference.smallest_decided()
    decided = "" if smallest is None else f" ({difference.samples} decide what is {smallest:.{metric.decimals}f} off the bound)"
    return verdict, f"{difference.reason(bound, is_up)}; {settled}{decided}"


def interval_of(difference: Difference, decimals: int) -> str:
    """Return `90% interval -0.0411 to -0.0209, 40 samples`."""
    ends = " to ".join(shown_end(end, "+z", decimals) for end in (difference.low, difference.high))
    return f"{difference.label} interval {ends}, {difference.samples} samples"
