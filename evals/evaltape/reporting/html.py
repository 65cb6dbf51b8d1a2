"""The report: one HTML file that opens from an e-mail and asks nothing of any network.

`report_data` gathers what the page shows, as builtins; `page` inlines styles and scripts of `assets` and the
data as JSON. Texts of samples and predictions are never markup: they travel as JSON, the page makes text nodes of them,
and its Content-Security-Policy runs the page's own script and nothing else.
"""

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from evaltape.files import write_whole
from evaltape.reporting.results import results
from evaltape.reporting.verdict import verdict_of

if TYPE_CHECKING:
    from evaltape.hooks.suite_run import SuiteRun

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    "page.js",
    "choices.js",
    "words.js",
    "scores.js",
    "comparisons.js",
    "spread.js",
    "training.js",
    "sample.js",
    "selection.js",
    "samples.js",
    "report.js",
)
"""In the order they are put together."""
POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

Facts = Mapping[str, Any]

_UNSAFE = re.compile("[<>&\u007f-\u009f\u2028\u2029\ud800-\udfff]")
"""What could end the script element or the line, speak to a terminal, or not be written as UTF-8."""


def write_report(session: "SuiteRun") -> None:
    """Write the report, if the session was asked for one."""
    path = session.settings.report
    if path is None:
        return
    suite = session.suite
    data = report_data(
        results(session),
        metrics=tuple(suite.metrics),
        samples=[{"id": one.id, "input": one.input, "reference": one.references[0]} for one in session.samples],
        comparisons={
            name: {"baseline": it.baseline, "candidate": it.candidate, "confidence": it.confidence, "bounds": it.bounds}
            for name, it in suite.comparisons.items()
        },
        training={
            key: {"base": model.job.base.key, "metrics": known.metrics, "events": known.events}
            for key, known in session.jobs.known().items()
            if (model := suite.models[key]).job
        },
    )
    write_whole(path, page(data))


def report_data(
    results: Facts,
    metrics: Sequence[str],
    samples: Iterable[Facts],
    comparisons: Mapping[str, Facts],
    training: Mapping[str, Facts],
) -> dict[str, Any]:
    """What the page shows, as builtins; every text once, every number exact.

    `results` are those of the results file; `samples` hold id, input and reference; `comparisons` their two models,
    confidence and bounds; `training` a job's base model, recorded metrics and events.
    """
    verdict = verdict_of(results)
    return {
        "suite": results["suite"],
        "mode": results["mode"],
        "rouge": results["rouge"],
        "verdict": {
            "text": verdict.text,
            "parts": [list(part) for part in verdict.parts],
            "reasons": list(verdict.reasons),
        },
        "metrics": list(metrics),
        "models": [{"key": key, **_without(model, "failures")} for key, model in results["models"].items()],
        "computed": [{"name": name, **found} for name, found in results["computed"].items()],
        "comparisons": [_comparison(name, comparisons[name], found) for name, found in results["comparisons"].items()],
        "jobs": [{"key": key, **job, **_training(training.get(key, {}))} for key, job in results["jobs"].items()],
        "samples": _samples(results, metrics, samples),
    }


def page(data: Facts) -> str:
    """The file's text. The same data give the same text."""
    style, script = _asset("report.css"), "\n".join(_asset(name) for name in SCRIPTS)
    verdict = data["verdict"]
    return Template(_asset("report.html")).substitute(
        policy=POLICY.format(script=_digest(script), style=_digest(style)),
        suite=html.escape(data["suite"]),
        verdict=html.escape(verdict["text"]),
        parts="".join(f'<li class="{html.escape(state)}">{html.escape(text)}</li>' for text, state in verdict["parts"]),
        reasons="".join(f"<li>{html.escape(reason)}</li>" for reason in verdict["reasons"]),
        style=style,
        data=embedded(data),
        script=script,
    )


def embedded(data: Any) -> str:
    """JSON that can stand inside a script element whatever its texts hold, and reads back as it was."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _comparison(name: str, asked: Facts, found: Facts) -> dict[str, Any]:
    told = [{"metric": metric, "bound": bound, **found.get(metric, {})} for metric, bound in asked["bounds"].items()]
    return {"name": name, **_without(asked, "bounds"), "metrics": told}


def _training(known: Facts) -> dict[str, Any]:
    """Metrics of known steps; a loss that is no number, which a diverged run reports and JSON can't hold, is None."""
    rows = [{key: _finite(value) for key, value in row.items()} for row in known.get("metrics", ())]
    metrics = [row for row in rows if row["step"] is not None]
    return {"base": known.get("base"), "metrics": metrics, "events": list(known.get("events", ()))}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _samples(results: Facts, metrics: Sequence[str], samples: Iterable[Facts]) -> list[dict[str, Any]]:
    """Every sample that was looked at, with a prediction (or None) per model, in the order of the models."""
    found = {(one["sample"], one["model"]): one for one in results["predictions"]}
    seen = {sample for sample, _ in found}
    return [
        {**sample, "predictions": [_prediction(found.get((sample["id"], key)), metrics) for key in results["models"]]}
        for sample in samples
        if sample["id"] in seen
    ]


def _prediction(told: Facts | None, metrics: Sequence[str]) -> dict[str, Any] | None:
    if told is None:
        return None
    if told.get("failure") is not None:
        return {"text": told["prediction"], "failure": told["failure"]}
    kept: dict[str, Any] = {"text": told["prediction"], "scores": [told[metric] for metric in metrics]}
    return {**kept, "truncated": True} if told.get("truncated") else kept


def _without(facts: Facts, name: str) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != name}


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
