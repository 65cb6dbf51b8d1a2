"""Means with bootstrap intervals, and paired comparisons of two models.

Per-sample scores come as lists, one F1 per sample. Resampling is seeded and depends on nothing but the scores, so the same
recordings give the same interval in every run. Source: Efron & Tibshirani (1993), the percentile bootstrap.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]

SEED = 42
RESAMPLES = 10_000
MOST_DRAWS = 20_000_000
"""Over 2,000 samples there are fewer resamples (never under 1,000), which keeps 15,000 samples within a second."""
CHUNK_DRAWS = 100_000
"""Drawn at a time: as much as stays in a processor's cache."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the ends of its bootstrap interval."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the distance between the ends."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired mean difference, its interval, and the two-sided bootstrap p-value of no difference."""

    interval: Interval
    p_value: float
    samples: int

    def verdict(self, bound: float) -> str:
        """`passed`, `failed` or `inconclusive`: the interval lies at or over the bound, under it, or straddles it."""
        if self.interval.low >= bound:
            return "passed"
        return "failed" if self.interval.high < bound else "inconclusive"

    def samples_to_settle(self, bound: float) -> int | None:
        """About how many samples would bring the interval clear of `bound`; None where the mean is on it.

        The interval narrows with the square root of the number of samples.
        """
        distance = abs(self.interval.mean - bound)
        if distance == 0:
            return None
        low, middle, high = self.interval.low, self.interval.mean, self.interval.high
        reach = middle - low if middle >= bound else high - middle
        return max(self.samples + 1, math.ceil(self.samples * (reach / distance) ** 2))


def mean(scores: Sequence[float]) -> float:
    """The plain mean, exact: the same whatever the order of the scores."""
    return math.fsum(scores) / len(scores)


def intervals(columns: Sequence[Sequence[float]], confidence: float = 0.95) -> list[Interval]:
    """Mean and interval of each column; columns are of one length n > 0 and resampled alike."""
    import numpy as np

    means = _resampled_means(np.array(columns, dtype=np.float64))
    ends = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    return [Interval(mean(column), float(low), float(high)) for column, low, high in zip(columns, *ends.tolist(), strict=True)]


def differences(
    baseline: Sequence[Sequence[float]], candidate: Sequence[Sequence[float]], confidence: float
) -> list[Difference]:
    """Per column candidate less baseline, paired sample by sample; both sides of shape (columns, n)."""
    import numpy as np

    gains = np.array(candidate, dtype=np.float64) - np.array(baseline, dtype=np.float64)
    means = _resampled_means(gains)
    ends = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    at_most = ((means <= 0).sum(axis=1) + 1) / (means.shape[1] + 1)
    at_least = ((means >= 0).sum(axis=1) + 1) / (means.shape[1] + 1)
    p_values = np.minimum(1.0, 2 * np.minimum(at_most, at_least)).tolist()
    return [
        Difference(Interval(mean(column.tolist()), low, high), p_value, gains.shape[1])
        for column, low, high, p_value in zip(gains, *ends.tolist(), p_values, strict=True)
    ]


def _resampled_means(columns: "Floats") -> "Floats":
    """Means of shape (columns, resamples); every column sees the same draws."""
    return _means_of(columns.tobytes(), len(columns))


@lru_cache(maxsize=64)
def _means_of(columns: bytes, number: int) -> "Floats":
    """The same columns are asked for by gates, results and reports alike; they are resampled once."""
    import numpy as np

    rows = np.frombuffer(columns).reshape(number, -1)
    counts = _counts(rows.shape[1])
    step = max(1, CHUNK_DRAWS // rows.shape[1])
    chunks = (counts[start : start + step].astype(np.float64) for start in range(0, len(counts), step))
    sums = [[np.einsum("rn,n->r", chunk, row) for row in rows] for chunk in chunks]
    return np.concatenate(sums, axis=1) / rows.shape[1]


@lru_cache(maxsize=2)
def _counts(n: int) -> "np.ndarray[Any, np.dtype[np.uint16]]":
    """How often each resample, of shape (resamples, n), has drawn each sample: the same for all columns of one length."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    resamples = max(1_000, min(RESAMPLES, MOST_DRAWS // n))
    step = max(1, CHUNK_DRAWS // n)
    found = np.empty((resamples, n), dtype=np.uint16)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        draws = rng.integers(n, size=(rows, n), dtype=np.int32) + n * np.arange(rows, dtype=np.int32)[:, None]
        found[start : start + rows] = np.bincount(draws.ravel(), minlength=rows * n).reshape(rows, n)
    return found
