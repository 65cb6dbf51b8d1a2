"""Gates see every sample of their model, whatever is selected, how it is spread, and who dies."""

import math
import os
import re
import signal

import pytest

from tests.support.project import ROWS, Project, wait_for
from tests.support.server import ApiServer

GATE = "evals/test_baseline.py::test_gate[chats-small-rouge1]"


def test_a_gate_passes_on_its_threshold_and_fails_over_it(recorded: Project) -> None:
    mean = recorded.results()["models"]["small"]["scores"]["rouge1"]["mean"]
    recorded.edit_suite("rouge1 = 0.3", f"rouge1 = {mean!r}")
    recorded.run("evals", "-m", "baseline").assert_outcomes(passed=8)
    recorded.edit_suite(f"rouge1 = {mean!r}", f"rouge1 = {mean + 1e-15!r}")
    for workers in ("-p no:xdist", "-n 2"):
        run = recorded.run("evals", "-m", "baseline", workers)
        run.assert_outcomes(passed=7, failed=1)
        assert f"FAILED {GATE} - " in run.output
        assert re.search(r"^0\.6405723905723\d+ < 0\.640572: small rouge1: mean under its gate", run.output, re.MULTILINE)
        assert "6 samples)" in run.output


@pytest.mark.parametrize(
    "selected", [["evals", "-k", "test_gate"], ["evals", "-m", "gate", "-k", "rouge"], [GATE]], ids=["-k", "-m", "by its id"]
)
def test_a_gate_alone_reads_what_it_needs_from_the_recordings(recorded: Project, selected: list[str]) -> None:
    run = recorded.run(*selected)
    assert run.outcomes["passed"] == 1, run.output


def test_a_gate_alone_misses_what_is_not_recorded(recorded: Project, workers: str) -> None:
    recorded.cassette("t2").unlink()
    run = recorded.run("evals", "-k", "test_gate", workers)
    assert run.outcomes["failed"] == 1, run.output
    assert (
        "1 of 6 samples failed, 0 allowed: small: t2: cassettes/chats/small/t2.yaml: there is no such recording" in run.output
    )


def test_a_gate_sees_all_samples_although_few_are_selected_beside_it(recorded: Project) -> None:
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 0.7")
    run = recorded.run("evals", "-k", "t5 or test_gate")
    assert run.outcomes["passed"] == 1, run.output
    assert run.outcomes["failed"] == 1, run.output
    assert "0.6406 < 0.7: small rouge1: mean under its gate" in run.output


def test_a_failed_sample_fails_the_gates_of_its_model(recorded: Project) -> None:
    recorded.cassette("t5").unlink()
    run = recorded.run("evals", "-m", "baseline", "--junitxml", "junit.xml")
    run.assert_outcomes(passed=5, failed=3)
    assert "1 of 6 samples failed, 0 allowed: small: t5: " in run.output
    # Reports of gates are in it with those of samples.
    junit = (recorded.root / "junit.xml").read_text()
    assert junit.count("<testcase ") == 8
    assert 'name="test_gate[chats-small-rouge1]"' in junit
    assert 'tests="8"' in junit


def test_allowed_failures_are_left_out_of_the_mean_and_never_counted_as_0(recorded: Project) -> None:
    recorded.edit_suite("[models.small]", "[models.small]\nallow_failed = 1")
    recorded.cassette("t4").unlink()
    results = recorded.results("-k", "test_sample or test_gate")
    small = results["models"]["small"]
    assert small["failed"] == 1
    assert small["gates"]["rouge1"]["passed"] is True
    assert small["scores"]["rouge1"]["mean"] == pytest.approx((8 / 11 + 8 / 11 + 8 / 9 + 1 + 1 / 2) / 5)


def test_one_failure_more_than_allowed_fails_the_gate(recorded: Project) -> None:
    recorded.edit_suite("[models.small]", "[models.small]\nallow_failed = 1")
    recorded.cassette("t4").unlink()
    recorded.cassette("t5").unlink()
    run = recorded.run("evals", "-k", "test_gate")
    assert "2 of 6 samples failed, 1 allowed: small: t4: " in run.output
    assert run.exit_code == 1


def test_a_model_without_any_answer_passes_no_gate_not_even_of_0(recorded: Project) -> None:
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 0")
    recorded.edit_suite("[models.small]", "[models.small]\nallow_failed = 6")
    for row in ROWS:
        recorded.cassette(row["id"]).unlink()
    run = recorded.run("evals", "-k", "test_gate")
    assert run.exit_code == 1, run.output
    assert "no sample was answered: small rouge1, gate 0" in run.output


def test_with_x_the_first_failure_ends_the_run(recorded: Project, workers: str) -> None:
    recorded.cassette("t1").unlink()
    run = recorded.run("evals", "-m", "baseline", "-x", workers)
    assert run.exit_code in (1, 2), run.output
    assert run.outcomes["failed"] == 1, run.output
    assert "test_gate" not in run.output.split("short test summary")[1]


def test_with_x_a_failing_gate_ends_the_run(recorded: Project) -> None:
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 0.9")
    run = recorded.run("evals", "-m", "baseline", "-x")
    assert run.exit_code == 1, run.output
    run.assert_outcomes(passed=6, failed=1)


def test_last_failed_runs_the_gate_that_failed_on_all_samples(recorded: Project, any_workers: str) -> None:
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 0.9")
    recorded.run("evals", "-m", "baseline", any_workers).assert_outcomes(passed=7, failed=1)
    recorded.edit_suite("rouge1 = 0.9", "rouge1 = 0.3")
    run = recorded.run("evals", "-m", "baseline", "--lf", any_workers)
    assert run.outcomes["passed"] == 1, run.output
    assert "failed" not in run.outcomes, run.output


# ---------------------------------------------------------------- workers that die


def test_reports_may_hold_what_json_can_not(recorded: Project) -> None:
    with (recorded.root / "conftest.py").open("a") as conftest:
        conftest.write("\nimport pytest\n@pytest.fixture(autouse=True)\ndef raw(record_property):\n")
        conftest.write("    record_property('raw', b'bytes')\n")
    recorded.run("evals", "-m", "baseline", "-n", "2").assert_outcomes(passed=8)


def test_a_worker_killed_in_a_recording_costs_its_test_and_no_recording(project: Project, api: ApiServer) -> None:
    api.held_after = 2
    running = project.start("evals", "-m", "baseline", "--record", "-n", "2", "--concurrency", "2")
    wait_for(lambda: "2 workers [6 items]" in running.output and api.in_flight == 2)
    os.kill(running.workers()[0], signal.SIGKILL)
    wait_for(lambda: "node down" in running.output)
    api.held_after = math.inf
    run = running.wait()
    assert run.exit_code == 1, run.output
    assert "worker 'gw" in run.output
    assert sorted(project.recorded()) == [row["id"] for row in ROWS]
    assert api.calls == 6
    assert f"FAILED {GATE}" not in run.output
    assert "rouge1       0.6406" in run.output


def test_a_worker_killed_in_replay_costs_one_test_and_no_gate(recorded: Project) -> None:
    (recorded.root / "killer.py").write_text(
        "import os, signal\n"
        "def pytest_runtest_call(item):\n"
        "    if item.name == 'test_sample[chats-small-t3]' and 'PYTEST_XDIST_WORKER' in os.environ:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = recorded.run("evals", "-m", "baseline", "-n", "2", "-p", "killer")
    run.assert_outcomes(passed=7, failed=1)
    assert "crashed while running 'evals/test_baseline.py::test_sample[chats-small-t3]'" in run.output
