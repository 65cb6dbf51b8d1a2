"""Means, how exact they are, and their intervals.

Student's t supposes that a mean errs equally far to both sides. Scores with a long tail break that: of 20 exponential
values, the end on the side of the tail is too near in 11% of cases instead of 5%. Hall's transformation corrects the
interval by the skewness of the sample. A small sample seldom holds the tail and shows too little skewness, so its skewness
is enlarged first. The correction widens an interval, and never narrows it. Nothing is resampled: an interval depends on its
values, not on their order.

Clusters (rows that are not independent of each other) count by their sums. The variance estimate is CR2. Degrees of freedom
follow from the effective number of clusters, which is smaller the more their sizes differ.

Scores that are 0 or 1 have intervals of their own: Wilson's for a share, Tango's for the difference of two paired shares.

Sources: P. Hall, On the removal of skewness by transformation, J. R. Statist. Soc. B 54 (1992), 221-228; X.-H. Zhou and
S. Gao, One-sided confidence intervals for means of positively skewed distributions, The American Statistician 54 (2000),
100-104; R. M. Bell and D. F. McCaffrey, Bias reduction in standard errors for linear regression with multi-stage samples,
Survey Methodology 28 (2002), 169-181; A. V. Carter, K. T. Schnepel and D. G. Steigerwald, Asymptotic behavior of a t-test
robust to cluster heterogeneity, The Review of Economics and Statistics 99 (2017), 698-709; E. B. Wilson, Probable inference,
the law of succession, and statistical inference, J. Am. Statist. Assoc. 22 (1927), 209-212; T. Tango, Equivalence test and
confidence interval for the difference in proportions for the paired-sample design, Statistics in Medicine 17 (1998), 891-908.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from decimal import Context, Decimal
from functools import lru_cache

import msgspec

from evaltape.metrics.scorers import UNLIMITED, Limits
from evaltape.scoring.student_t import normal_quantile, t_quantile

FEW_CLUSTERS = 40
"""With fewer clusters an interval gets a note: it is wide, and less exact the more their sizes differ."""
UNSEEN_SKEWNESS = 10
"""A sample of n exponential values shows n / (n + 10) of their skewness on average, within 5% for n from 10 to 200."""
MOST_WIDENED = 1.5
"""The most that skewness widens either side of a mean's interval. Without a limit a few values would often make it useless;
with this limit both sides together still miss no more than they should."""
ALIKE = 1e-9
"""Values that differ by less than this share of their size differ by rounding alone."""
HALVINGS = 60
"""Of the search for Tango's ends."""
EXACT = Context(prec=1500)
"""Adds any two scores without rounding: a float has at most 767 digits, 308 of them before the point."""
ROUNDED = Context(prec=50)
"""Divides with more digits than a float has."""


class Interval(msgspec.Struct, frozen=True):
    """A mean with the ends of its two-sided interval.

    An end is None where it is unknown: for a single value, or equal values, of a metric without a limit on that side.
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


def has_few(clusters: int | None) -> bool:
    """Return whether an interval gets a note, because it rests on few clusters."""
    return clusters is not None and clusters < FEW_CLUSTERS


def interval(
    values: Sequence[float],
    *,
    confidence: float = 0.95,
    clusters: Sequence[Hashable] | None = None,
    limits: Limits = UNLIMITED,
) -> Interval:
    """Return the mean of some values with its two-sided interval.

    `clusters` has a label for each value; `limits` are the metric's. Values that are all 0 or 1 get Wilson's interval, if
    there are no clusters and the metric has no other limits.

    Raises `ValueError` for no values, values that are not finite, another number of labels, or a confidence that is not
    between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: it lies between 0 and 1")
    tail = (1 - confidence) / 2
    estimate = estimate_mean(values, clusters)
    if clusters is None and are_two_valued(values, limits):
        ends = wilson(round(math.fsum(values)), len(values), tail)
    else:
        ends = estimate.ends(tail, MOST_WIDENED, limits)
    return Interval(estimate.mean, *cut(ends, limits), len(values), None if clusters is None else estimate.clusters)


def mean(values: Sequence[float]) -> float:
    """Return the mean of the values as decimals, rounded once: the mean of three times 0.7 is 0.7.

    The order of the values doesn't matter. Raises `ValueError` for no values, and for values that are not finite.
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
    """Return a float as the shortest decimal that stands for it: results show the same."""
    return Decimal(repr(float(value)))


class MeanEstimate(msgspec.Struct, frozen=True):
    """A mean of values or of clusters of values, with the parts of its interval."""

    mean: float
    clusters: int
    """How many there are; the number of values if no clusters were given."""
    units: float
    """The effective number of independent clusters."""
    error: float
    """The standard error of the mean; 0 if all values are alike, or in a single cluster."""
    skewness: float
    """Of the mean, not of the values: the third moment of the clusters' contributions to it, over `error` cubed."""

    @property
    def is_alike(self) -> bool:
        """Whether the values show no spread to estimate an error from."""
        return self.error == 0

    def ends(self, tail: float, most_widened: float, limits: Limits) -> tuple[float, float]:
        """Return the lower and the upper end that the true mean lies beyond with probability `tail` each.

        Skewness widens either side to at most `most_widened` times the width by Student's t. `limits` are the metric's: they
        give the ends of equal values.
        """
        if self.is_alike:
            return self._ends_unseen(tail, limits)
        quantile, skewness = t_quantile(1 - tail, self.units - 1), self.skewness * (1 + UNSEEN_SKEWNESS / self.units)
        if math.isinf(quantile):
            return -math.inf, math.inf
        below, above = (min(_reach(quantile, sign * skewness), most_widened * quantile) for sign in (1, -1))
        return self.mean - self.error * below, self.mean + self.error * above

    def _ends_unseen(self, tail: float, limits: Limits) -> tuple[float, float]:
        """Return the ends for equal values, or for a single value.

        A share of `1 - tail ** (1 / clusters)` of all other values may still lie at a limit of the metric: such a sample
        misses a smaller share with a probability over `tail`.
        """
        share = 1 - tail ** (1 / self.clusters)
        lowest, highest = _known(limits)
        return self.mean + share * (lowest - self.mean), self.mean + share * (highest - self.mean)


