"""Means, intervals and verdicts as docs/statistics.md states them, from its sources: slow and plain."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist

Limits = tuple[float | None, float | None]
Ends = tuple[float | None, float | None]
NEAR = 2e-6
"""Numbers that are closer than this, beside 1, are the same: the formulas here round otherwise than the package's."""


def exact_mean(scores: Sequence[float]) -> float:
    """The mean of scores as they are written, rounded once."""
    return float(sum((Fraction(Decimal(repr(score))) for score in scores), Fraction(0)) / len(scores))


def are_near(one: float | None, other: float | None) -> bool:
    """Whether two numbers are the same but for rounding."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=NEAR, abs_tol=NEAR)


# ---------------------------------------------------------------- intervals


def mean_interval(scores: Sequence[float], clusters: Sequence[str] | None, limits: Limits) -> Ends:
    """The two-sided 95% interval of a mean."""
    if clusters is None and limits in ((None, None), (0.0, 1.0)) and set(scores) <= {0, 1}:
        return wilson(int(sum(scores)), len(scores))
    return _cut(_ends(scores, clusters, 0.025, limits, widest=1.5), limits)


@dataclass(frozen=True)
class Change:
    """A paired difference with the ends of its interval."""

    mean: float
    low: float | None
    high: float | None
    pairs: int
    counted: int
    """Pairs, or clusters where there are any."""
    is_alike: bool
    span: float | None


def change(
    before: Sequence[float], after: Sequence[float], clusters: Sequence[str] | None, limits: Limits, confidence: float
) -> Change:
    """The mean of after less before with its one-sided ends."""
    changes = [now - then for then, now in zip(before, after, strict=True)]
    tail = 1 - confidence
    is_binary = clusters is None and limits in ((None, None), (0.0, 1.0)) and {*before, *after} <= {0, 1}
    span = 1.0 if is_binary else None if None in limits else float(limits[1]) - float(limits[0])  # type: ignore[arg-type]
    reach = max(*before, *after) - min(*before, *after) if span is None else span
    alike = _are_alike(changes, clusters, max(map(abs, (*before, *after))))
    if alike and not is_binary:
        low, high = _unseen(changes, _count(changes, clusters), tail, (-reach, reach))
    elif alike:
        low, high = tango(changes, tail)
    else:
        low, high = _ends(changes, clusters, tail, (None, None), widest=3.0)
        if is_binary and low is not None and high is not None:
            lower, higher = tango(changes, tail)
            low, high = min(low, lower), max(high, higher)
    low, high = _cut((low, high), (None, None) if span is None else (-span, span))
    return Change(exact_mean(changes), low, high, len(changes), _count(changes, clusters), alike, span)


def verdicts(found: Change, least: float, higher: bool) -> set[str]:
    """The verdict on a difference; two where it hangs on the rounding of an end."""
    low, high, bound = (found.low, found.high, least) if higher else (_minus(found.high), _minus(found.low), -least)
    certain, possible = _is_under(high, bound)
    if certain:
        return {"failed"}
    reached = {"inconclusive"}
    met_by_any = found.span is not None and bound <= -found.span
    if found.counted >= 10 and not (found.is_alike and found.counted < 50 and not met_by_any):
        under, perhaps = _is_under(low, bound)
        reached = {"inconclusive"} if under or low is None else {"passed", "inconclusive"} if perhaps else {"passed"}
    return reached | ({"failed"} if possible else set())


def _is_under(end: float | None, bound: float) -> tuple[bool, bool]:
    """Whether an end is surely under a bound, and whether it may be by rounding."""
    if end is None:
        return False, False
    if end == bound:  # Met exactly: nothing rounds.
        return False, False
    return end < bound - 1e-9, abs(end - bound) <= 1e-9


def _minus(end: float | None) -> float | None:
    return None if end is None else -end


# ---------------------------------------------------------------- formulas


def wilson(ones: int, samples: int) -> Ends:
    """Wilson's interval of a share, from his quadratic: (p - share)^2 = z^2 p (1 - p) / n."""
    z = NormalDist().inv_cdf(0.975)
    a, b, c = 1 + z * z / samples, -(2 * ones / samples + z * z / samples), (ones / samples) ** 2
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return max(0.0, (-b - root) / (2 * a)), min(1.0, (-b + root) / (2 * a))


def tango(changes: Sequence[float], tail: float) -> tuple[float, float]:
    """Tango's interval: where the score statistic is the normal quantile; the likelihood is maximised by bisection."""
    gains, losses, pairs = changes.count(1), changes.count(-1), len(changes)
    return _tango_low(gains, losses, pairs, tail), -_tango_low(losses, gains, pairs, tail)


def _tango_low(gains: int, losses: int, pairs: int, tail: float) -> float:
    z = NormalDist().inv_cdf(1 - tail)
    return _bisect(lambda shift: _statistic(gains, losses, pairs, shift) > z, -1.0, (gains - losses) / pairs)


