"""One model under mutation: its recorded answers damaged by every operator, scored, and its bounds decided again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from evaltape.metrics.metric import Metric, score_answer
from evaltape.metrics.scorers import CallFacts
from evaltape.mutation.assertions import Assertion
from evaltape.mutation.findings import Study
from evaltape.mutation.harmful import Answers
from evaltape.mutation.operators import Mutant, Operator
from evaltape.mutation.study import NOT_JUDGED, NOTICED_AT, Damaged, study
from evaltape.samples.sample import Sample
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores


class ModelMutants(msgspec.Struct, frozen=True):
    """How much of each kind of damage a model's gates notice."""

    model: str
    """The model's key."""
    study: Study
    """The smallest share per operator and gate, and the conclusions."""
    examples: Mapping[str, Mutant]
    """Per operator its first damaged answer; without operators that apply to no answer."""

    def as_result(self) -> dict[str, dict[str, Any]]:
        """Return the results file's table of this model."""
        return self.study.as_result()


Judged = Callable[[Sample, str], float | str | None]
"""A judge's recorded verdict on a mutant: the score, why it can't be read, or None without a recording."""


def mutate_model(
    scores: ModelScores,
    assertions: Sequence[Assertion],
    operators: Iterable[Operator],
    noticed_at: float | None = None,
    judged: Mapping[str, Judged] | None = None,
) -> ModelMutants:
    """Damage a model's answers and decide its bounds again; failed samples have no answer and are left out.

    `noticed_at` is the share that has to be noticed, a quarter by default; `judged` gives by judge's metric the verdicts on
    mutants. Raises `UserError` for an operator of the user's that fails.
    """
    names = {each.bound.metric for each in assertions}
    metrics = {name: metric for name, metric in scores.metrics.items() if name in names and metric.is_computed}
    damaged = [Damaged(operator, _mutants(operator, scores.answered, metrics)) for operator in operators]
    not_judged: dict[str, str] = {}
    for name, verdict in (judged or {}).items():
        damaged, missing = _judge(damaged, name, verdict)
        if missing:
            not_judged[name] = f"{NOT_JUDGED}: {missing}"
    is_judged = set(judged or ()) - set(not_judged)
    found = study(scores, assertions, damaged, NOTICED_AT if noticed_at is None else noticed_at, not_judged, is_judged)
    examples = {each.operator.name: example for each in damaged if (example := _example(each, scores.answered))}
    return ModelMutants(scores.model.key, found, examples)


def texts_of(operator: Operator, answered: Sequence[Prediction]) -> list[str | None]:
    """Return each answer as an operator damages it; None where it doesn't apply."""
    answers: Answers = [(one.sample, one.text) for one in answered]
    return [operator.apply(sample, text, answers) for sample, text in answers]


def _judge(damaged: Sequence[Damaged], metric: str, verdict: Judged) -> tuple[list[Damaged], str]:
    """Return the mutants with a judge's verdicts, and how many lack a verdict; empty if all are there."""
    made = [one for each in damaged for one in each.predictions if one is not None]
    found = {(one.sample.id, one.text): verdict(one.sample, one.text) for one in made}
    missing = sum(each is None for each in found.values())
    if missing:
        how = f"{missing:,} of {len(found):,} verdicts on mutants are not recorded"
        return list(damaged), f"{how} (pytest --mutate --record asks for them, {missing:,} calls)"
    return [
        Damaged(it.operator, [None if one is None else _with_verdict(one, metric, found) for one in it.predictions])
        for it in damaged
    ], ""


def _with_verdict(prediction: Prediction, metric: str, found: Mapping[tuple[str, str], float | str | None]) -> Prediction:
    verdict = found[prediction.sample.id, prediction.text]
    scores = {name: score for name, score in prediction.scores.items() if name != metric}
    if isinstance(verdict, float):
        return replace(prediction, scores={**scores, metric: verdict})
    return replace(prediction, scores=scores, unscored={**prediction.unscored, metric: verdict or NOT_JUDGED})


def _mutants(operator: Operator, answered: Sequence[Prediction], metrics: Mapping[str, Metric]) -> list[Prediction | None]:
    """Return each answer damaged and scored; None where the operator doesn't apply."""
    texts = texts_of(operator, answered)
    return [None if text is None else _scored(one, text, metrics) for one, text in zip(answered, texts, strict=True)]


def _scored(prediction: Prediction, text: str, metrics: Mapping[str, Metric]) -> Prediction:
    computed, unscored = score_answer(metrics, prediction.sample, text, CallFacts())
    kept = {name: score for name, score in prediction.scores.items() if name not in metrics}
    answer = replace(prediction.answer, text=text)
    return replace(prediction, answer=answer, scores={**kept, **computed}, unscored=unscored)


def _example(damaged: Damaged, answered: Sequence[Prediction]) -> Mutant | None:
    pairs = zip(answered, damaged.predictions, strict=True)
    return next((Mutant(one.sample.id, one.text, mutant.text) for one, mutant in pairs if mutant is not None), None)
