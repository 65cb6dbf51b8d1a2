"""What a study finds: the smallest share of damaged answers that each gate notices, and what follows from it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaltape.mutation.gates import Gate

ENOUGH = 0.8
"""A share is noticed if the gate fails in at least this part of the draws."""
MOST_DECIMALS = 6
"""Of a bound that is proposed."""


@dataclass(frozen=True, slots=True)
class Noticing:
    """What one gate notices of one operator."""

    gate: Gate
    undamaged: float
    """The gate's value before any damage; it passes."""
    values: Mapping[float, tuple[float, ...]]
    """Per share the gate's value in each draw."""

    @property
    def share(self) -> float | None:
        """The smallest share that the gate notices, or None: never."""
        return next((share for share in sorted(self.values) if self.notices(share)), None)

    def notices(self, share: float) -> bool:
        """Return whether the gate fails in enough draws of this share."""
        values = self.values[share]
        return sum(not self.gate.passes(value) for value in values) >= ENOUGH * len(values)

    def reached(self, share: float) -> float:
        """Return the value that enough draws of this share fall to: a gate whose bound is beyond it fails in those."""
        worst_first = sorted(self.values[share], key=self._signed)
        return worst_first[math.ceil(ENOUGH * len(worst_first)) - 1]

    def nearness(self, share: float) -> float:
        """Return how much of the way from the undamaged value to the bound this share goes; over 1 it is noticed."""
        way = self._signed(self.undamaged) - self._signed(self.gate.bound)
        gone = self._signed(self.undamaged) - self._signed(self.reached(share))
        if way == 0:
            return math.copysign(math.inf, gone) if gone else 0.0
        return gone / way

    def bound_that_notices(self, share: float) -> float | None:
        """Return a bound that would notice this share, with few decimals; None if no bound would.

        It lies in the nearer half of the way from the value reached to the undamaged one, which leaves the undamaged answers
        at least half of the way to pass it.
        """
        reached, undamaged = self._signed(self.reached(share)), self._signed(self.undamaged)
        bound = shortest_between(reached, (reached + undamaged) / 2)
        return None if bound is None else self.gate.sign * bound

    def _signed(self, value: float) -> float:
        """Return the value with its sign turned where lower is better; `nan` is the worst."""
        return -math.inf if math.isnan(value) else self.gate.sign * value


@dataclass(frozen=True, slots=True)
class OperatorStudy:
    """What all gates notice of one operator."""

    operator: str
    harmful: bool
    applies_to: int
    """How many of the answers it applies to."""
    answers: int
    noticing: tuple[Noticing, ...]
    """One per gate; empty if the operator applies to no answer."""

    @property
    def share(self) -> float | None:
        """The smallest share that some gate notices, or None: never."""
        shares = [each.share for each in self.noticing if each.share is not None]
        return min(shares, default=None)

    def is_noticed(self, at: float) -> bool:
        """Return whether some gate notices this share or a smaller one."""
        return self.share is not None and self.share <= at

    def nearest(self, share: float) -> Noticing | None:
        """Return the gate that comes nearest to noticing this share; None if there is no gate."""
        return max(self.noticing, key=lambda each: each.nearness(share), default=None)

    def as_result(self) -> dict[str, Any]:
        """Return the smallest share per gate as builtins, comparisons and `against` apart."""
        result: dict[str, Any] = {"applies_to": self.applies_to}
        for each in self.noticing:
            table = result
            for key in each.gate.within:
                table = table.setdefault(key, {})
            table[each.gate.metric] = each.share
        return result


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A gate of which nothing can be said, and why."""

    gate: Gate
    reason: str


@dataclass(frozen=True, slots=True)
class Study:
    """What the gates of one model notice."""

    noticed_at: float
    """The share that has to be noticed."""
    operators: tuple[OperatorStudy, ...]
    gates: tuple[Gate, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def applicable(self) -> list[OperatorStudy]:
        """The harmful operators that apply to some answer: those that the mutation score counts."""
        return [each for each in self.operators if each.harmful and each.applies_to]

    @property
    def noticed(self) -> list[OperatorStudy]:
        """Those of them that some gate notices at `noticed_at` of the answers. The mutation score is their part."""
        return [each for each in self.applicable if each.is_noticed(self.noticed_at)]

    @property
    def missed(self) -> list[OperatorStudy]:
        """Those of them that no gate notices at `noticed_at`."""
        return [each for each in self.applicable if not each.is_noticed(self.noticed_at)]

    @property
    def brittle(self) -> list[tuple[OperatorStudy, Noticing]]:
        """The harmless operators that a gate notices at any share, each with the gate."""
        harmless = (each for each in self.operators if not each.harmful)
        return [(each, one) for each in harmless for one in each.noticing if one.share is not None]

    @property
    def hardest_first(self) -> list[OperatorStudy]:
        """The operators in the order of a table: what no gate notices first, harmful before harmless."""
        return sorted(self.operators, key=_hardness)

    def as_result(self) -> dict[str, dict[str, Any]]:
        """Return the results file's table of this model: per operator what `OperatorStudy.as_result` says."""
        return {each.operator: each.as_result() for each in self.operators}


def _hardness(operator: OperatorStudy) -> tuple[bool, bool, float]:
    return not operator.harmful, not operator.applies_to, -(operator.share or math.inf)


def shortest_between(low: float, high: float) -> float | None:
    """Return the number over `low` and at most `high` with the fewest decimals, from two to six; None if there is none.

    Of several it is the nearest to `low`.
    """
    if low == -math.inf:
        return None
    for decimals in range(2, MOST_DECIMALS + 1):
        unit: int = 10**decimals
        numbers = (math.floor(low * unit) / unit, (math.floor(low * unit) + 1) / unit)
        number = next((number for number in numbers if low < number <= high), None)
        if number is not None:
            return number
    return None
