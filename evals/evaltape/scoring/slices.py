"""Slices: the scores of samples that share a column's value, so that a mean doesn't hide a group that does badly."""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from evaltape.metrics.scorers import misses
from evaltape.scoring.bounds import FAILED, INCONCLUSIVE, NOT_CHECKED, PASSED, SLICE_GATE, Bound, Decision, Verdict, ends_of
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model
from evaltape.text import counted


class SliceScores(msgspec.Struct, frozen=True):
    """The scores of a model by column and value."""

    scores: ModelScores
    """Of all samples."""
    smallest: int
    """A slice of fewer samples is shown, not gated."""

    def __repr__(self) -> str:
        return f"<slices of {self.model.key}>"

    @property
    def model(self) -> Model:
        """The model under test."""
        return self.scores.model

    @property
    def columns(self) -> Mapping[str, Mapping[str, ModelScores]]:
        """By slice column, by value in the order of the samples, the scores of the samples that have it."""
        return self.scores.slices

    def __iter__(self) -> Iterator[tuple[str, str, ModelScores]]:
        """Yield each slice as column, value and scores."""
        yield from ((column, value, scores) for column, values in self.columns.items() for value, scores in values.items())

    def is_gated(self, scores: ModelScores) -> bool:
        """Return whether a slice is large enough for a gate: the interval of a smaller slice says next to nothing."""
        return len(scores.predictions) >= self.smallest

    def decision(self, metric: str) -> Decision:
        """Decide the slice gate on a metric. Raises `KeyError` if the suite sets no bound."""
        return self.decide(Bound(SLICE_GATE, self.model.suite, self.model.key, metric, self.model.slice_gates[metric]))

    def decide(self, bound: Bound) -> Decision:
        """Decide a slice gate: it fails if a slice's whole interval is on the wrong side."""
        metric, about = self.scores.metrics[bound.metric], f"{self.model.key} {bound.metric}"
        unusable = self.scores.unusable(bound.metric)
        if unusable:
            return Decision(bound, metric, FAILED, unusable, reason=" and ".join(self.scores.faults(bound.metric)))
        slices = self.decided(bound).values()
        if not slices:
            why = f"no slice has {counted(self.smallest, 'sample')}"
            return Decision(bound, metric, NOT_CHECKED, f"{NOT_CHECKED}: {about}, slice gate {bound.limit:g}", reason=why)
        verdict = next(it for it in (FAILED, INCONCLUSIVE, PASSED) if it in {each.verdict for each in slices})
        named = [each.line for each in slices if each.verdict == verdict]
        how = _how(verdict, all(each.estimate is not None for each in slices), metric.higher_is_better)
        line = f"{counted(len(named), 'slice')} {how} slice gate {bound.limit:g}: {about}: {'; '.join(named)}"
        ends = [each.value for each in slices if each.value is not None]
        worst = None if len(ends) < len(slices) else min(ends) if metric.higher_is_better else max(ends)
        return Decision(bound, metric, verdict, line, value=worst)

    def without(self, samples: Collection[str]) -> "SliceScores":
        """Return the slices without the samples of some ids."""
        return SliceScores(self.scores.without(samples), self.smallest)

    def decided(self, bound: Bound) -> dict[tuple[str, str], Decision]:
        """Return by column and value the decision on each slice that is large enough, with its name, mean and interval."""
        slices = ((column, value, scores) for column, value, scores in self if self.is_gated(scores))
        return {(column, value): _decided(bound, f"{column} {value}", scores) for column, value, scores in slices}


def _how(verdict: str, are_scored: bool, higher_is_better: bool) -> str:
    if verdict == FAILED:
        side = "under" if higher_is_better else "over"
        return f"wholly {side}" if are_scored else f"without a score or wholly {side}"
    return "within reach of" if verdict == PASSED else "with equal scores, so not known to reach"


def _decided(bound: Bound, name: str, scores: ModelScores) -> Decision:
    """Decide a slice by its end that is nearer to the gate; open if its mean misses and equal scores give it no such end."""
    metric, interval = scores.metrics[bound.metric], scores.interval(bound.metric)
    if interval is None:
        return Decision(bound, metric, FAILED, f"{name}: no sample was scored")
    end = interval.high if metric.higher_is_better else interval.low
    ends = f"{ends_of(interval, metric.decimals)}, {interval.samples:,} samples"
    line = f"{name} {interval.mean:.{metric.decimals}f} ({ends})"
    if not misses(interval.mean, bound.limit, metric.higher_is_better):
        return Decision(bound, metric, PASSED, line, interval, interval.mean if end is None else end)
    verdict: Verdict = INCONCLUSIVE
    if end is not None:
        verdict = FAILED if misses(end, bound.limit, metric.higher_is_better) else PASSED
    return Decision(bound, metric, verdict, line, interval, end)
