"""Slices: the scores of samples that share a column's value, so that a mean doesn't hide a group that does badly."""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from evaltape.metrics.scorers import misses
from evaltape.scoring.bounds import FAILED, INCONCLUSIVE, NOT_CHECKED, PASSED, SLICE_GATE, Bound, Decision, Verdict, ends_of
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model
from evaltape.text import counted


class SliceDecision(msgspec.Struct, frozen=True):
    """A slice beside its gate."""

    column: str
    value: str
    verdict: Verdict
    """`inconclusive` if its mean misses the gate and equal scores give its interval no end."""
    end: float | None
    """The end of its interval that is nearer to the gate; None without such an end."""
    line: str
    """Its name, mean and interval."""


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
            return Decision(bound, metric, FAILED, unusable, reason=self.scores.counted_out(bound.metric))
        slices = self.decided(bound)
        if not slices:
            why = f"no slice has {counted(self.smallest, 'sample')}"
            return Decision(bound, metric, NOT_CHECKED, f"{NOT_CHECKED}: {about}, slice gate {bound.limit:g}", reason=why)
        verdicts = {each.verdict for each in slices}
        verdict = next(it for it in (FAILED, INCONCLUSIVE, PASSED) if it in verdicts)
        named = [each.line for each in slices if each.verdict == verdict]
        are_scored = all(each.end is not None for each in slices if each.verdict == FAILED)
        how = _how(verdict, are_scored, metric.higher_is_better)
        line = f"{counted(len(named), 'slice')} {how} slice gate {bound.limit:g}: {about}: {'; '.join(named)}"
        return Decision(bound, metric, verdict, line, value=_worst([each.end for each in slices], metric.higher_is_better))

    def without(self, samples: Collection[str]) -> "SliceScores":
        """Return the slices without the samples of some ids."""
        return SliceScores(self.scores.without(samples), self.smallest)

    def decided(self, bound: Bound) -> list[SliceDecision]:
        """Return each slice that is large enough beside the gate."""
        return [_decided(bound, *each) for each in self if self.is_gated(each[2])]


def _how(verdict: str, are_scored: bool, higher_is_better: bool) -> str:
    if verdict == FAILED:
        side = "under" if higher_is_better else "over"
        return f"wholly {side}" if are_scored else f"without a score or wholly {side}"
    return "within reach of" if verdict == PASSED else "with equal scores, so not known to reach"


def _decided(bound: Bound, column: str, value: str, scores: ModelScores) -> SliceDecision:
    metric, interval = scores.metrics[bound.metric], scores.interval(bound.metric)
    if interval is None:
        return SliceDecision(column, value, FAILED, None, f"{column} {value}: no sample was scored")
    end = interval.high if metric.higher_is_better else interval.low
    ends = f"{ends_of(interval, metric.decimals)}, {interval.samples:,} samples"
    line = f"{column} {value} {interval.mean:.{metric.decimals}f} ({ends})"
    if not misses(interval.mean, bound.limit, metric.higher_is_better):
        return SliceDecision(column, value, PASSED, interval.mean if end is None else end, line)
    verdict: Verdict = INCONCLUSIVE
    if end is not None:
        verdict = FAILED if misses(end, bound.limit, metric.higher_is_better) else PASSED
    return SliceDecision(column, value, verdict, end, line)


def _worst(ends: list[float | None], higher_is_better: bool) -> float | None:
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return None
    return min(known) if higher_is_better else max(known)
