"""Intervals for scores that are 0 or 1: Wilson's for a share, Tango's for the difference of two paired shares.

Sources: E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Statist. Assoc. 22
(1927), 209-212; T. Tango, Equivalence test and confidence interval for the difference in proportions for the
paired-sample design, Statistics in Medicine 17 (1998), 891-908.
"""

import math
from collections.abc import Iterable

from evaltape.metrics.scorers import UNLIMITED, Limits
from evaltape.scoring.student_t import normal_quantile

HALVINGS = 60


def holds(values: Iterable[float], limits: Limits) -> bool:
    """Return whether all values are 0 or 1, and the metric's limits, if it has any, don't say that others were possible."""
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

    `gains` pairs go from 0 to 1, `losses` from 1 to 0, the others stay.
    """
    return _tango_low(gains, losses, pairs, tail), -_tango_low(losses, gains, pairs, tail)


def pairs_to_pass(bound: float, tail: float) -> int:
    """Return how many pairs, none of them a gain or a loss, bring Tango's lower end up to a negative `bound`."""
    z = normal_quantile(1 - tail)
    return math.ceil(z * z * (1 + bound) / -bound)


def _tango_low(gains: int, losses: int, pairs: int, tail: float) -> float:
    """Return the difference at which the score statistic, which falls as the difference grows, is the normal quantile."""
    z, low, high = normal_quantile(1 - tail), -1.0, (gains - losses) / pairs
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _score(gains, losses, pairs, middle) > z:
            low = middle
        else:
            high = middle
    return low


def _score(gains: int, losses: int, pairs: int, difference: float) -> float:
    """Return Tango's statistic: how far the counts lie from a difference, in standard errors under it."""
    # The most likely share of losses if the difference were this one is the root of a quadratic equation.
    half = gains + losses - (2 * pairs - gains + losses) * difference
    rest = 8 * pairs * losses * difference * (1 - difference)
    share = (half + math.sqrt(max(0.0, half * half + rest))) / (4 * pairs)
    variance = pairs * (2 * share + difference * (1 - difference))
    distance = gains - losses - pairs * difference
    if variance <= 0:
        return math.inf if distance > 0 else 0.0
    return distance / math.sqrt(variance)
