"""The assertions of a suite as a study of mutants sees them: a number computed from scores, held against a bound.

A gate on a mean passes if the mean is at or over its threshold (at or under it where lower is better). A paired gate, of a
comparison or of `[against]`, passes if the end of its interval that decides is at or over the bound, and a slice gate if the
nearer end of every slice's interval is. So all say how far from failing they are, and which bound would have failed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]

SLICE_GATES, MIN_GAIN, MAX_DROP, COMPARISONS, AGAINST = "slice_gates", "min_gain", "max_drop", "comparisons", "against"

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
    """Its place in the results: nothing for a gate on a mean, `("slice_gates",)`, `("comparisons", NAME)` or `("against",)`."""
    key: str = "gates"
    """The table of the suite file that states the bound: also `slice_gates`, `min_gain`, `max_drop`."""
    undecided: str | None = None
    """Why damage can't decide it, as with too many failed samples; it is left out of the study."""

    @property
    def group(self) -> str:
        """What it belongs to, as tables show it: `gates`, `slices`, `tuning-helps`, `against`."""
        place = self.within[-1] if self.within else "gates"
        return "slices" if place == SLICE_GATES else place

    @property
    def name(self) -> str:
        """As sentences show it: `rougeL`, `slices rougeL`, `tuning-helps rougeL`, `against rougeL`."""
        return f"{self.group} {self.metric}" if self.within else self.metric

    @property
    def is_paired(self) -> bool:
        """Whether its value and its bound are differences."""
        return self.key in (MIN_GAIN, MAX_DROP)

    def setting(self, bound: float) -> str:
        """Return how the suite file states a bound on the same: `gates = { rougeL = 0.3 }`."""
        key = self.key if not self.is_paired else MAX_DROP if bound < 0 or self.within == (AGAINST,) else MIN_GAIN
        number = -bound if key == MAX_DROP else bound
        return f"{key} = {{ {self.metric} = {number:g} }}"

    def passes(self, value: float) -> bool:
        """Return whether a value passes; `nan` doesn't."""
        return value >= self.bound if self.at_least else value <= self.bound

    @property
    def sign(self) -> int:
        """1, or -1 where a lower value is better: signed values and bounds are all better when higher."""
        return 1 if self.at_least else -1


def mean_gate(metric: str, threshold: float, higher_is_better: bool = True, undecided: str | None = None) -> Gate:
    """Return the gate on a model's mean."""
    return Gate(metric, threshold, _means, higher_is_better, undecided=undecided)


def slice_gate(
    metric: str,
    threshold: float,
    slices: Sequence[Sequence[int]],
    deciding_ends: Value | Sequence[Value],
    higher_is_better: bool = True,
    undecided: str | None = None,
) -> Gate:
    """Return the gate on the means of slices, which fails if one slice's whole interval is beyond the threshold.

    `slices` are the places of each slice's answers. `deciding_ends`, one for all or one for each slice, takes scores of shape
    (draws, answers of a slice) and returns the end of each interval that has to reach the threshold: the upper one, or the
    lower one where lower is better.
    """

    deciding = [deciding_ends] * len(slices) if callable(deciding_ends) else deciding_ends

    def value(scores: "Floats") -> Sequence[float]:
        ends = zip(*(_ends(scores[:, places], end) for places, end in zip(slices, deciding, strict=True)), strict=True)
        return [_worst(slice_ends, higher_is_better) for slice_ends in ends]

    return Gate(metric, threshold, value, higher_is_better, (SLICE_GATES,), SLICE_GATES, undecided)


def paired_gate(
    within: tuple[str, ...],
    metric: str,
    bound: float,
    baseline: Sequence[float | None],
    deciding_end: Value,
    higher_is_better: bool = True,
    key: str = MAX_DROP,
) -> Gate:
    """Return the gate on the mean gain over other scores of the same samples.

    `baseline` has one score per answer of the model, in its order, None for a sample that is left out of the pairs; for
    `[against]` these are the model's own undamaged scores. `deciding_end` takes gains of shape (draws, pairs), positive where
    the model is better, and returns the end of each interval that has to reach `bound`: the lower one, or the upper one
    where an inconclusive comparison doesn't fail.
    """

    def value(scores: "Floats") -> Sequence[float]:
        return _ends(_gains(scores, baseline, 1 if higher_is_better else -1), deciding_end)

    return Gate(metric, bound, value, within=within, key=key)


def _means(scores: "Floats") -> list[float]:
    return [math.fsum(draw) / len(draw) for draw in scores.tolist()]  # nan if a mutant couldn't be scored


def _gains(scores: "Floats", baseline: Sequence[float | None], sign: int) -> "Floats":
    import numpy as np

    others = np.array([math.nan if score is None else score for score in baseline], dtype=np.float64)
    paired = ~np.isnan(others)
    gains: Floats = sign * (scores[:, paired] - others[paired])
    return gains


def _ends(rows: "Floats", deciding_end: Value) -> list[float]:
    """Return the ends of the intervals; `nan` for a draw with a mutant that has no score, or without any number."""
    import numpy as np

    ends = np.full(len(rows), math.nan)
    scored = ~np.isnan(rows).any(axis=1) if rows.shape[1] else np.zeros(len(rows), dtype=bool)
    if scored.any():
        ends[scored] = deciding_end(rows[scored])
    values: list[float] = ends.tolist()
    return values


def _worst(ends: Sequence[float], higher_is_better: bool) -> float:
    if any(map(math.isnan, ends)):
        return math.nan
    return min(ends) if higher_is_better else max(ends)
