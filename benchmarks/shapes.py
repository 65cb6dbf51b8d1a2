"""Shapes that scores and paired differences are drawn from, each with its true mean.

Those called by a metric are resampled from this repository's own recordings.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from evaltape.metrics.scorers import UNLIMITED, Limits
from evaltape.scoring.statistics import mean

from tests.support.recorded import METRICS, Draw, Resampled, mixed, recorded_differences, recorded_scores


@dataclass(frozen=True)
class Shape:
    """One shape."""

    name: str
    draw: Draw
    mean: float
    limits: Limits = (0.0, 1.0)
    """The least and the greatest score of the metric."""
    is_two_valued: bool = False
    is_promised: bool = True
    start: float = 0.25
    """The score that a difference changes: not 0 or 1, unless all of them have to be."""

    def sample(self, rng: random.Random, size: int) -> list[float]:
        """Draw independent values."""
        return [self.draw(rng) for _ in range(size)]


def zero(rng: random.Random) -> float:
    return 0.0


def measured(name: str, values: list[float], is_promised: bool = True) -> Shape:
    return Shape(name, Resampled(values), mean(values), is_promised=is_promised)


def scores() -> Iterator[Shape]:
    """Shapes of scores."""
    recorded = recorded_scores()
    for model in ("smollm2", "smollm2-chats"):
        yield from (measured(f"{metric} of {model}", recorded[model, metric]) for metric in METRICS)
    yield Shape("normal", lambda rng: rng.gauss(0, 1), 0.0, limits=UNLIMITED)
    yield Shape("exponential", lambda rng: rng.expovariate(1), 1.0, limits=UNLIMITED)
    for share in (0.5, 0.7, 0.9):
        name, draw = f"{share:.0%} zeros, else 0 to 1", mixed(share, lambda rng: rng.random(), zero)
        yield Shape(name, draw, (1 - share) / 2, is_promised=share < 0.9)
    ratings = mixed(0.9, lambda rng: float(rng.randint(1, 4)), lambda rng: 5.0)
    yield Shape("ratings from 1 to 5, 9 in 10 are 5", ratings, 4.75, limits=(1.0, 5.0), is_promised=False)
    late = mixed(0.07, lambda rng: rng.uniform(1.0, 1.5), lambda rng: 12.0)
    yield Shape("latency, 7 in 100 are 10 times as long", late, 1.25 * 0.93 + 0.84, limits=(0.0, None), is_promised=False)
    for share in (0.1, 0.3, 0.5, 0.9):
        yield Shape(f"two-valued, {share:.0%} right", _right(share), share, is_two_valued=True)


def differences() -> Iterator[Shape]:
    """Shapes of paired differences."""
    for metric in METRICS:
        changes = recorded_differences(metric)
        yield measured(f"{metric}, tuned less base", changes)
        back = [-change for change in changes]
        yield measured(f"{metric}, base less tuned", back, is_promised=metric != "rouge2")
    yield Shape("normal", lambda rng: rng.gauss(0, 1), 0.0, limits=UNLIMITED)
    yield Shape("exponential, a tail of gains", lambda rng: rng.expovariate(1), 1.0, limits=UNLIMITED)
    yield Shape("exponential, a tail of losses", lambda rng: -rng.expovariate(1), -1.0, limits=UNLIMITED)
    yield Shape("80% zeros, else normal", mixed(0.8, lambda rng: rng.gauss(0, 0.3), zero), 0.0)
    for share in (0.5, 0.7):
        name, draw = f"{share:.0%} zeros, else -1 to 0", mixed(share, lambda rng: -rng.random(), zero)
        yield Shape(name, draw, (share - 1) / 2, is_promised=share == 0.5)
    for differing, change in ((0.1, 0.0), (0.3, 0.0), (0.3, 0.1), (0.3, -0.1), (0.5, 0.0)):
        name = f"two-valued, {differing:.0%} differ, by {change:+g}"
        yield Shape(name, _changed(differing, change), change, is_two_valued=True)
    lose = mixed(0.05, lambda rng: rng.gauss(0, 0.05), lambda rng: -0.4)
    yield Shape("5% lose 0.4, else normal, sd 0.05", lose, -0.02, is_promised=False)
    rated = mixed(0.02, zero, lambda rng: -4.0)
    yield Shape("2% lose 4 of a scale from 1 to 5, else 0", rated, -0.08, limits=(1.0, 5.0), is_promised=False, start=5.0)
    yield Shape("5% lose 0.4, else 0", mixed(0.05, zero, lambda rng: -0.4), -0.02, is_promised=False)


def _right(share: float) -> Draw:
    return lambda rng: float(rng.random() < share)


def _changed(differing: float, change: float) -> Draw:
    """Changes of scores that are 0 or 1: so many differ, and the mean is `change`."""
    gain = (differing + change) / 2

    def draw(rng: random.Random) -> float:
        at = rng.random()
        return 1.0 if at < gain else -1.0 if at < differing else 0.0

    return draw
