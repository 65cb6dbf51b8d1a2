"""`--history` as lines of a terminal: per model a table of commits, newest first, and the commits at which it fell."""

from collections.abc import Iterator, Mapping, Sequence

from evaltape.against.history import Moment
from evaltape.metrics.metric import Metric
from evaltape.reporting.tables import row, widths_of
from evaltape.scoring.bounds import interval_text
from evaltape.scoring.scores import ModelScores
from evaltape.text import counted

TITLES, LEAST_WIDTHS, LEAST_METRIC = ("commit", "day", "samples"), (10, 10, 7), 8


def suite_lines(history: Mapping[str, Sequence[Moment]], metrics: Sequence[Metric]) -> list[str]:
    """Return the lines of all models of a suite, by key."""
    return [line for key, moments in history.items() for line in history_lines(key, moments, metrics)]


def history_lines(model: str, moments: Sequence[Moment], metrics: Sequence[Metric]) -> Iterator[str]:
    """Yield a heading, the table, and a line for each metric of each fall; `moments` are oldest first."""
    yield f"{model}: {counted(len(moments), 'commit')} with recordings of the suite"
    titles = (*TITLES, *(metric.name for metric in metrics))
    rows = [_cells(moment, metrics) for moment in reversed(moments)]
    widths = widths_of(
        [titles, *(cells for cells in rows if len(cells) == len(titles))], (*LEAST_WIDTHS, *[LEAST_METRIC] * len(metrics))
    )
    yield from (row(cells, widths, "<<" + ">" * (len(titles) - 2)) for cells in [titles, *rows])
    fallen = [line for moment in reversed(moments) for line in _falls(moment, metrics)]
    yield from fallen or [_not_fallen(moments)]


def _not_fallen(moments: Sequence[Moment]) -> str:
    read = sum(moment.scores is not None for moment in moments)
    return (
        "  At no commit is it known to have fallen by more than noise." if read > 1 else "  Not checked: it takes two commits."
    )


def _cells(moment: Moment, metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Return a row of the table; only three cells for a commit that can't be read."""
    scores, commit = moment.scores, moment.commit
    if scores is None:
        return commit.ref, commit.day, f"not read: {moment.reason}"
    return commit.ref, commit.day, f"{len(scores.answered):,}", *(_mean(scores, metric) for metric in metrics)


def _mean(scores: ModelScores, metric: Metric) -> str:
    return f"{scores.mean(metric.name):.{metric.decimals}f}" if scores.scored(metric.name) else "-"


def _falls(moment: Moment, metrics: Sequence[Metric]) -> Iterator[str]:
    for metric in (metric for metric in metrics if metric.name in moment.falls):
        fall = moment.falls[metric.name]
        ground = interval_text(fall.found, metric.decimals)
        if fall.smallest_drop is not None:
            ground = f"by its repeats {fall.smallest_drop:.{metric.decimals}f} may be noise"
        change = f"{fall.found.mean:+.{metric.decimals}f} ({ground})"
        yield f"  Fell at {moment.commit.ref} of {moment.commit.day}: {metric.name} {change}"
