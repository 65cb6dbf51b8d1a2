"""One model under mutation: its recorded answers damaged by every operator, scored, and its bounds decided again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from evaltape.metrics.metric import Metric, score_answer
from evaltape.metrics.scorer import CallFacts
from evaltape.mutation.assertions import Assertion
from evaltape.mutation.findings import Study
from evaltape.mutation.harmful import Answers
from evaltape.mutation.operators import Operator
from evaltape.mutation.study import NOTICED_AT, Damaged, study
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores


class Example(msgspec.Struct, frozen=True):
    """One damaged answer."""

    sample: str
    """The sample's id."""
    before: str
    """The recorded answer."""
    after: str
    """What the operator makes of it."""


class ModelMutants(msgspec.Struct, frozen=True):
    """How much of each kind of damage the gates of one model notice."""

    model: str
    """The model's key."""
    study: Study
    """The smallest share per operator and gate, and what follows from it."""
    examples: Mapping[str, Example]
    """Per operator its first damaged answer; without those that apply to none."""

    def as_result(self) -> dict[str, dict[str, Any]]:
        """Return the results file's table of this model."""
        return self.study.as_result()


def mutate_model(
    scores: ModelScores, assertions: Sequence[Assertion], operators: Iterable[Operator], noticed_at: float | None = None
) -> ModelMutants:
    """Damage a model's answers and decide its bounds again; failed samples have no answer and are left out.

    `noticed_at` is the share that has to be noticed, a quarter by default. Raises `UserError` for an operator of the user's
    that fails.
    """
    names = {each.bound.metric for each in assertions}
    metrics = {name: metric for name, metric in scores.metrics.items() if name in names and metric.is_computed}
    damaged = [Damaged(operator, _mutants(operator, scores.answered, metrics)) for operator in operators]
    found = study(scores, assertions, damaged, NOTICED_AT if noticed_at is None else noticed_at)
    examples = {each.operator.name: example for each in damaged if (example := _example(each, scores.answered))}
    return ModelMutants(scores.model.key, found, examples)


def _mutants(operator: Operator, answered: Sequence[Prediction], metrics: Mapping[str, Metric]) -> list[Prediction | None]:
    """Return each answer damaged and scored; None where the operator doesn't apply."""
    answers: Answers = [(one.sample, one.text) for one in answered]
    texts = [operator.apply(sample, text, answers) for sample, text in answers]
    return [None if text is None else _scored(one, text, metrics) for one, text in zip(answered, texts, strict=True)]


def _scored(prediction: Prediction, text: str, metrics: Mapping[str, Metric]) -> Prediction:
    computed, unscored = score_answer(metrics, prediction.sample, text, CallFacts())
    kept = {name: score for name, score in prediction.scores.items() if name not in metrics}
    answer = replace(prediction.answer, text=text)
    return replace(prediction, answer=answer, scores={**kept, **computed}, unscored=unscored)


def _example(damaged: Damaged, answered: Sequence[Prediction]) -> Example | None:
    pairs = zip(answered, damaged.predictions, strict=True)
    return next((Example(one.sample.id, one.text, mutant.text) for one, mutant in pairs if mutant is not None), None)
