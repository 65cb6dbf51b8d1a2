"""What came of comparing a model with its recording on the other side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from evaltape.against.decide import decide, difference_of, interval_of
from evaltape.scoring.metrics import Metric
from evaltape.scoring.paired import Difference
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import cluster_labels
from evaltape.suite.definition import Model
from evaltape.text import counted, listed

NOT_CHECKED = "not checked"
UNCHANGED = "nothing changed"
NAMED = 3
"""How many samples a message names."""


@dataclass(frozen=True)
class Side:
    """The other side."""

    ref: str
    """The git ref or the folder, as it was given."""
    commit: str | None
    """The commit that was read; None for a folder."""
    title: str
    """What messages call it: `main (merge base 1a2b3c4d5e of 2026-11-24)`."""


@dataclass(frozen=True)
class Pair:
    """One sample whose input and references both sides have, with what the model answered on each."""

    before: Prediction
    """On the other side, scored by today's metrics."""
    after: Prediction
    """Today."""

    @property
    def sample(self) -> str:
        """The sample's id."""
        return self.after.sample.id

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer on both sides."""
        return self.before.answered and self.after.answered

    def change(self, metric: str) -> float | None:
        """Return today's score less the other side's; None if one of them has none."""
        if metric not in self.before.scores or metric not in self.after.scores:
            return None
        return self.after.scores[metric] - self.before.scores[metric]


@dataclass(frozen=True)
class SampleChanges:
    """The samples that can't be compared, by id."""

    added: Sequence[str] = ()
    """Only today."""
    dropped: Sequence[str] = ()
    """Only on the other side."""
    changed: Sequence[str] = ()
    """On both, with another input or other references."""

    @property
    def in_short(self) -> str:
        """How many were added, dropped and changed, the first of them by their ids; empty for none."""
        kinds = {"added": self.added, "dropped": self.dropped, "changed": self.changed}
        return "; ".join(f"{counted(len(ids), 'sample')} {kind} ({_named(ids)})" for kind, ids in kinds.items() if ids)


@dataclass(frozen=True, repr=False)
class ModelAgainst:
    """A model today beside its recording on the other side, sample by sample."""

    model: Model
    metrics: Mapping[str, Metric]
    """The suite's metrics, by which both sides are scored."""
    max_drop: Mapping[str, float]
    """The suite's bounds."""
    side: Side
    not_compared: str = ""
    """Why there is nothing to compare; empty if there is."""
    pairs: Sequence[Pair] = ()
    """In the order of today's samples."""
    samples: SampleChanges = field(default_factory=SampleChanges)
    request: str = ""
    """How the model is asked in another way than it was; empty if it isn't, and for answers from a file."""
    clusters: Mapping[str, str] | None = None
    """By sample its cluster, if the suite names a cluster column."""

    def __repr__(self) -> str:
        return f"<{self.model.key} against {self.side.ref}>"

    @cached_property
    def is_unchanged(self) -> bool:
        """Whether every sample was asked and answered as it is today."""
        same = ((pair.before.text, pair.before.answered) == (pair.after.text, pair.after.answered) for pair in self.pairs)
        return bool(self.pairs) and not self.request and all(same)

    def _is_the_same(self, metric: str) -> bool:
        """Whether the model is unchanged, also by a metric that looks at the call and not at the answer alone."""
        return self.is_unchanged and all(pair.change(metric) == 0 for pair in self.scored(metric))

    def scored(self, metric: str) -> list[Pair]:
        """Return the pairs that a metric has scored on both sides."""
        return [pair for pair in self.pairs if pair.change(metric) is not None]

    def most_lost(self, metric: str) -> list[Pair]:
        """Return the pairs with an answer that became worse: first those that lost their answer, then the worst."""
        sign = 1 if self.metrics[metric].higher_is_better else -1
        lost = [pair for pair in self.pairs if pair.before.answered and not pair.after.answered]
        changes = [(sign * change, pair) for pair in self.pairs if (change := pair.change(metric)) is not None]
        return lost + [pair for change, pair in sorted(changes, key=lambda one: one[0]) if change < 0]

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Per metric the mean change, today less the other side, with its interval, if there is a scored pair."""
        found = {}
        for metric in self.metrics:
            pairs = self.scored(metric)
            if pairs:
                before, after = ([one.scores[metric] for one in side] for side in _sides(pairs))
                labels = cluster_labels(self.clusters, [pair.after for pair in pairs])
                found[metric] = difference_of(before, after, labels, self.metrics[metric])
        # What didn't change differs by exactly nothing: no sample of it leaves that in doubt.
        return {name: replace(one, low=0.0, high=0.0) if self._is_the_same(name) else one for name, one in found.items()}

    def verdict(self, metric: str) -> str:
        """Return `passed`, `failed` or `inconclusive`, or `not checked` without a bound or anything to compare.

        An unchanged model passes, however few its samples are.
        """
        return self._decided(metric)[0]

    def why(self, metric: str) -> str:
        """Return what the verdict rests on if the interval alone doesn't say; what would settle an inconclusive one."""
        return self._decided(metric)[1]

    def _decided(self, metric: str) -> tuple[str, str]:
        if self.not_compared or metric not in self.max_drop:
            return NOT_CHECKED, self.not_compared
        if metric not in self.differences:
            return "failed", f"no sample is scored by {metric} on both sides"
        if self._is_the_same(metric):
            return "passed", UNCHANGED
        return decide(self.differences[metric], self.max_drop[metric], self.metrics[metric])

    def properties(self, metric: str | None) -> Iterator[tuple[str, float]]:
        """Yield what JUnit XML holds of one metric's change, or of all, with its bound."""
        for name, difference in self.differences.items():
            if metric in (None, name):
                ends = ((name, difference.mean), ("low", difference.low), ("high", difference.high))
                yield from ((end, value) for end, value in ends if value is not None)
        if metric is not None and metric in self.max_drop:
            yield "max_drop", self.max_drop[metric]
        yield "samples", len(self.pairs)

    # ------------------------------------------------------------ messages

    def in_short(self, metric: str) -> str:
        """Return the change beside its bound in a line, the number first, with what would settle an inconclusive one."""
        about = f"{self.model.key} {metric} against {self.side.title}"
        verdict, why = self._decided(metric)
        difference = self.differences.get(metric)
        if difference is None:
            return f"{verdict}: {about}: {why}"
        decimals = self.metrics[metric].decimals
        bound = f", max_drop {self.max_drop[metric]:g}" if metric in self.max_drop else ""
        line = f"{difference.mean:+z.{decimals}f} {verdict}: {about} ({interval_of(difference, decimals)}){bound}"
        return line + "".join(f"; {note}" for note in (why, *self.notes) if note)

    @property
    def notes(self) -> list[str]:
        """What a person should know beside the numbers: another request, answers that were lost, other samples."""
        lost = [pair.sample for pair in self.pairs if pair.before.answered and not pair.after.answered]
        gained = [pair.sample for pair in self.pairs if pair.after.answered and not pair.before.answered]
        return [
            note
            for note in (
                f"recorded with {self.request}" if self.request else "",
                f"{counted(len(lost), 'sample')} answered then and not now ({_named(lost)})" if lost else "",
                f"{counted(len(gained), 'sample')} answered now and not then ({_named(gained)})" if gained else "",
                self.samples.in_short,
            )
            if note
        ]


def _sides(pairs: Sequence[Pair]) -> tuple[list[Prediction], list[Prediction]]:
    return [pair.before for pair in pairs], [pair.after for pair in pairs]


def _named(ids: Sequence[str]) -> str:
    return listed(ids, NAMED)
