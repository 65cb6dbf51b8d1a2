"""The results file's names: a table of the fields of each type, and the function that writes by it."""

import json
import re
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

from evaltape.files import write_output
from evaltape.reporting.results import Results
from evaltape.reporting.subjects import AgainstModel, PairResults
from evaltape.scoring.bounds import AGAINST, NOT_CHECKED, Decision
from evaltape.scoring.paired import Difference
from evaltape.scoring.prediction import Prediction

Json = dict[str, Any]
VERSION = 2
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can hold and UTF-8 can't: models write it."""
FIELDS: Mapping[str, str] = {
    "SuiteResults": "mode metrics=described models computed jobs judges? comparisons against? "
    "history? references? mutants?=mutant_tables tests predictions",
    "ModelResults": "served kind samples failed failures truncated recorded scores gates versions?=several_versions unscored? "
    "slices? slice_gates? accepted? noise?=noise_beside_gates unfinished? usage cost_usd",
    "Interval": "mean low high scored=samples clusters?",
    "Difference": "difference=mean low high samples clusters?",
    "Slice": "samples failed gated=is_gated scores",
    "Accepted": "verdict passed changes=both",
    "ToCome": "to_come selected",
    "Usage": "prompt_tokens completion_tokens",
    "Computed": "samples scores",
    "JobResults": "id=job.id status=job.status tuned_model=job.tuned_model trained_tokens=job.trained_tokens cost_usd",
    "JudgeResults": "asked unread unexamined=examined.judge.unexamined flips? exam? cost_usd",
    "Moment": "commit=commit.id day=commit.day samples=answered scores=means falls? unread?=reason",
    "Fall": "difference=found.mean low=found.low high=found.high smallest_drop?",
    "Outvoted": "sample models agreement to_reference",
    "Fragility": "samples ids becomes",
    "Flips": "share answers verdicts",
    "AgainstResults": "ref commit models",
    "GateTest": "model verdict passed",
}
"""By type its keys, each with the attribute that it holds where that has another name; `?`: left out where it holds nothing."""
GATE = "threshold=bound.limit verdict fragility passed=outcome"
COMPARED = "verdict fragility passed=outcome confidence=bound.confidence"
"""Of a decision on a mean, and on a difference beside the difference itself."""


def write_results(results: Results, path: Path) -> None:
    """Write the results file, whole or not at all. Raises `OSError` if it can't be written."""
    text = json.dumps(results_json(results), indent=1, ensure_ascii=False, allow_nan=False)
    write_output(path, LONE_SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text) + "\n")


def results_json(results: Results) -> Json:
    """Return the content of the results file, as builtins: no number in it is infinite or NaN."""
    return {"version": VERSION, "suites": {suite.name: written(suite) for suite in results if suite.predictions}}


def written(value: Any) -> Any:
    """Return a part of the results as the file holds it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [written(item) for item in value]
    if isinstance(value, Decision):
        return compared(value) if value.bound.is_paired else dict(_fields(value, GATE))
    if isinstance(value, Prediction):
        return _prediction(value)
    if isinstance(value, AgainstModel):
        return _against(value)
    if isinstance(value, PairResults):
        return written(value.metrics)
    return dict(_fields(value, FIELDS[type(value).__name__]))


def difference(found: Difference | None) -> Json:
    """Return a mean difference with its interval; None: there is no pair."""
    return {"difference": None, "low": None, "high": None, "samples": 0} if found is None else written(found)


def compared(decision: Decision) -> Json:
    """Decide a bound on a difference."""
    told = {**difference(decision.difference), **dict(_fields(decision, COMPARED))}
    return {key: item for key, item in told.items() if key != "confidence"} if decision.bound.kind == AGAINST else told


def _fields(value: Any, fields: str) -> Iterator[tuple[str, Any]]:
    for field in fields.split():
        key, _, attribute = field.partition("=")
        name = key.rstrip("?")
        held = attrgetter(attribute or name)(value)
        if not key.endswith("?") or (held is not None and held not in ({}, (), "")):
            yield name, written(held)


def _against(model: AgainstModel) -> Json:
    unbounded = {"verdict": NOT_CHECKED, "fragility": None, "passed": None}
    rows = {metric: compared(each) for metric, each in model.metrics.items()}
    rows |= {metric: {**difference(each), **unbounded} for metric, each in model.beside.items()}
    return {metric: {**row, **model.counts} for metric, row in rows.items()}


def _prediction(prediction: Prediction) -> Json:
    facts: Json = {
        "model": prediction.model.key,
        "sample": prediction.sample.id,
        "prediction": prediction.text,
        "references": list(prediction.sample.references),
    }
    if not prediction.answered:
        return {**facts, "failure": prediction.failure}
    unscored = {"unscored": dict(prediction.unscored)} if prediction.unscored else {}
    return {**facts, "truncated": prediction.truncated, **unscored, **prediction.scores}
