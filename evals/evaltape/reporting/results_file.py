"""The results file: a session's results as JSON. A table says which attributes of each record it holds."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from evaltape.files import write_output
from evaltape.reporting.model_results import AgainstModel, JudgeResults, ModelResults, PairResults
from evaltape.reporting.results import Results
from evaltape.scoring.bounds import AGAINST, NOT_CHECKED, Decision
from evaltape.scoring.paired import Difference
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.scoring.slices import SliceScores

Json = dict[str, Any]
VERSION = 2
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can hold and UTF-8 can't: models write it."""
FIELDS: Mapping[str, str] = {
    "SuiteResults": "mode metrics=described models computed jobs judges? comparisons against? "
    "history? references? mutants?=mutant_tables tests predictions",
    "Interval": "mean low high scored=samples clusters?",
    "Difference": "difference=mean low high samples clusters?",
    "Noise": "runs samples of mean sd smallest_drop gate_1_in_100=gate",
    "Accepted": "verdict passed changes=both",
    "JobResults": "id=job.id status=job.status tuned_model=job.tuned_model trained_tokens=job.trained_tokens cost_usd",
    "Moment": "commit=commit.id day=commit.day samples=answered scores=means falls? unread?=reason",
    "Fall": "difference=found.mean low=found.low high=found.high smallest_drop?",
    "AgainstResults": "ref=side.ref commit=side.commit models",
    "GateTest": "model verdict passed",
}
"""By type its keys, each with its attribute if that has another name; other records are written whole. Nothing is held at `a.b`
where `a` is None; a key with `?` is left out where nothing is held."""
MODEL = (
    "failures truncated=scores.truncated recorded scores=means gates versions? unscored? slices? slice_gates? accepted? "
    "noise? unfinished? usage cost_usd"
)
GATE = "threshold=bound.limit verdict fragility passed=outcome"
COMPARED = "verdict fragility passed=outcome confidence=bound.confidence"
"""Of a model, of a decision on a mean, and of one on a difference beside the difference itself."""
ALARMS = "alarms=alarms.mean alarms_harmless=harmless.mean"
AGREEMENT = (
    "labels kappa=kappa.mean low=kappa.low high=kappa.high sensitivity=sensitivity.mean specificity=specificity.mean "
    "agreed commonest people_kappa=people.mean"
)
"""Of a judge's exam."""


def write_results(results: Results, path: Path) -> None:
    """Write the results file, whole or not at all. Raises `OSError` if it can't be written."""
    text = json.dumps(results_json(results), indent=1, ensure_ascii=False, allow_nan=False)
    write_output(path, LONE_SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text) + "\n")


def results_json(results: Results) -> Json:
    """Return the content of the results file, as builtins: no number in it is infinite or NaN."""
    return {"version": VERSION, "suites": {suite.name: written(suite) for suite in results if suite.predictions}}


def written(value: Any) -> Any:
    """Return a part of the results as the file holds it."""
    match value:
        case None | str() | int() | float():
            return value
        case Mapping():
            return {key: written(item) for key, item in value.items()}
        case tuple() | list():
            return [written(item) for item in value]
        case Decision():
            return compared(value) if value.bound.is_paired else fields(value, GATE)
        case Prediction():
            return _prediction(value)
        case JudgeResults():
            return _judge(value)
        case ModelResults():
            return _model(value)
        case ModelScores():
            return {"samples": len(value.predictions), "scores": written(value.intervals)}
        case SliceScores():
            return {column: {it: in_slice(value, of) for it, of in values.items()} for column, values in value.columns.items()}
        case AgainstModel():
            return _against(value)
        case PairResults():
            return written(value.metrics)
    return fields(value, FIELDS.get(type(value).__name__) or " ".join(value.__struct_fields__))


def _model(model: ModelResults) -> Json:
    told = {**fields(model, "served kind=scores.model.kind"), **counts(model.scores), **fields(model, MODEL)}
    for metric, noise in model.noise.items():
        if metric in model.gates:
            gate = model.gates[metric].bound.limit
            chance, inside = noise.chance_to_fail(gate), noise.holds_inside(gate)
            told["noise"][metric] |= {"chance_to_fail_gate": chance, "gate_inside_noise": inside}
    return told


def counts(scores: ModelScores) -> Json:
    """Return how many samples were looked at, and how many of them failed."""
    return {"samples": len(scores.predictions), "failed": len(scores.failures)}


def in_slice(slices: SliceScores, scores: ModelScores) -> Json:
    """Return the scores of a slice, and whether it is large enough for a gate."""
    return {**counts(scores), "gated": slices.is_gated(scores), "scores": written(scores.intervals)}


def difference(found: Difference | None) -> Json:
    """Return a mean difference with its interval; None: there is no pair."""
    return {"difference": None, "low": None, "high": None, "samples": 0} if found is None else written(found)


def compared(decision: Decision) -> Json:
    """Return the decision on a difference, with the difference."""
    told = {**difference(decision.difference), **fields(decision, COMPARED)}
    if decision.bound.kind == AGAINST:
        del told["confidence"]
    return told


def fields(value: Any, names: str) -> Json:
    """Return some attributes of a value as the file holds them; `names` are written as in `FIELDS`."""
    return dict(_fields(value, names))


def _fields(value: Any, names: str) -> Iterator[tuple[str, Any]]:
    for field in names.split():
        key, _, attribute = field.partition("=")
        name = key.rstrip("?")
        held = reduce(lambda at, part: None if at is None else getattr(at, part), (attribute or name).split("."), value)
        told = written(held)
        if not key.endswith("?") or told not in (None, {}, [], ""):
            yield name, told


def _judge(judge: JudgeResults) -> Json:
    told = fields(judge, "asked unread unexamined=examined.judge.unexamined flips?")
    exam = {} if judge.examined.judge.exam is None else {"exam": _exam(judge)}
    return {**told, **exam, **fields(judge, "cost_usd")}


def _exam(judge: JudgeResults) -> Json:
    found, facts = judge.examined, fields(judge, "asked=examined.asked verdict passed")
    if found.not_examined:
        return {**facts, **fields(found, "not_examined")}
    if found.marks is not None:
        noticed = {name: share.mean for name, share in found.marks.noticed.items()}
        facts |= {**fields(found, "unread"), "noticed": noticed, **fields(found.marks, ALARMS)}
    if found.agreement is not None:
        facts |= {**fields(found.agreement, AGREEMENT), **fields(found, "second_kappa=oneself.mean")}
    return facts


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
