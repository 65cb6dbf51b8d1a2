"""The ends of intervals that decide paired gates and slice gates.

It is the only place where a study depends on how intervals are made.
"""

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from evaltape.mutation.gates import Value
from evaltape.scoring import paired
from evaltape.scoring.statistics import Bounds, interval

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]


Labels = Sequence[Hashable] | None
"""The cluster of each column of a row; None if its values are independent of each other."""


def difference_end(confidence: float, is_lower: bool, bounds: Bounds | None = None, clusters: Labels = None) -> Value:
    """Return the function of gains, of shape (draws, pairs), to an end of each mean gain's interval.

    `confidence` is one-sided: the true gain lies beyond that end with probability `1 - confidence`. `bounds` are the
    metric's, `clusters` those of the pairs. Where a comparison is inconclusive whatever its interval is, the end is infinite.
    """

    def ends(gains: "Floats") -> Sequence[float]:
        return [_end_of_difference(row, confidence, is_lower, bounds, clusters) for row in gains.tolist()]

    return ends


def mean_end(is_lower: bool, bounds: Bounds | None = None, clusters: Labels = None) -> Value:
    """Return the function of scores, of shape (draws, answers), to an end of each mean's two-sided 95% interval.

    `bounds` are the metric's, `clusters` those of the answers.
    """

    def ends(scores: "Floats") -> Sequence[float]:
        intervals = [interval(row, bounds=bounds, clusters=clusters) for row in scores.tolist()]
        return [_or_infinite(each.low if is_lower else each.high, is_lower) for each in intervals]

    return ends


def _end_of_difference(gains: list[float], confidence: float, is_lower: bool, bounds: Bounds | None, clusters: Labels) -> float:
    # Gains of -1, 0 and 1 alone become scores of 0 and 1, which have an interval of their own.
    worse, better = [max(0.0, -gain) for gain in gains], [max(0.0, gain) for gain in gains]
    found = paired.difference(worse, better, confidence=confidence, bounds=bounds, clusters=clusters)
    counted = found.samples if found.clusters is None else found.clusters
    too_few = counted < paired.LEAST_PAIRS or (found.is_alike and counted < paired.LEAST_ALIKE_PAIRS)
    end = found.low if is_lower else found.high
    return _or_infinite(None if is_lower and too_few else end, is_lower)


def _or_infinite(end: float | None, is_lower: bool) -> float:
    return (-math.inf if is_lower else math.inf) if end is None else end
