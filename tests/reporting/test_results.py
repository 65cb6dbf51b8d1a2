"""The results file: its form, and that it holds exact numbers and every sample."""

import json
import math
import os
import subprocess
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from evaltape.errors import UserError

from tests.support.options import settings_of
from tests.support.project import ROUGE1, ROWS, Project
from tests.support.server import ApiServer, completion
from tests.support.tuning import TuningProject

NUMBER = (int, float)
MAYBE = (bool, type(None))
FRAGILITY = (dict, type(None))


COMPARISON = """\
price = { input = 1.0, output = 10.0 }

[models.large]
model = "large-1"
base_url = "BASE_URL"

[compare.size-helps]
baseline = "small"
candidate = "large"
min_gain = { rouge1 = 0.01 }
"""


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> Project:
    """A project with a second model and a comparison, recorded. Not to be written to."""
    references = {row["dialogue"]: row["summary"] for row in ROWS}
    with ApiServer() as api:
        api.answers["large-1"] = lambda prompt: references[prompt.split("\n\n")[1].strip()]
        api.served = "large-1-snapshot"
        project = Project(tmp_path_factory.mktemp("comparison") / "project", api.base_url).take(recording)
        project.extend_suite(COMPARISON)
        project.run("evals", "-m", "baseline", "--record-missing", "--snapshot-update")
    return project


@pytest.fixture(scope="module")
def results_file(comparison: Project) -> Any:
    """Its results file."""
    return comparison.results_file()


@pytest.fixture
def compared(project: Project, comparison: Project) -> Project:
    """A copy of it that may be written to."""
    project.extend_suite(COMPARISON)
    return project.take(comparison.root)


def file_and_output(project: Project, *args: str) -> tuple[Any, str]:
    """What the results file of a run says of the suite, and what the run shows."""
    run = project.run("evals", *args, "--results", "results.json")
    return json.loads((project.root / "results.json").read_text())["suites"]["chats"], run.output


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


END = (int, float, type(None))
MEAN = {"mean": NUMBER, "low": END, "high": END, "scored": int}
DIFFERENCE = {
    "difference": NUMBER, "low": END, "high": END, "confidence": NUMBER, "samples": int, "verdict": str, "fragility": FRAGILITY,
    "passed": MAYBE,
}  # fmt: skip
MODEL = {
    "served": str, "kind": str, "samples": int, "failed": int, "truncated": int, "recorded": (list, type(None)),
    "scores": {str: MEAN}, "gates": {str: {"threshold": NUMBER, "verdict": str, "fragility": FRAGILITY, "passed": MAYBE}},
    "accepted": {"verdict": str, "passed": MAYBE, "changes": dict},
    "usage": {"prompt_tokens": int, "completion_tokens": int}, "cost_usd": (int, float, type(None)),
}  # fmt: skip
SUITE = {
    "mode": str, "metrics": {str: dict}, "models": {str: MODEL}, "computed": {str: {"samples": int, "scores": {str: MEAN}}},
    "jobs": dict, "comparisons": {str: {str: DIFFERENCE}}, "tests": {str: {"model": str, "verdict": str, "passed": MAYBE}}, "predictions": list,
}  # fmt: skip


def test_the_file_has_its_form(results_file: Any) -> None:
    results = results_file
    assert_form(results, {"version": int, "suites": {str: SUITE}})
    assert results["version"] == 2
    assert list(results["suites"]) == ["chats"]
    suite = results["suites"]["chats"]
    assert suite["mode"] == "replay"
    for prediction in suite["predictions"]:
        assert_form(prediction, {"model": str, "sample": str, "prediction": str, "references": list, "rouge1": NUMBER})
    asked = [(prediction["model"], prediction["sample"]) for prediction in suite["predictions"]]
    assert asked == [(model, row["id"]) for model in ("small", "large") for row in ROWS]


def test_each_metric_is_described_and_words_stand_beside_them(recorded: Project) -> None:
    results = recorded.results()
    assert list(results["metrics"]) == ["rouge1", "rouge2", "rougeL", "words"]
    assert results["metrics"]["rouge1"]["tokenizer"] == "rouge"
    assert results["metrics"]["words"] == {"tokenizer": "unicode", "higher_is_better": False}
    answers = [row["dialogue"].split("\n")[0] for row in ROWS]
    words = [len(answer.replace(":", "").split()) for answer in answers]
    assert [prediction["words"] for prediction in results["predictions"]] == words
    assert "slices" not in results["models"]["small"]
    assert results["models"]["small"]["scores"]["words"]["mean"] == math.fsum(words) / 6


