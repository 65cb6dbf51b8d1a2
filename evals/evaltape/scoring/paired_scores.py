"""Two models on the samples that both answered; and a model beside its own past: a comparison with itself."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property

import msgspec

from evaltape.metrics.metric import Metric, plain_name
from evaltape.scoring import bounds
from evaltape.scoring.bounds import CONFIDENCE, FAILED, NOT_CHECKED, PASSED, Bound, Decision, Verdict, interval_text
from evaltape.scoring.paired import LEAST_PAIRS, Difference, difference
from evaltape.scoring.prediction import Pair
from evaltape.scoring.scores import ModelScores, cluster_labels
from evaltape.suite.definition import Comparison, Model
from evaltape.suite.prompt import PromptChange
from evaltape.text import counted, listed


class PairedScores(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """Two models on the samples that both answered."""

    comparison: Comparison
    """The comparison, as the suite states it."""
    baseline: ModelScores
    """The scores of the baseline."""
    candidate: ModelScores
    """The scores of the candidate."""

    def __repr__(self) -> str:
        return f"<comparison {self.comparison.key}>"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The suite's metrics, by name."""
        return self.candidate.metrics

    @cached_property
    def pairs(self) -> list[Pair]:
        """The samples that both answered, in the baseline's order."""
        other = {prediction.sample.id: prediction for prediction in self.candidate.answered}
        return [Pair(mine, other[mine.sample.id]) for mine in self.baseline.answered if mine.sample.id in other]

    def scored(self, metric: str) -> list[Pair]:
        """Return the pairs with two scores by a metric."""
        metric = plain_name(metric, self.metrics)
        return [pair for pair in self.pairs if pair.change(metric) is not None]

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Per metric the mean difference, second less first, with its interval, if there is a scored pair."""
        found = {metric: self._difference(metric)[0] for metric in self.metrics}
        return {metric: one for metric, one in found.items() if one is not None}

    def _difference(self, metric: str) -> tuple[Difference | None, str]:
        """Return the mean difference by a metric, and a note on it if it is corrected for a judge's errors."""
        pairs, confidence = self.scored(metric), self.comparison.confidence
        if not pairs:
            return None, ""
        clusters = cluster_labels(self.candidate.clusters, [pair.after for pair in pairs])
        if metric not in self.metrics:
            return self.candidate.ground(metric).difference(plain_name(metric, self.metrics), pairs, confidence, clusters)
        before, after = [it.before.scores[metric] for it in pairs], [it.after.scores[metric] for it in pairs]
        return difference(before, after, confidence=confidence, clusters=clusters, limits=self.metrics[metric].bounds), ""

    def decision(self, metric: str) -> Decision:
        """Decide the comparison's bound on a metric. Raises `KeyError` if it sets no bound."""
        return self.decide(bounds.compared(self.comparison, metric))

    def verdict(self, metric: str) -> str:
        """Return `passed`, `failed` or `inconclusive`; `failed` without a pair."""
        return self.decision(metric).verdict

    def decide(self, bound: Bound) -> Decision:
        """Decide a bound on the difference: it passes if the whole interval reaches it."""
        metric, ground = self.metrics[bound.metric], self.candidate.ground(bound.metric)
        found, note = self._difference(bound.metric)
        if ground.refusal or found is None:
            about, why = self._about(bound.metric), ground.refusal or note
            unanswered = next((f". {side.failed_in_short}" for side in (self.baseline, self.candidate) if side.failures), "")
            line = f"{FAILED}: {about}: {why}" if why else f"0 samples answered by both: {about}{unanswered}"
            return Decision(bound, metric, FAILED, line, reason=ground.refusal)
        gain = found.gain(metric.higher_is_better)
        verdict, reason = gain.decided(bound.required)
        line = self._line(bound, found, verdict, bound.required if metric.higher_is_better else -bound.required)
        notes = tuple(it for it in (note, ground.standing, *self.notes) if it)
        # The lower end of the gain has to reach the bound, of a bound that may stay open the upper end.
        end = gain.low if bound.inconclusive == "fail" else gain.high
        return Decision(bound, metric, verdict, line, found, end, reason, notes)

    def without(self, samples: Collection[str]) -> "PairedScores":
        """Return the pairs without the samples of some ids."""
        sides = {"baseline": self.baseline.without(samples), "candidate": self.candidate.without(samples)}
        return msgspec.structs.replace(self, **sides)

    def _line(self, bound: Bound, found: Difference, verdict: str, least: float | None = None) -> str:
        decimals, limit = self.metrics[bound.metric].decimals, f"{bound.suite_key} {bound.limit:g}"
        interval = interval_text(found, decimals, least)
        return f"{found.mean:+z.{decimals}f} {verdict}: {self._about(bound.metric)} ({interval}), {limit}"

    def _about(self, metric: str) -> str:
        asked = self.comparison
        return f"{asked.key} {metric}: {asked.candidate} less {asked.baseline}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user beside the numbers."""
        return (self.ways,) if self.ways else ()

    @property
    def ways(self) -> str:
        """A note that the answers of both sides came in different ways; empty if they came in the same way."""
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
"""The ways that answers come, as messages name them."""


