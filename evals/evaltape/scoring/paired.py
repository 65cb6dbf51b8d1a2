"""Paired comparisons: the mean difference of two models on the samples that both answered, and the verdict on a bound.

`confidence` is one-sided: the true difference lies beyond each end with probability `1 - confidence`. A comparison passes if
the end on its side reaches the bound, so it passes wrongly that often. Shown as an interval, both ends together have the
confidence `2 * confidence - 1`: with 0.95 it is the 90% interval, as `label` says.

A comparison decides a true difference with a power of 80% if it comes to a verdict in 80% of all samples of that size.
The formulas are of the one-sided t-test, with two pairs given up for the correction of skewness; simulated, they hold within
three points from 10 pairs on for normal differences. Skewed differences take more pairs: docs/statistics.md.
"""

import math
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from evaltape.metrics.scorers import UNLIMITED, Limits, span_of
from evaltape.scoring.statistics import Interval, are_two_valued, cut, estimate_mean, pairs_to_pass, tango
from evaltape.scoring.student_t import normal_quantile, t_quantile
from evaltape.text import counted

LEAST_PAIRS = 10
"""No comparison passes on fewer pairs, or clusters of pairs."""
LEAST_ALIKE_PAIRS = 50
"""No comparison passes on fewer pairs if all their differences are equal: a share of 5% that loses may be unseen."""
MOST_WIDENED = 3.0
"""The most that skewness widens either side: more than for a mean's interval, because each side has to be right by itself."""
ROUNDING = 1e-12
POWER = 0.8
"""The usual power: in 20% of cases a comparison of that size stays inconclusive."""
GUESSED_SD = 0.14
"""A guess of the standard deviation of paired differences without a recording, in shares of the metric's range.

It is measured: ROUGE-L of the shipped recordings of a model before and after fine-tuning (ROUGE-1: 0.163, ROUGE-2: 0.117).
Answers of a model to two prompts differ less.
"""
GUESSED_TWO_VALUED_SD = 0.45
"""The same of scores that are 0 or 1, if a fifth of them changes."""
MOST_PAIRS = 10_000_000
"""Beyond, the answer is that no number of samples helps."""
ROUNDED_CLUSTERS = 1e-9
"""By this the effective number of equal clusters may be under their number, by rounding."""
GIVEN_UP = 2
"""Pairs that the correction of skewness costs."""

Verdict = Literal["passed", "failed", "inconclusive"]


