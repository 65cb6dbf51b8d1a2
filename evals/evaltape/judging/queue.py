"""Which answers a person labels first: the most instructive ones, then others at random.

First come answers on which the judge and a metric disagree: the judge likes what the metric ranks low, or the other way
round. A label of one says most about the judge's errors, but nothing about how frequent they are, so it is marked, and stands
for itself alone in corrected means. Then come all others, in an order that depends on the seed alone.
"""

from collections.abc import Collection, Iterable, Sequence
from random import Random

import msgspec

from evaltape.judging.labels import DISAGREEMENT, PROMPT, RANDOM, SECOND, Label
from evaltape.samples.sample import Sample

SEED = 42
CHOSEN = 20
"""How many answers are chosen for a disagreement before the others come."""
APART = 0.5
"""How far verdict and rank, both in 0..1, lie apart where judge and metric disagree."""


class Candidate(msgspec.Struct, frozen=True):
    """An answer that can be labelled."""

    sample: Sample
    model: str
    """The key of the model that gave it."""
    answer: str
    verdict: float | None = None
    """The judge's, in 0..1, or None."""
    score: float | None = None
    """Another metric's; None likewise."""


class Turn(msgspec.Struct, frozen=True):
    """An answer to be labelled next."""

    candidate: Candidate
    use: str
    """What its label is for: `random`, `disagreement` or `second`."""


def first_turns(candidates: Iterable[Candidate], labels: Iterable[Label], by: str) -> list[Turn]:
    """Return the answers that a person hasn't labelled, in the order to label them; equal answers to a sample count once."""
    different = list({(each.sample.id, each.answer): each for each in candidates}.values())
    done = {(label.sample, label.answer) for label in labels if label.by == by}
    chosen = _disagreements(different)
    others = [each for each in Random(SEED).sample(different, len(different)) if each not in chosen]
    turns = [*(Turn(each, DISAGREEMENT) for each in chosen), *(Turn(each, RANDOM) for each in others)]
    return [turn for turn in turns if (turn.candidate.sample.id, turn.candidate.answer) not in done]


def second_turns(labels: Sequence[Label], by: str, samples: Collection[Sample]) -> list[Turn]:
    """Return the answers that a person has labelled once, to be labelled again, in an order of its own."""
    known = {sample.id: sample for sample in samples}
    done = {(label.sample, label.answer) for label in labels if label.by == by and label.use == SECOND}
    mine = [label for label in labels if label.by == by and label.use not in (SECOND, PROMPT) and label.sample in known]
    again = [label for label in Random(SEED + 1).sample(mine, len(mine)) if (label.sample, label.answer) not in done]
    return [Turn(Candidate(known[label.sample], label.model, label.answer), SECOND) for label in again]


def _disagreements(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the answers that judge and metric see most differently, the greatest difference first."""
    scores = sorted(each.score for each in candidates if each.score is not None)
    apart = {place: _apart(each, scores) for place, each in enumerate(candidates)}
    furthest = sorted((place for place in apart if apart[place] > APART), key=lambda place: (-apart[place], place))
    return [candidates[place] for place in furthest[:CHOSEN]]


def _apart(candidate: Candidate, scores: Sequence[float]) -> float:
    if candidate.verdict is None or candidate.score is None:
        return 0.0
    below = sum(score < candidate.score for score in scores)
    equal = scores.count(candidate.score)
    return abs(candidate.verdict - (below + equal / 2) / len(scores))
