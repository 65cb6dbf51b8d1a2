"""Reads `[metrics]`, and every table of bounds that names metrics of the suite."""

from collections.abc import Mapping
from typing import Any

import msgspec

from evaltape.names import is_safe_key, nearest
from evaltape.suite.definition import CORRECTED, Judge, MetricSpec
from evaltape.suite.keys import BUILT_IN
from evaltape.suite.table import Table

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


def read_metrics(suite: Table) -> dict[str, MetricSpec]:
    """Return the suite's metrics by name, in the order of the file."""
    if "metrics" not in suite:
        return {name: MetricSpec(name, "rouge") for name in DEFAULT}
    for name, values in suite.entries("metrics").items():
        _check_name(suite, name, values)
    metrics = {name: _metric(name, table) for name, table in suite.tables("metrics").items()}
    _refuse_names_that_differ_by_case(suite, metrics)
    return metrics


def read_bounds(table: Table, key: str, scored: Scored) -> dict[str, float]:
    """Return the numbers of a table like `gates`, whose keys are metrics of the suite.

    Whether a number is possible for its metric, only the metric itself knows.
    """
    bounds: dict[str, float] = table.entries(key)
    for name in bounds:
        problem = _problem(name, scored, of_slices=key == "slice_gates")
        if problem:
            raise table.error(key, f"names {name!r}{problem}")
    return bounds


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
    return "function" if name not in BUILT_IN else "rouge" if name.startswith("rouge") else name


def _metric(name: str, table: Table) -> MetricSpec:
    options = {option: table.take(option) for option in table.values}
    return MetricSpec(name, "judge" if "judge" in options else kind_of(name), options)


def _check_name(suite: Table, name: str, values: Mapping[str, Any]) -> None:
    if name in BUILT_IN and ("function" in values or "judge" in values):
        raise suite.error_in("metrics", name, "is built in; give a metric of your own another name")
    if name in TAKEN:
        raise suite.error_in("metrics", name, "stands for something else in results; give the metric another name")
    if not is_safe_key(name):
        raise suite.error_in("metrics", name, "can't be part of a test id; use letters, digits, _, - and .")
    if name not in BUILT_IN and not values:
        built_in = ", ".join(BUILT_IN)
        own = f'one of your own: {name} = {{ function = "module:function" }}, or {{ judge = "NAME" }}'
        raise suite.error_in("metrics", name, f"is not built in.{nearest(name, BUILT_IN)} Built in: {built_in}; {own}")


def _refuse_names_that_differ_by_case(suite: Table, metrics: Mapping[str, MetricSpec]) -> None:
    seen: dict[str, str] = {}
    for name in metrics:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise suite.error_in("metrics", name, f"and {other!r} differ by case alone; rename one")