def test_several_suites_stand_in_one_file(recorded: Project) -> None:
    other = recorded.suite.with_name("other.toml")
    other.write_text(recorded.suite.read_text().replace("[models.small]", "[models.tiny]"))
    recorded.run("evals", "--suite", str(other), "--record", "--snapshot-update")
    results = recorded.results_file("--suite", str(recorded.suite), "--suite", str(other))
    assert {name: list(suite["models"]) for name, suite in results["suites"].items()} == {"chats": ["small"], "other": ["tiny"]}


@pytest.mark.parametrize(("option", "mode"), [("--record", "record"), ("--record-missing", "record-missing")])
def test_the_mode_is_told(recorded: Project, option: str, mode: str) -> None:
    assert recorded.results(option)["mode"] == mode


def test_numbers_are_exact_and_add_up(results_file: Any) -> None:
    results = results_file["suites"]["chats"]
    for model, served in (("small", "small-2026-01-01"), ("large", "large-1-snapshot")):
        facts = results["models"][model]
        rows = [prediction for prediction in results["predictions"] if prediction["model"] == model]
        for metric in ("rouge1", "rouge2", "rougeL"):
            score = facts["scores"][metric]
            assert score["mean"] == float(sum(Decimal(repr(row[metric])) for row in rows) / 6)
            assert score["low"] <= score["mean"] <= score["high"]
            assert score["scored"] == 6
        assert facts["served"] == served
    difference = results["comparisons"]["size-helps"]["rouge1"]
    assert difference["difference"] == pytest.approx(1 - sum(ROUGE1) / 6, rel=1e-12)
    assert difference["low"] < difference["difference"] < difference["high"]
    assert (difference["confidence"], difference["samples"]) == (0.95, 6)
    assert (difference["verdict"], difference["passed"]) == ("inconclusive", False)  # six pairs are too few to pass


def test_usage_and_cost_are_those_of_the_answers(results_file: Any) -> None:
    results = results_file["suites"]["chats"]
    usage = results["models"]["small"]["usage"]
    # Our server counts words: of the prompt, which holds three more than the dialogue, and of the first line.
    assert usage["prompt_tokens"] == sum(3 + len(row["dialogue"].split()) for row in ROWS)
    assert usage["completion_tokens"] == sum(len(row["dialogue"].split("\n")[0].split()) for row in ROWS)
    cost = (usage["prompt_tokens"] * 1.0 + usage["completion_tokens"] * 10.0) / 1e6
    assert results["models"]["small"]["cost_usd"] == pytest.approx(cost, rel=1e-12)
    assert results["models"]["large"]["cost_usd"] is None


def test_what_a_job_cost_is_told(tuned: TuningProject) -> None:
    tuned.edit_suite("poll_seconds = 0.1", "poll_seconds = 0.1\nprice = { training = 3.0, input = 0.0, output = 0.0 }")
    results, output = file_and_output(tuned, "-m", "finetuned")
    assert results["jobs"]["tuned"]["cost_usd"] == pytest.approx(2_100 * 3 / 1e6, rel=1e-12)
    assert "The recording cost $0.0063" in output


def test_usage_that_an_api_leaves_out_counts_as_none(project: Project, api: ApiServer) -> None:
    def without_usage(asked: dict[str, Any]) -> Any:
        reply = completion(asked, "the red car won")
        del reply.body["usage"]
        return reply

    api.fault(without_usage, times=math.inf)
    usage = project.results("--record")["models"]["small"]["usage"]
    assert usage == {"prompt_tokens": 0, "completion_tokens": 0}


def test_versions_that_changed_while_a_model_was_recorded_are_told(recorded: Project, api: ApiServer) -> None:
    api.served = "small-2026-09-09"
    recorded.cassette("t2").unlink()
    results, output = file_and_output(recorded, "-m", "baseline", "--record-missing")
    small = results["models"]["small"]
    assert small["served"] == "small-2026-01-01"
    assert small["versions"] == {"small-2026-01-01": 5, "small-2026-09-09": 1}
    assert "served by 2 versions: small-2026-01-01, small-2026-09-09" in " ".join(output.split())


# ---------------------------------------------------------------- what wasn't decided, and what users decide


def test_a_gate_that_did_not_run_is_neither_passed_nor_failed(recorded: Project) -> None:
    small = recorded.results("-k", "test_sample")["models"]["small"]
    assert small["gates"]["rouge1"] == {"threshold": 0.3, "verdict": "not checked", "fragility": None, "passed": None}
    assert "accepted" not in small


