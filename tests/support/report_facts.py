"""Made facts for a report: as many models and samples as asked for, with scores that follow a plain rule."""

import random
from pathlib import Path
from typing import Any

from evaltape.reporting.html import page, report_data

METRICS = ("rouge1", "rougeL")
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'><b>bold</b>&amp;<!--"
ESCAPES = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202egnirts\u2028end\x00"
WORDS = ["we", "meet", "at", "noon", "on", "friday", "by", "the", "old", "bridge", "with", "bread", "for", "everyone"]


def facts(
    samples: int = 12, models: tuple[str, ...] = ("base", "tuned", "third"), lines: int = 12, failed: int = 1
) -> dict[str, Any]:
    """Arguments of `report_data`: `lines` of talk a sample, `score` for each, the last `failed` unanswered."""
    rows = [_sample(number, lines) for number in range(samples)]
    found = [_prediction(rows, number, m, key, failed) for m, key in enumerate(models) for number in range(samples)]
    pair = {"baseline": models[0], "candidate": models[-1 if len(models) < 3 else 1]}
    compared = len(models) > 1
    return {
        "results": {
            "suite": "made",
            "mode": "replay",
            "rouge": {"package": "rouge_score 0.1.2", "stemmer": False},
            "models": {key: _model(key, [one for one in found if one["model"] == key]) for key in models},
            "computed": {"first three lines": {"samples": samples, "scores": dict.fromkeys(METRICS, _interval(0.2))}},
            "jobs": {"tuned": _job()} if "tuned" in models else {},
            "comparisons": {"gain": {"rougeL": _difference()}} if compared else {},
            "predictions": found,
        },
        "metrics": METRICS,
        "samples": rows,
        "comparisons": {"gain": {**pair, "confidence": 0.95, "bounds": {"rougeL": 0.05}}} if compared else {},
        "training": {"tuned": _training()},
    }


def without(made: dict[str, Any], *names: str) -> dict[str, Any]:
    """Facts of a session that has no gates, comparisons or jobs."""
    for name in names:
        if name == "gates":
            for model in made["results"]["models"].values():
                model["gates"] = {}
        else:
            made["results"][name] = {}
    return made


def with_text(made: dict[str, Any], text: str) -> dict[str, Any]:
    """The facts with a text in every place where a person or a model writes."""
    for number, sample in enumerate(made["samples"]):
        sample.update(id=f"{number} {text}", input=f"{text}\n{text}", reference=f"{text} here")
    for one in made["results"]["predictions"]:
        one.update(sample=f"{one['sample'][1:]} {text}", prediction=f"{text} there")
        if "failure" in one:
            one["failure"] = text
    for event in made["training"]["tuned"]["events"]:
        event["message"] = text
    return made


def write_page(folder: Path, made: dict[str, Any]) -> Path:
    """The report of the facts, as a file."""
    path = folder / "report.html"
    path.write_text(page(report_data(**made)), encoding="utf-8")
    return path


def score(number: int, model: int) -> float:
    """The rouge1 of the model of a position on the sample of a position; its rougeL is half of it."""
    return ((7 * number + 5 * model) % 11) / 10


def _sample(number: int, lines: int) -> dict[str, str]:
    told = random.Random(number)
    talk = [f"{('Ana', 'Zoë')[line % 2]}: {' '.join(told.choices(WORDS, k=8))}\n" for line in range(lines)]
    return {
        "id": f"s{number}",
        "input": "".join(talk) + f"Ana: that was number{number}",
        "reference": f"They meet at {number}.",
    }


def _prediction(rows: list[dict[str, str]], number: int, m: int, key: str, failed: int) -> dict[str, Any]:
    sample = rows[number]
    told = {"model": key, "sample": sample["id"], "reference": sample["reference"]}
    if number >= len(rows) - failed:
        return {**told, "prediction": "", "failure": "the model refused: I'd rather not"}
    scores = {"rouge1": score(number, m), "rougeL": score(number, m) / 2}
    return {**told, "prediction": f"They will meet {number} of {key}", "truncated": number == 0, **scores}


def _model(key: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    failures = {one["sample"]: one["failure"] for one in found if "failure" in one}
    answered = len(failures) < len(found)
    return {
        "served": f"{key}-2026",
        "kind": "finetuned" if key == "tuned" else "baseline",
        "samples": len(found),
        "failed": len(failures),
        "failures": failures,
        "truncated": int(answered),
        "scores": dict.fromkeys(METRICS, _interval(0.4)) if answered else {},
        "gates": {"rouge1": {"threshold": 0.3, "passed": answered}, "rougeL": {"threshold": 0.45, "passed": False}},
        "usage": {"prompt_tokens": 120 * len(found), "completion_tokens": 20 * len(found)},
        "cost_usd": None if key == "third" else 0.001 * len(found),
    }


def _interval(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.05, "high": mean + 0.05}


def _difference() -> dict[str, Any]:
    told = {"difference": 0.1, "low": 0.02, "high": 0.18, "confidence": 0.95}
    return {**told, "samples": 11, "verdict": "inconclusive", "passed": False}


def _job() -> dict[str, Any]:
    return {"id": "ftjob-1", "status": "succeeded", "tuned_model": "ft:base:x", "trained_tokens": 21_000}


def _training() -> dict[str, Any]:
    metrics = [{"step": step, "train_loss": 3 / step, "valid_loss": 2.5 if step % 4 else None} for step in range(1, 21)]
    events = [{"created_at": 1_700_000_000 + 70 * n, "level": "info", "message": f"step {n}"} for n in range(3)]
    return {"base": "base", "metrics": metrics, "events": events}
