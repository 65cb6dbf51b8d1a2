"""The results file: what a session found out, as JSON. Numbers are exact; nothing is rounded."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from evaltape.files import write_whole
from evaltape.scoring import rouge
from evaltape.scoring.noise import noise_of_model
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores, PairedScores, limits
from evaltape.scoring.statistics import Interval, interval
from evaltape.suite.pricing import call_usd, training_usd

if TYPE_CHECKING:
    from evaltape.hooks.suite_run import SuiteRun

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can hold and UTF-8 can't: some model will write one."""
LEAD = "first three lines"


def write_results(session: "SuiteRun") -> None:
    """Write the results file, if the session was asked for one."""
    path = session.settings.results
    if path is not None:
        text = json.dumps(results(session), indent=1, ensure_ascii=False, allow_nan=False)
        write_whole(path, LONE_SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text) + "\n")


def results(session: "SuiteRun") -> dict[str, Any]:
    """The results as builtins: for the end of a session, so they are put together once."""
    if session.results is None:
        session.results = _results(session)
    return session.results


def _results(session: "SuiteRun") -> dict[str, Any]:
    suite, evidence = session.suite, session.evidence
    found = [session.of_model(model) for model in suite.models.values()]
    looked_at = {scores.model.key: scores for scores in found if scores.predictions}
    pairs = [
        PairedScores(comparison, session.metrics, looked_at[comparison.baseline], looked_at[comparison.candidate])
        for comparison in suite.comparisons.values()
        if comparison.baseline in looked_at and comparison.candidate in looked_at
    ]
    return {
        "suite": suite.name,
        "mode": session.settings.mode,
        "rouge": {"package": rouge.package(), "stemmer": any(spec.options.get("stemmer") for spec in suite.metrics.values())},
        "models": {key: _model(scores, evidence.gates) for key, scores in looked_at.items()},
        "computed": _lead(session, looked_at.values()),
        "jobs": _jobs(session, looked_at.values()),
        "comparisons": {pair.comparison.name: _comparison(pair) for pair in pairs},
        **({"mutants": {key: found.as_result() for key, found in session.mutants.items()}} if session.mutants else {}),
        **_against(session),
        "noise": {key: noise for key, scores in looked_at.items() if (noise := _noise(session, scores))},
        "predictions": [_prediction(session, item) for scores in looked_at.values() for item in scores.predictions],
    }


def _against(session: "SuiteRun") -> dict[str, Any]:
    """Each model beside the other side, if the session has one."""
    if not session.against:
        return {}
    side = next(iter(session.against.values())).side
    models = {key: found.as_result(session.evidence.against) for key, found in session.against.items()}
    return {"against": {"ref": side.ref, "commit": side.commit, "models": models}}


def _model(scores: ModelScores, gates: dict[tuple[str, str], bool]) -> dict[str, Any]:
    model = scores.model
    served = Counter(prediction.served for prediction in scores.predictions if prediction.served)
    usage = {
        "prompt_tokens": sum(prediction.prompt_tokens for prediction in scores.predictions),
        "completion_tokens": sum(prediction.completion_tokens for prediction in scores.predictions),
    }
    return {
        "served": served.most_common(1)[0][0] if served else model.served,
        "kind": model.kind,
        "samples": len(scores.predictions),
        "failed": len(scores.failures),
        "failures": {prediction.sample: prediction.failure for prediction in scores.failures},
        "truncated": scores.truncated,
        "scores": {metric: _interval(interval) for metric, interval in scores.intervals.items()},
        "gates": {
            metric: {"threshold": threshold, "passed": gates.get((model.key, metric))}
            for metric, threshold in model.gates.items()
        },
        "usage": usage,
        "cost_usd": call_usd(model.price, usage["prompt_tokens"], usage["completion_tokens"]) if model.price else None,
    }


def _jobs(session: "SuiteRun", looked_at: Iterable[ModelScores]) -> dict[str, Any]:
    """The recorded jobs of the tuned models that were looked at; perhaps by workers alone, so they are read here."""
    jobs = [scores.model.job for scores in looked_at if scores.model.job]
    recorded = {job.key: (job, session.jobs.job(job.key)) for job in jobs if session.jobs.is_recorded(job.key)}
    return {
        key: {**found.as_result(), "cost_usd": training_usd(job.price, found.trained_tokens)}
        for key, (job, found) in recorded.items()
    }


def _noise(session: "SuiteRun", scores: ModelScores) -> dict[str, Any]:
    """The noise of each mean, where samples were asked repeatedly."""
    found = noise_of_model(session, scores)
    return {metric: noise.as_result(scores.model.gates.get(metric)) for metric, noise in found.items()}


def _lead(session: "SuiteRun", looked_at: Iterable[ModelScores]) -> dict[str, Any]:
    """The scores of the input's first three lines, on the samples that were looked at: computed, not recorded."""
    seen = {prediction.sample for scores in looked_at for prediction in scores.predictions}
    samples = [sample for sample in session.samples if sample.id in seen]
    if not samples:
        return {}
    rows = [session.lead(sample) for sample in samples]
    names = [metric for metric in session.text_metrics if all(metric in row for row in rows)]
    found = {name: _interval(interval([row[name] for row in rows], bounds=limits(session.metrics[name]))) for name in names}
    return {LEAD: {"samples": len(samples), "scores": found}}


def _comparison(pair: PairedScores) -> dict[str, Any]:
    return {
        metric: {
            "difference": difference.mean,
            "low": difference.low,
            "high": difference.high,
            "confidence": difference.confidence,
            "samples": difference.samples,
            "verdict": pair.verdict(metric),
            "passed": pair.verdict(metric) == "passed",
        }
        for metric, difference in pair.differences.items()
        if metric in pair.comparison.bounds
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _prediction(session: "SuiteRun", prediction: Prediction) -> dict[str, Any]:
    sample = session.sample(prediction.sample)
    told = {"model": prediction.model, "sample": sample.id, "prediction": prediction.text, "reference": sample.references[0]}
    if not prediction.answered:
        return {**told, "failure": prediction.failure}
    return {**told, "truncated": prediction.truncated, **prediction.scores}
