"""Paired comparisons: the mean difference of two models on the samples that both answered, and the verdict on a bound.

`confidence` is one-sided: each end is a bound that the true difference lies beyond with probability `1 - confidence`. A
comparison passes if the end on its side reaches the bound, so it passes wrongly that often. Shown as an interval, the two
ends are that of `2 * confidence - 1`: with 0.95 the 90% interval, which `label` says.
"""

import math
from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from evaltape.metrics.scorers import UNLIMITED, Limits, span_of
from evaltape.scoring import power, two_valued
from evaltape.scoring.statistics import MeanEstimate, cut, estimate_mean, has_few

LEAST_PAIRS = power.LEAST_PAIRS
LEAST_ALIKE_PAIRS = 50
"""No comparison passes on fewer pairs if all their differences are equal: a share of 5% that loses may be unseen."""
MOST_WIDENED = 3.0
"""The most that skewness widens either side: more than of a mean's interval, for each side has to be right by itself."""
ROUNDING = 1e-12

Verdict = Literal["passed", "failed", "inconclusive"]


class Difference(msgspec.Struct, frozen=True):
    """A mean difference, candidate less baseline, with a one-sided bound on either side.

    An end is None if no number can be given: a single pair.
    """

    mean: float
    """The mean of all differences."""
    low: float | None
    """The lower end of the interval."""
    high: float | None
    """The upper end of the interval."""
    samples: int
    """How many pairs."""
    confidence: float
    """One-sided, of each end."""
    clusters: int | None = None
    """How many clusters the pairs form; None if no clusters were given."""
    sd: float = 0.0
    """The standard deviation of a pair's difference; with clusters, that of as many independent pairs of equal worth."""
    units: float = 0.0
    """The effective number of independent clusters, or of pairs."""
    is_alike: bool = False
    """Whether all differences are equal (or, with clusters, their means)."""
    is_two_valued: bool = False
    """Whether all scores are 0 or 1, and no clusters were given."""
    span: float | None = None
    """The largest difference that the metric's limits allow; None if it is unlimited."""
    seen: float = 0.0
    """The largest difference of any two scores: it stands for `span` where that is unlimited."""

    @property
    def label(self) -> str:
        """Return the two-sided confidence of the interval from `low` to `high`, such as "90%"."""
        return two_sided(self.confidence)

    @property
    def has_few_clusters(self) -> bool:
        """Whether the interval deserves a note for resting on few clusters."""
        return has_few(self.clusters)

    def verdict(self, bound: float, higher_is_better: bool = True) -> Verdict:
        """Return whether the true difference reaches `bound`: at least that if higher is better, else at most that.

        A `max_drop` of 0.02 is the bound -0.02 if higher is better, and 0.02 if lower is.
        """
        return self.decided(bound, higher_is_better)[0]

    def pairs_to_settle(self, bound: float, higher_is_better: bool = True) -> int | None:
        """Return about how many pairs would decide, if the true difference is the mean found here, in 80% of cases.

        None if no number would: the mean lies on the bound.
        """
        if not higher_is_better:
            return self.mirrored().pairs_to_settle(-bound)
        if not self.is_alike:
            needed = power.pairs_needed(
                self.sd,
                abs(self.mean - bound),
                confidence=self.confidence,
                pairs_per_cluster=self._pairs_per_cluster,
            )
            return None if needed is None else max(self.samples + 1, needed)
        needed = self._alike_needed(bound)
        return needed and max(self.samples + 1, math.ceil(max(LEAST_ALIKE_PAIRS, needed) * self._pairs_per_cluster))

    def smallest_decided(self) -> float | None:
        """Return how far off a bound a true difference is decided with this many pairs in 80% of cases.

        None for too few pairs to decide any, and where their differences show no spread.
        """
        if self.is_alike:
            return None
        return power.smallest_difference(
            self.sd, self.samples, confidence=self.confidence, pairs_per_cluster=self._pairs_per_cluster
        )

    def mirrored(self) -> "Difference":
        """Return the difference of baseline less candidate."""
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return msgspec.structs.replace(self, mean=-self.mean, low=low, high=high)

    @property
    def reach(self) -> float:
        """The largest difference that an unseen pair is taken to have."""
        return self.seen if self.span is None else self.span

    def decided(self, bound: float, higher_is_better: bool = True) -> tuple[Verdict, str]:
        """Return the verdict, and why it is inconclusive; empty if it isn't."""
        if not higher_is_better:
            return self.mirrored().decided(-bound)
        if self.high is not None and self.high < bound - ROUNDING:
            return "failed", ""
        counted = self.samples if self.clusters is None else self.clusters
        pair = "pair" if self.clusters is None else "cluster"
        if counted < LEAST_PAIRS:
            return "inconclusive", f"{counted} {pair}{'s' * (counted != 1)}: it takes {LEAST_PAIRS} to pass"
        is_met_by_any = self.span is not None and bound <= -self.span
        if self.is_alike and counted < LEAST_ALIKE_PAIRS and not is_met_by_any:
            return "inconclusive", f"all differences are equal: it takes {LEAST_ALIKE_PAIRS} {pair}s to pass"
        if self.low is not None and self.low >= bound - ROUNDING:
            return "passed", ""
        return "inconclusive", "the interval straddles the bound"

    def _alike_needed(self, bound: float) -> int | None:
        """Return how many equal differences reach a bound; None if no number does."""
        if self.mean <= bound:
            return None
        if self.is_two_valued:
            return two_valued.pairs_to_pass(bound, 1 - self.confidence) if self.mean == 0 else 1
        return power.alike_needed(self.mean - bound, self.mean + self.reach, self.confidence)

    @property
    def _pairs_per_cluster(self) -> float:
        return self.samples / self.units if self.units else 1.0


