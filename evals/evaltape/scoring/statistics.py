"""Means, how exact they are, and their intervals.

Student's t supposes that a mean errs as far to one side as to the other. Scores with a long tail break that: of 20
exponential values, the end on the side of the tail is too near in 11% of cases instead of 5%. Hall's transformation
corrects it by the skewness of the sample. A small sample shows too little skewness, because it seldom holds the tail, so
the sample's is enlarged; and the correction only ever widens an interval, never narrows it. Nothing is resampled, so an
interval depends on its values alone, not on their order.

Clusters (rows that are not independent of each other) count by their sums. The variance estimate is CR2, and the degrees
of freedom are those of the effective number of clusters, which is smaller the more their sizes differ.

Sources: P. Hall, On the removal of skewness by transformation, J. R. Statist. Soc. B 54 (1992), 221-228; X.-H. Zhou and
S. Gao, One-sided confidence intervals for means of positively skewed distributions, The American Statistician 54 (2000),
100-104; R. M. Bell and D. F. McCaffrey, Bias reduction in standard errors for linear regression with multi-stage samples,
Survey Methodology 28 (2002), 169-181; A. V. Carter, K. T. Schnepel and D. G. Steigerwald, Asymptotic behavior of a t-test
robust to cluster heterogeneity, The Review of Economics and Statistics 99 (2017), 698-709.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from decimal import Context, Decimal
from functools import lru_cache

import msgspec

from evaltape.metrics.scorers import UNLIMITED, Limits
from evaltape.scoring import two_valued
from evaltape.scoring.student_t import t_quantile

FEW_CLUSTERS = 40
"""Under so many clusters an interval deserves a note: it is wide, and the less exact the more their sizes differ."""
UNSEEN_SKEWNESS = 10
"""A sample of n exponential values shows n / (n + 10) of their skewness on average, within 5% for n from 10 to 200."""
MOST_WIDENED = 1.5
"""The most that skewness widens either side of a mean's interval. Few values would else often widen it to no use; with this,
the two sides together still miss no more than they should."""
ALIKE = 1e-9
"""Values that differ by less than this share of their size are equal but for rounding."""
EXACT = Context(prec=1500)
"""Adds any two scores without rounding: a float has at most 767 digits, 308 of them before the point."""
ROUNDED = Context(prec=50)
"""Divides with more digits than a float has."""

Ends = tuple[float | None, float | None]
"""The lower and the upper end of an interval; None where the values can't give one."""

UNBOUNDED = (-math.inf, math.inf)


class Interval(msgspec.Struct, frozen=True):
    """A mean with the ends of its two-sided interval.

    An end is None if no number can be given: one value, or equal ones, of a metric without a limit on that side.
    """

    mean: float
    """The mean."""
    low: float | None
    """The lower end of the interval."""
    high: float | None
    """The upper end of the interval."""
    samples: int = 1
    """How many values it is the mean of."""
    clusters: int | None = None
    """How many clusters the values form; None if no clusters were given."""

    @property
    def has_few_clusters(self) -> bool:
        """Whether the interval deserves a note for resting on few clusters."""
        return has_few(self.clusters)


def has_few(clusters: int | None) -> bool:
    """Return whether an interval deserves a note for resting on so many clusters."""
    return clusters is not None and clusters < FEW_CLUSTERS