def _ways(scores: ModelScores) -> list[str]:
    """Return how the answers of a model came; nothing for a file of predictions."""
    if scores.model.predictions is not None:
        return []
    return sorted({CAME.get(one.answer.came, one.answer.came) for one in scores.answered})


UNCHANGED = "nothing changed"
NAMED = 3
"""How many samples a message names."""


class Side(msgspec.Struct, frozen=True):
    """Where a model's past was read."""

    ref: str
    """The git ref or the folder, as it was given."""
    commit: str = ""
    """The commit that was read; empty for a folder."""
    title: str = ""
    """Its name in messages: `main (merge base 1a2b3c4d5e of 2026-11-24)`."""


class SampleChanges(msgspec.Struct, frozen=True):
    """The samples that can't be compared, by id."""

    added: Sequence[str] = ()
    """Only today."""
    dropped: Sequence[str] = ()
    """Only on the other side."""
    changed: Sequence[str] = ()
    """On both, with another input or other references."""

    @property
    def in_short(self) -> str:
        """How many were added, dropped and changed, the first of them by their ids; empty without changes."""
        kinds = {"added": self.added, "dropped": self.dropped, "changed": self.changed}
        return "; ".join(f"{counted(len(ids), 'sample')} {kind} ({listed(ids, NAMED)})" for kind, ids in kinds.items() if ids)


