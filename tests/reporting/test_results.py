"""The results file: its form, and that it holds exact numbers and every sample."""

import json
import math
from typing import Any

import pytest

from tests.support.project import ROUGE1, ROWS, Project
from tests.support.server import ApiServer, completion
from tests.support.tuning import TuningProject

NUMBER = (int, float)


@pytest.fixture
def compared(recorded: Project, api: ApiServer) -> Project:
    """A project with a second model and a comparison, recorded."""
    recorded.extend_suite(
        """\
price = { input = 1.0, output = 10.0 }

[models.large]
model = "large-1"
base_url = "BASE_URL"

[compare.size-helps]
baseline = "small"
candidate = "large"
min_gain = { rouge1 = 0.01 }
"""
    )
    references = {row["dialogue"]: row["summary"] for row in ROWS}
    api.answers["large-1"] = lambda prompt: references[prompt.split("\n\n")[1].strip()]
    api.served = "large-1-snapshot"
    recorded.run("evals", "-m", "baseline", "--record-missing", "--snapshot-update")
    return recorded


def assert_form(value: Any, form: Any, place: str = "results") -> None:
    """The value has the form: a type, or a dict of forms whose keys are all there; `str` as a key stands for any."""
    if not isinstance(form, dict):
        assert isinstance(value, form), (place, value)
        return
    assert isinstance(value, dict), (place, value)
    if str in form:
        for key, item in value.items():
            assert_form(item, form[str], f"{place}.{key}")
        return
    for key, inner in form.items():
        assert key in value, f"{place}.{key} is missing"
        assert_form(value[key], inner, f"{place}.{key}")


INTERVAL = {"mean": NUMBER, "low": NUMBER, "high": NUMBER}
FORM = {
    "suite": str,
    "mode": str,
    "rouge": {"package": str, "stemmer": bool},
    "models": {
        str: {
            "served": str, "kind": str, "samples": int, "failed": int, "truncated": int, "scores": {str: INTERVAL},
            "gates": {str: {"threshold": NUMBER, "passed": bool}},
            "usage": {"prompt_tokens": int, "completion_tokens": int}, "cost_usd": (int, float, type(None)),
        }
    },
    "jobs": dict,
    "comparisons": {
        str: {str: {"difference": NUMBER, "low": NUMBER, "high": NUMBER, "confidence": NUMBER, "verdict": str, "passed": bool}}
    },
    "predictions": list,
}  # fmt: skip


def test_the_file_has_its_form(compared: Project) -> None:
    results = compared.results()
    assert_form(results, FORM)
    assert (results["suite"], results["mode"]) == ("chats", "replay")
    for prediction in results["predictions"]:
        assert_form(prediction, {"model": str, "sample": str, "prediction": str, "reference": str, "rouge1": NUMBER})
    asked = [(prediction["model"], prediction["sample"]) for prediction in results["predictions"]]
    assert asked == [(model, row["id"]) for model in ("small", "large") for row in ROWS]


@pytest.mark.parametrize(("option", "mode"), [("--record", "record"), ("--record-missing", "record-missing")])
def test_the_mode_is_told(recorded: Project, option: str, mode: str) -> None:
    assert recorded.results(option)["mode"] == mode


def test_numbers_are_exact_and_add_up(compared: Project) -> None:
    results = compared.results()
    for model, served in (("small", "small-2026-01-01"), ("large", "large-1-snapshot")):
        told = results["models"][model]
        rows = [prediction for prediction in results["predictions"] if prediction["model"] == model]
        for metric in ("rouge1", "rouge2", "rougeL"):
            assert told["scores"][metric]["mean"] == math.fsum(row[metric] for row in rows) / 6
            assert told["scores"][metric]["low"] <= told["scores"][metric]["mean"] <= told["scores"][metric]["high"]
        assert told["served"] == served
    difference = results["comparisons"]["size-helps"]["rouge1"]
    assert difference["difference"] == pytest.approx(1 - sum(ROUGE1) / 6, rel=1e-12)
    assert difference["low"] < difference["difference"] < difference["high"]
    assert (difference["confidence"], difference["samples"]) == (0.95, 6)
    assert (difference["verdict"], difference["passed"]) == ("inconclusive", False)  # six pairs are too few to pass


def test_usage_and_cost_are_those_of_the_answers(compared: Project, api: ApiServer) -> None:
    results = compared.results()
    usage = results["models"]["small"]["usage"]
    # Our server counts words: of the prompt, which holds three more than the dialogue, and of the first line.
    assert usage["prompt_tokens"] == sum(3 + len(row["dialogue"].split()) for row in ROWS)
    assert usage["completion_tokens"] == sum(len(row["dialogue"].split("\n")[0].split()) for row in ROWS)
    cost = (usage["prompt_tokens"] * 1.0 + usage["completion_tokens"] * 10.0) / 1e6
    assert results["models"]["small"]["cost_usd"] == pytest.approx(cost, rel=1e-12)
    assert results["models"]["large"]["cost_usd"] is None


def test_what_a_job_cost_is_told(tuned: TuningProject) -> None:
    tuned.edit_suite("poll_seconds = 0.1", "poll_seconds = 0.1\nprice = { training = 3.0, input = 0.0, output = 0.0 }")
    assert tuned.results_of("-m", "finetuned")["jobs"]["tuned"]["cost_usd"] == pytest.approx(2_100 * 3 / 1e6, rel=1e-12)
    assert "The recording cost $0.0063" in tuned.run("evals", "-m", "finetuned").output


def test_a_gate_that_did_not_run_is_neither_passed_nor_failed(recorded: Project) -> None:
    results = recorded.results("-k", "test_sample")
    assert results["models"]["small"]["gates"]["rouge1"] == {"threshold": 0.3, "passed": None}


def test_a_run_of_no_sample_writes_no_results(recorded: Project) -> None:
    run = recorded.run("evals", "-k", "nothing_at_all", "--results", "results.json")
    assert run.exit_code == 5, run.output
    assert not (recorded.root / "results.json").exists()


def test_an_older_results_file_is_replaced_whole(recorded: Project) -> None:
    path = recorded.root / "deep/down/results.json"
    path.parent.mkdir(parents=True)
    path.write_text("x" * 100_000)
    recorded.run("evals", "-m", "baseline", "--results", "deep/down/results.json")
    assert json.loads(path.read_text())["suite"] == "chats"
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_usage_that_an_api_leaves_out_counts_as_none(project: Project, api: ApiServer) -> None:
    def without_usage(asked: dict[str, Any]) -> Any:
        reply = completion(asked, "the red car won")
        del reply.body["usage"]
        return reply

    api.fault(without_usage, times=math.inf)
    usage = project.results("--record")["models"]["small"]["usage"]
    assert usage == {"prompt_tokens": 0, "completion_tokens": 0}


def test_half_a_character_in_an_answer_is_kept_in_valid_files(project: Project, api: ApiServer) -> None:
    api.fault(lambda asked: completion(asked, "half \ud83d of it"), match="Ben:")
    recorded = project.results("--record", "--junitxml=junit.xml", "--report=report.html")
    assert recorded["predictions"][0]["prediction"] == "half \ud83d of it"
    assert project.results()["predictions"] == recorded["predictions"]
