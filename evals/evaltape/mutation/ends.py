"""The ends of intervals that decide paired gates and slice gates, for many rows of numbers at a time.

A study decides each gate about a hundred times per operator, so this computes what `scoring.statistics` does for one row,
for all rows at once and without keeping any of it. It is the only place where a study depends on how intervals are made.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from evaltape.mutation.gates import Value
from evaltape.scoring import statistics

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]

MOST_FLOATS = 2_000_000
"""Held at a time while resampling: 16 MB."""


def difference_end(confidence: float, is_lower: bool) -> Value:
    """Return the function of gains, of shape (draws, pairs), to an end of each mean gain's interval.

    `confidence` is one-sided: the true gain lies beyond that end with probability `1 - confidence`.
    """
    return partial(_ends, quantile=1 - confidence if is_lower else confidence)


def mean_end(is_lower: bool) -> Value:
    """Return the function of scores, of shape (draws, answers), to an end of each mean's two-sided 95% interval."""
    return partial(_ends, quantile=0.025 if is_lower else 0.975)


def _ends(rows: "Floats", quantile: float) -> Sequence[float]:
    import numpy as np

    counts = statistics._counts(rows.shape[1])
    step = max(1, MOST_FLOATS // rows.shape[1])
    parts = [rows @ counts[start : start + step].T.astype(np.float64) for start in range(0, len(counts), step)]
    means = np.concatenate(parts, axis=1) / rows.shape[1]
    ends: list[float] = np.quantile(means, quantile, axis=1, overwrite_input=True).tolist()
    return ends
