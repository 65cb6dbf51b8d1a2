"""The content of the report's page, as builtins: every text once, every number exact."""

import math
from collections.abc import Collection, Iterator
from typing import Any

from msgspec.structs import replace

from evaltape.mutation.model_mutants import ModelMutants
from evaltape.reporting.model_results import AgainstModel, AgainstResults, JobResults, JudgeResults, ModelResults, PairResults
from evaltape.reporting.results import Results, SuiteResults
from evaltape.reporting.results_file import compared, counts, difference, fields, in_slice, written
from evaltape.reporting.scoreboard import exam_part
from evaltape.reporting.verdict import failed_first, verdict_of
from evaltape.scoring.bounds import CONFIDENCE, NOT_CHECKED, Decision
from evaltape.scoring.paired import Difference, two_sided
from evaltape.scoring.prediction import Prediction

Data = dict[str, Any]
MOST_WHOLE = 2_000
"""So many samples of a suite have their texts on the page, however long they are."""
MOST_TEXT = 2_000_000
"""Characters of texts on the page of a suite of more."""
PAIRED = "kind=bound.suite_key bound=bound.limit required=required_difference remark"
EXAM_PART = "value low=estimate.low high=estimate.high at_least limit=bound.limit verdict"
AGREEMENT = "labels answers agreed commonest kappa=kappa.mean sensitivity specificity people=people.mean"
MOST_MISSED = 2
"""Texts that a judge got wrong, of each operator."""


def report_data(results: Results) -> Data:
    """Return the page's content on a session."""
    return {"suites": [_suite(suite, results) for suite in failed_first(results)]}


def _suite(suite: SuiteResults, results: Results) -> Data:
    verdict, kept = verdict_of(suite, results), _with_texts(suite)
    return {
        "suite": suite.name,
        "mode": suite.mode,
        "verdict": {
            "text": verdict.text,
            "parts": [[part.text, part.state] for part in verdict.parts],
            "reasons": [fields(reason, "text place model metric") for reason in verdict.reasons],
        },
        "metrics": [
            {
                **fields(metric, "name higher=higher_is_better bounds unit decimals"),
                "named": metric.name not in suite.shown_beside,
                "description": metric.describe(list(suite.samples.values())),
            }
            for metric in suite.metrics.values()
        ],
        "models": [_model(model) for model in suite.models.values()],
        "computed": [{"name": name, **written(each)} for name, each in suite.computed.items()],
        "comparisons": [_comparison(each) for each in suite.comparisons.values()],
        "against": None if suite.against is None else _against(suite, suite.against, kept),
        "history": written(suite.history),
        "references": written(suite.references),
        "judges": [_judge(each) for each in suite.judges.values()],
        "mutants": [_mutants(key, each) for key, each in suite.mutants.items()],
        "tests": [{"id": name, **fields(test, "model passed")} for name, test in suite.tests.items()],
        "jobs": [_job(job) for job in suite.jobs.values()],
        "causes": [
            {"text": f"{it.text} ({it.cost})" if it.cost else it.text, **fields(it, "command prompt")} for it in suite.causes
        ],
        "notes": list(suite.notes),
        "samples": list(_samples(suite, kept)),
        "texts_of": len(kept) if len(kept) < len(suite.samples) else None,
    }


def _model(model: ModelResults) -> Data:
    scores = model.scores
    verdicts = {name: model.slice_verdicts(name) for name in model.slice_gates}
    return {
        **fields(scores.model, "key kind"),
        **counts(scores),
        **fields(model, "served truncated=scores.truncated recorded"),
        "versions": list(model.versions),
        "scores": written(model.means),
        "unscored": {name: len(reasons) for name, reasons in model.unscored.items()},
        **fields(model, "gates slice_gates"),
        "slices": [
            {
                "column": column,
                "value": value,
                "verdicts": {name: at[column, value] for name, at in verdicts.items() if (column, value) in at},
                **in_slice(model.slices, each),
            }
            for column, value, each in model.slices
        ],
        **fields(model, "usage cost_usd"),
    }


