"""How fragile a verdict is: the fewest samples whose removal turns it.

A verdict that three of 200 samples carry says little, whether it passed or failed. Samples are removed singly, also where they
form clusters, in the order in which they move the mean the fastest: the worst first to let it pass, the best first to let it
fail. The scores that are left decide the bound as ever.

For a gate on a mean the number is exact: no other samples of that number move the mean as far. For an interval's end, a slice
gate and a corrected mean it is an upper bound: fewer may do, as an end also moves with the spread of the samples that are left.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache

from msgspec.structs import replace

from evaltape.metrics.metric import plain_name
from evaltape.scoring.bounds import FAILED, INCONCLUSIVE, PASSED, Bound, Decision, Fragility, Verdict
from evaltape.scoring.paired_scores import PairedScores
from evaltape.scoring.scores import ModelScores
from evaltape.scoring.slices import SliceScores

TURNS: Mapping[Verdict, tuple[tuple[Verdict, ...], ...]] = {
    PASSED: ((FAILED, INCONCLUSIVE),),
    FAILED: ((PASSED,),),
    INCONCLUSIVE: ((PASSED,), (FAILED,)),
}
"""By verdict the verdicts that it turns to, in either direction."""
MOST_SHARE = 0.5
"""No verdict is fragile that takes more than this share of the samples to turn."""
NAMED = 10
"""How many of the samples are named."""

Removable = ModelScores | SliceScores | PairedScores
"""Scores that a bound can be decided by without some of their samples."""


def fragility(decision: Decision, scores: Removable) -> Fragility | None:
    """Return the fewest samples whose removal turns a decision on these scores.

    A verdict that passed turns if it doesn't pass any more, a failed one if it passes, an inconclusive one either way. None if
    at most half of the samples don't turn it, and if nothing was checked.
    """
    found = [
        one
        for verdicts in TURNS.get(decision.verdict, ())
        for part, order in _removals(scores, decision.bound, better=PASSED in verdicts)
        if (one := _fewest(decision.bound, part, order, verdicts)) is not None
    ]
    return min(found, key=lambda one: one.samples, default=None)


def _fewest(bound: Bound, scores: Removable, order: Sequence[str], verdicts: Collection[Verdict]) -> Fragility | None:
    """Return how many of the first samples have to go for one of these verdicts; tried in steps that double, then halved."""

    @cache
    def without(number: int) -> Verdict:
        return scores.without(set(order[:number])).decide(bound).verdict

    most = int(MOST_SHARE * len(order))
    too_few, enough = 0, min(1, most)
    while enough > too_few and without(enough) not in verdicts:
        too_few, enough = enough, min(2 * enough, most)
    if enough == too_few:
        return None
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if without(middle) in verdicts else (middle, enough)
    return Fragility(enough, tuple(order[: min(enough, NAMED)]), without(enough))


def _removals(scores: Removable, bound: Bound, better: bool) -> Iterator[tuple[Removable, list[str]]]:
    """Yield these scores, or those of a slice, with their samples in an order that betters or worsens them the fastest.

    One slice is enough to fail a gate on slices; to pass it takes all of them.
    """
    if isinstance(scores, PairedScores):
        yield scores, _order(scores, bound.metric, better)
    elif isinstance(scores, ModelScores):
        yield scores, [*(_faults(scores, bound.metric) if better else []), *_order(scores, bound.metric, better)]
    elif better:
        missed = {place for place, each in scores.decided(bound).items() if each.verdict != PASSED}
        ids = {one.sample.id for column, value, each in scores if (column, value) in missed for one in each.predictions}
        worst = [sample for sample in _order(scores.scores, bound.metric, better) if sample in ids]
        yield scores, [*_faults(scores.scores, bound.metric), *worst]
    else:
        for column, value, each in scores:
            if scores.is_gated(each):  # As if the suite had no other.
                values = {column: {one.sample.id: value for one in each.predictions}}
                alone = SliceScores(replace(each, slice_values=values), scores.smallest)
                yield alone, _order(each, bound.metric, better)


def _order(scores: ModelScores | PairedScores, metric: str, better: bool) -> list[str]:
    name = plain_name(metric, scores.metrics)
    if isinstance(scores, PairedScores):
        numbers = {pair.sample: pair.after.scores[name] - pair.before.scores[name] for pair in scores.scored(name)}
    else:
        numbers = {one.sample.id: one.scores[name] for one in scores.scored(name)}
    return sorted(numbers, key=lambda sample: numbers[sample], reverse=better != scores.metrics[name].higher_is_better)


def _faults(scores: ModelScores, metric: str) -> list[str]:
    """Return the samples without a score that no bound passes with: failed ones beyond those that the model may have."""
    name = plain_name(metric, scores.metrics)
    unread = [one for one in scores.unscored(name) if name in one.unread]
    unscored = [one for one in scores.unscored(name) if name not in one.unread]
    failed = [*scores.failures, *unread]
    beyond = failed[: max(0, len(failed) - scores.model.allow_failed)]
    return [one.sample.id for one in (*unscored, *beyond)]
