"""Accepted scores: created, accepted, held and refused, the same in every mode."""

import json
import re
import shlex
from collections.abc import Callable

import pytest
from evaltape.metrics.rouge import package

from tests.support.project import ROUGE1, ROWS, Project
from tests.support.server import ApiServer

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
TEST = "evals/test_baseline.py::test_scores[chats-small]"


def test_scores_that_nobody_accepted_yet_fail_and_say_so(recorded: Project) -> None:
    (recorded.snapshots / "small.scores").unlink()
    run = recorded.run("evals", "-m", "baseline")
    run.assert_outcomes(passed=7, failed=1)
    assert f"FAILED {TEST}" in run.output
    assert f"0 scores of small are accepted yet. Accept: pytest '{TEST}' --snapshot-update" in run.output
    assert (
        f"\n1 model with scores that are not accepted: small. Accept them:\n  pytest '{TEST}' --snapshot-update\n" in run.output
    )
    assert not (recorded.snapshots / "small.scores").exists()


def test_accepted_scores_that_cannot_be_read_are_not_replaced(recorded: Project) -> None:
    path = recorded.snapshots / "small.scores"
    accepted = path.read_text()
    for text, option, told in (
        (f"<<<<<<< HEAD\n{accepted}=======\n{accepted}>>>>>>> other\n", "--snapshot-update", "git checkout --ours -- PATH"),
        (accepted[:-9], "-q", "holds no accepted scores. Restore it: git checkout -- PATH"),
        (POINTER, "--snapshot-update", "PATH: a Git LFS pointer and not the file itself. Fetch it: git lfs pull"),
    ):
        path.write_text(text)
        run = recorded.run("evals", "-m", "baseline", option)
        run.assert_outcomes(passed=7, error=1)
        assert told.replace("PATH", "evals/__snapshots__/chats/small.scores") in run.output
        assert "Accept" not in run.output and "accepted yet" not in run.output
        assert path.read_text() == text


def test_a_folder_that_cannot_be_written_is_named_in_place_of_the_command_just_run(recorded: Project) -> None:
    path = recorded.snapshots / "small.scores"
    path.unlink()
    path.mkdir()  # Root may write to any folder, but to none as a file.
    run = recorded.run("evals", "-m", "baseline", "--snapshot-update")
    run.assert_outcomes(passed=7, error=1)
    assert "0 scores accepted: evals/__snapshots__/chats/small.scores can't be written" in run.output
    assert "--snapshot-update" not in run.output


def test_accepted_scores_are_exact_and_readable(recorded: Project) -> None:
    (recorded.snapshots / "small.scores").unlink()
    results = recorded.results("--snapshot-update")["models"]["small"]
    accepted = json.loads((recorded.snapshots / "small.scores").read_text())
    assert accepted["rouge1"] == results["scores"]["rouge1"]["mean"]
    assert abs(accepted["rouge1"] - sum(ROUGE1) / 6) < 1e-15
    assert (accepted["samples"], accepted["failed"], accepted["truncated"]) == (6, 0, 0)
    assert accepted["metrics"]["rouge1"] == {"package": package(), "tokenizer": "rouge", "stemmer": False}
    # How the file is written, and which package computed the same scores, is no change of them.
    accepted["metrics"]["rouge1"]["package"] = "rouge_score 0.0"
    (recorded.snapshots / "small.scores").write_bytes(json.dumps(accepted).replace(", ", ",\r\n").encode())
    recorded.run("evals", "-m", "baseline").assert_outcomes(passed=8)


REFERENCES = {row["dialogue"]: row["summary"] for row in ROWS}


@pytest.mark.parametrize(
    ("workers", "answer", "change"),
    [
        ("-p no:xdist", lambda prompt: REFERENCES[prompt.split("\n\n")[1].strip()], r"1\.0000 +\+0\.3594"),
        ("-n 2", lambda prompt: "the red car won the race", r"0\.\d{4} +-0\.\d{4}"),
    ],
    ids=["a better one, no xdist", "a worse one, n2"],
)
def test_a_score_that_changed_fails_until_it_is_accepted(
    recorded: Project, api: ApiServer, workers: str, answer: Callable[[str], str], change: str
) -> None:
    api.answers["small-2026-01-01"] = answer
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 0.1")
    run = recorded.run("evals", "-m", "baseline", "--record", workers)
    run.assert_outcomes(passed=7, failed=1)
    assert re.search(rf"E +rouge1 +0\.6406 +{change}\n", run.output)
    recorded.run("evals", "-m", "baseline", "--snapshot-update", workers).assert_outcomes(passed=8)
    recorded.run("evals", "-m", "baseline").assert_outcomes(passed=8)


def test_what_differs_is_a_small_table_and_the_command_below_it_accepts_it(recorded: Project, workers: str) -> None:
    path = recorded.snapshots / "small.scores"
    accepted = json.loads(path.read_text())
    path.write_text(json.dumps({**accepted, "rouge1": 0.7, "rouge2": accepted["rouge2"] + 1e-7, "truncated": 2}))
    run = recorded.run("evals", "-m", "baseline", workers)
    run.assert_outcomes(passed=7, failed=1)
    lines = [line.removeprefix("E").split() for line in run.output.splitlines() if line.startswith("E  ")]
    assert lines == [
        f"AssertionError: assert 3 accepted scores of small changed. Accept: pytest '{TEST}' --snapshot-update".split(),
        ["accepted", "now", "change"],
        ["truncated", "2", "0", "-2"],
        ["rouge1", "0.7000", "0.6406", "-0.0594"],
        ["rouge2", "0.3518520", "0.3518519", "-0.0000001"],
    ]
    assert f"FAILED {TEST} - 3 accepted scores o..." in run.output
    command = re.search("^  pytest (.*--snapshot-update)$", run.output, re.MULTILINE)
    assert command is not None
    recorded.run(*shlex.split(command[1])).assert_outcomes(passed=1)
    assert json.loads(path.read_text()) == accepted


def test_the_scores_of_a_model_that_answered_nothing_are_never_accepted(recorded: Project) -> None:
    path = recorded.snapshots / "small.scores"
    before = path.read_bytes()
    for row in ROWS:
        recorded.cassette(row["id"]).unlink()
    for options in ([], ["--snapshot-update"]):
        run = recorded.run("evals", "-k", "test_scores", *options)
        assert run.outcomes["failed"] == 1, run.output
        assert (
            "0 scores to compare or accept: small: no sample was scored. 6 of 6 samples failed, 0 allowed: small: t1: "
            in run.output
        )
        assert path.read_bytes() == before
    path.unlink()
    recorded.run("evals", "-k", "test_scores", "--snapshot-update")
    assert not path.exists()


def test_scores_of_failed_samples_are_not_said_to_be_worth_accepting(recorded: Project) -> None:
    recorded.cassette("t1").unlink()
    run = recorded.run("evals", "-m", "baseline")
    assert "accepted scores of 1 model changed" in run.output
    assert "Accept them" not in run.output


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