def _job(job: JobResults) -> Data:
    """Return a job with the metrics of known steps; a loss that isn't finite, as of a run that diverged, is None."""
    rows = [
        {key: None if value is None or not math.isfinite(value) else value for key, value in row.items()}
        for row in job.job.metrics
        if row.get("step") is not None
    ]
    return {
        **fields(job, "key=order.key"),
        **written(job),
        **fields(job, "base=order.base.key events=job.events"),
        "metrics": rows,
    }


def _comparison(comparison: PairResults) -> Data:
    return {
        **fields(comparison.scores.comparison, "name=key baseline candidate"),
        "label": comparison.label,
        "metrics": [_compared(name, each) for name, each in comparison.metrics.items()],
        "beside": [_difference(name, each) for name, each in comparison.beside.items()],
        "slices": list(_by_slice(comparison)),
    }


def _by_slice(comparison: PairResults) -> Iterator[Data]:
    """Yield the differences in the metrics that are bounded, on the samples that share a column's value."""
    scores = comparison.scores
    for column, values in scores.baseline.slices.items():
        for value, before in values.items():
            after = scores.candidate.slices[column].get(value)
            if after is not None:
                found = replace(scores, baseline=before, candidate=after).differences
                metrics = [_difference(name, found[name]) for name in comparison.metrics if name in found]
                yield {"column": column, "value": value, "metrics": metrics}


def _compared(name: str, each: Decision) -> Data:
    return {"metric": name, **compared(each), **fields(each, PAIRED)}


def _difference(name: str, found: Difference) -> Data:
    unbounded = {"verdict": NOT_CHECKED, "passed": None, "kind": "", "bound": None, "required": None, "remark": ""}
    return {"metric": name, **difference(found), **unbounded}


def _against(suite: SuiteResults, against: AgainstResults, kept: Collection[str]) -> Data:
    models = {key: place for place, key in enumerate(suite.models)}
    samples = {key: place for place, key in enumerate(suite.samples)}
    return {
        **fields(against, "ref=side.ref commit=side.commit"),
        "label": two_sided(CONFIDENCE),
        "notes": list(against.notes),
        "models": [
            {"key": key, **it.counts, "metrics": _against_metrics(suite, it), **fields(it, "prompt=scores.prompt")}
            for key, it in against.models.items()
        ],
        "pairs": [
            {  # The page has the present answer as a prediction.
                "model": models[pair.after.model.key],
                "at": samples[pair.sample],
                "before": pair.before.text,
                "scores": {name: [was, now[name]] for name, was in pair.before.scores.items() if name in now},
            }
            for pair, now in ((pair, pair.after.scores) for pair in against.pairs)
            if pair.after.model.key in models and pair.sample in samples and pair.sample in kept
        ],
    }


def _against_metrics(suite: SuiteResults, model: AgainstModel) -> list[Data]:
    if model.is_told_in_notes:
        return []
    rows = {name: _compared(name, each) for name, each in model.metrics.items()}
    rows |= {name: _difference(name, each) for name, each in model.beside.items()}
    return [rows[name] for name in suite.metrics if name in rows]


def _mutants(key: str, result: ModelMutants) -> Data:
    study = result.study
    return {
        "model": key,
        "noticed_at": study.noticed_at,
        "noticed": len(study.noticed),
        "applicable": len(study.applicable),
        "gates": [bound.title for bound in study.bounds],
        "operators": [
            {
                **fields(each, "name=operator harmful applies_to answers"),
                "noticed": each.is_noticed(study.noticed_at),
                "shares": [gate.share for gate in each.noticing],
                **({"example": written(result.examples[each.operator])} if each.operator in result.examples else {}),
            }
            for each in study.hardest_first
        ],
        "left_out": [f"{bound.title}: {reason}" for bound, reason in study.left_out.items()],
    }


