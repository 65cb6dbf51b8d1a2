"""Quantiles of the normal and of Student's t distribution, without importing a numerical library.

Degrees of freedom need not be whole numbers. Results agree with scipy's to at least nine digits.
"""

import math
from functools import lru_cache
from statistics import NormalDist

LEAST_FREEDOM = 0.05
"""Under so few degrees of freedom quantiles are taken to be infinite: that of 97.5% is over 10 to the 25th already."""
NORMAL_FROM = 1e6
"""Degrees of freedom from which t is taken to be normal: the quantiles differ by less than 0.001%."""
MOST_STEPS = 500
TINY = 1e-300


def normal_quantile(share: float) -> float:
    """Return the value that a standard normal variable stays under with probability `share`, from 0 to 1."""
    return NormalDist().inv_cdf(share)


@lru_cache(maxsize=4096)
def t_quantile(share: float, freedom: float) -> float:
    """Return the value that Student's t stays under with probability `share`, of at least 0.5.

    It is infinite for (next to) no degrees of freedom.
    """
    if share == 0.5:
        return 0.0
    if freedom < LEAST_FREEDOM:
        return math.inf
    value, tail = normal_quantile(share), 1 - share
    if freedom >= NORMAL_FROM:
        return value
    # The upper tail is convex, so Newton's method climbs from the normal quantile, which is lower, and never passes.
    for _ in range(MOST_STEPS):
        step = (upper_tail(value, freedom) - tail) / _density(value, freedom)
        value += step
        if step <= 1e-13 * value:
            break
    return value


def upper_tail(value: float, freedom: float) -> float:
    """Return the probability that Student's t is over `value`."""
    if value < 0:
        return 1 - upper_tail(-value, freedom)
    squared = value * value
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + squared), squared / (freedom + squared)) / 2


def _density(value: float, freedom: float) -> float:
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    return max(TINY, math.exp(scale - (freedom + 1) / 2 * math.log1p(value * value / freedom)))


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """Return the regularised incomplete beta function; `rest` is 1 - x, given apart so that no digits are lost.

    Source: the continued fraction of the NIST Handbook of Mathematical Functions, 8.17.22, by Lentz's method.
    """
    if x <= 0 or rest <= 0:
        return float(x > 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, rest, x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    return math.exp(front) / a * _continued_fraction(a, b, x)


def _continued_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _not_zero(number: float) -> float:
    return number if abs(number) > TINY else TINY
