"""The gates of one model as a study sees them, made of its scores and of what the suite asserts of it."""

import math
from collections.abc import Iterable, Iterator

from evaltape.mutation.ends import difference_end, mean_end
from evaltape.mutation.gates import AGAINST, COMPARISONS, MAX_DROP, MIN_GAIN, Gate, mean_gate, paired_gate, slice_gate
from evaltape.scoring.scores import ModelScores, PairedScores, cluster_labels
from evaltape.scoring.slices import SliceScores
from evaltape.suite.definition import Against

AGAINST_CONFIDENCE = 0.95
"""One-sided, as that of a comparison is by default."""


def gates_of(slices: SliceScores, pairs: Iterable[PairedScores], against: Against | None) -> list[Gate]:
    """Return whatever is asserted of a model's scores.

    `pairs` are the comparisons whose candidate it is: its answers are damaged, the baseline's aren't. For `against`, which
    compares with an earlier recording, the recording as it is stands for the earlier one.
    """
    scores = slices.scores
    gates = [*_mean_gates(scores), *_slice_gates(slices)]
    gates += [gate for pair in pairs for gate in _comparison_gates(pair)]
    return gates + ([] if against is None else list(_against_gates(scores, against)))


def _mean_gates(scores: ModelScores) -> Iterator[Gate]:
    too_many = len(scores.failures) > scores.model.allow_failed
    undecided = scores.failed_in_short if too_many else None
    for metric, threshold in scores.model.gates.items():
        yield mean_gate(metric, threshold, scores.higher_is_better(metric), undecided)


def _slice_gates(slices: SliceScores) -> Iterator[Gate]:
    places = {prediction.sample.id: place for place, prediction in enumerate(slices.scores.answered)}
    gated = [scores for _, _, scores in slices if len(scores.predictions) >= slices.smallest]
    groups = [[places[prediction.sample.id] for prediction in scores.answered] for scores in gated]
    undecided = None if gated else f"no slice has {slices.smallest} samples"
    for metric, threshold in slices.model.slice_gates.items() if slices.columns else ():
        higher = slices.scores.higher_is_better(metric)
        bounds = _bounds(slices.scores, metric)
        ends = [mean_end(not higher, bounds, cluster_labels(each.clusters, each.answered)) for each in gated]
        yield slice_gate(metric, threshold, groups, ends, higher, undecided)


def _comparison_gates(pair: PairedScores) -> Iterator[Gate]:
    """Yield a gate per bound; its pairs are the samples that both models answered.

    A comparison that is skipped while it is inconclusive fails only if the whole interval is under the bound.
    """
    comparison = pair.comparison
    baseline = {prediction.sample.id: prediction.scores for prediction in pair.baseline.answered}
    is_lower = comparison.inconclusive == "fail"
    for metric, bound in comparison.bounds.items():
        answered = pair.candidate.answered
        scores = [baseline.get(prediction.sample.id, {}).get(metric) for prediction in answered]
        compared = [prediction for prediction, score in zip(answered, scores, strict=True) if score is not None]
        key = MIN_GAIN if metric in comparison.min_gain else MAX_DROP
        higher = pair.candidate.higher_is_better(metric)
        labels = cluster_labels(pair.baseline.clusters, compared)
        end = difference_end(comparison.confidence, is_lower, _bounds(pair.candidate, metric), labels)
        yield paired_gate((COMPARISONS, comparison.name), metric, bound, scores, end, higher, key)


def _against_gates(scores: ModelScores, against: Against) -> Iterator[Gate]:
    for metric, drop in against.max_drop.items():
        labels = cluster_labels(scores.clusters, scores.scored(metric))
        end = difference_end(AGAINST_CONFIDENCE, True, _bounds(scores, metric), labels)
        undamaged = [prediction.scores.get(metric) for prediction in scores.answered]
        yield paired_gate((AGAINST,), metric, -drop, undamaged, end, scores.higher_is_better(metric))


def _bounds(scores: ModelScores, metric: str) -> tuple[float, float]:
    """Return the bounds of a metric, infinite where it has none."""
    low, high = scores.metrics[metric].bounds
    return -math.inf if low is None else low, math.inf if high is None else high
