"""The ground of bounds on a judge's metric: its exam, and means corrected by people's labels."""

import math
from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec

from evaltape.judging.correction import (
    LEAST_LABELS,
    THESE,
    Corrected,
    Errors,
    NotCorrected,
    by_others,
    by_these,
    count_errors,
    difference_by_others,
)
from evaltape.judging.exam import Examined, Question, Verdict
from evaltape.judging.labels import Label, by_answer
from evaltape.scoring import statistics
from evaltape.scoring.paired import MOST_WIDENED, Difference
from evaltape.scoring.paired_scores import Pair
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.statistics import Interval
from evaltape.scoring.student_t import normal_quantile
from evaltape.text import counted

CLUSTERED = "the suite's samples are in clusters, which takes labels of these answers"
ON_A_SCALE = "verdicts on a scale take labels of these answers"


class JudgeGround(msgspec.Struct, frozen=True, dict=True):
    """A judge with its exam, and the labels that correct its means."""

    examined: Examined
    labels: Sequence[Label] = ()
    verdict: Verdict = lambda question: None
    """Its recorded verdict on a labelled answer; None without a readable verdict."""

    @property
    def refusal(self) -> str:
        """Why no bound may rest on it; empty if a bound may."""
        return self.examined.refusal

    @property
    def standing(self) -> str:
        """The remark beside its numbers; empty for a judge that passed its exam."""
        return self.examined.standing

    @cached_property
    def drawn(self) -> dict[tuple[str, str], float]:
        """The label of each answer that stands for others, too, by sample and text; the mean of labels by several people."""
        return _by_text(label for label in self.labels if label.stands_for_others)

    @cached_property
    def chosen(self) -> dict[tuple[str, str], float]:
        """The label of each answer that was chosen for its verdict."""
        chosen = _by_text(label for label in self.labels if label.examines and not label.stands_for_others)
        return {key: score for key, score in chosen.items() if key not in self.drawn}

    @cached_property
    def errors(self) -> Errors:
        """How often the judge is right on labelled answers of any model."""
        answers = by_answer(label for label in self.labels if label.stands_for_others)
        rated = [(self.verdict(Question(it.sample, it.answer)), it.labels) for it in answers]
        return count_errors([(verdict, labels) for verdict, labels in rated if verdict is not None])

    def mean(
        self, metric: str, predictions: Sequence[Prediction], clusters: Sequence[str] | None
    ) -> tuple[Interval | None, str]:
        """Return the corrected mean of a metric's scores, or why it can't be given."""
        verdicts = [one.scores[metric] for one in predictions]
        keys = [(one.sample.id, one.text) for one in predictions]
        labels, chosen = [self.drawn.get(key) for key in keys], [self.chosen.get(key) for key in keys]
        try:
            if _is_enough(labels):
                found = _by_these(verdicts, labels, chosen, clusters)
            else:
                self._refuse(clusters)
                found = by_others(verdicts, self.errors)
        except NotCorrected as error:
            return None, f"not corrected: {error}"
        count = None if clusters is None else len(set(clusters))
        return Interval(found.mean, found.low, found.high, len(predictions), count), _note(found)

    def difference(
        self, metric: str, pairs: Sequence[Pair], confidence: float, clusters: Sequence[str] | None
    ) -> tuple[Difference | None, str]:
        """Return the corrected mean difference of pairs, second less first, or why it can't be given."""
        changes = [pair.after.scores[metric] - pair.before.scores[metric] for pair in pairs]
        labels, chosen = [self._change(pair, True) for pair in pairs], [self._change(pair, False) for pair in pairs]
        tail = 1 - confidence
        try:
            if _is_enough(labels):
                found = _by_these(changes, labels, chosen, clusters, tail=tail, limits=(-1.0, 1.0), most_widened=MOST_WIDENED)
            else:
                self._refuse(None)
                found = difference_by_others(changes, self.errors, tail=tail, clusters=clusters)
        except NotCorrected as error:
            return None, f"not corrected: {error}"
        return _difference(found, len(pairs), confidence, clusters), _note(found)

    def _change(self, pair: Pair, is_drawn: bool) -> float | None:
        """Return the difference of the labels of both answers of a pair: drawn labels, or with a chosen label among them."""
        keys = [(one.sample.id, one.text) for one in (pair.before, pair.after)]
        drawn = [self.drawn.get(key) for key in keys]
        before, after = drawn if is_drawn else [self.drawn.get(key, self.chosen.get(key)) for key in keys]
        if before is None or after is None or (not is_drawn and None not in drawn):
            return None
        return after - before

    def _refuse(self, clusters: Sequence[str] | None) -> None:
        if self.examined.judge.verdict.scale is not None:
            raise NotCorrected(ON_A_SCALE)
        if clusters is not None:
            raise NotCorrected(CLUSTERED)


def _is_enough(labels: Sequence[float | None]) -> bool:
    return sum(label is not None for label in labels) >= LEAST_LABELS


def _by_text(labels: Iterable[Label]) -> dict[tuple[str, str], float]:
    return {(it.sample, it.answer): it.score for it in by_answer(labels)}


def _by_these(
    verdicts: Sequence[float],
    labels: Sequence[float | None],
    chosen: Sequence[float | None],
    clusters: Sequence[str] | None,
    *,
    tail: float = 0.025,
    limits: tuple[float, float] = (0.0, 1.0),
    most_widened: float = statistics.MOST_WIDENED,
) -> Corrected:
    labelled = [(place, label) for place, label in enumerate(labels) if label is not None]
    others = [place for place, label in enumerate(labels) if label is None and chosen[place] is None]
    sides = None if clusters is None else ([clusters[place] for place, _ in labelled], [clusters[place] for place in others])
    return by_these(
        [(verdicts[place], label) for place, label in labelled],
        [verdicts[place] for place in others],
        [label for label, drawn in zip(chosen, labels, strict=True) if label is not None and drawn is None],
        tail=tail,
        limits=limits,
        clusters=sides,
        most_widened=most_widened,
    )


def _difference(found: Corrected, pairs: int, confidence: float, clusters: Sequence[str] | None) -> Difference:
    assert found.low is not None and found.high is not None
    error = (found.high - found.low) / 2 / normal_quantile(confidence) if confidence > 0.5 else 0.0
    return Difference(
        found.mean,
        found.low,
        found.high,
        samples=pairs,
        confidence=confidence,
        clusters=None if clusters is None else len(set(clusters)),
        sd=error * math.sqrt(pairs),
        units=pairs,
        is_alike=found.is_alike,
        span=1.0,
    )


def _note(found: Corrected) -> str:
    if found.method == THESE:
        return f"corrected by {counted(found.labels, 'label')} of these answers"
    return f"corrected by the judge's errors on {counted(found.labels, 'label')} of other answers"
