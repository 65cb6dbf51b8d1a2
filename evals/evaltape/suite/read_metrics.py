"""Reads `[metrics]`, and every table of bounds that names metrics of the suite."""

from collections.abc import Iterable, Mapping

import msgspec

from evaltape.names import is_safe_key, nearest
from evaltape.suite.definition import CORRECTED, Judge, MetricSpec
from evaltape.suite.file.metric_tables import METRICS, MetricTable
from evaltape.suite.file.place import Place

DEFAULT = ("rouge1", "rouge2", "rougeL")
TAKEN = {
    *("model", "sample", "prediction", "reference", "references", "failure", "failed", "truncated"),
    *("samples", "metrics", "gate", "bound", "low", "high"),
    *("applies_to", "slice_gates", "comparisons", "against", "unscored"),
}
"""Names that stand beside the metrics' in results, snapshots and JUnit XML."""


class Scored(msgspec.Struct, frozen=True):
    """All that bounds can be on."""

    metrics: Mapping[str, MetricSpec]
    judges: Mapping[str, Judge]


def read_metrics(tables: Mapping[str, MetricTable], place: Place) -> dict[str, MetricSpec]:
    """Return the suite's metrics by name, in the order of the file."""
    if not tables:
        return {name: MetricSpec(name, "rouge") for name in DEFAULT}
    _refuse_names_that_differ_by_case(tables, place)
    return {name: _metric(name, table) for name, table in tables.items()}


def check_bounds(bounds: Mapping[str, object], key: str, place: Place, scored: Scored) -> None:
    """Refuse bounds, in a table like `gates`, on a metric that the suite hasn't or a gate can't rest on.

    Whether a number is possible for its metric, only the metric itself knows.
    """
    for name in bounds:
        problem = _problem(name, scored, of_slices=key == "slice_gates")
        if problem:
            raise place.error(key, f"names {name!r}{problem}")


def _problem(name: str, scored: Scored, of_slices: bool) -> str | None:
    """Return why no bound can be on a metric of that name, or None."""
    metric = name if name in scored.metrics else name.removesuffix(CORRECTED)
    if metric not in scored.metrics:
        return f", no metric of this suite.{nearest(name, scored.metrics)} Its metrics: {', '.join(scored.metrics)}"
    judge = scored.judges.get(scored.metrics[metric].judge or "")
    if metric == name:
        is_unproven = judge is not None and judge.exam is None and not judge.unexamined
        hint = f"give it [judges.{judge.key}.exam], or say unexamined = true" if judge else ""
        return f", the metric of a judge without an exam: {hint}" if is_unproven else None
    if judge is None:
        return f": {metric} is no judge's metric, so no labels correct its mean"
    if judge.exam is None or judge.exam.labels is None:
        return f", a mean corrected by people's labels: name their file in [judges.{judge.key}.exam] labels"
    return ": labels correct the mean of all samples, not that of a slice" if of_slices else None


def kind_of(name: str) -> str:
    """Return the kind of the metric with that name, as in `MetricSpec`."""
    return "function" if name not in METRICS else "rouge" if name.startswith("rouge") else name


def check_metric_names(values: Mapping[str, object], place: Place) -> None:
    """Refuse names that no metric can have. It comes before the options are read: a mistyped name has no valid options."""
    for name, options in values.items():
        is_own = isinstance(options, dict) and ("function" in options or "judge" in options)
        if name in METRICS and is_own:
            raise place.error(name, "is built in; give a metric of your own another name")
        if name in TAKEN:
            raise place.error(name, "stands for something else in results; give the metric another name")
        if not is_safe_key(name):
            raise place.error(name, "can't be part of a test id; use letters, digits, _, - and .")
        if name not in METRICS and isinstance(options, dict) and not is_own:
            own = f'one of your own: {name} = {{ function = "module:function" }}, or {{ judge = "NAME" }}'
            raise place.error(name, f"is not built in.{nearest(name, METRICS)} Built in: {', '.join(METRICS)}; {own}")


def _metric(name: str, table: MetricTable) -> MetricSpec:
    options = {option: getattr(table, option) for option in table.written}
    return MetricSpec(name, "judge" if "judge" in options else kind_of(name), options)


def _refuse_names_that_differ_by_case(names: Iterable[str], place: Place) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise place.error(name, f"and {other!r} differ by case alone; rename one")