def _judge(judge: JudgeResults) -> Data:
    """Return a judge with its exam: its bounds, the pairs it got wrong, and the table of labels and verdicts."""
    found = judge.examined
    exam = found.judge.exam
    marks, agreement = found.marks, found.agreement
    harmful = [it for it in marks.operators if it.harmful] if marks else []
    return {
        **fields(judge, "key metrics asked unread verdict"),
        **fields(found, "standing not_examined"),
        **fields(judge, "flips scale=examined.judge.verdict.scale"),
        "labels": None if exam is None or exam.labels is None else exam.labels.name,
        "parts": [{"name": exam_part(decision), **fields(decision, EXAM_PART)} for decision in found.decisions],
        "missed": [{"operator": it.operator, **written(pair)} for it in harmful for pair in it.missed[:MOST_MISSED]],
        "alarming": [{"sample": it.sample, "text": it.answer} for it in (marks.alarming[:MOST_MISSED] if marks else ())],
        "agreement": None if agreement is None else {**fields(agreement, AGREEMENT), **fields(found, "oneself=oneself.mean")},
        "confusion": [[*pair, count] for pair, count in agreement.confusion.items()] if agreement else [],
    }


def _with_texts(suite: SuiteResults) -> Collection[str]:
    """Return the samples that the page holds the texts of: all, or of very many the worst that there is room for."""
    if len(suite.samples) <= MOST_WHOLE:
        return suite.samples
    sizes = {sample.id: len(sample.input) + sum(map(len, sample.references)) for sample in suite.samples.values()}
    worst: dict[str, float] = {}
    metric = next(iter(suite.named_metrics), None)
    for each in suite.predictions:
        sizes[each.sample.id] += len(each.text) + len(each.answer.raw)
        score = each.scores.get(metric.name) if metric else None
        if score is None or metric is None:
            goodness = math.inf if each.answered else -math.inf
        else:
            goodness = score if metric.higher_is_better else -score
        worst[each.sample.id] = min(worst.get(each.sample.id, math.inf), goodness)
    kept, room = set(), MOST_TEXT
    for name in sorted(worst, key=lambda name: worst[name]):
        room -= sizes[name]
        if room < 0:
            break
        kept.add(name)
    return kept


def _samples(suite: SuiteResults, kept: Collection[str]) -> Iterator[Data]:
    """Yield every sample that was looked at, with a prediction (or None) per model, in the order of the models.

    Samples that aren't in `kept` have their scores alone.
    """
    predictions = {(each.sample.id, each.model.key): each for each in suite.predictions}
    for sample in suite.samples.values():
        answers = [_prediction(predictions.get((sample.id, key)), suite) for key in suite.models]
        if sample.id not in kept:
            scores = [it and {"text": "", **{key: it[key] for key in ("scores", "failure") if key in it}} for it in answers]
            yield {"id": sample.id, "input": "", "references": [], "slices": {}, "predictions": scores, "left_out": True}
            continue
        yield {
            "id": sample.id,
            "input": sample.input,
            "references": list(sample.references),
            "slices": {column: value for column in suite.slices if (value := sample.slice_of(column)) is not None},
            "predictions": answers,
        }


def _prediction(prediction: Prediction | None, suite: SuiteResults) -> Data | None:
    if prediction is None:
        return None
    if not prediction.answered:
        return {"text": prediction.text, "raw": prediction.answer.raw, "failure": prediction.failure}
    raw = {"raw": prediction.answer.raw} if prediction.answer.raw else {}
    data: Data = {"text": prediction.text, **raw, "scores": [prediction.scores.get(name) for name in suite.metrics]}
    data |= {"unscored": dict(prediction.unscored)} if prediction.unscored else {}
    data |= {"came": prediction.answer.came} if prediction.answer.came else {}
    return {**data, "truncated": True} if prediction.truncated else data
