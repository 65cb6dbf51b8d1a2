"""What a model scored: all its predictions, and what gates, snapshots and comparisons ask of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from evaltape.names import nearest
from evaltape.scoring import statistics
from evaltape.scoring.bounds import decimals_apart
from evaltape.scoring.metrics import Metric
from evaltape.scoring.paired import Difference, difference
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.statistics import Bounds, Interval, interval
from evaltape.suite.definition import Comparison, Model

NAMED = 3
"""How many failed samples a message names."""


@dataclass(frozen=True, repr=False)
class ModelScores:
    """The predictions of one model for samples of its suite, failed ones included."""

    model: Model
    metrics: Mapping[str, Metric]
    """The suite's metrics, by name."""
    predictions: Sequence[Prediction]
    clusters: Mapping[str, str] | None = None
    """By sample the cluster it belongs to, if the suite names a cluster column: its samples aren't independent."""
    slice_values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By slice column the value of each sample that has one."""

    def __repr__(self) -> str:
        return f"<scores of {self.model.key}>"

    @cached_property
    def failures(self) -> list[Prediction]:
        """The failed samples, each with its reason."""
        return [prediction for prediction in self.predictions if not prediction.answered]

    @cached_property
    def answered(self) -> list[Prediction]:
        """The samples that were answered."""
        return [prediction for prediction in self.predictions if prediction.answered]

    @cached_property
    def slices(self) -> dict[str, dict[str, "ModelScores"]]:
        """By slice column, by value in the order of the samples, the scores of the samples that have it."""
        return {column: self._by_value(values) for column, values in self.slice_values.items()}

    def _by_value(self, values: Mapping[str, str]) -> dict[str, "ModelScores"]:
        groups: dict[str, list[Prediction]] = {}
        for prediction in self.predictions:
            if prediction.sample.id in values:
                groups.setdefault(values[prediction.sample.id], []).append(prediction)
        return {value: replace(self, predictions=group, slice_values={}) for value, group in groups.items()}

    @property
    def truncated(self) -> int:
        """How many of the answers were cut at the length limit."""
        return sum(prediction.truncated for prediction in self.answered)

    def scored(self, metric: str) -> list[Prediction]:
        """Return the predictions that a metric has scored. Raises `KeyError` for one that the suite doesn't have."""
        if metric not in self.metrics:
            raise KeyError(f"no metric {metric!r}.{nearest(metric, self.metrics)} Metrics: {', '.join(self.metrics)}")
        return [prediction for prediction in self.answered if metric in prediction.scores]

    def unscored(self, metric: str) -> list[Prediction]:
        """Return the answered predictions that a metric could not score."""
        return [prediction for prediction in self.answered if metric not in prediction.scores]

    def column(self, metric: str) -> list[float]:
        """Return the score of each scored sample, in the suite's order."""
        return [prediction.scores[metric] for prediction in self.scored(metric)]

    def mean(self, metric: str) -> float:
        """Return the plain mean over scored samples; `nan`, which passes no gate, if there is none."""
        column = self.column(metric)
        return statistics.mean(column) if column else float("nan")

    def interval(self, metric: str) -> Interval | None:
        """Return a metric's mean with its 95% interval; None if no sample was scored."""
        return self.intervals.get(metric) if self.scored(metric) else None

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Mean and 95% interval of each metric that has scored a sample."""
        scored = {metric: self.scored(metric) for metric in self.metrics}
        return {metric: self._interval(metric, predictions) for metric, predictions in scored.items() if predictions}

    def _interval(self, metric: str, predictions: Sequence[Prediction]) -> Interval:
        column = [prediction.scores[metric] for prediction in predictions]
        labels = cluster_labels(self.clusters, predictions)
        return interval(column, clusters=labels, bounds=limits(self.metrics[metric]))

    def higher_is_better(self, metric: str) -> bool:
        """Return whether a metric's gate is the least mean that passes; otherwise it is the greatest."""
        return self.metrics[metric].higher_is_better

    @property
    def accepted(self) -> dict[str, float | int]:
        """What the snapshot holds: exact means, and how many samples failed or were cut short.

        A metric that scored nothing is left out, and one that could not score some samples says how many.
        """
        counts = {"samples": len(self.predictions), "failed": len(self.failures), "truncated": self.truncated}
        unscored = {f"{metric} unscored": len(lacking) for metric in self.metrics if (lacking := self.unscored(metric))}
        return {**counts, **{metric: self.mean(metric) for metric in self.intervals}, **unscored}

    def properties(self, metric: str | None) -> Iterator[tuple[str, float]]:
        """Yield what JUnit XML holds of the means, or of one metric's with its gate."""
        yield from ((name, interval.mean) for name, interval in self.intervals.items() if metric in (None, name))
        if metric is not None and metric in self.model.gates:
            yield "gate", self.model.gates[metric]
        yield from (("samples", len(self.predictions)), ("failed", len(self.failures)))

    # ------------------------------------------------------------ messages

    @property
    def failed_in_short(self) -> str:
        """The failed samples in a line: how many, how many are allowed, and the first with their reasons."""
        failed = [(one.sample.id, one.answer.failure) for one in self.failures]
        reasons = {sample: failure.in_short for sample, failure in failed if failure is not None}
        counts = f"{len(self.failures)} of {len(self.predictions)} samples failed, {self.model.allow_failed} allowed"
        return f"{counts}: {self.model.key}: {_named(reasons)}"

    def unscored_in_short(self, metric: str) -> str:
        """Return the samples that a metric could not score in a line, the first with their reasons."""
        lacking = self.unscored(metric)
        reasons = {each.sample.id: each.unscored.get(metric, f"its recording holds no {metric}") for each in lacking}
        return f"{len(lacking)} of {len(self.answered)} answers not scored: {self.model.key} {metric}: {_named(reasons)}"

    def gate_in_short(self, metric: str) -> str:
        """Return the mean of a metric beside its gate in a line, the numbers first."""
        score, gate, better = self.intervals.get(metric), self.model.gates[metric], self.higher_is_better(metric)
        if score is None:
            return f"no sample was answered: {self.model.key} {metric}, gate {gate:g}"
        decimals = self.metrics[metric].decimals
        mean = f"{score.mean:.{decimals_apart(score.mean, gate, decimals, better)}f}"
        ends = f"{shown_end(score.low, decimals=decimals)} to {shown_end(score.high, decimals=decimals)}"
        interval = f"95% interval {ends}, {len(self.scored(metric))} samples"
        side = "under" if better else "over"
        return f"{mean} {'<' if better else '>'} {gate:g}: {self.model.key} {metric}: mean {side} its gate ({interval})"


