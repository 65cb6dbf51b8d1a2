"""The assertions of a suite as a study of mutants sees them: a number computed from scores, held against a bound.

A gate on a mean passes if the mean is at or over its threshold (at or under it where lower is better). A paired gate, of a
comparison or of `[against]`, passes if the end of its interval that decides is at or over the bound. So both say how far
from failing they are, and which bound would have failed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evaltape.scoring import statistics

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]

Value = Callable[["Floats"], Sequence[float]]
"""A function of scores, of shape (draws, answers), to one number per draw."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One assertion on a metric's scores."""

    metric: str
    bound: float
    value: Value
    """What is held against the bound."""
    at_least: bool = True
    """Whether the bound is the least that passes, or the most."""
    within: tuple[str, ...] = ()
    """Its place in the results: nothing for a gate on a mean, `("comparisons", NAME)` or `("against",)`."""
    failing: str | None = None
    """Why it fails whatever the answers are worth, as with too many failed samples; it is left out of the study."""

    @property
    def name(self) -> str:
        """As tables show it: `rougeL`, `tuning-helps rougeL`, `against rougeL`."""
        return " ".join((*self.within[-1:], self.metric))

    def passes(self, value: float) -> bool:
        """Return whether a value passes; `nan` doesn't."""
        return value >= self.bound if self.at_least else value <= self.bound

    @property
    def sign(self) -> int:
        """1, or -1 where a lower value is better: signed values and bounds are all better when higher."""
        return 1 if self.at_least else -1


def mean_gate(metric: str, threshold: float, higher_is_better: bool = True, failing: str | None = None) -> Gate:
    """Return the gate on a model's mean."""
    return Gate(metric, threshold, _means, higher_is_better, failing=failing)


def paired_gate(
    within: tuple[str, ...],
    metric: str,
    bound: float,
    baseline: Sequence[float | None],
    deciding_end: Value,
    higher_is_better: bool = True,
) -> Gate:
    """Return the gate on the mean gain over other scores of the same samples.

    `baseline` has one score per answer of the model, in its order, None for a sample that is left out of the pairs; for
    `[against]` these are the model's own undamaged scores. `deciding_end` takes gains of shape (draws, pairs), positive where
    the model is better, and returns the end of each interval that has to reach `bound`: the lower one, or the upper one
    where an inconclusive comparison doesn't fail.
    """

    def value(scores: "Floats") -> Sequence[float]:
        return _deciding_ends(_gains(scores, baseline, 1 if higher_is_better else -1), deciding_end)

    return Gate(metric, bound, value, within=within)


def _means(scores: "Floats") -> list[float]:
    return [statistics.mean(draw) for draw in scores.tolist()]


def _gains(scores: "Floats", baseline: Sequence[float | None], sign: int) -> "Floats":
    import numpy as np

    others = np.array([math.nan if score is None else score for score in baseline], dtype=np.float64)
    paired = ~np.isnan(others)
    gains: Floats = sign * (scores[:, paired] - others[paired])
    return gains


def _deciding_ends(gains: "Floats", deciding_end: Value) -> list[float]:
    """Return the ends of the intervals; `nan` for a draw with a mutant that has no score, or without any pair."""
    import numpy as np

    ends = np.full(len(gains), math.nan)
    scored = ~np.isnan(gains).any(axis=1) if gains.shape[1] else np.zeros(len(gains), dtype=bool)
    if scored.any():
        ends[scored] = deciding_end(gains[scored])
    values: list[float] = ends.tolist()
    return values
