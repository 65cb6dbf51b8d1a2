"""A model beside its own past: a comparison with itself, and the samples that can't be compared."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

from evaltape.metrics.metric import plain_name
from evaltape.scoring import bounds
from evaltape.scoring.bounds import CONFIDENCE, FAILED, NOT_CHECKED, PASSED, Bound, Decision, Verdict
from evaltape.scoring.paired import LEAST_PAIRS, Difference
from evaltape.scoring.paired_scores import PairedScores
from evaltape.suite.definition import Comparison, Model
from evaltape.suite.prompt import PromptChange
from evaltape.text import counted, listed

UNCHANGED = "nothing changed"
NAMED = 3
"""How many samples a message names."""


class Side(msgspec.Struct, frozen=True):
    """Where a model's past was read."""

    ref: str
    """The git ref or the folder, as it was given."""
    commit: str | None = None
    """The commit that was read; None for a folder."""
    title: str = ""
    """What messages call it: `main (merge base 1a2b3c4d5e of 2026-11-24)`."""


class SampleChanges(msgspec.Struct, frozen=True):
    """The samples that can't be compared, by id."""

    added: Sequence[str] = ()
    """Only today."""
    dropped: Sequence[str] = ()
    """Only on the other side."""
    changed: Sequence[str] = ()
    """On both, with another input or other references."""

    def __bool__(self) -> bool:
        return bool(self.added or self.dropped or self.changed)

    @property
    def in_short(self) -> str:
        """How many were added, dropped and changed, the first of them by their ids; empty without changes."""
        kinds = {"added": self.added, "dropped": self.dropped, "changed": self.changed}
        return "; ".join(f"{counted(len(ids), 'sample')} {kind} ({listed(ids, NAMED)})" for kind, ids in kinds.items() if ids)


class AgainstScores(PairedScores, frozen=True, dict=True, kw_only=True):
    """A model beside its own past: the baseline is the recording on the other side, scored by today's metrics.

    Both sides hold the samples that have the same input and references on both.
    """

    max_drop: Mapping[str, float]
    """The suite's bounds; empty without `[against]`."""
    side: Side
    """The other side: the git ref or the folder."""
    samples: SampleChanges = SampleChanges()
    """The samples that were `added`, `dropped` or `changed`, by id."""
    request: str = ""
    """How the model is asked in another way than it was; empty if it isn't, and for answers from a file."""
    prompt: PromptChange | None = None
    """The prompts of a sample, where the prompt is among that."""
    not_compared: str = ""
    """Why there is nothing to compare; empty if there is."""

    def __repr__(self) -> str:
        return f"<{self.model.key} against {self.side.ref}>"

    @property
    def model(self) -> Model:
        """The model under test."""
        return self.candidate.model

    @cached_property
    def is_the_same(self) -> bool:
        """Whether every sample that both sides have was asked and answered as it is today."""
        past = {one.sample.id: one for one in self.baseline.predictions}
        both = [(past[one.sample.id], one) for one in self.candidate.predictions if one.sample.id in past]
        return (
            bool(both) and not self.request and all(was.text == is_.text and was.answered == is_.answered for was, is_ in both)
        )

    @property
    def unchanged(self) -> str:
        """That nothing changed, and in which samples; empty if something did."""
        if not self.is_the_same:
            return ""
        return (
            f"{UNCHANGED} in the {counted(len(self.candidate.predictions), 'sample')} in common" if self.samples else UNCHANGED
        )

    def _is_the_same(self, metric: str) -> bool:
        """Whether the model is the same also by a metric that looks at the call and not at the answer alone."""
        plain = plain_name(metric, self.metrics)
        return self.is_the_same and all(pair.change(plain) == 0 for pair in self.scored(plain))

    def _difference(self, metric: str) -> Difference | None:
        found = PairedScores._difference(self, metric)
        # Equal answers differ by exactly nothing: no sample of them leaves that in doubt.
        return found and (msgspec.structs.replace(found, low=0.0, high=0.0) if self._is_the_same(metric) else found)

    # ------------------------------------------------------------ bounds

    def decision(self, metric: str) -> Decision:
        """Decide the bound of `[against]` on a metric. Raises `KeyError` if it sets no bound."""
        return self.decide(bounds.drop(self.model, self.max_drop, metric))

    def verdict(self, metric: str) -> str:
        """Return `passed`, `failed`, `inconclusive`, or `not checked` without a bound or anything to compare."""
        return self.decision(metric).verdict if metric in self.max_drop else NOT_CHECKED

    def decide(self, bound: Bound) -> Decision:
        """Decide a bound on the drop; equal answers to the same samples pass, however few they are.

        Too few samples in common decide nothing.
        """
        metric = self.metrics[bound.metric]
        found = self._difference(bound.metric)
        not_checked = self.not_compared or self._why_not(bound.metric)
        if not_checked or found is None:
            verdict: Verdict = NOT_CHECKED if not_checked else FAILED
            reason = not_checked or f"no sample is scored by {bound.metric} on both sides"
            return Decision(bound, metric, verdict, f"{verdict}: {self._about(bound.metric)}", found, None, reason)
        if self._is_the_same(bound.metric) and self._are_most_in_common and not self._refusal(bound.metric):
            line = self._line(bound, found, PASSED)
            return Decision(bound, metric, PASSED, line, found, 0.0, self.unchanged, self.notes)
        return PairedScores.decide(self, bound)

    def _why_not(self, metric: str) -> str:
        """Return why nothing can be said of a metric; empty if something can."""
        common = len(self.candidate.predictions)
        if self.samples and common < LEAST_PAIRS:
            return f"{counted(common, 'sample')} in common: it takes {LEAST_PAIRS} to compare. {self.samples.in_short}"
        metric = plain_name(metric, self.metrics)
        if not any(metric in one.scores for one in self.baseline.predictions):
            return f"no answer at {self.side.ref} is scored by {metric}"
        lacking = self.candidate.unscored(metric)
        if self.metrics[metric].is_of_call and lacking and not self.candidate.scored(metric):
            return f"no answer of today is scored by {metric}: {lacking[0].unscored.get(metric, 'it is not recorded')}"
        return ""

    @property
    def _are_most_in_common(self) -> bool:
        """Whether at least half of the samples of either side are in common."""
        common, changes = len(self.candidate.predictions), self.samples
        return common >= len(changes.changed) + max(len(changes.added), len(changes.dropped))

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
            f"recorded with {self.request}" if self.request else "",
            self.ways,
            f"{counted(len(lost), 'sample')} answered then and not now ({listed(lost, NAMED)})" if lost else "",
            f"{counted(len(gained), 'sample')} answered now and not then ({listed(gained, NAMED)})" if gained else "",
            self.samples.in_short,
        )
        return tuple(note for note in notes if note)


def against_comparison(model: Model, side: Side) -> Comparison:
    """Return the comparison of a model with its own past."""
    return Comparison(name="against", suite=model.suite, baseline=side.ref, candidate=model.key, confidence=CONFIDENCE)