class Difference(Interval, frozen=True, kw_only=True):
    """A mean difference, candidate less baseline, with a one-sided bound on either side.

    An end is None where it is unknown: for a single pair.
    """

    confidence: float
    """Of each end by itself."""
    sd: float = 0.0
    """The standard deviation of a pair's difference; with clusters, of as many independent pairs of equal worth."""
    units: float = 0.0
    """The effective number of independent clusters, or of pairs."""
    is_alike: bool = False
    """Whether all differences are equal (or, with clusters, their means)."""
    is_two_valued: bool = False
    """Whether all scores are 0 or 1, and no clusters were given."""
    span: float | None = None
    """The largest difference that the metric's limits allow; None if it is unlimited."""
    reach: float = 0.0
    """The largest difference that an unseen pair may have: `span`, or of an unlimited metric that of any two scores."""

    @property
    def label(self) -> str:
        """The two-sided confidence of the interval from `low` to `high`, such as "90%"."""
        return two_sided(self.confidence)

    def verdict(self, bound: float, higher_is_better: bool = True) -> Verdict:
        """Return whether the true difference reaches `bound`: at least that if higher is better, else at most that.

        A `max_drop` of 0.02 is the bound -0.02 if higher is better, and 0.02 if lower is.
        """
        return self.decided(bound)[0] if higher_is_better else self.mirrored().decided(-bound)[0]

    def gain(self, higher_is_better: bool) -> "Difference":
        """Return the difference as a gain: mirrored if lower is better."""
        return self if higher_is_better else self.mirrored()

    def mirrored(self) -> "Difference":
        """Return the difference of baseline less candidate."""
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return msgspec.structs.replace(self, mean=-self.mean, low=low, high=high)

    def decided(self, bound: float) -> tuple[Verdict, str]:
        """Return whether a gain reaches a bound, and why that is inconclusive; empty if it isn't."""
        if self.high is not None and self.high < bound - ROUNDING:
            return "failed", ""
        count, pair = (self.samples, "pair") if self.clusters is None else (self.clusters, "cluster")
        if count < LEAST_PAIRS:
            return "inconclusive", f"{counted(count, pair)}: it takes {LEAST_PAIRS} to pass"
        is_met_by_any = self.span is not None and bound <= -self.span
        if self.is_alike and count < LEAST_ALIKE_PAIRS and not is_met_by_any:
            return "inconclusive", f"all differences are equal: it takes {LEAST_ALIKE_PAIRS} {pair}s to pass"
        if self.low is not None and self.low >= bound - ROUNDING:
            return "passed", ""
        return "inconclusive", "the interval straddles the bound"

    def pairs_to_settle(self, bound: float) -> int | None:
        """Return about how many pairs would decide a bound on a gain in 80% of cases, if the true gain is the mean found here.

        None if no number would: the mean lies on the bound.
        """
        per_cluster = self._pairs_per_cluster
        if self.is_alike:
            alike = self._alike_needed(bound)
            needed = alike and math.ceil(max(LEAST_ALIKE_PAIRS, alike) * per_cluster)
        else:
            distance = abs(self.mean - bound)
            needed = pairs_needed(self.sd, distance, confidence=self.confidence, pairs_per_cluster=per_cluster)
        return needed and max(self.samples + 1, needed)

    def smallest_decided(self) -> float | None:
        """Return the distance from a bound at which this many pairs decide a true difference in 80% of cases.

        None for too few pairs to decide any, and for differences without spread.
        """
        if self.is_alike:
            return None
        return smallest_difference(self.sd, self.samples, confidence=self.confidence, pairs_per_cluster=self._pairs_per_cluster)

    def _alike_needed(self, bound: float) -> int | None:
        """Return how many equal differences reach a bound; None if no number does."""
        spare = self.mean - bound
        if spare <= 0:
            return None
        if self.is_two_valued:
            return pairs_to_pass(bound, 1 - self.confidence) if self.mean == 0 else 1
        worst = self.mean + self.reach  # An unseen pair may lie so far under the mean.
        # So many pairs leave room for so few unseen ones that their mean stays on its side of the bound.
        return 1 if spare >= worst else math.ceil(math.log(1 - self.confidence) / math.log1p(-spare / worst))

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
    is_two_valued = clusters is None and are_two_valued(scores, limits)
    span = 1.0 if is_two_valued else span_of(limits)
    reach = max(scores) - min(scores) if span is None else span
    low, high = estimate.ends(1 - confidence, MOST_WIDENED, (-reach, reach))
    if is_two_valued:  # Tango's interval alone passes up to 9% wrongly if few pairs differ: the wider end counts.
        lower, higher = tango(changes.count(1), changes.count(-1), len(changes), 1 - confidence)
        low, high = (lower, higher) if estimate.is_alike else (min(low, lower), max(high, higher))
    return Difference(
        estimate.mean,
        *cut((low, high), UNLIMITED if span is None else (-span, span)),
        samples=len(changes),
        confidence=confidence,
        clusters=None if clusters is None else estimate.clusters,
        sd=estimate.error * math.sqrt(len(changes)),
        units=estimate.units,
        is_alike=estimate.is_alike,
        is_two_valued=is_two_valued,
        span=span,
        reach=reach,
    )


def two_sided(confidence: float) -> str:
    """Return the two-sided confidence of an interval between two one-sided bounds in percent: "90%" for 0.95."""
    percent = 100 * (2 * Decimal(str(confidence)) - 1)
    return f"{percent.normalize():f}%"


def smallest_difference(sd: float, pairs: int, *, confidence: float = 0.95, pairs_per_cluster: float = 1.0) -> float | None:
    """Return the distance from a bound at which a true difference is decided; None for too few pairs to decide any.

    `sd` is the standard deviation of the pairs' differences, with clusters `Difference.sd`, and `confidence` one-sided.
    `pairs_per_cluster` goes by the effective number of clusters.
    """
    clusters = pairs / pairs_per_cluster
    if clusters < LEAST_PAIRS - ROUNDED_CLUSTERS:
        return None
    quantiles = t_quantile(confidence, clusters - 1) + t_quantile(POWER, clusters - 1)
    return quantiles * sd / math.sqrt(pairs * (1 - GIVEN_UP / clusters))


def pairs_needed(sd: float, distance: float, *, confidence: float = 0.95, pairs_per_cluster: float = 1.0) -> int | None:
    """Return how many pairs decide a true difference that lies `distance` off the bound; None if no number does.

    Where no difference is expected, `distance` is the `max_drop` itself.
    """
    least = math.ceil(LEAST_PAIRS * pairs_per_cluster)
    if distance <= 0:
        return None

    def decide(pairs: int) -> bool:
        smallest = smallest_difference(sd, pairs, confidence=confidence, pairs_per_cluster=pairs_per_cluster)
        return smallest is not None and smallest <= distance

    rough = ((normal_quantile(confidence) + normal_quantile(POWER)) * sd / distance) ** 2
    if rough > MOST_PAIRS:
        return None
    most = max(least, 2 * math.ceil(rough))
    while not decide(most):
        most *= 2
    return bisect_left(range(most + 1), True, lo=least, key=decide)
