"""How much of each damage each bound notices: every bound decided again, by its own rule, on damaged scores.

Mutants are scored once. A draw orders the answers that an operator applies to by chance, and a share of them, from the
front, counts as damaged; the rest keep their scores. A bound notices a share if its test fails in at least 80% of the draws.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

import msgspec

from evaltape.mutation.operators import Operator
from evaltape.scoring.bounds import AGAINST, FAILED, GATE, NOT_CHECKED, SLICE_GATE, Bound, Decision, Scores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores

SEED = 42
DRAWS = 20
SHARES = (0.05, 0.10, 0.25, 0.50, 1.0)
"""Of the answers that an operator applies to."""
NOTICED_AT = 0.25
"""The share that counts for the mutation score."""
NOT_JUDGED = "not judged"
"""Of a judge's metric without recorded verdicts on mutants: the damage that it would notice is unknown."""
ENOUGH = 0.8
"""The part of the draws of a noticed share in which the bound's test fails, at least."""
MOST_DECIMALS = 6
"""Of a bound that is proposed."""


Assertions = Mapping[Bound, Callable[[ModelScores], Scores]]
"""The bounds on a model's scores, each with the function to the scores that decide it if the model's are these."""


class Noticing(msgspec.Struct, frozen=True):
    """How a bound notices an operator."""

    before: Decision
    """The bound's decision before any damage; it passed."""
    draws: Mapping[float, Sequence[Decision]]
    """By share its decision on each draw, up to the noticed share or the largest."""

    @property
    def bound(self) -> Bound:
        """The bound."""
        return self.before.bound

    @property
    def share(self) -> float | None:
        """The smallest share that the bound notices; None if it never does."""
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
        """Return how much of the way from the undamaged value to the bound this share goes; over 1 the bound notices it."""
        undamaged = self._signed(self.before.value)
        way, gone = undamaged - self._signed(self.bound.required), undamaged - self._signed(self.reached(share))
        if way == 0:
            return math.copysign(math.inf, gone) if gone else 0.0
        return gone / way

    def bound_that_notices(self, share: float) -> float | None:
        """Return a bound that would notice this share, with few decimals; None if no bound would.

        It lies in the nearer half of the way from the reached to the undamaged value: the undamaged answers keep at least half
        of the way to pass it.
        """
        reached, undamaged = self._signed(self.reached(share)), self._signed(self.before.value)
        bound = shortest_between(reached, (reached + undamaged) / 2)
        return None if bound is None else self.sign * bound

    @property
    def sign(self) -> int:
        """1, or -1 if a lower value is better: higher signed values and bounds are always better."""
        return 1 if self.before.at_least else -1

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
    """By bound; empty if the operator applies to no answer."""

    @property
    def share(self) -> float | None:
        """The smallest share that some bound notices; None if no bound ever does."""
        shares = [each.share for each in self.noticing if each.share is not None]
        return min(shares, default=None)

    def is_noticed(self, at: float) -> bool:
        """Return whether some bound notices this share or less."""
        return self.share is not None and self.share <= at

    def nearest(self, share: float) -> Noticing | None:
        """Return the bound that comes nearest to noticing this share; None if there is no bound."""
        return max(self.noticing, key=lambda each: each.nearness(share), default=None)

    def as_result(self) -> dict[str, Any]:
        """Return the smallest share per bound as builtins: bounds on means at the top, others in tables of their own."""
        result: dict[str, Any] = {"applies_to": self.applies_to}
        places: dict[str, tuple[str, ...]] = {GATE: (), SLICE_GATE: ("slice_gates",), AGAINST: ("against",)}
        for each in self.noticing:
            table = result
            for key in places.get(each.bound.kind, ("comparisons", each.bound.subject)):
                table = table.setdefault(key, {})
            table[each.bound.metric] = each.share
        return result


class Study(msgspec.Struct, frozen=True):
    """The damage that the bounds of a model notice."""

    noticed_at: float
    """The share that has to be noticed."""
    operators: tuple[OperatorStudy, ...]
    bounds: tuple[Bound, ...]
    left_out: Mapping[Bound, str] = {}
    """The bounds that the study can't use, each with the reason."""

    @property
    def applicable(self) -> list[OperatorStudy]:
        """The harmful operators that apply to some answer: the mutation score counts them."""
        return [each for each in self.operators if each.harmful and each.applies_to]

    @property
    def noticed(self) -> list[OperatorStudy]:
        """The applicable operators that some bound notices at `noticed_at` of the answers: their part is the mutation score."""
        return [each for each in self.applicable if each.is_noticed(self.noticed_at)]

    @property
    def missed(self) -> list[OperatorStudy]:
        """The applicable operators that no bound notices at `noticed_at`."""
        return [each for each in self.applicable if not each.is_noticed(self.noticed_at)]

    @property
    def brittle(self) -> list[tuple[OperatorStudy, Noticing]]:
        """The harmless operators that a bound notices at any share, each with the bound."""
        harmless = (each for each in self.operators if not each.harmful)
        return [(each, it) for each in harmless for it in each.noticing if it.share is not None]

    @property
    def hardest_first(self) -> list[OperatorStudy]:
        """The operators in the order of a table: unnoticed operators first, harmful before harmless."""
        return sorted(self.operators, key=lambda it: (not it.harmful, not it.applies_to, -(it.share or math.inf)))

    def as_result(self) -> dict[str, dict[str, Any]]:
        """Return the results file's table of this model: per operator `OperatorStudy.as_result`."""
        return {each.operator: each.as_result() for each in self.operators}


