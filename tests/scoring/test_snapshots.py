"""Accepted scores: created, accepted, held and refused, the same in every mode."""

import json

import pytest

from tests.support.project import ROUGE1, ROWS, Project
from tests.support.server import ApiServer

TEST = "evals/test_baseline.py::test_scores[chats-small]"


def test_scores_that_nobody_accepted_yet_fail_and_say_so(recorded: Project) -> None:
    (recorded.snapshots / "small.scores").unlink()
    run = recorded.run("evals", "-m", "baseline")
    run.assert_outcomes(passed=7, failed=1)
    assert f"FAILED {TEST}" in run.output
    assert "does not exist" in run.output
    assert not (recorded.snapshots / "small.scores").exists()


def test_accepted_scores_are_exact_and_readable(recorded: Project) -> None:
    (recorded.snapshots / "small.scores").unlink()
    run = recorded.run("evals", "-m", "baseline", "--snapshot-update")
    run.assert_outcomes(passed=8)
    accepted = json.loads((recorded.snapshots / "small.scores").read_text())
    assert accepted["rouge1"] == recorded.results()["models"]["small"]["scores"]["rouge1"]["mean"]
    assert abs(accepted["rouge1"] - sum(ROUGE1) / 6) < 1e-15
    assert (accepted["samples"], accepted["failed"], accepted["truncated"]) == (6, 0, 0)
    recorded.run("evals", "-m", "baseline").assert_outcomes(passed=8)


def test_a_score_that_changed_fails_until_it_is_accepted(recorded: Project, api: ApiServer, workers: str) -> None:
    api.answers["small-2026-01-01"] = lambda prompt: "the red car won the race"
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 0.1")
    run = recorded.run("evals", "-m", "baseline", "--record", workers)
    run.assert_outcomes(passed=7, failed=1)
    assert '"rouge1": 0.6405723905723906' in run.output
    recorded.run("evals", "-m", "baseline", "--snapshot-update", workers).assert_outcomes(passed=8)
    recorded.run("evals", "-m", "baseline").assert_outcomes(passed=8)


def test_a_score_better_than_accepted_is_a_change_too(recorded: Project, api: ApiServer) -> None:
    references = {row["dialogue"]: row["summary"] for row in ROWS}
    api.answers["small-2026-01-01"] = lambda prompt: references[prompt.split("\n\n")[1].strip()]
    run = recorded.run("evals", "-m", "baseline", "--record")
    run.assert_outcomes(passed=7, failed=1)
    assert '"rouge1": 1.0' in run.output


def test_a_run_of_some_tests_leaves_the_accepted_scores_of_others_alone(recorded: Project) -> None:
    before = (recorded.snapshots / "small.scores").read_bytes()
    (recorded.snapshots / "gone.scores").write_text("{}\n")
    for selected in (["-k", "t1"], ["-k", "test_scores"], ["--collect-only"], ["-m", "finetuned"]):
        recorded.run("evals", *selected, "--snapshot-update")
        assert (recorded.snapshots / "small.scores").read_bytes() == before
        assert (recorded.snapshots / "gone.scores").exists()


@pytest.mark.parametrize("workers", ["-p no:xdist", "-n 2"])
def test_a_list_of_the_tests_misses_no_snapshot(recorded: Project, workers: str) -> None:
    run = recorded.run("evals", "--collect-only", "-q", workers)
    assert run.exit_code == 0, run.output
    assert "snapshots unused" not in run.output


def test_a_recording_that_stops_early_misses_no_snapshot(recorded: Project) -> None:
    recorded.edit_suite("temperature = 0", "temperature = 0\nmax_completion_tokens = 10")
    recorded.extend_suite("price = { input = 1000.0, output = 1000.0 }\n")
    run = recorded.run("evals", "-m", "baseline", "--record", "--budget", "0.12", "--concurrency", "1")
    assert run.exit_code == 2, run.output
    assert "unused" not in run.output


def test_each_model_has_a_snapshot_of_its_own(recorded: Project) -> None:
    recorded.extend_suite('[models.large]\nmodel = "large-1"\nbase_url = "BASE_URL"\n')
    before = (recorded.snapshots / "small.scores").read_bytes()
    recorded.run("evals", "-m", "baseline", "--record-missing", "--snapshot-update")
    assert sorted(path.name for path in recorded.snapshots.iterdir()) == ["large.scores", "small.scores"]
    assert (recorded.snapshots / "small.scores").read_bytes() == before
