"""References worth a look: those that models agree against.

Where two models say nearly the same and the reference says something else, the reference is often the one that is wrong, or one
of several right answers. How far two texts agree is ROUGE-L's F1 over words of any script, without case: 0 to 1. It doesn't
depend on the metrics of the suite.
"""

from collections.abc import Sequence
from itertools import combinations

import msgspec

from evaltape.metrics.rouge import common_subsequence
from evaltape.metrics.tokenizers import unicode_words
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model

LEAST_AGREEMENT = 0.5
"""Two answers that agree by less say different things."""
TIMES = 2.0
"""How many times as far as with the reference they have to agree with each other."""
MOST_NAMED = 10
"""Of a suite."""
MOST_MODELS = 8
"""Of a sample so many answers are held beside each other; the number of pairs grows with its square."""


class Outvoted(msgspec.Struct, frozen=True):
    """A sample with references that two models agree against."""

    sample: str
    """The sample's id."""
    models: tuple[str, str]
    """The keys of the two models that agree the most beyond the references."""
    agreement: float
    """Of their answers with each other, 0 to 1."""
    to_reference: float
    """Of the answer that agrees more with a reference, with the one that it agrees with the most."""

    @property
    def gap(self) -> float:
        """How much more the answers agree with each other than with a reference."""
        return self.agreement - self.to_reference


def outvoted(models: Sequence[ModelScores]) -> tuple[Outvoted, ...]:
    """Return the samples whose references two models agree against, the widest gap first, at most ten.

    The models have to be of different origin: one agrees with itself under another prompt, and with what was tuned from it.
    Answers agree against the references by at least 0.5, and at least twice as far as either of them does with any reference.
    """
    if all(_origins(one.model) & _origins(other.model) for one, other in combinations(models, 2)):
        return ()
    answers: dict[str, list[Prediction]] = {}
    for scores in models:
        for one in scores.answered:
            answers.setdefault(one.sample.id, []).append(one)
    found = map(_of_sample, answers.values())
    return tuple(sorted((one for one in found if one is not None), key=lambda one: -one.gap)[:MOST_NAMED])


def _of_sample(answers: Sequence[Prediction]) -> Outvoted | None:
    """Return the two models that agree the most beyond the references of a sample; None if no two do so far enough."""
    references = [unicode_words(text) for text in answers[0].sample.references]
    if not references:
        return None
    words = [(one.model, unicode_words(one.text)) for one in answers]
    known = [(model, text, max(_agreement(text, reference) for reference in references)) for model, text in words]
    apart = [each for each in known if each[2] * TIMES <= 1][:MOST_MODELS]
    found = []
    for (first, text, to_reference), (second, other, of_second) in combinations(apart, 2):
        nearer = max(to_reference, of_second)
        agreement = 0.0 if _origins(first) & _origins(second) else _agreement(text, other)
        if agreement >= max(LEAST_AGREEMENT, TIMES * nearer):
            found.append(Outvoted(answers[0].sample.id, (first.key, second.key), agreement, nearer))
    return max(found, key=lambda one: one.gap, default=None)


def _origins(model: Model) -> set[str]:
    """Return the names that a model goes by; of a tuned model also those of its base, and the model that it was taught by."""
    names = {model.key, model.served} - {""}
    if model.job is None:
        return names
    recorded = model.job.train.recorded
    teacher = {recorded.split("/")[1]} if recorded else set()
    return names | teacher | _origins(model.job.base)


def _agreement(one: Sequence[str], other: Sequence[str]) -> float:
    return 2 * common_subsequence(one, other) / (len(one) + len(other)) if one and other else 0.0
