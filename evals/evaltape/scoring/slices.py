"""Slices: the scores of samples that share a column's value, so that a mean doesn't hide a group that does badly."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from evaltape.samples.sample import Sample
from evaltape.scoring.scores import ModelScores, shown_end
from evaltape.suite.definition import Model
from evaltape.text import counted


@dataclass(frozen=True, repr=False)
class SliceScores:
    """The scores of one model by column and value."""

    scores: ModelScores
    """Of all samples."""
    columns: Mapping[str, Mapping[str, ModelScores]]
    """Per column, per value in the order of the samples, the scores of the samples that have it."""
    smallest: int
    """A slice of fewer samples is shown, not gated."""

    def __repr__(self) -> str:
        return f"<slices of {self.model.key}>"

    @property
    def model(self) -> Model:
        """The model under test."""
        return self.scores.model

    def __iter__(self) -> Iterator[tuple[str, str, ModelScores]]:
        """Yield each slice as column, value and scores."""
        for column, values in self.columns.items():
            for value, scores in values.items():
                yield column, value, scores

    def short_of(self, metric: str, gate: float) -> list[tuple[str, str]]:
        """Return the slices, as (column, value), whose whole interval lies on the wrong side of a gate.

        Slices of fewer samples than the suite's `slice_min` don't count: their intervals say next to nothing.
        """
        return [
            (column, value)
            for column, value, scores in self
            if len(scores.predictions) >= self.smallest and self._misses(scores, metric, gate)
        ]

    def _misses(self, scores: ModelScores, metric: str, gate: float) -> bool:
        interval = scores.interval(metric)
        if interval is None:
            return True
        if scores.higher_is_better(metric):
            return interval.high is not None and interval.high < gate
        return interval.low is not None and interval.low > gate

    def in_short(self, metric: str) -> str:
        """Return the slices that miss their gate in a line, each with its mean and interval."""
        gate = self.model.slice_gates[metric]
        parts = [self._part(column, value, metric) for column, value in self.short_of(metric, gate)]
        side = "under" if self.scores.higher_is_better(metric) else "over"
        return (
            f"{counted(len(parts), 'slice')} wholly {side} slice gate {gate:g}: {self.model.key} {metric}: {'; '.join(parts)}"
        )

    def _part(self, column: str, value: str, metric: str) -> str:
        scores = self.columns[column][value]
        interval = scores.interval(metric)
        if interval is None:
            return f"{column} {value}: no sample was scored"
        ends = f"{shown_end(interval.low)} to {shown_end(interval.high)}"
        return f"{column} {value} {interval.mean:.4f} ({ends}, {len(scores.scored(metric))} samples)"


def slice_scores(scores: ModelScores, samples: Mapping[str, Sample], columns: tuple[str, ...], smallest: int) -> SliceScores:
    """Return the scores of a model by the values of some columns; `samples` by id."""
    return SliceScores(scores, replace(scores, slice_values=slice_values(samples, columns)).slices, smallest)


def slice_values(samples: Mapping[str, Sample], columns: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Return by column the value of each sample that has one; `samples` by id."""
    found = {column: {key: sample.slice_of(column) for key, sample in samples.items()} for column in columns}
    return {column: {key: value for key, value in values.items() if value is not None} for column, values in found.items()}
