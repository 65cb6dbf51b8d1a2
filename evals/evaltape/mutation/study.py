"""How much of each damage each bound notices: every bound decided again, by its own rule, on damaged scores.

Mutants are scored once. A draw orders the answers that an operator applies to by chance, and a share of them, from the
front, counts as damaged; the rest keep their scores. A bound notices a share if its test fails in at least 80% of the draws.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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


class Assertion(msgspec.Struct, frozen=True):
    """A bound on a model's scores."""

    bound: Bound
    scores_of: Callable[[ModelScores], Scores]
    """Returns the scores that decide the bound if the model's are these."""


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
    """By share, up to the noticed share or the largest."""

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
        way = self._signed(self.undamaged) - self._signed(self.bound.required)
        gone = self._signed(self.undamaged) - self._signed(self.reached(share))
        if way == 0:
            return math.copysign(math.inf, gone) if gone else 0.0
        return gone / way

    def bound_that_notices(self, share: float) -> float | None:
        """Return a bound that would notice this share, with few decimals; None if no bound would.

        It lies in the nearer half of the way from the reached to the undamaged value: the undamaged answers keep at least half
        of the way to pass it.
        """
        reached, undamaged = self._signed(self.reached(share)), self._signed(self.undamaged)
        bound = shortest_between(reached, (reached + undamaged) / 2)
        return None if bound is None else self.sign * bound

    @property
    def sign(self) -> int:
        """1, or -1 if a lower value is better: higher signed values and bounds are always better."""
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


class LeftOut(msgspec.Struct, frozen=True):
    """A bound that the study can't use, and why."""

    bound: Bound
    reason: str


class Study(msgspec.Struct, frozen=True):
    """The damage that the bounds of a model notice."""

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
    assertions: Iterable[Assertion],
    damaged: Sequence[Damaged],
    noticed_at: float = NOTICED_AT,
    not_judged: Mapping[str, str] | None = None,
    judged: Collection[str] = (),
) -> Study:
    """Decide each bound again on growing shares of each operator's mutants.

    The study leaves out, with the reason, a bound that doesn't pass before any damage, and a bound on a metric that isn't
    computed from the text. Judges' metrics in `judged` have a verdict on every mutant; `not_judged` tells why others don't.
    """
    decided = [(each, each.scores_of(undamaged).decide(each.bound)) for each in assertions]
    reasons = [_why_left_out(decision, not_judged or {}, judged) for _, decision in decided]
    kept = [pair for pair, reason in zip(decided, reasons, strict=True) if not reason]
    left_out = [LeftOut(each.bound, reason) for (each, _), reason in zip(decided, reasons, strict=True) if reason]
    shares = sorted({*SHARES, noticed_at})
    operators = [_OperatorDraws(undamaged, each, shares, noticed_at).study(kept) for each in damaged]
    return Study(noticed_at, tuple(operators), tuple(each.bound for each, _ in kept), tuple(left_out))


def answers_at(share: float, applies_to: int) -> int:
    """Return how many answers a share is: rounded, at least one."""
    return max(1, math.floor(share * applies_to + 0.5))


def _why_left_out(decision: Decision, not_judged: Mapping[str, str], judged: Collection[str]) -> str:
    """Return why the study can't use a bound; empty if it can."""
    name = decision.bound.metric
    if name in not_judged:
        return not_judged[name]
    if not decision.metric.is_computed and name not in judged:
        return f"{decision.bound.metric} isn't computed from the answer's text"
    if decision.passed:
        return ""
    if decision.verdict == NOT_CHECKED:
        return decision.reason
    if decision.verdict == FAILED and decision.value is None:
        return decision.line
    number = "" if decision.value is None else f"{decision.value:.4f}, bound {decision.bound.required:g}"
    how = "fails" if decision.verdict == FAILED else "is inconclusive"
    return f"{how} without any damage ({'; '.join(part for part in (number, decision.reason) if part)})"


class _OperatorDraws:
    """The draws of one operator, each set of damaged answers scored once for all bounds."""

    def __init__(self, undamaged: ModelScores, damaged: Damaged, shares: Sequence[float], noticed_at: float) -> None:
        self._undamaged, self._damaged = undamaged, damaged
        self._shares, self._noticed_at = shares, noticed_at
        self._places = places = damaged.applies_to
        # A draw's larger share contains its smaller ones.
        seeds = (f"{SEED}/{damaged.operator.name}/{draw}" for draw in range(DRAWS))
        self._orders = [Random(seed).sample(places, len(places)) for seed in seeds]
        self._scores: dict[frozenset[int], ModelScores] = {}

    def study(self, kept: Sequence[tuple[Assertion, Decision]]) -> OperatorStudy:
        """Return how each bound notices the operator."""
        operator, answers = self._damaged.operator, len(self._damaged.predictions)
        noticing = tuple(self._noticing(*pair) for pair in kept) if self._places else ()
        return OperatorStudy(operator.name, operator.harmful, len(self._places), answers, noticing)

    def _noticing(self, assertion: Assertion, undamaged: Decision) -> Noticing:
        draws, known = dict[float, tuple[Draw, ...]](), dict[frozenset[int], Draw]()
        for share in self._shares:
            size = answers_at(share, len(self._places))
            draws[share] = tuple(self._draw(assertion, frozenset(order[:size]), known) for order in self._orders)
            found = Noticing(assertion.bound, undamaged.at_least, undamaged.value, draws)
            if share >= self._noticed_at and found.share is not None:
                break
        return found

    def _draw(self, assertion: Assertion, places: frozenset[int], known: dict[frozenset[int], Draw]) -> Draw:
        if places in known:
            return known[places]
        if places not in self._scores:
            mutants = {self._undamaged.answered[place].sample.id: self._damaged.predictions[place] for place in places}
            predictions = [mutants.get(it.sample.id) or it for it in self._undamaged.predictions]
            self._scores[places] = msgspec.structs.replace(self._undamaged, predictions=predictions)
        decision = assertion.scores_of(self._scores[places]).decide(assertion.bound)
        known[places] = Draw(decision.value, decision.fails)
        return known[places]
