"""Two models on the samples that both answered."""

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property

import msgspec

from evaltape.metrics.metric import Metric, plain_name
from evaltape.scoring import bounds
from evaltape.scoring.bounds import FAILED, Bound, Decision
from evaltape.scoring.ends import interval_text
from evaltape.scoring.paired import Difference, difference
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores, cluster_labels
from evaltape.suite.definition import Comparison


class Pair(msgspec.Struct, frozen=True):
    """One sample with two answers."""

    before: Prediction
    """The baseline's, or that of the other side."""
    after: Prediction
    """The candidate's, or today's."""

    @property
    def sample(self) -> str:
        """The sample's id."""
        return self.after.sample.id

    def change(self, metric: str) -> float | None:
        """Return the second score less the first; None if either is missing."""
        if metric not in self.before.scores or metric not in self.after.scores:
            return None
        return self.after.scores[metric] - self.before.scores[metric]


class PairedScores(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """Two models on the samples that both answered."""

    comparison: Comparison
    """The comparison, as the suite states it."""
    metrics: Mapping[str, Metric]
    """The suite's metrics, by name."""
    baseline: ModelScores
    """The scores of the baseline."""
    candidate: ModelScores
    """The scores of the candidate."""

    def __repr__(self) -> str:
        return f"<comparison {self.comparison.name}>"

    @cached_property
    def pairs(self) -> list[Pair]:
        """The samples that both answered, in the order of the baseline's."""
        other = {prediction.sample.id: prediction for prediction in self.candidate.answered}
        return [Pair(mine, other[mine.sample.id]) for mine in self.baseline.answered if mine.sample.id in other]

    def scored(self, metric: str) -> list[Pair]:
        """Return the pairs of which a metric has scored both."""
        metric = plain_name(metric, self.metrics)
        return [pair for pair in self.pairs if pair.change(metric) is not None]

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Per metric the mean difference, second less first, with its interval, if there is a scored pair."""
        found = {metric: self._difference(metric) for metric in self.metrics}
        return {metric: one for metric, one in found.items() if one is not None}

    def _difference(self, metric: str) -> Difference | None:
        pairs = self.scored(metric)
        if not pairs:
            return None
        if metric not in self.metrics:
            return self._corrected(metric)[0]
        return difference(
            [pair.before.scores[metric] for pair in pairs],
            [pair.after.scores[metric] for pair in pairs],
            confidence=self.comparison.confidence,
            clusters=cluster_labels(self.candidate.clusters, [pair.after for pair in pairs]),
            limits=self.metrics[metric].bounds,
        )

    def _corrected(self, metric: str) -> tuple[Difference | None, str]:
        """Return the difference of a judge's metric corrected for its errors, and a note on it."""
        ground, plain = self.candidate.ground(metric), plain_name(metric, self.metrics)
        assert ground is not None
        pairs = self.scored(metric)
        clusters = cluster_labels(self.candidate.clusters, [pair.after for pair in pairs])
        return ground.difference(plain, pairs, self.comparison.confidence, clusters)

    # ------------------------------------------------------------ bounds

    def decision(self, metric: str) -> Decision:
        """Decide the comparison's bound on a metric. Raises `KeyError` if it sets no bound."""
        return self.decide(bounds.compared(self.comparison, metric))

    def verdict(self, metric: str) -> str:
        """Return `passed`, `failed` or `inconclusive`; `failed` if there is nothing to compare."""
        return self.decision(metric).verdict

    def decide(self, bound: Bound) -> Decision:
        """Decide a bound on the difference: it passes once the whole interval reaches it."""
        metric, found, refusal = self.metrics[bound.metric], self._difference(bound.metric), self._refusal(bound.metric)
        if refusal:
            return Decision(bound, metric, FAILED, f"{FAILED}: {self._about(bound.metric)}: {refusal}", reason=refusal)
        if found is None:
            return self._without_pairs(bound)
        least = bound.least_gain if metric.higher_is_better else -bound.least_gain
        verdict, reason = found.decided(least, metric.higher_is_better)
        line = self._line(bound, found, verdict, least)
        notes = (*self._notes_of(bound.metric), *self.notes)
        return Decision(bound, metric, verdict, line, found, _deciding_end(bound, metric, found), reason, notes)

    def without(self, samples: Collection[str]) -> "PairedScores":
        """Return the pairs without the samples of some ids."""
        sides = {"baseline": self.baseline.without(samples), "candidate": self.candidate.without(samples)}
        return msgspec.structs.replace(self, **sides)

    def _refusal(self, metric: str) -> str:
        """Return why no bound may rest on a judge's metric; empty if a bound may."""
        ground = self.candidate.ground(metric)
        return ground.refusal if ground else ""

    def _notes_of(self, metric: str) -> tuple[str, ...]:
        """Return the notes on a judge's metric."""
        ground = self.candidate.ground(metric)
        corrected = self._corrected(metric)[1] if metric not in self.metrics else ""
        return tuple(note for note in (corrected, ground.standing if ground else "") if note)

    def _without_pairs(self, bound: Bound) -> Decision:
        unanswered = next((side for side in (self.baseline, self.candidate) if side.failures), None)
        why = f". {unanswered.failed_in_short}" if unanswered else ""
        if bound.metric not in self.metrics and self.scored(bound.metric):
            reason = self._corrected(bound.metric)[1]
            return Decision(bound, self.metrics[bound.metric], FAILED, f"{FAILED}: {self._about(bound.metric)}: {reason}")
        line = f"0 samples answered by both: {self._about(bound.metric)}{why}"
        return Decision(bound, self.metrics[bound.metric], FAILED, line)

    def _line(self, bound: Bound, found: Difference, verdict: str, least: float | None = None) -> str:
        metric = self.metrics[bound.metric]
        interval = interval_text(found, metric.decimals, least)
        limit = f"{bound.suite_key} {bound.limit:g}"
        return f"{found.mean:+z.{metric.decimals}f} {verdict}: {self._about(bound.metric)} ({interval}), {limit}"

    def _about(self, metric: str) -> str:
        asked = self.comparison
        return f"{asked.name} {metric}: {asked.candidate} less {asked.baseline}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user beside the numbers."""
        return (self.ways,) if self.ways else ()

    @property
    def ways(self) -> str:
        """That the answers of the two sides came in different ways; empty if they didn't."""
        before, after = _ways(self.baseline), _ways(self.candidate)
        if not before or not after or before == after:
            return ""
        asked, now, then = self.comparison, " and ".join(after), " and ".join(before)
        return f"the answers of {asked.candidate} came by {now}, those of {asked.baseline} by {then}"

    def properties(self, bound: Bound | None) -> Iterator[tuple[str, float]]:
        """Yield the properties in JUnit XML of all differences, or of a bound with its difference."""
        for name, found in self.differences.items():
            if bound is None or bound.metric == name:
                ends = ((name, found.mean), ("low", found.low), ("high", found.high))
                yield from ((end, value) for end, value in ends if value is not None)
        if bound is not None:
            yield bound.suite_key, bound.limit
        yield "samples", len(self.pairs if bound is None else self.scored(bound.metric))


CAME = {"": "live calls", "batch": "the Batch API", "answers-from": "another engine's files"}
"""What messages call the ways that answers come."""


def _ways(scores: ModelScores) -> list[str]:
    """Return how the answers of a model came; nothing for a file of predictions."""
    if scores.model.predictions is not None:
        return []
    return sorted({CAME.get(one.answer.came, one.answer.came) for one in scores.answered})


def _deciding_end(bound: Bound, metric: Metric, found: Difference) -> float | None:
    """Return the end that has to reach the bound, as a gain: the lower end, or where it may stay open the upper."""
    gain = found if metric.higher_is_better else found.mirrored()
    return gain.low if bound.inconclusive == "fail" else gain.high
