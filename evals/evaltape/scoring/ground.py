"""The ground of bounds on a judge's metric: whether to rely on the judge, and means corrected by people's labels."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from evaltape.scoring.correction import LEAST_LABELS, Errors, NotCorrected, Row, by_others, by_these, difference_by_others
from evaltape.scoring.paired import MOST_WIDENED, Difference
from evaltape.scoring.prediction import Pair, Prediction
from evaltape.scoring.statistics import Interval
from evaltape.scoring.student_t import normal_quantile

CLUSTERED = "the suite's samples are in clusters, which takes labels of these answers"
ON_A_SCALE = "verdicts on a scale take labels of these answers"

Labelled = Mapping[Any, float]
"""The label of answers by sample and text; the mean of labels by several people."""


class Ground(msgspec.Struct, frozen=True):
    """A judge's standing, and the labels that correct its means."""

    refusal: str = ""
    """Why no bound may rest on it; empty if a bound may."""
    standing: str = ""
    """The remark beside its numbers; empty for a judge that passed its exam."""
    drawn: Labelled = {}
    """Of answers that stand for others, too."""
    chosen: Labelled = {}
    """Of all other answers: they were chosen for their verdict."""
    errors: Errors | None = None
    """How often the judge is right on labelled answers of any model; None for verdicts on a scale."""

    def mean(
        self, metric: str, predictions: Sequence[Prediction], clusters: Sequence[str] | None
    ) -> tuple[Interval | None, str]:
        """Return the mean of a metric's scores corrected for the judge's errors, and a note on it.

        Without an interval the note says why it can't be corrected.
        """
        rows = [self._row(one, metric) for one in predictions]
        try:
            is_enough = _are_enough(rows)
            found = by_these(rows, clusters) if is_enough else by_others([row[0] for row in rows], self._errors(clusters))
        except NotCorrected as error:
            return None, f"not corrected: {error}"
        return Interval(found.mean, found.low, found.high, len(rows), _count(clusters)), found.note

    def difference(
        self, metric: str, pairs: Sequence[Pair], confidence: float, clusters: Sequence[str] | None
    ) -> tuple[Difference | None, str]:
        """Return the mean difference of pairs, second less first, corrected likewise."""
        rows, tail = [_change(self._row(it.before, metric), self._row(it.after, metric)) for it in pairs], 1 - confidence
        try:
            if _are_enough(rows):
                found = by_these(rows, clusters, tail=tail, limits=(-1.0, 1.0), most_widened=MOST_WIDENED)
            else:
                found = difference_by_others([row[0] for row in rows], self._errors(), tail=tail, clusters=clusters)
        except NotCorrected as error:
            return None, f"not corrected: {error}"
        assert found.low is not None and found.high is not None
        spread = (found.high - found.low) / 2 / normal_quantile(confidence) if confidence > 0.5 else 0.0
        corrected = Difference(
            found.mean,
            found.low,
            found.high,
            len(rows),
            _count(clusters),
            confidence=confidence,
            sd=spread * math.sqrt(len(rows)),
            units=len(rows),
            is_alike=found.is_alike,
            span=1.0,
        )
        return corrected, found.note

    def _row(self, one: Prediction, metric: str) -> Row:
        key = one.sample.id, one.text
        return one.scores[metric], self.drawn.get(key), self.chosen.get(key)

    def _errors(self, clusters: Sequence[str] | None = None) -> Errors:
        if self.errors is None or clusters is not None:
            raise NotCorrected(ON_A_SCALE if self.errors is None else CLUSTERED)
        return self.errors


def _are_enough(rows: Sequence[Row]) -> bool:
    return sum(label is not None for _, label, _ in rows) >= LEAST_LABELS


def _count(clusters: Sequence[str] | None) -> int | None:
    return None if clusters is None else len(set(clusters))


def _change(before: Row, after: Row) -> Row:
    """Return the differences of two rows: of drawn labels, or of labels with a chosen one among them."""
    change = after[0] - before[0]
    if before[1] is not None and after[1] is not None:
        return change, after[1] - before[1], None
    one, other = (drawn if drawn is not None else chosen for _, drawn, chosen in (before, after))
    return change, None, None if one is None or other is None else other - one
