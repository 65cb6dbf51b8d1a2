"""Mutants: a model's answers damaged by an operator, and their scores."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaltape.mutation.harmful import Answers
from evaltape.mutation.operators import Operator

if TYPE_CHECKING:
    from evaltape.samples.sample import Sample

Score = Callable[["Sample", str], Mapping[str, float | None]]
"""A function of a sample and a text to the score of each metric; None for a metric that can't score it."""
Columns = dict[str, list[float | None]]
"""Per metric one score per answer; None where the operator doesn't apply, `nan` where the metric can't score the mutant."""


@dataclass(frozen=True, slots=True)
class Mutants:
    """What one operator makes of a model's answers."""

    operator: Operator
    texts: tuple[str | None, ...]
    """One per answer, in the answers' order; None where the operator doesn't apply."""

    @property
    def applies_to(self) -> int:
        """How many of the answers the operator applies to."""
        return sum(text is not None for text in self.texts)


def make_mutants(operators: Iterable[Operator], answers: Answers) -> list[Mutants]:
    """Damage each answer with each operator. `answers` are pairs of a sample and the model's text for it."""
    return [
        Mutants(operator, tuple(operator.apply(sample, text, answers) for sample, text in answers)) for operator in operators
    ]


def score_mutants(mutants: Mutants, samples: Sequence["Sample"], metrics: Iterable[str], score: Score) -> Columns:
    """Score each mutant once; the samples stand in the mutants' order."""
    scores = [None if text is None else score(sample, text) for sample, text in zip(samples, mutants.texts, strict=True)]
    return {metric: [None if row is None else _or_nan(row[metric]) for row in scores] for metric in metrics}


def _or_nan(score: float | None) -> float:
    return float("nan") if score is None else score