def shortest_between(low: float, high: float) -> float | None:
    """Return the number over `low` and at most `high` with the fewest decimals, from two to six, or None.

    It is the nearest such number to `low`.
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


class Damaged(msgspec.Struct, frozen=True):
    """A model's answers as an operator damages them."""

    operator: Operator
    predictions: Sequence[Prediction | None]
    """By answered sample, scored, in their order; None where the operator doesn't apply."""

    @property
    def applies_to(self) -> list[int]:
        """The places of the answers that it applies to."""
        return [place for place, mutant in enumerate(self.predictions) if mutant is not None]


def study(
    undamaged: ModelScores,
    assertions: Assertions,
    damaged: Iterable[Damaged],
    noticed_at: float = NOTICED_AT,
    unjudged: Mapping[str, str] | None = None,
) -> Study:
    """Decide each bound again on growing shares of each operator's mutants.

    The study leaves out, with the reason, a bound that doesn't pass before any damage, and a bound on a metric that isn't
    computed from the text. `unjudged` tells by judge's metric why its verdicts on mutants are unknown; empty where all are
    there.
    """
    decided = {bound: scores_of(undamaged).decide(bound) for bound, scores_of in assertions.items()}
    reasons = {bound: _why_left_out(decision, unjudged or {}) for bound, decision in decided.items()}
    kept = {bound: decision for bound, decision in decided.items() if not reasons[bound]}
    operators = tuple(_noticed(undamaged, each, assertions, kept, noticed_at) for each in damaged)
    return Study(noticed_at, operators, tuple(kept), {bound: reason for bound, reason in reasons.items() if reason})


def answers_at(share: float, applies_to: int) -> int:
    """Return how many answers a share is: rounded, at least one."""
    return max(1, math.floor(share * applies_to + 0.5))


def _why_left_out(decision: Decision, unjudged: Mapping[str, str]) -> str:
    """Return why the study can't use a bound; empty if it can."""
    name = decision.bound.metric
    if unjudged.get(name):
        return unjudged[name]
    if not decision.metric.is_computed and name not in unjudged:
        return f"{name} isn't computed from the answer's text"
    if decision.passed:
        return ""
    if decision.verdict == NOT_CHECKED:
        return decision.reason
    if decision.verdict == FAILED and decision.value is None:
        return decision.line
    number = "" if decision.value is None else f"{decision.value:.4f}, bound {decision.bound.required:g}"
    how = "fails" if decision.verdict == FAILED else "is inconclusive"
    return f"{how} without any damage ({'; '.join(part for part in (number, decision.reason) if part)})"


def _noticed(
    undamaged: ModelScores, damaged: Damaged, assertions: Assertions, kept: Mapping[Bound, Decision], noticed_at: float
) -> OperatorStudy:
    """Return how each bound notices an operator; each set of damaged answers is scored once for all bounds."""
    operator, places = damaged.operator, damaged.applies_to
    # A draw's larger share contains its smaller ones.
    orders = [Random(f"{SEED}/{operator.name}/{draw}").sample(places, len(places)) for draw in range(DRAWS)]

    @cache
    def drawn(chosen: frozenset[int]) -> ModelScores:
        mutants = {undamaged.answered[place].sample.id: damaged.predictions[place] for place in chosen}
        predictions = [mutants.get(it.sample.id) or it for it in undamaged.predictions]
        return msgspec.structs.replace(undamaged, predictions=predictions)

    @cache
    def decided(bound: Bound, chosen: frozenset[int]) -> Decision:
        return assertions[bound](drawn(chosen)).decide(bound)

    noticing = []
    for bound, before in kept.items() if places else ():
        found = Noticing(before, {})
        for share in sorted({*SHARES, noticed_at}):
            size = answers_at(share, len(places))
            draws = [decided(bound, frozenset(order[:size])) for order in orders]
            found = Noticing(before, {**found.draws, share: draws})
            if share >= noticed_at and found.share is not None:
                break
        noticing.append(found)
    return OperatorStudy(operator.name, operator.harmful, len(places), len(damaged.predictions), tuple(noticing))