def estimate_mean(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, size: float | None = None
) -> MeanEstimate:
    """Return the mean of some values with its error; `clusters` has a label for each value.

    `size` is the size of the numbers behind the values: a spread that is tiny beside it is rounding. Raises as `interval`.
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


def cut(ends: tuple[float, float], limits: Limits) -> tuple[float | None, float | None]:
    """Return the ends cut at the metric's limits; an end that stays infinite becomes None."""
    lowest, highest = _known(limits)
    low, high = (max(lowest, min(highest, end)) for end in ends)
    return low if math.isfinite(low) else None, high if math.isfinite(high) else None


def _known(limits: Limits) -> tuple[float, float]:
    """Return the limits as numbers, infinite where there is none."""
    low, high = limits
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)


def _by_cluster(deviations: Sequence[float], labels: Sequence[Hashable]) -> tuple[list[float], list[int]]:
    """Return the sum and the size of each cluster."""
    members: dict[Hashable, list[float]] = defaultdict(list)
    for deviation, label in zip(deviations, labels, strict=True):
        members[label].append(deviation)
    return [math.fsum(cluster) for cluster in members.values()], [len(cluster) for cluster in members.values()]


def _error(influences: Iterable[float]) -> tuple[float, float]:
    """Return the standard error and the skewness of a sum from the clusters' contributions to its deviation."""
    parts = list(influences)
    largest = max(map(abs, parts), default=0.0)
    if largest == 0:
        return 0.0, 0.0
    scaled = [part / largest for part in parts]  # Squares and cubes of tiny parts would be lost to underflow.
    squares = math.fsum(part * part for part in scaled)
    return largest * math.sqrt(squares), math.fsum(part**3 for part in scaled) / squares**1.5


def _reach(quantile: float, skewness: float) -> float:
    """Return how many standard errors the interval reaches below the mean: by Student's t, or farther by Hall's way."""
    if abs(skewness) < ALIKE:
        return quantile
    change = skewness * (quantile - skewness / 6)
    # The cube root of 1 + change, less 1, without losing the digits of a small change.
    root = math.expm1(math.log1p(change) / 3) if abs(change) < 0.5 else math.cbrt(1 + change) - 1
    return max(quantile, 3 / skewness * root)


def are_two_valued(values: Iterable[float], limits: Limits) -> bool:
    """Return whether all values are 0 or 1, and the metric has no limits, or these."""
    return limits in (UNLIMITED, (0, 1)) and all(value in (0, 1) for value in values)


def wilson(ones: int, samples: int, tail: float) -> tuple[float, float]:
    """Return the ends that the true share of ones lies beyond with probability `tail` each."""
    z = normal_quantile(1 - tail)
    middle = ones + z * z / 2
    reach = z * math.sqrt(ones * (samples - ones) / samples + z * z / 4)
    low, high = (middle - reach) / (samples + z * z), (middle + reach) / (samples + z * z)
    return low if ones else 0.0, high if ones < samples else 1.0


def tango(gains: int, losses: int, pairs: int, tail: float) -> tuple[float, float]:
    """Return the ends for the difference of two paired shares, in -1..1.

    `gains` pairs go from 0 to 1, `losses` pairs from 1 to 0, the others stay.
    """
    return _tango_low(gains, losses, pairs, tail), -_tango_low(losses, gains, pairs, tail)


def pairs_to_pass(bound: float, tail: float) -> int:
    """Return how many pairs without a gain or a loss bring Tango's lower end up to a negative `bound`."""
    z = normal_quantile(1 - tail)
    return math.ceil(z * z * (1 + bound) / -bound)


def _tango_low(gains: int, losses: int, pairs: int, tail: float) -> float:
    """Return the difference at which the score statistic is the normal quantile; the statistic falls as differences grow."""
    z, low, high = normal_quantile(1 - tail), -1.0, (gains - losses) / pairs
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _score(gains, losses, pairs, middle) > z:
            low = middle
        else:
            high = middle
    return low


def _score(gains: int, losses: int, pairs: int, difference: float) -> float:
    """Return Tango's statistic: the distance of the counts from a difference, in standard errors under it."""
    # The likeliest share of losses under this difference is the root of a quadratic equation.
    half = gains + losses - (2 * pairs - gains + losses) * difference
    rest = 8 * pairs * losses * difference * (1 - difference)
    share = (half + math.sqrt(max(0.0, half * half + rest))) / (4 * pairs)
    variance = pairs * (2 * share + difference * (1 - difference))
    distance = gains - losses - pairs * difference
    if variance <= 0:
        return math.inf if distance > 0 else 0.0
    return distance / math.sqrt(variance)