def test_a_comparison_that_did_not_run_is_neither_passed_nor_failed(compared: Project, tmp_path: Path) -> None:
    report, comment, summary = tmp_path / "report.html", tmp_path / "comment.md", tmp_path / "summary.md"
    options = ("-k", "t3", f"--report={report}", f"--comment={comment}", f"--results={tmp_path / 'results.json'}")
    run = compared.run("evals", "-m", "baseline", *options, environment={"GITHUB_STEP_SUMMARY": str(summary)})
    assert run.exit_code == 0, run.output
    results = json.loads((tmp_path / "results.json").read_text())["suites"]["chats"]
    difference = results["comparisons"]["size-helps"]["rouge1"]
    assert (difference["verdict"], difference["passed"]) == ("not checked", None)
    for text in (run.output, report.read_text(), comment.read_text(), summary.read_text()):
        assert "1 comparison, not checked in this run" in text
        assert "1 of 1 comparison passed" not in text


def test_gates_that_users_wrote_are_told(recorded: Project) -> None:
    (recorded.root / "evals/test_own.py").write_text(
        "import pytest\n"
        "def test_good(scores):\n    assert scores.mean('rouge1') > 0.5\n"
        "def test_bad(scores):\n    assert scores.mean('rouge1') > 0.9\n"
        "@pytest.mark.skip(reason='not today')\ndef test_skipped(scores):\n    assert False\n"
    )
    tests = recorded.results("-n 2")["tests"]
    assert tests == {
        "evals/test_own.py::test_good[chats-small]": {"model": "small", "verdict": "passed", "passed": True},
        "evals/test_own.py::test_bad[chats-small]": {"model": "small", "verdict": "failed", "passed": False},
        "evals/test_own.py::test_skipped[chats-small]": {"model": "small", "verdict": "not checked", "passed": None},
    }


def test_several_tests_of_one_gate_must_all_pass(recorded: Project) -> None:
    (recorded.root / "evals/test_own.py").write_text("def test_more(scores, metric):\n    assert scores.mean(metric) > 0.9\n")
    gate = recorded.results()["models"]["small"]["gates"]["rouge1"]
    assert (gate["verdict"], gate["passed"]) == ("failed", False)


def test_a_test_of_ones_own_never_makes_a_missed_gate_pass(recorded: Project) -> None:
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 0.9")
    (recorded.root / "evals/test_own.py").write_text("def test_less(scores, metric):\n    assert scores.mean(metric) > 0.1\n")
    run = recorded.run("evals/test_own.py", "-p", "no:xdist", "--results", "results.json")
    run.assert_outcomes(passed=1)
    gate = json.loads((recorded.root / "results.json").read_text())["suites"]["chats"]["models"]["small"]["gates"]["rouge1"]
    assert (gate["verdict"], gate["passed"]) == ("not checked", None)
    assert "1 gate, not checked in this run" in run.output


def test_a_test_of_ones_own_may_put_up_with_an_inconclusive_comparison(compared: Project) -> None:
    compared.edit_suite("min_gain = { rouge1 = 0.01 }", "min_gain = { rouge1 = 0.35 }")
    (compared.root / "evals/test_comparisons.py").write_text(
        "def test_compare(comparison, metric):\n    assert comparison.verdict(metric) != 'failed'\n"
    )
    difference = compared.results()["comparisons"]["size-helps"]["rouge1"]
    assert (difference["verdict"], difference["passed"]) == ("inconclusive", None)


def test_an_inconclusive_comparison_that_is_skipped_is_null(compared: Project) -> None:
    compared.edit_suite("min_gain = { rouge1 = 0.01 }", "min_gain = { rouge1 = 0.35 }")
    (compared.root / "evals/test_comparisons.py").write_text(
        "import pytest\ndef test_compare(comparison, metric):\n    pytest.skip('inconclusive')\n"
    )
    difference = compared.results()["comparisons"]["size-helps"]["rouge1"]
    assert (difference["verdict"], difference["passed"]) == ("inconclusive", None)


@pytest.mark.parametrize("mode", ["-pno:xdist", "-n2"])
def test_a_comparison_that_may_stay_open_is_skipped_with_its_reason(compared: Project, mode: str) -> None:
    compared.edit_suite("min_gain = { rouge1 = 0.01 }", 'min_gain = { rouge1 = 0.35 }\ninconclusive = "skip"')
    run = compared.run("evals/test_comparisons.py", mode, "-rs", "--results", "results.json")
    run.assert_outcomes(skipped=1)
    assert run.exit_code == 0 and "inconclusive: size-helps rouge1" in run.output
    results = json.loads((compared.root / "results.json").read_text())
    difference = results["suites"]["chats"]["comparisons"]["size-helps"]["rouge1"]
    assert (difference["verdict"], difference["passed"]) == ("inconclusive", None)


