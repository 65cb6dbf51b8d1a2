"""One model under mutation: its recorded answers damaged by every operator, scored, and its gates decided again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evaltape.mutation.findings import Study
from evaltape.mutation.gates import Gate
from evaltape.mutation.harmful import Answers
from evaltape.mutation.mutants import Mutants, make_mutants, score_mutants
from evaltape.mutation.operators import Operator
from evaltape.mutation.study import NOTICED_AT, Damaged, study
from evaltape.scoring.metrics import Metric, score_answer
from evaltape.scoring.scorer import CallFacts
from evaltape.scoring.scores import ModelScores

if TYPE_CHECKING:
    from evaltape.samples.sample import Sample


@dataclass(frozen=True, slots=True)
class Example:
    """One damaged answer."""

    sample: str
    """The sample's id."""
    before: str
    """The recorded answer."""
    after: str
    """What the operator makes of it."""


@dataclass(frozen=True, slots=True)
class ModelMutants:
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
    scores: ModelScores,
    samples: Mapping[str, "Sample"],
    gates: Sequence[Gate],
    operators: Iterable[Operator],
    text_metrics: Mapping[str, Metric],
    noticed_at: float | None = None,
) -> ModelMutants:
    """Damage a model's answers and decide its gates again; failed samples have no answer and are left out.

    `samples` by id; `text_metrics` are the metrics that the text of an answer decides; `noticed_at` is the share that has to
    be noticed, a quarter by default. Raises `UserError` for an operator of the user's that fails.
    """
    answers: Answers = [(samples[prediction.sample.id], prediction.text) for prediction in scores.answered]
    metrics = {gate.metric for gate in gates if not gate.undecided}
    undamaged = {metric: [each.scores.get(metric) for each in scores.answered] for metric in metrics}
    decided = {name: metric for name, metric in text_metrics.items() if name in metrics}
    mutants = make_mutants(operators, answers)
    damaged = [_damaged(each, answers, decided) for each in mutants]
    found = study(undamaged, gates, damaged, NOTICED_AT if noticed_at is None else noticed_at)
    examples = {each.operator.name: example for each in mutants if (example := _example(each, answers))}
    return ModelMutants(scores.model.key, found, examples)


def _damaged(mutants: Mutants, answers: Answers, metrics: Mapping[str, Metric]) -> Damaged:
    def score(sample: "Sample", text: str) -> Mapping[str, float | None]:
        computed, _ = score_answer(metrics, sample, text, CallFacts())
        return {name: computed.get(name) for name in metrics}

    columns = score_mutants(mutants, [sample for sample, _ in answers], metrics, score)
    applies = [text is not None for text in mutants.texts]
    return Damaged(mutants.operator.name, mutants.operator.harmful, applies, columns)


def _example(mutants: Mutants, answers: Answers) -> Example | None:
    pairs = zip(answers, mutants.texts, strict=True)
    return next((Example(sample.id, before, after) for (sample, before), after in pairs if after is not None), None)
