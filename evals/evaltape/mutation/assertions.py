"""The assertions on a model's scores: each bound with the scores that decide it, given the model's."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from evaltape.scoring.bounds import AGAINST, GATE, SLICE_GATE, Bound, Scores, comparison_bounds, model_bounds
from evaltape.scoring.paired_scores import AgainstScores, PairedScores, Side, against_comparison
from evaltape.scoring.scores import ModelScores
from evaltape.scoring.slices import SliceScores
from evaltape.suite.definition import Suite

UNDAMAGED = Side("the undamaged answers", None, "the undamaged answers")


class Assertion(msgspec.Struct, frozen=True):
    """A bound that rests on a model's scores."""

    bound: Bound
    scores_of: Callable[[ModelScores], Scores]
    """Returns the scores that decide the bound if these are the model's."""


def assertions_of(slices: SliceScores, pairs: Iterable[PairedScores], suite: Suite) -> Iterator[Assertion]:
    """Yield everything that is asserted of a model's scores.

    `pairs` are the comparisons whose candidate it is: its answers are damaged, the baseline's aren't. For `[against]` the
    undamaged answers stand for the earlier recording.
    """
    of_kind: dict[str, Callable[[ModelScores], Scores]] = {
        GATE: lambda scores: scores,
        SLICE_GATE: lambda scores: SliceScores(scores, slices.smallest),
        AGAINST: lambda scores: _against(slices.scores, scores, suite),
    }
    own = [Assertion(bound, of_kind[bound.kind]) for bound in model_bounds(slices.model, suite)]
    yield from (each for each in own if each.bound.kind != AGAINST)
    for pair in pairs:
        yield from (Assertion(bound, _beside(pair)) for bound in comparison_bounds(pair.comparison))
    yield from (each for each in own if each.bound.kind == AGAINST)


def _beside(pair: PairedScores) -> Callable[[ModelScores], Scores]:
    return lambda scores: msgspec.structs.replace(pair, candidate=scores)


def _against(undamaged: ModelScores, scores: ModelScores, suite: Suite) -> AgainstScores:
    return AgainstScores(
        comparison=against_comparison(scores.model, UNDAMAGED),
        metrics=scores.metrics,
        baseline=undamaged,
        candidate=scores,
        max_drop=suite.against.max_drop if suite.against else {},
        side=UNDAMAGED,
    )
