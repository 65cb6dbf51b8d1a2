"""A model under mutation: its recorded answers damaged by every operator and scored, its bounds decided again, and advice.

The advice says in a sentence, for tests and tables, how to notice a kind of damage that no gate notices.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from evaltape.metrics.scorers import decimals_apart
from evaltape.mutation.operators import Mutant, Operator
from evaltape.mutation.study import (
    MOST_DECIMALS,
    NOT_JUDGED,
    Assertions,
    Damaged,
    Noticing,
    OperatorStudy,
    Study,
    answers_at,
    study,
)
from evaltape.samples.sample import Sample
from evaltape.scoring.bounds import (
    AGAINST,
    GATE,
    MAX_DROP,
    MIN_GAIN,
    SLICE_GATE,
    Scores,
    comparison_bounds,
    model_bounds,
)
from evaltape.scoring.paired_scores import PairedScores, Side, against_scores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores, with_reasons
from evaltape.scoring.slices import SliceScores
from evaltape.suite.definition import Model, Suite

UNDAMAGED = Side("the undamaged answers", title="the undamaged answers")
DECIMALS = 4
LEAST_WAY = 0.1
"""Of the way from the undamaged value to the bound: damage that moves a gate less asks for a bound that chance fails, too."""
OWN_METRIC = "write a metric that sees it"


def assertions_of(slices: SliceScores, pairs: Iterable[PairedScores], suite: Suite) -> Assertions:
    """Return everything that is asserted of a model's scores.

    In all of `pairs` the model is the candidate: its answers are damaged, the baseline's aren't. For `[against]` the undamaged
    answers stand for the earlier recording.
    """
    max_drop = suite.against.max_drop if suite.against else {}
    of_kind: dict[str, Callable[[ModelScores], Scores]] = {
        GATE: lambda scores: scores,
        SLICE_GATE: lambda scores: SliceScores(scores, slices.smallest),
        AGAINST: lambda scores: against_scores(UNDAMAGED, slices.scores, scores, max_drop),
    }
    found = {bound: of_kind[bound.kind] for bound in model_bounds(slices.model, suite)}
    for pair in pairs:
        found |= dict.fromkeys(comparison_bounds(pair.comparison), partial(_beside, pair))
    return dict(sorted(found.items(), key=lambda each: each[0].kind == AGAINST))  # The past stands last.


def _beside(pair: PairedScores, scores: ModelScores) -> PairedScores:
    return replace(pair, candidate=scores)


class ModelMutants(msgspec.Struct, frozen=True):
    """How much of each kind of damage a model's gates notice."""

    model: str
    """The model's key."""
    study: Study
    """The smallest share by operator and gate, and the conclusions."""
    examples: Mapping[str, Mutant]
    """By operator its first damaged answer; without operators that apply to no answer."""


def mutate_model(
    scores: ModelScores,
    assertions: Assertions,
    operators: Iterable[Operator],
    scored: Callable[[Sample, str], Prediction],
    noticed_at: float,
) -> ModelMutants:
    """Damage a model's answers and decide its bounds again; failed samples have no answer and are left out.

    `scored` gives a mutant its scores by the metrics of the bounds; `noticed_at` is the share that has to be noticed. Raises
    `UserError` for an operator of the user's that fails.
    """
    damaged = [Damaged(operator, _mutants(operator, scores.answered, scored)) for operator in operators]
    judged = [name for name, metric in scores.metrics.items() if metric.is_judged]
    unjudged = {name: _unjudged(name, damaged) for name in judged if name in {bound.metric for bound in assertions}}
    # A mutant whose verdict can't be read is a mutant without a score, not a failed sample.
    unread = [replace(it, predictions=[one and replace(one, unread=()) for one in it.predictions]) for it in damaged]
    found = study(scores, assertions, unread, noticed_at, unjudged)
    examples = {each.operator.name: example for each in damaged if (example := _example(each, scores.answered))}
    return ModelMutants(scores.model.key, found, examples)


def _mutants(
    operator: Operator, answered: Sequence[Prediction], scored: Callable[[Sample, str], Prediction]
) -> list[Prediction | None]:
    texts = operator.texts([(one.sample, one.text) for one in answered])
    return [None if text is None else scored(one.sample, text) for one, text in zip(answered, texts, strict=True)]


