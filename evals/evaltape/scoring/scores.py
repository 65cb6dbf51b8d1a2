"""The scores of a model: all its predictions, and the numbers in them that gates, snapshots and comparisons take."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from evaltape.metrics.metric import Metric, plain_name
from evaltape.metrics.scorers import decimals_apart, misses
from evaltape.names import nearest
from evaltape.scoring.bounds import FAILED, GATE, PASSED, Bound, Decision, interval_text, sign
from evaltape.scoring.ground import Ground
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.statistics import Interval, interval
from evaltape.suite.definition import Model

NAMED = 3
"""How many failed samples a message names."""


class ModelScores(msgspec.Struct, frozen=True, dict=True):
    """The predictions of a model for samples of its suite, failed ones included."""

    model: Model
    """The model under test."""
    metrics: Mapping[str, Metric]
    """The suite's metrics, by name."""
    predictions: Sequence[Prediction]
    """Its predictions, in the order of the suite's samples."""
    clusters: Mapping[str, str] | None = None
    """By sample the cluster it belongs to, if the suite names a cluster column: its samples aren't independent."""
    slice_values: Mapping[str, Mapping[str, str]] = {}
    """By slice column the value of each sample that has a value."""
    grounds: Mapping[str, Ground] = {}
    """By judge's metric, the ground of bounds on it."""

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
        found: dict[str, dict[str, ModelScores]] = {}
        for column, values in self.slice_values.items():
            groups: dict[str, list[Prediction]] = {}
            for one in self.predictions:
                if one.sample.id in values:
                    groups.setdefault(values[one.sample.id], []).append(one)
            found[column] = {it: msgspec.structs.replace(self, predictions=of, slice_values={}) for it, of in groups.items()}
        return found

    def without(self, samples: Collection[str]) -> "ModelScores":
        """Return the scores without the samples of some ids."""
        return msgspec.structs.replace(self, predictions=[one for one in self.predictions if one.sample.id not in samples])

    @property
    def truncated(self) -> int:
        """How many of the answers were cut at the length limit."""
        return sum(prediction.truncated for prediction in self.answered)

    def scored(self, metric: str) -> list[Prediction]:
        """Return the predictions that a metric has scored. Raises `KeyError` for an unknown metric."""
        if metric not in self.metrics:
            raise KeyError(f"no metric {metric!r}.{nearest(metric, self.metrics)} Metrics: {', '.join(self.metrics)}")
        return [prediction for prediction in self.answered if metric in prediction.scores]

    def unscored(self, metric: str) -> list[Prediction]:
        """Return the answered predictions that a metric could not score."""
        metric = plain_name(metric, self.metrics)
        return [prediction for prediction in self.answered if metric not in prediction.scores]

    def column(self, metric: str) -> list[float]:
        """Return the score of each scored sample, in the suite's order."""
        return [prediction.scores[metric] for prediction in self.scored(metric)]

    def mean(self, metric: str) -> float:
        """Return the plain mean over scored samples, or a judge's corrected mean; without a score `nan`: it passes no gate."""
        found, _ = self._estimate(metric)
        return float("nan") if found is None else found.mean

    def interval(self, metric: str, confidence: float = 0.95) -> Interval | None:
        """Return a metric's mean with its two-sided interval, by default of 95%; None if no sample was scored."""
        predictions = self.scored(metric)
        if not predictions:
            return None
        labels = cluster_labels(self.clusters, predictions)
        return interval(self.column(metric), confidence=confidence, clusters=labels, limits=self.metrics[metric].bounds)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Mean and 95% interval of each metric that has scored a sample."""
        found = {metric: self.interval(metric) for metric in self.metrics}
        return {metric: one for metric, one in found.items() if one is not None}

    @property
    def corrected_intervals(self) -> dict[str, Interval]:
        """The corrected means that gates ask for, if they can be given."""
        found = {name: self._estimate(name)[0] for name in self.model.gates if name not in self.metrics}
        return {name: mean for name, mean in found.items() if mean is not None}

    def ground(self, metric: str) -> Ground:
        """Return the ground of bounds on a judge's metric, or on its corrected mean; an empty one for any other metric."""
        return self.grounds.get(plain_name(metric, self.metrics), Ground())

    def higher_is_better(self, metric: str) -> bool:
        """Return whether a metric's gate is the least mean that passes; otherwise it is the greatest."""
        return self.metrics[metric].higher_is_better

    @property
    def accepted(self) -> dict[str, float | int]:
        """The values of the snapshot: exact means, and how many samples failed or were cut short.

        A metric without any score is left out; a metric without some of its scores says how many it lacks.
        """
        counts = {"samples": len(self.predictions), "failed": len(self.failures), "truncated": self.truncated}
        unscored = {f"{metric} unscored": len(lacking) for metric in self.metrics if (lacking := self.unscored(metric))}
        return {**counts, **{metric: self.mean(metric) for metric in self.intervals}, **unscored}

    @property
    def described(self) -> dict[str, dict[str, Any]]:
        """How each metric computes its scores, as results and snapshots state it: package, tokenizer, settings."""
        samples = [prediction.sample for prediction in self.predictions]
        return {name: metric.describe(samples) for name, metric in self.metrics.items()}

    def properties(self, bound: Bound | None) -> Iterator[tuple[str, float]]:
        """Yield the properties in JUnit XML of all means, or of a gate with its mean."""
        means = ((name, interval.mean) for name, interval in {**self.intervals, **self.corrected_intervals}.items())
        yield from ((name, mean) for name, mean in means if bound is None or bound.metric == name)
        if bound is not None:
            yield bound.kind, bound.limit
        yield from (("samples", len(self.predictions)), ("failed", len(self.failures)))

    def decision(self, metric: str) -> Decision:
        """Decide the gate on a metric. Raises `KeyError` if the suite sets no bound."""
        return self.decide(Bound(GATE, self.model.suite, self.model.key, metric, self.model.gates[metric]))

    def decide(self, bound: Bound) -> Decision:
        """Decide a gate: only a mean of all samples that had to be scored passes it."""
        metric, name = self.metrics[bound.metric], bound.metric
        estimate, note = self._estimate(name)
        about, unusable = f"{self.model.key} {name}", self.unusable(name)
        if unusable or estimate is None:
            line = unusable or f"{note or 'no sample was answered'}: {about}, gate {bound.limit:g}"
            reason = " and ".join(self.faults(name)) or note or "no sample was answered"
            return Decision(bound, metric, FAILED, line, estimate, reason=reason)
        higher = metric.higher_is_better
        missed = misses(estimate.mean, bound.limit, higher)
        digits = decimals_apart(estimate.mean, bound.limit, metric.decimals) if missed else metric.decimals
        verb = ("under" if higher else "over") if missed else "holds"
        beside = f"{estimate.mean:.{digits}f} {sign(missed, higher)} {bound.limit:g}"
        line = f"{beside}: {about}: mean {verb} its gate ({interval_text(estimate, metric.decimals)})"
        notes = tuple(text for text in (note, self.ground(name).standing) if text)
        return Decision(bound, metric, FAILED if missed else PASSED, line, estimate, estimate.mean, notes=notes)

    def _estimate(self, name: str) -> tuple[Interval | None, str]:
        """Return a mean with its interval, and a note on it if it is corrected for a judge's errors."""
        plain = plain_name(name, self.metrics)
        if name == plain or plain not in self.grounds:
            return self.interval(name), ""
        predictions = self.scored(plain)
        return self.grounds[plain].mean(plain, predictions, cluster_labels(self.clusters, predictions))

    def unusable(self, metric: str) -> str:
        """Return why no bound can pass on these scores, the first samples with their reasons; empty if a bound can."""
        return next(iter(self.faults(metric).values()), "")

    def faults(self, metric: str) -> dict[str, str]:
        """Return why no bound can pass, in a few words, each with a line that names the first samples.

        An unreadable verdict counts as a failed sample; all other scores of answers have to exist.
        """
        ground, metric = self.ground(metric), plain_name(metric, self.metrics)
        found, about, lacking = dict[str, str](), f"{self.model.key} {metric}", why_unscored(self, metric)
        if len(self.failures) > self.model.allow_failed:
            found[f"{len(self.failures)} of {len(self.predictions)} samples failed"] = self.failed_in_short
        if ground.refusal:
            found[ground.standing] = f"{about}: {ground.refusal}"
        is_unread = all(metric in each.unread for each in self.unscored(metric))
        if lacking and not (is_unread and len(self.failures) + len(lacking) <= self.model.allow_failed):
            count = f"{len(lacking)} of {len(self.answered)} answers"
            found[f"{count} could not be scored"] = f"{count} not scored: {about}: {with_reasons(lacking)}"
        return found

    @property
    def failed_in_short(self) -> str:
        """The failed samples in a line: how many, how many are allowed, and the first with their reasons."""
        reasons = {one.sample.id: one.answer.failure.in_short for one in self.failures if one.answer.failure}
        counts = f"{len(self.failures)} of {len(self.predictions)} samples failed, {self.model.allow_failed} allowed"
        return f"{counts}: {self.model.key}: {with_reasons(reasons)}"


def cluster_labels(clusters: Mapping[str, str] | None, predictions: Sequence[Prediction]) -> list[str] | None:
    """Return the cluster of each prediction's sample; None if the suite names no cluster column."""
    return None if clusters is None else [clusters[prediction.sample.id] for prediction in predictions]


def why_unscored(scores: ModelScores, metric: str) -> dict[str, str]:
    """Return the answered samples that a metric could not score, with the reasons."""
    return {it.sample.id: it.unscored.get(metric, f"its recording holds no {metric}") for it in scores.unscored(metric)}


def with_reasons(reasons: Mapping[str, str]) -> str:
    """Return the first samples, or bounds, with their reasons, and how many more there are."""
    named = "; ".join(f"{sample}: {reason}" for sample, reason in list(reasons.items())[:NAMED])
    return named + (f"; and {len(reasons) - NAMED} more" if len(reasons) > NAMED else "")
