"""How much of each damage each bound notices: every bound decided again, by its own rule, on damaged scores.

Mutants are scored once. A draw orders the answers that an operator applies to by chance, and a share of them, from the
front, counts as damaged; the rest keep their scores. A bound notices a share if its test fails in at least 80% of the draws.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random

import msgspec

from evaltape.mutation.assertions import Assertion
from evaltape.mutation.findings import Draw, LeftOut, Noticing, OperatorStudy, Study
from evaltape.mutation.operators import Operator
from evaltape.scoring.bounds import FAILED, NOT_CHECKED, Decision
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores

SEED = 42
DRAWS = 20
SHARES = (0.05, 0.10, 0.25, 0.50, 1.0)
"""Of the answers that an operator applies to."""
NOTICED_AT = 0.25
"""The share that counts for the mutation score."""
NOT_JUDGED = "not judged"
"""The words for a judge's metric without recorded verdicts on mutants: nobody knows which damage it would notice."""


class Damaged(msgspec.Struct, frozen=True):
    """A model's answers as an operator damages them."""

    operator: Operator
    predictions: Sequence[Prediction | None]
    """One per answered sample, scored, in their order; None where the operator doesn't apply."""

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

    Left out, with the reason, is a bound that doesn't pass before any damage, and one on a metric that isn't computed from the
    text alone. Of judges' metrics `judged` have a verdict on every mutant, and `not_judged` say why they have not.
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
    """Return why nothing can be said of a bound; empty if something can."""
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
        self._undamaged = undamaged
        self._damaged = damaged
        self._shares = shares
        self._noticed_at = noticed_at
        places, name = damaged.applies_to, damaged.operator.name
        self._places = places
        # A draw's larger share contains its smaller ones.
        self._orders = [Random(f"{SEED}/{name}/{draw}").sample(places, len(places)) for draw in range(DRAWS)]
        self._scores: dict[frozenset[int], ModelScores] = {}

    def study(self, kept: Sequence[tuple[Assertion, Decision]]) -> OperatorStudy:
        """Return how each bound notices the operator."""
        operator, answers = self._damaged.operator, len(self._damaged.predictions)
        noticing = tuple(self._noticing(*pair) for pair in kept) if self._places else ()
        return OperatorStudy(operator.name, operator.harmful, len(self._places), answers, noticing)

    def _noticing(self, assertion: Assertion, undamaged: Decision) -> Noticing:
        draws: dict[float, tuple[Draw, ...]] = {}
        known: dict[frozenset[int], Draw] = {}
        for share in self._shares:
            draws[share] = tuple(self._draw(assertion, places, known) for places in self._drawn(share))
            found = Noticing(assertion.bound, undamaged.at_least, undamaged.value, draws)
            if share >= self._noticed_at and found.share is not None:
                break
        return found

    def _drawn(self, share: float) -> list[frozenset[int]]:
        size = answers_at(share, len(self._places))
        return [frozenset(order[:size]) for order in self._orders]

    def _draw(self, assertion: Assertion, places: frozenset[int], known: dict[frozenset[int], Draw]) -> Draw:
        if places not in known:
            decision = assertion.scores_of(self._damaged_scores(places)).decide(assertion.bound)
            known[places] = Draw(decision.value, decision.fails)
        return known[places]

    def _damaged_scores(self, places: frozenset[int]) -> ModelScores:
        if places not in self._scores:
            mutants = {self._undamaged.answered[place].sample.id: self._damaged.predictions[place] for place in places}
            predictions = [mutants.get(one.sample.id) or one for one in self._undamaged.predictions]
            self._scores[places] = msgspec.structs.replace(self._undamaged, predictions=predictions)
        return self._scores[places]
