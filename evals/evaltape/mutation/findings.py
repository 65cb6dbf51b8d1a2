"""What a study finds: the smallest share of damaged answers that each bound notices, and the conclusions."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from evaltape.scoring.bounds import AGAINST, GATE, SLICE_GATE, Bound

ENOUGH = 0.8
"""A share is noticed if the bound's test fails in at least this part of the draws."""
MOST_DECIMALS = 6
"""Of a bound that is proposed."""


class Draw(msgspec.Struct, frozen=True):
    """A bound decided on a draw of damaged answers."""

    value: float | None
    """The number that is held against the bound; None if a mutant couldn't be scored."""
    fails: bool
    """Whether its test would fail."""


class Noticing(msgspec.Struct, frozen=True):
    """How a bound notices an operator."""

    bound: Bound
    at_least: bool
    """Whether the bound is the least value that passes, or the most."""
    undamaged: float | None
    """The bound's value before any damage; it passes."""
    draws: Mapping[float, tuple[Draw, ...]]
    """By share, as far as it takes to tell which is noticed."""

    @property
    def share(self) -> float | None:
        """The smallest share that the bound notices, or None: never."""
        return next((share for share in sorted(self.draws) if self.notices(share)), None)

    def notices(self, share: float) -> bool:
        """Return whether the bound's test fails in enough draws of this share."""
        draws = self.draws[share]
        return sum(draw.fails for draw in draws) >= ENOUGH * len(draws)

    def reached(self, share: float) -> float:
        """Return the value that enough draws of this share fall to: a bound beyond it fails in these draws."""
        worst_first = sorted(self._signed(draw.value) for draw in self.draws[share])
        return self.sign * worst_first[math.ceil(ENOUGH * len(worst_first)) - 1]

    def nearness(self, share: float) -> float:
        """Return how much of the way from the undamaged value to the bound this share goes; over 1 it is noticed."""
        way = self._signed(self.undamaged) - self._signed(self.bound.required)
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
        return None if bound is None else self.sign * bound

    @property
    def sign(self) -> int:
        """1, or -1 where a lower value is better: signed values and bounds are all better when higher."""
        return 1 if self.at_least else -1

    def _signed(self, value: float | None) -> float:
        """Return the value with its sign turned where lower is better; no value is the worst."""
        return -math.inf if value is None else self.sign * value


class OperatorStudy(msgspec.Struct, frozen=True):
    """How all gates notice an operator."""

    operator: str
    harmful: bool
    applies_to: int
    """How many of the answers it applies to."""
    answers: int
    noticing: tuple[Noticing, ...]
    """One per bound; empty if the operator applies to no answer."""

    @property
    def share(self) -> float | None:
        """The smallest share that some bound notices, or None: never."""
        shares = [each.share for each in self.noticing if each.share is not None]
        return min(shares, default=None)

    def is_noticed(self, at: float) -> bool:
        """Return whether some bound notices this share or less."""
        return self.share is not None and self.share <= at

    def nearest(self, share: float) -> Noticing | None:
        """Return the bound that comes nearest to noticing this share; None if there is no bound."""
        return max(self.noticing, key=lambda each: each.nearness(share), default=None)

    def as_result(self) -> dict[str, Any]:
        """Return the smallest share per bound as builtins, comparisons and `against` apart."""
        result: dict[str, Any] = {"applies_to": self.applies_to}
        for each in self.noticing:
            table = result
            for key in _place(each.bound):
                table = table.setdefault(key, {})
            table[each.bound.metric] = each.share
        return result


class LeftOut(msgspec.Struct, frozen=True):
    """A bound of which nothing can be said, and why."""

    bound: Bound
    reason: str


class Study(msgspec.Struct, frozen=True):
    """What the bounds of a model notice."""

    noticed_at: float
    """The share that has to be noticed."""
    operators: tuple[OperatorStudy, ...]
    bounds: tuple[Bound, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def applicable(self) -> list[OperatorStudy]:
        """The harmful operators that apply to some answer: the mutation score counts them."""
        return [each for each in self.operators if each.harmful and each.applies_to]

    @property
    def noticed(self) -> list[OperatorStudy]:
        """Those of them that some bound notices at `noticed_at` of the answers. The mutation score is their part."""
        return [each for each in self.applicable if each.is_noticed(self.noticed_at)]

    @property
    def missed(self) -> list[OperatorStudy]:
        """Those of them that no bound notices at `noticed_at`."""
        return [each for each in self.applicable if not each.is_noticed(self.noticed_at)]

    @property
    def brittle(self) -> list[tuple[OperatorStudy, Noticing]]:
        """The harmless operators that a bound notices at any share, each with the bound."""
        harmless = (each for each in self.operators if not each.harmful)
        return [(each, one) for each in harmless for one in each.noticing if one.share is not None]

    @property
    def hardest_first(self) -> list[OperatorStudy]:
        """The operators in the order of a table: unnoticed operators first, harmful before harmless."""
        return sorted(self.operators, key=_hardness)

    def as_result(self) -> dict[str, dict[str, Any]]:
        """Return the results file's table of this model: per operator `OperatorStudy.as_result`."""
        return {each.operator: each.as_result() for each in self.operators}


def _place(bound: Bound) -> tuple[str, ...]:
    """Return where a bound stands in the results of an operator: bounds on means at the top."""
    places: dict[str, tuple[str, ...]] = {GATE: (), SLICE_GATE: ("slice_gates",), AGAINST: ("against",)}
    return places.get(bound.kind, ("comparisons", bound.subject))


def _hardness(operator: OperatorStudy) -> tuple[bool, bool, float]:
    return not operator.harmful, not operator.applies_to, -(operator.share or math.inf)


def shortest_between(low: float, high: float) -> float | None:
    """Return the number over `low` and at most `high` with the fewest decimals, from two to six, or None.

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