def difference(
    baseline: Sequence[float],
    candidate: Sequence[float],
    *,
    confidence: float = 0.95,
    clusters: Sequence[Hashable] | None = None,
    limits: Limits = UNLIMITED,
) -> Difference:
    """Return the mean of candidate less baseline, paired by position, with a one-sided bound on either side.

    `clusters` has a label for each pair; `limits` are the metric's. Raises `ValueError` for no pairs, scores that are not
    finite, sides or labels of different number, or a confidence that is not from 0.5 to under 1.
    """
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence is {confidence}: a one-sided one is from 0.5 to under 1")
    changes = [after - before for before, after in zip(baseline, candidate, strict=True)]
    scores = [*baseline, *candidate]
    estimate = estimate_mean(changes, clusters, max(map(abs, scores), default=0.0))
    is_two_valued = clusters is None and two_valued.holds(scores, limits)
    span, seen = (1.0 if is_two_valued else span_of(limits)), max(scores) - min(scores)
    low, high = _ends(changes, estimate, 1 - confidence, seen if span is None else span, is_two_valued)
    low, high = cut((low, high), UNLIMITED if span is None else (-span, span))
    return Difference(
        estimate.mean,
        low,
        high,
        samples=len(changes),
        confidence=confidence,
        clusters=None if clusters is None else estimate.clusters,
        sd=estimate.error * math.sqrt(len(changes)),
        units=estimate.units,
        is_alike=estimate.is_alike,
        is_two_valued=is_two_valued,
        span=span,
        seen=seen,
    )


def two_sided(confidence: float) -> str:
    """Return in percent the two-sided confidence of an interval whose ends are one-sided bounds: "90%" for 0.95."""
    percent = 100 * (2 * Decimal(str(confidence)) - 1)
    return f"{percent.normalize():f}%"


def _ends(
    changes: Sequence[float], estimate: MeanEstimate, tail: float, reach: float, is_two_valued: bool
) -> tuple[float | None, float | None]:
    """Return the ends of a mean of changes, of scores that are 0 or 1 the wider of Tango's and those of a mean.

    Tango's alone pass up to 9% wrongly if few pairs differ.
    """
    if not is_two_valued:
        return estimate.ends_unseen(tail, (-reach, reach)) if estimate.is_alike else estimate.ends(tail, MOST_WIDENED)
    low, high = two_valued.tango(changes.count(1), changes.count(-1), len(changes), tail)
    if not estimate.is_alike:
        lower, higher = estimate.ends(tail, MOST_WIDENED)
        low, high = min(low, lower), max(high, higher)
    return low, high
