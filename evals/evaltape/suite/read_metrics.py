"""Completes `[judges]`, and checks the names and bounds of metrics in every table."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from evaltape.names import nearest
from evaltape.suite.definition import CORRECTED, Judge, Model, Suite
from evaltape.suite.file.reading import Place
from evaltape.suite.metric_tables import OwnMetric
from evaltape.suite.prompt import check_judge_prompt
from evaltape.text import visible

BESIDE = ("samples.jsonl", "dataset.json", "batches.json", "samples.jsonl.next", "dataset.json.next")
"""Files that lie beside the models' cassette folders."""


def check_metrics(suite: Suite, place: Place) -> None:
    """Refuse metrics of almost the same name, of no judge, or by the name of another's corrected mean."""
    metrics, seen = suite.metrics, dict[str, str]()
    for name, metric in metrics.items():
        other, judge = seen.setdefault(name.lower(), name), metric.judge if isinstance(metric, OwnMetric) else None
        if other != name:
            raise place.error(name, f"and {other!r} differ by case alone; rename one")
        if judge is not None and judge not in suite.judges:
            there = f"Judges: {', '.join(suite.judges)}" if suite.judges else f"Add [judges.{visible(judge)}]"
            raise place.error(name, f"names the judge {judge!r}, which isn't there.{nearest(judge, suite.judges)} {there}")
        if judge is not None and f"{name}{CORRECTED}" in metrics:
            what = f"is how bounds name the mean of {name} that labels correct; give the metric another name"
            raise place.error(f"{name}{CORRECTED}", what)


def check_bounds(bounds: Mapping[str, object], key: str, place: Place, suite: Suite) -> None:
    """Refuse bounds, in a table like `gates`, on a metric that the suite hasn't or a gate can't rest on.

    Whether a number is possible for its metric, only the metric itself knows.
    """
    for name in bounds:
        problem = _problem(name, suite, of_slices=key == "slice_gates")
        if problem:
            raise place.error(key, f"names {name!r}{problem}")


def _problem(name: str, suite: Suite, of_slices: bool) -> str | None:
    """Return why no bound can be on a metric of that name; None if it can."""
    metric = name if name in suite.metrics else name.removesuffix(CORRECTED)
    if metric not in suite.metrics:
        return f", no metric of this suite.{nearest(name, suite.metrics)} Its metrics: {', '.join(suite.metrics)}"
    judge = suite.judged_by.get(metric)
    if metric == name:
        is_unproven = judge is not None and judge.exam is None and not judge.unexamined
        hint = f"give it [judges.{judge.key}.exam], or say unexamined = true" if judge else ""
        return f", the metric of a judge without an exam: {hint}" if is_unproven else None
    if judge is None:
        return f": {metric} is no judge's metric, so no labels correct its mean"
    if judge.exam is None or judge.exam.labels is None:
        return f", a mean corrected by people's labels: name their file in [judges.{judge.key}.exam] labels"
    return ": labels correct the mean of all samples, not that of a slice" if of_slices else None


def endpoint_of(table: Model | Judge, suite: Suite) -> dict[str, Any]:
    """Return `base_url`, `api_key_env` and `price`: the table's own, or the suite's."""
    return {key: getattr(table, key) or getattr(suite.defaults, key) for key in ("base_url", "api_key_env", "price")}


def read_judges(suite: Suite, place: Place) -> dict[str, Judge]:
    """Return the judges by key."""
    for judge in suite.judges.values():
        at = place.inside(judge.key)
        check_judge_prompt(judge.prompt, at.inside("prompt"))
        if judge.exam is not None and judge.exam.labels is None and judge.exam.mutants == ():
            what = "= []: with neither mutants nor labels it is no exam; name some of either"
            raise at.inside("exam").error("mutants", what)
    return {key: replace(judge, **endpoint_of(judge, suite)) for key, judge in suite.judges.items()}


def check_judges(suite: Suite, models: Iterable[Model], place: Place) -> None:
    """Refuse a judge with a name that means something else in folders or results."""
    folders = {**dict.fromkeys(BESIDE, "a file beside the models"), **{it.key.lower(): f"[{it.place}]" for it in models}}
    for key in suite.judges:
        other = folders.get(key.lower())
        if other is None and key in suite.metrics and suite.judged_by.get(key) is not suite.judges[key]:
            other = f"[metrics] {key}, which isn't its metric"
        if other is not None:
            raise place.error(key, f"is also the name of {other}; rename one")
        folders[key.lower()] = f"[judges.{key}]"


def check_comparisons(suite: Suite, models: Mapping[str, Model], place: Place) -> None:
    """Refuse a comparison of models that aren't there or are one, or with bounds that can't be."""
    for it in suite.comparisons.values():
        at = place.inside(it.key)
        for side, key in (("baseline", it.baseline), ("candidate", it.candidate)):
            if key not in models:
                raise at.error(side, f"= {key!r}: no such model.{nearest(key, models)} Models: {', '.join(models)}")
        if it.baseline == it.candidate:
            raise at.error("candidate", f"= {it.candidate!r}: it is the baseline, too; compare two models")
        check_bounds(it.min_gain, "min_gain", at, suite)
        check_bounds(it.max_drop, "max_drop", at, suite)
        if not it.bounds:
            raise at.error("min_gain", "is empty; it or max_drop takes a bound per metric, e.g. { rougeL = 0.05 }")
        both = [metric for metric in it.min_gain if metric in it.max_drop]
        if both:
            raise at.error("max_drop", f"and min_gain both bound {both[0]}; keep one")