def interval(
    values: Sequence[float],
    *,
    confidence: float = 0.95,
    clusters: Sequence[Hashable] | None = None,
    limits: Limits = UNLIMITED,
) -> Interval:
    """Return the mean of at least one value with its two-sided interval.

    `clusters` has a label for each value; `limits` are the metric's. Values that are all 0 or 1 get Wilson's interval, if
    there are no clusters and the metric has no other limits.

    Raises `ValueError` for no values, values that are not finite, another number of labels, or a confidence that is not
    between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: it lies between 0 and 1")
    tail = (1 - confidence) / 2
    estimate = estimate_mean(values, clusters)
    if clusters is None and two_valued.holds(values, limits):
        ends: Ends = two_valued.wilson(round(math.fsum(values)), len(values), tail)
    else:
        ends = estimate.ends_unseen(tail, limits) if estimate.is_alike else estimate.ends(tail, MOST_WIDENED)
    low, high = cut(ends, limits)
    return Interval(estimate.mean, low, high, len(values), None if clusters is None else estimate.clusters)


def mean(values: Sequence[float]) -> float:
    """Return the plain mean of the values as they are written in decimals, rounded once: three times 0.7 is 0.7.

    It doesn't depend on the order of the values. Raises `ValueError` for no values and for values that are not finite.
    """
    if not values:
        raise ValueError("a mean takes at least one value")
    total = Decimal(0)
    for value in values:
        total = EXACT.add(total, _written(value))
    if not total.is_finite():
        raise ValueError("a mean takes finite values")
    return float(ROUNDED.divide(total, Decimal(len(values))))


@lru_cache(maxsize=65536)
def _written(value: float) -> Decimal:
    """Return a float as the shortest decimal that stands for it, which is the one that results show."""
    return Decimal(repr(float(value)))


# ---------------------------------------------------------------- what both means and differences rest on


class MeanEstimate(msgspec.Struct, frozen=True):
    """A mean of values or of clusters of values, with what its interval is made of."""

    mean: float
    clusters: int
    """How many; as many as values if no clusters were given."""
    units: float
    """The effective number of independent clusters."""
    error: float
    """The standard error of the mean; 0 if all values are alike, or in a single cluster, which can't tell."""
    skewness: float
    """Of the mean itself, not of the values: the third moment of what each cluster adds to it, over `error` cubed."""

    @property
    def is_alike(self) -> bool:
        """Whether the values show no spread to estimate an error from."""
        return self.error == 0

    def ends(self, tail: float, most_widened: float) -> tuple[float, float]:
        """Return the lower and the upper end that the true mean lies beyond with probability `tail` each.

        Skewness widens either side, to at most `most_widened` times what Student's t gives.
        """
        quantile, skewness = t_quantile(1 - tail, self.units - 1), self.skewness * (1 + UNSEEN_SKEWNESS / self.units)
        if math.isinf(quantile):
            return UNBOUNDED
        below, above = (min(_reach(quantile, sign * skewness), most_widened * quantile) for sign in (1, -1))
        return self.mean - self.error * below, self.mean + self.error * above

    def ends_unseen(self, tail: float, limits: Limits) -> tuple[float, float]:
        """Return the ends where all values are alike, or there is only one.

        Such a sample rules out only what it would have shown with probability `1 - tail`: a share of
        `1 - tail ** (1 / clusters)` of all others may still lie at a limit of the metric.
        """
        share = 1 - tail ** (1 / self.clusters)
        lowest, highest = (end if limit is None else limit for limit, end in zip(limits, UNBOUNDED, strict=True))
        return self.mean + share * (lowest - self.mean), self.mean + share * (highest - self.mean)


def estimate_mean(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, size: float | None = None
) -> MeanEstimate:
    """Return the mean of at least one value; `clusters` has a label for each.

    `size` is how large the numbers are that the values were computed from: a spread that is tiny beside it is rounding.
    Raises as `interval` does.
    """
    average = mean(values)
    deviations = [value - average for value in values]
    sums, sizes = (deviations, [1] * len(values)) if clusters is None else _by_cluster(deviations, clusters)
    shares = [count / len(values) for count in sizes]
    units = len(values) if clusters is None else 1 / math.fsum(share * share for share in shares)
    error, skewness = 0.0, 0.0
    if len(shares) > 1:
        error, skewness = _error(part / math.sqrt(1 - share) for part, share in zip(sums, shares, strict=True))
    error /= len(values)
    if error <= ALIKE * (max(map(abs, values)) if size is None else size):
        error, skewness = 0.0, 0.0
    return MeanEstimate(average, len(shares), units, error, skewness)


def cut(ends: Ends, limits: Limits) -> Ends:
    """Return the ends cut at the metric's limits; one that is infinite even so becomes None."""
    lowest, highest = limits
    low, high = (
        None if end is None else max(end if lowest is None else lowest, min(end if highest is None else highest, end))
        for end in ends
    )
    return tuple(float(end) if end is not None and math.isfinite(end) else None for end in (low, high))  # type: ignore[return-value]


def _by_cluster(deviations: Sequence[float], labels: Sequence[Hashable]) -> tuple[list[float], list[int]]:
    """Return the sum and the size of each cluster."""
    members: dict[Hashable, list[float]] = defaultdict(list)
    for deviation, label in zip(deviations, labels, strict=True):
        members[label].append(deviation)
    return [math.fsum(cluster) for cluster in members.values()], [len(cluster) for cluster in members.values()]


def _error(influences: Iterable[float]) -> tuple[float, float]:
    """Return the standard error and the skewness of a sum from what each cluster adds to its deviation."""
    parts = list(influences)
    largest = max(map(abs, parts), default=0.0)
    if largest == 0:
        return 0.0, 0.0
    scaled = [part / largest for part in parts]  # Squares and cubes of tiny parts would be lost to underflow.
    squares = math.fsum(part * part for part in scaled)
    return largest * math.sqrt(squares), math.fsum(part**3 for part in scaled) / squares**1.5


def _reach(quantile: float, skewness: float) -> float:
    """Return how many standard errors lie below the mean: those of Student's t, or more by Hall's transformation."""
    if abs(skewness) < ALIKE:
        return quantile
    change = skewness * (quantile - skewness / 6)
    # The cube root of 1 + change, less 1, without losing the digits of a small change.
    root = math.expm1(math.log1p(change) / 3) if abs(change) < 0.5 else math.cbrt(1 + change) - 1
    return max(quantile, 3 / skewness * root)
