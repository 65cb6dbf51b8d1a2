"""Reads `[judges]`: the models that score answers, and their exams."""

from collections.abc import Iterable, Mapping

import msgspec

from evaltape.names import nearest
from evaltape.suite.definition import CORRECTED, Exam, Judge, MetricSpec, Model
from evaltape.suite.file.place import Place
from evaltape.suite.file.tables import JudgeTable, SuiteTable
from evaltape.suite.read_endpoint import BESIDE, check_key, check_pattern, read_endpoint
from evaltape.suite.read_prompt import read_judge_prompt
from evaltape.text import visible


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
    base_url, api_key_env, price = read_endpoint(table, place, suite.defaults)
    if table.verdict.regex is not None:
        check_pattern(table.verdict.regex, place.inside("verdict"))
    return Judge(
        key=key,
        suite=name,
        served=table.model,
        prompt=read_judge_prompt(table, place),
        verdict=table.verdict,
        request=table.request,
        base_url=base_url,
        api_key_env=api_key_env,
        price=price,
        exam=None if table.exam is None else _exam(table.exam, place.inside("exam")),
        unexamined=table.unexamined,
    )


def _exam(exam: Exam, place: Place) -> Exam:
    if exam.labels is not None:
        return msgspec.structs.replace(exam, labels=place.file.parent / exam.labels)
    if exam.mutants == ():
        raise place.error("mutants", "= []: with neither mutants nor labels it is no exam; name some of either")
    return exam