def _unjudged(metric: str, damaged: Iterable[Damaged]) -> str:
    """Return how many mutants lack a judge's recorded verdict; empty if all have one."""
    made = {(one.sample.id, one.text): one for each in damaged for one in each.predictions if one is not None}
    missing = sum(metric in one.unscored and metric not in one.unread for one in made.values())
    lacking = f"{missing:,} of {len(made):,} verdicts on mutants are not recorded"
    return f"{NOT_JUDGED}: {lacking} (pytest --mutate --record asks for them, {missing:,} calls)" if missing else ""


def _example(damaged: Damaged, answered: Sequence[Prediction]) -> Mutant | None:
    pairs = zip(answered, damaged.predictions, strict=True)
    return next((Mutant(one.sample.id, one.text, mutant.text) for one, mutant in pairs if mutant is not None), None)


class TestedMutants(msgspec.Struct, frozen=True):
    """A kind of damage to a model's recorded answers, as the fixture `mutants` gives it to a test."""

    __test__: ClassVar[bool] = False
    model: Model
    """The model with the damaged answers."""
    operator: OperatorStudy
    """How its gates notice an operator."""
    study: Study
    """How they notice all operators."""

    def __repr__(self) -> str:
        return f"<{self.operator.operator} on {self.model.key}>"

    @property
    def noticed(self) -> bool:
        """Whether some gate notices the share that the suite asks for."""
        return self.operator.is_noticed(self.study.noticed_at)

    def __str__(self) -> str:
        start = f"{self.model.key} {self.operator.operator}"
        if not self.operator.answers:
            return f"{start}: there is no answer to damage. {_without_gates(self.study)}"
        at, applies_to, least = self.study.noticed_at, self.operator.applies_to, self.operator.share
        share = f"{at:.0%} of the {applies_to} answers that it applies to ({answers_at(at, applies_to)})"
        gates = [each.bound.title for each in self.operator.noticing if each.share is not None and each.share == least]
        later = f"; {gates[0]} notices {least:.0%}" if gates else ""
        return f"{start}: no gate notices {share}{later}. {what_would_notice(self.operator, self.study)}"


def what_would_notice(operator: OperatorStudy, study: Study) -> str:
    """Return which gate comes nearest to noticing an operator at the share that counts, and the bound that would notice it."""
    nearest = operator.nearest(study.noticed_at)
    if nearest is None:
        return _without_gates(study)
    nearness = nearest.nearness(study.noticed_at)
    if nearness <= 0:
        return f"No gate moves towards its bound: {OWN_METRIC}"
    before, after = nearest.before.value or 0.0, nearest.reached(study.noticed_at)
    digits = decimals_apart(before, after, DECIMALS, MOST_DECIMALS)
    way = f"from {before:.{digits}f} to {after:.{digits}f}, {nearness:.0%} of the way to its bound {nearest.bound.required:g}"
    return f"Nearest is {nearest.bound.title}, {way}: {_remedy(nearest, study.noticed_at)}"


def _remedy(nearest: Noticing, share: float) -> str:
    """Return the bound that would notice a share, as the suite file states it: `gates = { rougeL = 0.3 }`."""
    bound = nearest.bound_that_notices(share)
    if bound is None:
        return OWN_METRIC
    key, limit = nearest.bound.suite_key, bound
    if nearest.bound.is_paired:
        key, limit = MAX_DROP if bound < 0 or nearest.bound.kind == AGAINST else MIN_GAIN, abs(bound)
    stated = f"{key} = {{ {nearest.bound.metric} = {limit:g} }}"
    if nearest.nearness(share) < LEAST_WAY:
        return f"{stated} would notice it, but lies so near the mean that chance fails it too; {OWN_METRIC}"
    return f"{stated} would notice it, or a metric of your own"


def _without_gates(study: Study) -> str:
    if not study.left_out:
        return "There is no gate: set one under gates"
    return f"No gate can be decided: {with_reasons({bound.title: reason for bound, reason in study.left_out.items()})}"
