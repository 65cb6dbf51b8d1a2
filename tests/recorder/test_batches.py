"""Recordings through the Batch API: submitted once, collected once, in either mode, from any machine."""

import json
import os
import re
import shutil
import signal
from typing import Any

import pytest
from evaltape.errors import UserError
from evaltape.recorder.batches import engine, ordering
from evaltape.recorder.wire import Spend

from tests.support.options import estimate_of
from tests.support.project import ROWS, Project, wait_for
from tests.support.recording import record_here, recorder_here
from tests.support.server import ApiServer

BASELINE = ("evals", "-m", "baseline", "-p", "no:xdist")
COLLECT = "pytest evals -m baseline --record-missing --batch"


@pytest.fixture
def batched(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose recordings don't wait long between two looks, in runs of pytest and within this process."""
    project.edit_suite("temperature = 0", "temperature = 0\nmax_completion_tokens = 50")
    project.extend_suite("price = { input = 100.0, output = 200.0, batch = 0.5 }\n")
    polls = {"FIRST_POLL_S": 0.02, "LONGEST_POLL_S": 0.1, "SETTLED_S": 0.02}
    project.set_waits("recorder.batches.engine", **polls)
    project.set_waits("recorder.batches.ordering", FILE_POLL_S=0.02)
    for name, seconds in polls.items():
        monkeypatch.setattr(engine, name, seconds)
    monkeypatch.setattr(ordering, "FILE_POLL_S", 0.02)
    return project


def entries(project: Project) -> list[dict[str, Any]]:
    path = project.cassettes / "batches.json"
    return json.loads(path.read_text()) if path.exists() else []


def wait_ini(project: Project, text: str) -> None:
    (project.root / "pytest.ini").write_text((project.root / "pytest.ini").read_text() + f"eval_batch_wait = {text}\n")


def copy(project: Project, name: str) -> Project:
    """The same project on another machine, with nothing recorded."""
    other = Project(project.root.parent / name, project.base_url)
    other.suite.write_text(project.suite.read_text())
    shutil.copytree(project.patches, other.patches)
    return other


def test_a_recording_by_batch_costs_its_price_and_replays(batched: Project, api: ApiServer) -> None:
    api.tuning.quirks.file_polls = 3
    run = batched.run(*BASELINE, "--record", "--batch", "--snapshot-update", "--budget", "1")
    assert run.exit_code == 0, run.output
    assert "batch_0001 with 6 calls is submitted" in run.output
    assert (api.calls, len(api.batches.made), len(api.batches.asked)) == (0, 1, 6)
    batch = api.batches.made["batch_0001"]
    assert {key: batch["metadata"][key] for key in ("evaltape_suite", "evaltape_model")} == {
        "evaltape_suite": "chats", "evaltape_model": "small",
    }  # fmt: skip
    cassette = batched.cassette("t1").read_text()
    assert '"x-evaltape-came": ["batch"]' in cassette
    assert "org-planted" not in cassette
    assert not entries(batched)
    assert not (batched.cassettes / "small/unfinished.json").exists()
    results = batched.results()
    usage = results["models"]["small"]["usage"]
    half = (usage["prompt_tokens"] * 100 + usage["completion_tokens"] * 200) / 1e6 / 2
    assert results["models"]["small"]["cost_usd"] == pytest.approx(half)
    assert f"Spent in this session: ${half:.4f} of a budget of $1" in run.output

    # Collected once: a fresh recording pays anew.
    assert record_here(batched, "--record", "--batch") == {}
    assert (len(api.batches.made), len(api.batches.asked)) == (2, 12)
    # What is recorded is asked of nobody, although the API lists batches of it.
    assert record_here(batched, "--record-missing", "--batch") == {}
    assert len(api.batches.made) == 2


@pytest.mark.parametrize(("path", "why"), [("/files", "HTTP 400: "), ("/batches", "the API refused the batch: HTTP 400: ")])
def test_a_refused_upload_or_order_says_why_and_costs_nothing(batched: Project, api: ApiServer, path: str, why: str) -> None:
    api.fault("400", path=path, method="POST")
    recorder = recorder_here(batched, "--record", "--batch", "--budget", "1")
    errors = recorder.errors()
    assert len(errors) == 6
    assert all(error.startswith(f"not in a batch: {why}") for error in errors.values()), errors
    assert (api.batches.made, entries(batched)) == ({}, [])
    assert (recorder.tally.spend, recorder.budget.held_usd) == (Spend(), 0.0)


def test_a_batch_that_takes_longer_than_the_wait_is_told_and_not_paid_for_again(batched: Project, api: ApiServer) -> None:
    api.batches.states = ("validating", "in_progress")
    wait_ini(batched, "0.05 s")
    run = batched.run(*BASELINE, "--record", "--batch")
    assert run.exit_code == 1
    said = " ".join(run.output.split())
    assert "batch_0001 is in_progress, 0 of 6 done after 0 s (eval_batch_wait) pytest evals --record-missing --batch" in said
    assert f"6 of 6 samples still to come. Finish it: {COLLECT} (costs no call)" in said, run.output
    assert [(one["id"], one["model"], one["calls"]) for one in entries(batched)] == [("batch_0001", "small", 6)]

    # Nobody pays for these calls a second time.
    for way in ((), ("--requests-to", "out")):
        run = batched.run(*BASELINE, "--record-missing", *way)
        run.assert_refused(
            "batches.json: batch_0001 with 6 calls to small is submitted and not collected", COLLECT.split(" -m")[0]
        )
    assert api.calls == 0


@pytest.mark.parametrize("mode", ["--record", "--record-missing"])
def test_a_batch_that_takes_longer_than_the_wait_is_collected_later(batched: Project, api: ApiServer, mode: str) -> None:
    api.batches.states = ("validating", "in_progress")
    wait_ini(batched, "0.05 s")
    errors = record_here(batched, "--record", "--batch")
    assert len(errors) == 6
    assert all("batch_0001 is in_progress, 0 of 6 done after 0 s (eval_batch_wait)" in error for error in errors.values())
    assert [(one["id"], one["model"], one["calls"]) for one in entries(batched)] == [("batch_0001", "small", 6)]

    # A row is new meanwhile: it is in no batch, so it is submitted.
    batched.write_rows([*ROWS, {"id": "t7", "dialogue": "Ola: bye\nPia: bye", "summary": "Ola: bye"}])
    api.batches.states = ("completed",)
    assert record_here(batched, mode, "--batch") == {}
    assert sorted(name.split("@")[0] for name in api.batches.asked) == [f"chats/small/t{n}" for n in range(1, 8)]
    assert not entries(batched)
    assert not (batched.cassettes / "small/unfinished.json").exists()
    assert len(batched.recorded()) == 7


@pytest.mark.parametrize("mode", ["--record", "--record-missing"])
def test_a_killed_session_is_collected_from_another_clone(batched: Project, api: ApiServer, mode: str) -> None:
    api.batches.states = ("validating", "in_progress")
    running = batched.start(*BASELINE, "--record", "--batch")
    wait_for(lambda: entries(batched) and entries(batched)[0]["id"])
    running.kill()
    other = copy(batched, "other")
    api.batches.states = ("in_progress", "completed")
    recorder = recorder_here(other, mode, "--batch")
    assert recorder.errors() == {}
    assert "small: batch_0001 with 6 calls was submitted before: nothing is submitted for these" in recorder.tally.notes
    assert (len(api.batches.made), len(api.batches.asked)) == (1, 6)
    # The first machine finds the same answers in its own time, whose requests are gone by now.
    assert record_here(batched, "--record-missing", "--batch") == {}
    assert len(api.batches.made) == 1
    assert len(other.answers()) == 6
    assert batched.answers() == other.answers()
    assert not entries(batched)


def test_ctrl_c_leaves_the_batch_to_be_collected(batched: Project, api: ApiServer) -> None:
    api.batches.states = ("validating", "in_progress")
    running = batched.start(*BASELINE, "--record", "--batch")
    wait_for(lambda: entries(batched) and entries(batched)[0]["id"])
    os.kill(running.pid, signal.SIGINT)
    run = running.wait()
    assert run.exit_code == 2
    said = " ".join(run.output.split())
    assert re.search(f"batch_0001 is \\w+, 0 of 6 done goes on at the API. Collect it: {COLLECT}", said), run.output
    api.batches.states = ("completed",)
    assert batched.run(*BASELINE, "--record-missing", "--batch", "--snapshot-update").exit_code == 0
    assert (len(api.batches.made), len(api.batches.asked)) == (1, 6)


def test_an_order_without_an_answer_is_found_and_not_sent_again(batched: Project, api: ApiServer) -> None:
    api.fault("lost", path="/batches")
    assert record_here(batched, "--record", "--batch") == {}
    assert (len(api.batches.made), len(api.batches.asked)) == (1, 6)


def test_what_a_batch_cannot_hold_is_another_and_of_two_alike_the_older_is_used(
    batched: Project, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "MOST_REQUESTS", 4)
    api.fault("twice", path="/batches")  # As two sessions at the same time would.
    recorder = recorder_here(batched, "--record", "--batch")
    assert recorder.errors() == {}
    told = "batch_0001 has the same requests, of another session: it is used, and batch_0002 is cancelled"
    assert f"small: {told}" in recorder.tally.notes
    made = {name: (batch["status"], batch["request_counts"]["completed"]) for name, batch in api.batches.made.items()}
    assert made == {"batch_0001": ("completed", 4), "batch_0002": ("cancelled", 0), "batch_0003": ("completed", 2)}


def test_an_estimate_of_a_batch_is_of_its_price(batched: Project) -> None:
    run = batched.run(*BASELINE, "--record", "--batch", "--estimate")
    assert re.search(r"--record --batch .*\n  small +6 +\d+ +300 +\$0\.0", run.output), run.output
    half = float(re.findall(r"At most \$([0-9]+\.[0-9]+)", run.output)[0])
    whole = "\n".join(estimate_of(batched))
    assert half == pytest.approx(float(re.findall(r"At most \$([0-9]+\.[0-9]+)", whole)[0]) / 2, abs=1e-4)


def test_a_part_of_a_batch_is_collected_and_the_rest_stays(batched: Project, api: ApiServer) -> None:
    api.batches.states = ("validating", "in_progress")
    wait_ini(batched, "0")
    assert len(record_here(batched, "--record", "--batch")) == 6
    api.batches.states = ("completed",)
    recorder = recorder_here(batched, "--record-missing", "--batch", only=["t1", "t2"])
    assert "small: batch_0001 holds 4 answers to other samples, which stay to be collected" in recorder.tally.notes
    assert (sorted(batched.recorded()), len(entries(batched))) == (["t1", "t2"], 1)
    # From nothing but the API's listing, and what is recorded.
    (batched.cassettes / "batches.json").unlink()
    assert record_here(batched, "--record-missing", "--batch") == {}
    assert (len(api.batches.made), len(api.batches.asked), len(batched.recorded())) == (1, 6, 6)
    assert not (batched.cassettes / "small/unfinished.json").exists()


def test_lines_that_fail_or_expire_are_left_to_record_missing(batched: Project, api: ApiServer) -> None:
    failed = {"status_code": 400, "request_id": "r", "body": {"error": {"message": "It is too long.", "code": "too_long"}}}
    api.batches.faults = {"/t2@": {"response": failed}}
    api.batches.answers_at_most = 4
    api.batches.states = ("validating", "expired")
    errors = record_here(batched, "--record", "--batch")
    assert sorted(errors) == ["t2", "t6"]
    assert "HTTP 400: It is too long." in errors["t2"]
    assert "This request could not be executed in time. (batch_expired)" in errors["t6"]
    assert sorted(batched.recorded()) == ["t1", "t3", "t4", "t5"]
    assert not entries(batched)
    api.batches.faults, api.batches.answers_at_most, api.batches.states = {}, 6, ("completed",)
    assert record_here(batched, "--record-missing", "--batch") == {}
    assert sorted(name.split("@")[0][-2:] for name in api.batches.asked) == [f"t{n}" for n in range(1, 7)]


def test_a_batch_that_the_api_refuses_says_why(batched: Project, api: ApiServer) -> None:
    api.batches.states = ("validating", "failed")
    errors = record_here(batched, "--record", "--batch")
    assert len(errors) == 6
    assert all("batch_0001 is failed and has no answer to it: This line is not valid." in it for it in errors.values()), errors
    assert not entries(batched)
    errors = record_here(batched, "--record-missing", "--batch", "--budget", "0.001")
    assert len(errors) == 6
    assert all("it can cost up to" in error for error in errors.values()), errors
    assert len(api.batches.made) == 1
    (batched.cassettes / "batches.json").write_text("[{}]")
    with pytest.raises(UserError) as refused:
        record_here(batched, "--record-missing", "--batch")
    assert "batches.json: can't be read: Object missing required field `model`" in str(refused.value)
    assert "by their metadata at the API" in str(refused.value)
    (batched.cassettes / "batches.json").unlink()
    api.batches.exists = False
    run = batched.run(*BASELINE, "--record-missing", "--batch")
    run.assert_refused(
        f"small: {api.base_url} has no Batch API (HTTP 404", "--requests-to DIR in its place writes the requests"
    )