def _statistic(gains: int, losses: int, pairs: int, shift: float) -> float:
    """How far the counts are over a true difference, in standard errors under it; share of losses by maximum likelihood."""
    stay = pairs - gains - losses

    def slope(loss: float) -> float:
        gain, rest = loss + shift, 1 - 2 * loss - shift
        parts = ((gains, gain, 1), (losses, loss, 1), (stay, rest, -2))
        return sum(sign * count / max(share, 1e-300) for count, share, sign in parts if count)

    loss = _bisect(lambda share: slope(share) > 0, max(0.0, -shift), (1 - shift) / 2)
    variance = pairs * (2 * loss + shift - shift * shift)
    distance = gains - losses - pairs * shift
    return distance / math.sqrt(variance) if variance > 1e-18 else math.inf if distance > 0 else 0.0


def _bisect(is_under: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(70):
        middle = (low + high) / 2
        low, high = (middle, high) if is_under(middle) else (low, middle)
    return low


def _ends(values: Sequence[float], clusters: Sequence[str] | None, tail: float, limits: Limits, widest: float) -> Ends:
    """Student's t on the CR2 variance of a mean, each side widened by Hall's transformation, never narrowed."""
    if _are_alike(values, clusters, max(map(abs, values))):
        return _unseen(values, _count(values, clusters), tail, limits)
    count, middle = len(values), sum(values) / len(values)
    groups: dict[object, list[float]] = defaultdict(list)
    for place, value in enumerate(values):
        groups[place if clusters is None else clusters[place]].append(value - middle)
    residuals = [sum(group) / math.sqrt(1 - len(group) / count) for group in groups.values()]
    squares = sum(one * one for one in residuals)
    error = math.sqrt(squares) / count
    effective = count * count / sum(len(group) ** 2 for group in groups.values())
    skewness = sum(one**3 for one in residuals) / squares**1.5 * (1 + 10 / effective)
    quantile = t_quantile(tail, effective - 1)
    if quantile is None:
        return None, None
    below, above = (min(max(quantile, _hall(quantile, sign * skewness)), widest * quantile) for sign in (1, -1))
    return middle - error * below, middle + error * above


def _hall(quantile: float, skewness: float) -> float:
    """Hall's transformation: 3 / g ((1 + g (x - g / 6)) ^ (1/3) - 1), g the skewness of the mean."""
    if abs(skewness) < 1e-7:
        return quantile
    inside = 1 + skewness * (quantile - skewness / 6)
    return 3 / skewness * (math.copysign(abs(inside) ** (1 / 3), inside) - 1)


def _unseen(values: Sequence[float], count: int, tail: float, limits: Limits) -> Ends:
    """Equal values: a share of 1 - tail ^ (1 / n) of all others may lie at either limit."""
    middle, share = exact_mean(values), 1 - tail ** (1 / count)
    low, high = (None if limit is None else middle + share * (limit - middle) for limit in limits)
    return low, high


def _are_alike(values: Sequence[float], clusters: Sequence[str] | None, size: float) -> bool:
    """Whether values, or what clusters add to their mean, show no spread but rounding; a single cluster shows none."""
    count, middle = len(values), sum(values) / len(values)
    sums: dict[object, float] = defaultdict(float)
    for place, value in enumerate(values):
        sums[place if clusters is None else clusters[place]] += value - middle
    return len(sums) == 1 or math.sqrt(sum(one * one for one in sums.values())) / count <= 1e-9 * size


def _count(values: Sequence[float], clusters: Sequence[str] | None) -> int:
    return len(values) if clusters is None else len(set(clusters))


def _cut(ends: Ends, limits: Limits) -> Ends:
    low, high = ends
    least, most = limits
    if low is not None and least is not None:
        low = max(low, least)
    if high is not None and most is not None:
        high = min(high, most)
    return (least if low is None else low), (most if high is None else high)


@lru_cache(maxsize=4096)
def t_quantile(tail: float, freedom: float) -> float | None:
    """What Student's t is over with probability `tail`; None for no freedom, where there is none.

    The density integrated by Simpson's rule over the angle whose tangent is t / sqrt(freedom), and halved until it fits. Under two
    degrees of freedom the integrand has a pole, so that the angle is stretched by a power.
    """
    if freedom < 0.05:
        return None
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    # With v = (pi/2 - angle) ^ freedom the integrand is smooth at the far end for any freedom.
    power = freedom if freedom < 2 else 1.0

    def integrand(v: float) -> float:
        rest = math.pow(v, 1 / power)
        ratio = math.sin(rest) / rest if rest > 1e-12 else 1.0
        return math.pow(ratio, freedom - 1) * math.pow(rest, freedom - power) / power

    def beyond(angle: float) -> float:
        top, steps = math.pow(math.pi / 2 - angle, power), 400
        width = top / steps
        odd = sum(integrand(width * k) for k in range(1, steps, 2))
        even = sum(integrand(width * k) for k in range(2, steps, 2))
        return scale * width / 3 * (integrand(0.0) + 4 * odd + 2 * even + integrand(top))

    low, high = 0.0, math.pi / 2
    for _ in range(46):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > tail else (low, middle)
    return math.sqrt(freedom) * math.tan(low)