@dataclass(frozen=True, repr=False)
class PairedScores:
    """Two models on the samples that both answered."""

    comparison: Comparison
    metrics: Mapping[str, Metric]
    """The suite's metrics, by name."""
    baseline: ModelScores
    candidate: ModelScores

    def __repr__(self) -> str:
        return f"<comparison {self.comparison.name}>"

    @cached_property
    def pairs(self) -> list[tuple[Prediction, Prediction]]:
        """(baseline, candidate) predictions of each sample that both answered."""
        other = {prediction.sample.id: prediction for prediction in self.candidate.answered}
        return [(mine, other[mine.sample.id]) for mine in self.baseline.answered if mine.sample.id in other]

    def scored(self, metric: str) -> list[tuple[Prediction, Prediction]]:
        """Return the pairs of which a metric has scored both."""
        return [pair for pair in self.pairs if all(metric in one.scores for one in pair)]

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Per metric the mean difference, candidate less baseline, with its interval, if there is a scored pair."""
        found = {}
        for metric in self.metrics:
            pairs = self.scored(metric)
            if pairs:
                before, after = ([pair[side].scores[metric] for pair in pairs] for side in (0, 1))
                found[metric] = difference(
                    before,
                    after,
                    confidence=self.comparison.confidence,
                    clusters=cluster_labels(self.baseline.clusters, [pair[0] for pair in pairs]),
                    bounds=limits(self.metrics[metric]),
                )
        return found

    def higher_is_better(self, metric: str) -> bool:
        """Return whether a gain in a metric is a rise of its mean; otherwise it is a fall."""
        return self.metrics[metric].higher_is_better

    def bound(self, metric: str) -> float:
        """Return the difference, candidate less baseline, that has to be reached: from above if lower is better."""
        bound = self.comparison.bounds[metric]
        return bound if self.higher_is_better(metric) else -bound

    def verdict(self, metric: str) -> str:
        """Return `passed`, `failed` or `inconclusive`; `failed` if there is nothing to compare."""
        found = self.differences.get(metric)
        return found.verdict(self.bound(metric), self.higher_is_better(metric)) if found else "failed"

    def properties(self, metric: str) -> Iterator[tuple[str, float]]:
        """Yield what JUnit XML holds of one metric's difference with its bound."""
        if metric in self.differences:
            found = self.differences[metric]
            ends = ((metric, found.mean), ("low", found.low), ("high", found.high))
            yield from ((name, end) for name, end in ends if end is not None)
        yield from (("bound", self.comparison.bounds[metric]), ("samples", len(self.scored(metric))))

    def in_short(self, metric: str) -> str:
        """Return the difference beside its bound in a line, the number first, with what would settle an inconclusive one."""
        asked, found = self.comparison, self.differences.get(metric)
        sides = f"{asked.name} {metric}: {asked.candidate} less {asked.baseline}"
        if found is None:
            unanswered = next((side for side in (self.baseline, self.candidate) if side.failures), None)
            why = f". {unanswered.failed_in_short}" if unanswered else ""
            return f"0 samples answered by both: {sides}{why}"
        kind = f"min_gain {asked.min_gain[metric]:g}" if metric in asked.min_gain else f"max_drop {asked.max_drop[metric]:g}"
        decimals = self.metrics[metric].decimals
        ends = " to ".join(shown_end(end, "+z", decimals) for end in (found.low, found.high))
        verdict = found.verdict(self.bound(metric), self.higher_is_better(metric))
        interval = f"{found.label} interval {ends}, {found.samples} samples"
        line = f"{found.mean:+z.{decimals}f} {verdict}: {sides} ({interval}), {kind}"
        return f"{line}: {self.what_settles(metric)}" if verdict == "inconclusive" else line

    def what_settles(self, metric: str) -> str:
        """Return why a comparison is inconclusive, and how many samples would settle it."""
        found, bound, higher = self.differences[metric], self.bound(metric), self.higher_is_better(metric)
        needed = found.pairs_to_settle(bound, higher)
        samples = f"about {needed} samples would settle it" if needed else "no number of samples would settle it"
        return f"{found.reason(bound, higher)}; {samples}"


def limits(metric: Metric) -> Bounds:
    """Return a metric's least and greatest score, infinite if it has none."""
    low, high = metric.bounds
    return (-math.inf if low is None else low, math.inf if high is None else high)


def cluster_labels(clusters: Mapping[str, str] | None, predictions: Sequence[Prediction]) -> list[str] | None:
    """Return the cluster of each prediction's sample; None if the suite names no cluster column."""
    return None if clusters is None else [clusters[prediction.sample.id] for prediction in predictions]


def shown_end(end: float | None, sign: str = "", decimals: int = 4) -> str:
    """Return an end of an interval; `unknown` if the scores give none."""
    return "unknown" if end is None else f"{end:{sign}.{decimals}f}"


def _named(reasons: Mapping[str, str]) -> str:
    """Name the first samples with their reasons, and say how many more there are."""
    named = "; ".join(f"{sample}: {reason}" for sample, reason in list(reasons.items())[:NAMED])
    return named + (f"; and {len(reasons) - NAMED} more" if len(reasons) > NAMED else "")
