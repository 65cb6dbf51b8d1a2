"""`--history` as lines of a terminal: per model a table of commits, newest first, and the commits at which it fell."""

from collections.abc import Iterator, Sequence

from evaltape.against.history import Moment
from evaltape.metrics.metric import Metric
from evaltape.scoring.bounds import interval_text
from evaltape.scoring.scores import ModelScores
from evaltape.text import counted, visible

COLUMN = 8
"""Columns of a metric, at least."""


def history_lines(model: str, moments: Sequence[Moment], metrics: Sequence[Metric]) -> Iterator[str]:
    """Yield a heading, the table, and a line for each metric of each fall; `moments` are oldest first."""
    yield f"{model}: {counted(len(moments), 'commit')} with recordings of the suite"
    widths = [max(COLUMN, len(metric.name)) for metric in metrics]
    names = "".join(f"  {metric.name:>{width}}" for metric, width in zip(metrics, widths, strict=True))
    yield f"  {'commit':<10}  {'day':<10}  samples{names}"
    for moment in reversed(moments):
        yield f"  {moment.commit.ref:<10}  {moment.commit.day:<10}  {_cells(moment, metrics, widths)}"
    fallen = [line for moment in reversed(moments) for line in _falls(moment, metrics)]
    yield from fallen or [_not_fallen(moments)]


def _not_fallen(moments: Sequence[Moment]) -> str:
    read = sum(moment.scores is not None for moment in moments)
    return (
        "  At no commit is it known to have fallen by more than noise." if read > 1 else "  Not checked: it takes two commits."
    )


def _cells(moment: Moment, metrics: Sequence[Metric], widths: Sequence[int]) -> str:
    if moment.scores is None:
        return f"not read: {visible(moment.reason)}"
    means = (_mean(moment.scores, metric).rjust(width) for metric, width in zip(metrics, widths, strict=True))
    return f"{len(moment.scores.answered):>7,}  {'  '.join(means)}"


def _mean(scores: ModelScores, metric: Metric) -> str:
    return f"{scores.mean(metric.name):.{metric.decimals}f}" if scores.scored(metric.name) else "-"


def _falls(moment: Moment, metrics: Sequence[Metric]) -> Iterator[str]:
    for metric in (metric for metric in metrics if metric.name in moment.falls):
        found = moment.falls[metric.name]
        change = f"{found.mean:+.{metric.decimals}f} ({interval_text(found, metric.decimals)})"
        yield f"  Fell at {moment.commit.ref} of {moment.commit.day}: {metric.name} {change}"
