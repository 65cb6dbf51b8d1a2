"""Reads `[judges]`: the models that score answers, and their exams."""

from collections.abc import Iterable, Mapping

from evaltape.names import nearest
from evaltape.suite.definition import CORRECTED, Exam, Judge, MetricSpec, Model, Verdict
from evaltape.suite.read_endpoint import BESIDE, Defaults, check_key, check_pattern, read_endpoint
from evaltape.suite.read_prompt import read_judge_prompt
from evaltape.suite.table import Table
from evaltape.text import visible


def read_judges(suite: Table, name: str, defaults: Defaults) -> dict[str, Judge]:
    """Return the judges by key."""
    return {key: _judge(suite, table, key, name, defaults) for key, table in suite.tables("judges").items()}


def check_metrics(suite: Table, metrics: Mapping[str, MetricSpec], judges: Mapping[str, Judge]) -> None:
    """Refuse a metric that names no judge, and one by the name of another one's corrected mean."""
    for metric in metrics.values():
        if metric.judge is not None and metric.judge not in judges:
            there = f"Judges: {', '.join(judges)}" if judges else f"Add [judges.{visible(metric.judge)}]"
            what = f"names the judge {metric.judge!r}, which isn't there.{nearest(metric.judge, judges)} {there}"
            raise suite.error_in("metrics", metric.name, what)
        corrected = f"{metric.name}{CORRECTED}"
        if metric.judge is not None and corrected in metrics:
            what = f"is how bounds name the mean of {metric.name} that labels correct; give the metric another name"
            raise suite.error_in("metrics", corrected, what)


def check_judges(suite: Table, judges: Mapping[str, Judge], metrics: Mapping[str, MetricSpec], models: Iterable[Model]) -> None:
    """Refuse a judge whose name means something else in folders or results."""
    folders = {**dict.fromkeys(BESIDE, "a file beside the models"), **{it.key.lower(): f"[{it.place}]" for it in models}}
    for key in judges:
        other = folders.get(key.lower())
        if other is None and key in metrics and metrics[key].judge != key:
            other = f"[metrics] {key}, which isn't its metric"
        if other is not None:
            raise suite.error_in("judges", key, f"is also the name of {other}; rename one")
        folders[key.lower()] = f"[judges.{key}]"


def _judge(suite: Table, table: Table, key: str, name: str, defaults: Defaults) -> Judge:
    check_key(suite, "judges", key)
    base_url, api_key_env, price = read_endpoint(table, defaults)
    return Judge(
        key=key,
        suite=name,
        served=table.take("model"),
        prompt=read_judge_prompt(table),
        verdict=_verdict(table),
        request={key: value for key, value in table.entries("request").items() if value != "omit"},
        base_url=base_url,
        api_key_env=api_key_env,
        price=price,
        exam=_exam(table),
        unexamined=table.take("unexamined"),
    )


def _verdict(judge: Table) -> Verdict:
    table = judge.table("verdict")
    assert table is not None
    verdict = Verdict(table.take("json"), table.take("regex"), table.take("scale"))
    if verdict.regex is not None and check_pattern(table, "regex", verdict.regex).groups == 0:
        raise table.error("regex", "has no group ( ) for the verdict")
    return verdict


def _exam(judge: Table) -> Exam | None:
    table = judge.table("exam")
    if table is None:
        return None
    labels = table.take("labels")
    exam = Exam(
        mutants=table.take("mutants"),
        samples=table.take("samples"),
        min_noticed=table.take("min_noticed"),
        max_alarms=table.take("max_alarms"),
        labels=None if labels is None else table.file.parent / labels,
        min_kappa=table.take("min_kappa"),
    )
    if exam.mutants == () and exam.labels is None:
        raise table.error("mutants", "= []: with neither mutants nor labels it is no exam; name some of either")
    return exam
