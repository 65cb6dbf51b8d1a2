"""Reads `[metrics]`, `[judges]` and `[compare]`, and checks every table of bounds on metrics."""

from collections.abc import Iterable, Mapping

import msgspec

from evaltape.names import is_safe_key, nearest
from evaltape.suite.definition import CORRECTED, Comparison, Judge, MetricSpec, Model
from evaltape.suite.endpoint import BESIDE, check_key, check_pattern, read_endpoint
from evaltape.suite.file.basics import METRICS, MetricTable
from evaltape.suite.file.reading import Place
from evaltape.suite.file.tables import CompareTable, Exam, JudgeKeys, JudgeTable, SuiteTable
from evaltape.suite.prompt import read_judge_prompt
from evaltape.text import visible

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
    seen: dict[str, str] = {}
    for name in tables:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise place.error(name, f"and {other!r} differ by case alone; rename one")
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
    """Return why no bound can be on a metric of that name; None if it can."""
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


def read_judges(suite: SuiteTable, name: str, place: Place) -> dict[str, Judge]:
    """Return the judges by key."""
    places = {key: place.inside(key) for key in suite.judges}
    return {key: _judge(table, check_key(place, key), name, places[key], suite) for key, table in suite.judges.items()}


def check_metrics(metrics: Mapping[str, MetricSpec], judges: Mapping[str, Judge], place: Place) -> None:
    """Refuse a metric that names no judge, and a metric by the name of another's corrected mean."""
    for metric in metrics.values():
        if metric.judge is not None and metric.judge not in judges:
            there = f"Judges: {', '.join(judges)}" if judges else f"Add [judges.{visible(metric.judge)}]"
            what = f"names the judge {metric.judge!r}, which isn't there.{nearest(metric.judge, judges)} {there}"
            raise place.error(metric.name, what)
        corrected = f"{metric.name}{CORRECTED}"
        if metric.judge is not None and corrected in metrics:
            what = f"is how bounds name the mean of {metric.name} that labels correct; give the metric another name"
            raise place.error(corrected, what)


def check_judges(judges: Mapping[str, Judge], metrics: Mapping[str, MetricSpec], models: Iterable[Model], place: Place) -> None:
    """Refuse a judge with a name that means something else in folders or results."""
    folders = {**dict.fromkeys(BESIDE, "a file beside the models"), **{it.key.lower(): f"[{it.place}]" for it in models}}
    for key in judges:
        other = folders.get(key.lower())
        if other is None and key in metrics and metrics[key].judge != key:
            other = f"[metrics] {key}, which isn't its metric"
        if other is not None:
            raise place.error(key, f"is also the name of {other}; rename one")
        folders[key.lower()] = f"[judges.{key}]"


def _judge(table: JudgeTable, key: str, name: str, place: Place, suite: SuiteTable) -> Judge:
    endpoint = read_endpoint(table, place, suite.defaults)
    if table.verdict.regex is not None:
        check_pattern(table.verdict.regex, place.inside("verdict"))
    prompt = read_judge_prompt(table, place)
    exam = None if table.exam is None else _exam(table.exam, place.inside("exam"))
    values = {**table.values_of(JudgeKeys), **endpoint, "exam": exam}
    return Judge(key=key, suite=name, served=table.model, prompt=prompt, **values)


def _exam(exam: Exam, place: Place) -> Exam:
    if exam.labels is not None:
        return msgspec.structs.replace(exam, labels=place.file.parent / exam.labels)
    if exam.mutants == ():
        raise place.error("mutants", "= []: with neither mutants nor labels it is no exam; name some of either")
    return exam


def read_comparisons(
    tables: Mapping[str, CompareTable], suite: str, models: Mapping[str, Model], scored: Scored, place: Place
) -> dict[str, Comparison]:
    """Return the suite's comparisons by name."""
    for key, table in tables.items():
        _check(table, place.inside(key), models, scored)
    values = {check_key(place, key): msgspec.structs.asdict(table) for key, table in tables.items()}
    return {key: Comparison(name=key, suite=suite, **each) for key, each in values.items()}


def _check(table: CompareTable, place: Place, models: Mapping[str, Model], scored: Scored) -> None:
    for side, key in (("baseline", table.baseline), ("candidate", table.candidate)):
        if key not in models:
            raise place.error(side, f"= {key!r}: no such model.{nearest(key, models)} Models: {', '.join(models)}")
    if table.baseline == table.candidate:
        raise place.error("candidate", f"= {table.candidate!r}: it is the baseline, too; compare two models")
    check_bounds(table.min_gain, "min_gain", place, scored)
    check_bounds(table.max_drop, "max_drop", place, scored)
    if not table.min_gain and not table.max_drop:
        raise place.error("min_gain", "is empty; it or max_drop takes a bound per metric, e.g. { rougeL = 0.05 }")
    both = [metric for metric in table.min_gain if metric in table.max_drop]
    if both:
        raise place.error("max_drop", f"and min_gain both bound {both[0]}; keep one")