def test_what_differs_from_the_accepted_scores_is_told(recorded: Project) -> None:
    accepted = recorded.snapshots / "small.scores"
    table = json.loads(accepted.read_text())
    accepted.write_text(json.dumps({**table, "rouge1": 0.75, "truncated": 2}))
    assert recorded.results()["models"]["small"]["accepted"] == {
        "verdict": "failed",
        "passed": False,
        "changes": {
            "truncated": {"accepted": 2, "now": 0},
            "rouge1": {"accepted": 0.75, "now": table["rouge1"]},
        },
    }


# ---------------------------------------------------------------- the file


def test_a_run_of_no_sample_writes_no_results(recorded: Project) -> None:
    run = recorded.run("evals", "-k", "nothing_at_all", "--results", "results.json")
    assert run.exit_code == 5, run.output
    assert not (recorded.root / "results.json").exists()


def test_an_older_results_file_is_replaced_whole(recorded: Project) -> None:
    path = recorded.root / "deep/down/results.json"
    path.parent.mkdir(parents=True)
    path.write_text("x" * 100_000)
    recorded.run("evals", "-m", "baseline", "--results", "deep/down/results.json")
    assert json.loads(path.read_text())["version"] == 2
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_half_a_character_in_an_answer_is_kept_in_valid_files(project: Project, api: ApiServer) -> None:
    api.fault(lambda asked: completion(asked, "half \ud83d of it"), match="Ben:")
    outputs = ("--junitxml=junit.xml", "--report=report.html", "--comment=comment.md")
    recorded = project.results("--record", *outputs)
    assert recorded["predictions"][0]["prediction"] == "half \ud83d of it"
    assert project.results()["predictions"] == recorded["predictions"]


def test_a_link_is_followed_and_stays(recorded: Project, tmp_path: Path) -> None:
    target, link = tmp_path / "results.json", recorded.root / "latest.json"
    link.symlink_to(target)
    recorded.run("evals", "-m", "baseline", "--results", "latest.json")
    assert link.is_symlink()
    assert json.loads(target.read_text())["version"] == 2


@pytest.mark.parametrize("option", ["--results", "--report", "--comment"])
def test_a_device_is_written_to_and_stays(recorded: Project, option: str) -> None:
    device = os.stat("/dev/null").st_rdev
    run = recorded.run("evals", "-m", "baseline", option, "/dev/null")
    assert run.exit_code == 0, run.output
    assert os.stat("/dev/null").st_rdev == device


def test_a_pipe_is_written_to(recorded: Project) -> None:
    os.mkfifo(recorded.root / "pipe")
    reader = subprocess.Popen(["cat", str(recorded.root / "pipe")], stdout=subprocess.PIPE)
    watchdog = threading.Timer(60, reader.kill)
    watchdog.start()
    run = recorded.run("evals", "-m", "baseline", "--results", "pipe")
    text = reader.communicate()[0]
    watchdog.cancel()
    assert run.exit_code == 0, run.output
    assert json.loads(text)["version"] == 2


def test_a_pipe_that_nobody_reads_is_an_error_and_no_endless_wait(recorded: Project) -> None:
    os.mkfifo(recorded.root / "pipe")
    run = recorded.run("evals", "-m", "baseline", "--results", "pipe")
    assert run.exit_code == 1
    assert "pipe can't be written: " in run.output


def test_standard_output_is_written_to_although_it_is_a_file(recorded: Project) -> None:
    run = recorded.run("evals", "-m", "baseline", "-s", "--results", "/dev/stdout")
    assert run.exit_code == 0, run.output
    assert '"version": 2' in run.output
    assert "1 of 1 gate holds" in run.output


@pytest.mark.parametrize("pair", [("--results", "--report"), ("--report", "--comment"), ("--results", "--comment")])
def test_two_outputs_in_one_file_are_refused(recorded: Project, pair: tuple[str, str]) -> None:
    (recorded.root / "link").symlink_to("out")
    with pytest.raises(UserError, match=f"{pair[0]} and {pair[1]} both name ./link: give each a file of its own"):
        settings_of(recorded.root, "evals", pair[0], "out", pair[1], "./link")


def test_a_file_that_cannot_be_written_fails_the_run_and_its_verdict_says_so(recorded: Project) -> None:
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 0.3, rouge2 = 0.1")
    (recorded.root / "results.json").mkdir()
    run = recorded.run("evals", "-m", "baseline", "--results", "results.json")
    assert run.exit_code == 1
    assert "results.json can't be written: Is a directory" in run.output
    assert "All 2 gates hold" not in run.output
