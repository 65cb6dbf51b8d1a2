"""What a model scored: all its predictions, and what gates, snapshots and comparisons ask of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from evaltape.scoring import statistics
from evaltape.scoring.paired import Difference, difference
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.statistics import Interval, interval
from evaltape.suite.reader import Comparison, Model

F1 = (0.0, 1.0)
"""The bounds of every metric."""


@dataclass(frozen=True, repr=False)
class ModelScores:
    """The predictions of one model for samples of its suite, failed ones included."""

    model: Model
    metrics: tuple[str, ...]
    predictions: Sequence[Prediction]

    def __repr__(self) -> str:
        return f"<scores of {self.model.key}>"

    @property
    def failures(self) -> list[Prediction]:
        """The failed samples, each with its reason."""
        return [prediction for prediction in self.predictions if not prediction.answered]

    @property
    def answered(self) -> list[Prediction]:
        """The samples that were answered, and scored."""
        return [prediction for prediction in self.predictions if prediction.answered]

    @property
    def truncated(self) -> int:
        """How many of the scored texts were cut at the length limit."""
        return sum(prediction.truncated for prediction in self.answered)

    def column(self, metric: str) -> list[float]:
        """The F1 of each answered sample."""
        return [prediction.scores[metric] for prediction in self.answered]

    def mean(self, metric: str) -> float:
        """The plain mean F1 over answered samples; `nan`, which passes no gate, where none was."""
        column = self.column(metric)
        return statistics.mean(column) if column else float("nan")

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Mean and 95% interval per metric; empty where no sample was answered."""
        if not self.answered:
            return {}
        return {metric: interval(self.column(metric), bounds=F1) for metric in self.metrics}

    @property
    def accepted(self) -> dict[str, float | int]:
        """What the snapshot holds: exact means, and how many samples failed or were cut short."""
        counts = {"samples": len(self.predictions), "failed": len(self.failures), "truncated": self.truncated}
        return {**counts, **{metric: self.mean(metric) for metric in self.metrics}}

    def properties(self, metric: str | None) -> Iterator[tuple[str, float]]:
        """What JUnit XML tells of the means, or of one metric's with its gate."""
        yield from ((name, interval.mean) for name, interval in self.intervals.items() if metric in (None, name))
        if metric in self.model.gates:
            yield "gate", self.model.gates[metric]
        yield from (("samples", len(self.predictions)), ("failed", len(self.failures)))

    @property
    def failed_in_short(self) -> str:
        """The failed samples in a line: how many, how many are put up with, and the first with their reasons."""
        failures = self.failures
        named = "; ".join(f"{prediction.sample}: {prediction.failure}" for prediction in failures[:3])
        more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
        allowed = self.model.allow_failed
        counts = f"{len(failures)} of {len(self.predictions)} samples failed, {allowed} allowed"
        return f"{self.model.key}: {counts}: {named}{more}"

    def gate_in_short(self, metric: str) -> str:
        """The mean of a metric beside its gate, in a line."""
        score, gate = self.intervals.get(metric), self.model.gates[metric]
        if score is None:
            return f"{self.model.key} {metric}: no sample was answered, gate {gate:g}"
        ends = f"95% interval {_shown(score.low)} to {_shown(score.high)}, {len(self.answered)} samples"
        return f"{self.model.key} {metric}: mean {score.mean:.4f} under gate {gate:g} ({ends})"


@dataclass(frozen=True, repr=False)
class PairedScores:
    """Two models on the samples that both answered."""

    comparison: Comparison
    metrics: tuple[str, ...]
    baseline: ModelScores
    candidate: ModelScores

    def __repr__(self) -> str:
        return f"<comparison {self.comparison.name}>"

    @cached_property
    def pairs(self) -> list[tuple[Prediction, Prediction]]:
        """(baseline, candidate) predictions of each sample that both answered."""
        other = {prediction.sample: prediction for prediction in self.candidate.answered}
        return [(mine, other[mine.sample]) for mine in self.baseline.answered if mine.sample in other]

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Per metric the mean difference, candidate less baseline, with its interval; empty where there is no pair."""
        if not self.pairs:
            return {}
        before = {metric: [pair[0].scores[metric] for pair in self.pairs] for metric in self.metrics}
        after = {metric: [pair[1].scores[metric] for pair in self.pairs] for metric in self.metrics}
        confidence = self.comparison.confidence
        return {m: difference(before[m], after[m], confidence=confidence, bounds=F1) for m in self.metrics}

    def verdict(self, metric: str) -> str:
        """`passed`, `failed` or `inconclusive`; `failed` where there is nothing to compare."""
        found = self.differences.get(metric)
        return found.verdict(self.comparison.bounds[metric]) if found else "failed"

    def properties(self, metric: str) -> Iterator[tuple[str, float]]:
        """What JUnit XML tells of one metric's difference with its bound."""
        if metric in self.differences:
            found = self.differences[metric]
            ends = ((metric, found.mean), ("low", found.low), ("high", found.high))
            yield from ((name, end) for name, end in ends if end is not None)
        yield from (("bound", self.comparison.bounds[metric]), ("samples", len(self.pairs)))

    def in_short(self, metric: str) -> str:
        """The difference beside its bound, in a line, with what would settle an inconclusive one."""
        sides = f"{self.comparison.name} {metric}: {self.comparison.candidate} less {self.comparison.baseline}"
        found = self.differences.get(metric)
        if found is None:
            unanswered = next((side for side in (self.baseline, self.candidate) if side.failures), None)
            why = f". {unanswered.failed_in_short}" if unanswered else ""
            return f"{sides}: no sample was answered by both{why}"
        bound = self.comparison.bounds[metric]
        kind = f"min_gain {bound:g}" if metric in self.comparison.min_gain else f"max_drop {-bound:g}"
        line = (
            f"{sides} is {found.mean:+z.4f} ({found.label} interval {_shown(found.low, '+z')} to "
            f"{_shown(found.high, '+z')}, {found.samples} samples), {kind}: {found.verdict(bound)}"
        )
        if found.verdict(bound) == "inconclusive":
            needed = found.pairs_to_settle(bound)
            line += f": {found.reason(bound)}"
            line += f"; about {needed} samples would settle it" if needed else "; no number of samples would settle it"
        return line


def _shown(end: float | None, sign: str = "") -> str:
    return "unknown" if end is None else f"{end:{sign}.4f}"