class AgainstScores(PairedScores, frozen=True, dict=True, kw_only=True):
    """A model beside its own past: the baseline is the recording on the other side, scored by today's metrics.

    Both sides hold the samples that have the same input and references on both.
    """

    side: Side
    """The other side: the git ref or the folder."""
    max_drop: Mapping[str, float] = {}
    """The suite's bounds; empty without `[against]`."""
    samples: SampleChanges = SampleChanges()
    """The samples that were `added`, `dropped` or `changed`, by id."""
    request: str = ""
    """How today's request differs from the recorded one; empty if it doesn't, and for answers from a file."""
    prompt: PromptChange | None = None
    """Both prompts of a sample, if the prompt changed."""
    not_compared: str = ""
    """Why nothing is compared; empty if something is."""

    def __repr__(self) -> str:
        return f"<{self.model.key} against {self.side.ref}>"

    @property
    def model(self) -> Model:
        """The model under test."""
        return self.candidate.model

    @cached_property
    def is_the_same(self) -> bool:
        """Whether every sample of both sides was asked and answered as it is today."""
        past = {one.sample.id: one for one in self.baseline.predictions}
        both = [(past[one.sample.id], one) for one in self.candidate.predictions if one.sample.id in past]
        are_equal = all(was.text == is_.text and was.answered == is_.answered for was, is_ in both)
        return bool(both) and not self.request and are_equal

    @property
    def unchanged(self) -> str:
        """A note that nothing changed, and in which samples; empty if something did."""
        if not self.is_the_same:
            return ""
        common = f" in the {counted(len(self.candidate.predictions), 'sample')} in common" if self.samples.in_short else ""
        return f"{UNCHANGED}{common}"

    def _is_the_same(self, metric: str) -> bool:
        """Whether the model is the same by a metric, too: the call may differ where the answers are equal."""
        plain = plain_name(metric, self.metrics)
        return self.is_the_same and all(pair.change(plain) == 0 for pair in self.scored(plain))

    def _difference(self, metric: str) -> tuple[Difference | None, str]:
        found, note = PairedScores._difference(self, metric)
        # Equal answers differ by exactly 0: there is no doubt that an interval could show.
        return found and (msgspec.structs.replace(found, low=0.0, high=0.0) if self._is_the_same(metric) else found), note

    def decision(self, metric: str) -> Decision:
        """Decide the bound of `[against]` on a metric. Raises `KeyError` if it sets no bound."""
        return self.decide(Bound(bounds.AGAINST, self.model.suite, self.model.key, metric, self.max_drop[metric]))

    def verdict(self, metric: str) -> str:
        """Return `passed`, `failed`, `inconclusive`, or `not checked` without a bound or anything to compare."""
        return self.decision(metric).verdict if metric in self.max_drop else NOT_CHECKED

    def decide(self, bound: Bound) -> Decision:
        """Decide a bound on the drop: equal answers pass, however few; too few samples in common decide nothing."""
        metric, ground = self.metrics[bound.metric], self.candidate.ground(bound.metric)
        found, _ = self._difference(bound.metric)
        not_checked = self.not_compared or self._why_not(bound.metric)
        if not_checked or found is None:
            verdict: Verdict = NOT_CHECKED if not_checked else FAILED
            reason = not_checked or f"no sample is scored by {bound.metric} on both sides"
            return Decision(bound, metric, verdict, f"{verdict}: {self._about(bound.metric)}", found, None, reason)
        common, changes = len(self.candidate.predictions), self.samples
        are_most_in_common = common >= len(changes.changed) + max(len(changes.added), len(changes.dropped))
        if self._is_the_same(bound.metric) and are_most_in_common and not ground.refusal:
            line = self._line(bound, found, PASSED)
            return Decision(bound, metric, PASSED, line, found, 0.0, self.unchanged, self.notes)
        return PairedScores.decide(self, bound)

    def _why_not(self, metric: str) -> str:
        """Return why a metric can't be compared; empty if it can."""
        common = len(self.candidate.predictions)
        if self.samples.in_short and common < LEAST_PAIRS:
            return f"{counted(common, 'sample')} in common: it takes {LEAST_PAIRS} to compare. {self.samples.in_short}"
        metric = plain_name(metric, self.metrics)
        if not any(metric in one.scores for one in self.baseline.predictions):
            return f"no answer at {self.side.ref} is scored by {metric}"
        lacking = self.candidate.unscored(metric)
        if self.metrics[metric].is_of_call and lacking and not self.candidate.scored(metric):
            return f"no answer of today is scored by {metric}: {lacking[0].unscored.get(metric, 'it is not recorded')}"
        return ""

    def _about(self, metric: str) -> str:
        return f"{self.model.key} {metric} against {self.side.title}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user beside the numbers: another request, answers that were lost, other samples."""
        past = {one.sample.id: one.answered for one in self.baseline.predictions}
        today = {one.sample.id: one.answered for one in self.candidate.predictions}
        lost = [sample for sample, answered in today.items() if past.get(sample) and not answered]
        gained = [sample for sample, answered in today.items() if answered and past.get(sample) is False]
        notes = (
            f"{self.side.ref} was recorded with {self.request}" if self.request else "",
            self.ways,
            f"{counted(len(lost), 'sample')} answered then and not now ({listed(lost, NAMED)})" if lost else "",
            f"{counted(len(gained), 'sample')} answered now and not then ({listed(gained, NAMED)})" if gained else "",
            self.samples.in_short,
        )
        return tuple(note for note in notes if note)


def against_scores(
    side: Side, baseline: ModelScores, candidate: ModelScores, max_drop: Mapping[str, float] | None = None
) -> AgainstScores:
    """Return a model beside its own past."""
    model = candidate.model
    comparison = Comparison(key="against", suite=model.suite, baseline=side.ref, candidate=model.key, confidence=CONFIDENCE)
    return AgainstScores(comparison=comparison, baseline=baseline, candidate=candidate, side=side, max_drop=max_drop or {})
