"""How much of each damage each gate notices, from scores alone.

Mutants are scored once. A draw orders the answers that an operator applies to by chance, and a share of them, from the
front, counts as damaged; the rest keep their scores. A gate notices a share if it fails in at least 80% of the draws.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from evaltape.mutation.findings import LeftOut, Noticing, OperatorStudy, Study
from evaltape.mutation.gates import Gate

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]

SEED = 42
DRAWS = 20
SHARES = (0.05, 0.10, 0.25, 0.50, 1.0)
"""Of the answers that an operator applies to."""
NOTICED_AT = 0.25
"""The share that counts for the mutation score."""

Scores = Mapping[str, Sequence[float | None]]
"""Per metric one score per answer."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """An operator with the scores of its mutants."""

    operator: str
    harmful: bool
    applies: Sequence[bool]
    """Per answer whether there is a mutant of it."""
    scores: Scores
    """None where there is no mutant, `nan` where the metric can't score it."""


def study(undamaged: Scores, gates: Iterable[Gate], damaged: Sequence[Damaged], noticed_at: float = NOTICED_AT) -> Study:
    """Decide each gate again on growing shares of each operator's mutants.

    `undamaged` has the scores of the model's answers (None: not scored), in the order that the mutants have. Left out, with
    the reason, is a gate that fails before any damage, and one on a metric that isn't computed from the text alone.
    """
    values = {gate: _undamaged_value(gate, undamaged, damaged) for gate in gates}
    kept = {gate: value for gate, value in values.items() if isinstance(value, float)}
    left_out = tuple(LeftOut(gate, reason) for gate, reason in values.items() if isinstance(reason, str))
    shares = sorted({*SHARES, noticed_at})
    operators = tuple(_study_operator(undamaged, kept, each, shares) for each in damaged)
    return Study(noticed_at, operators, tuple(kept), left_out)


def answers_at(share: float, applies_to: int) -> int:
    """Return how many answers a share is: rounded, at least one."""
    return max(1, math.floor(share * applies_to + 0.5))


def _undamaged_value(gate: Gate, undamaged: Scores, damaged: Sequence[Damaged]) -> float | str:
    """Return the gate's value before any damage, or why the gate is left out."""
    import numpy as np

    if gate.undecided:
        return gate.undecided
    if gate.metric not in undamaged or any(gate.metric not in each.scores for each in damaged):
        return f"{gate.metric} isn't computed from the answer's text"
    scores = undamaged[gate.metric]
    if not scores:
        return "there is no answer"
    if None in scores:
        return f"{sum(score is None for score in scores)} of {len(scores)} answers have no score"
    value = float(gate.value(np.array([scores], dtype=np.float64))[0])
    if not math.isfinite(value):
        return "there are too few answers to compare"
    return value if gate.passes(value) else f"fails without any damage ({value:.4f}, bound {gate.bound:g})"


def _study_operator(undamaged: Scores, gates: Mapping[Gate, float], damaged: Damaged, shares: Sequence[float]) -> OperatorStudy:
    applies = [place for place, there_is_one in enumerate(damaged.applies) if there_is_one]
    orders = _orders(damaged.operator, applies)
    noticing = tuple(
        Noticing(gate, value, _values(gate, undamaged, damaged, orders, shares)) for gate, value in gates.items() if applies
    )
    return OperatorStudy(damaged.operator, damaged.harmful, len(applies), len(damaged.applies), noticing)


def _orders(operator: str, applies: Sequence[int]) -> list[list[int]]:
    """Return one order of the answers per draw: a draw's larger share contains its smaller ones."""
    return [Random(f"{SEED}/{operator}/{draw}").sample(applies, len(applies)) for draw in range(DRAWS)]


def _values(
    gate: Gate, undamaged: Scores, damaged: Damaged, orders: Sequence[Sequence[int]], shares: Sequence[float]
) -> dict[float, tuple[float, ...]]:
    """Return per share the gate's value in each draw; draws that damage the same answers are decided once."""
    import numpy as np

    scores = _drawn_scores(undamaged[gate.metric], damaged.scores[gate.metric], orders, shares)
    different, place = np.unique(scores, axis=0, return_inverse=True)
    values = iter(np.asarray(gate.value(different))[place.ravel()])
    return {share: tuple(float(next(values)) for _ in orders) for share in shares}


def _drawn_scores(
    undamaged: Sequence[float | None], damaged: Sequence[float | None], orders: Sequence[Sequence[int]], shares: Sequence[float]
) -> "Floats":
    """Return the scores of each draw of each share, of shape (shares times draws, answers)."""
    import numpy as np

    mutants = np.array(damaged, dtype=np.float64)  # None becomes nan, and no order has its place.
    scores = np.tile(np.array(undamaged, dtype=np.float64), (len(shares) * len(orders), 1))
    sizes = [answers_at(share, len(orders[0])) for share in shares]
    for row, (size, order) in enumerate((size, order) for size in sizes for order in orders):
        places = order[:size]
        scores[row, places] = mutants[places]
    return scores
