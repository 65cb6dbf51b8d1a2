"""One upload and one paid job, whatever happens: kills, interrupts, lost answers, a lost network. The server counts."""

import math
import os
import signal

import pytest
from evaltape.errors import RecordingError

from tests.support.project import wait_for
from tests.support.server import Reply, error
from tests.support.server.server import CHAT

JOBS = "/fine_tuning/jobs"
POLL = "/ftjob-0002"
NEVER = "done, but never answered"


def assert_paid_once(tuning) -> None:
    assert (tuning.uploads, tuning.job_ids) == (1, ["ftjob-0002"])


def assert_complete(tuning, run) -> None:
    """All of both models is recorded, and every gate holds."""
    assert run.exit_code == 0, run.output
    assert set(tuning.recorded("tuned")) == {"job", *tuning.recorded("small")}
    assert len(tuning.recorded("small")) == 6


def assert_passed(run) -> None:
    """The six samples of one model."""
    assert (run.exit_code, run.outcomes["passed"]) == (0, 6), run.output


# ---------------------------------------------------------------- lost answers and a lost network


def test_an_upload_whose_answer_is_lost_is_not_sent_again(tuning, api):
    api.fault("lost", path="/files")
    assert tuning.drive().error is None
    assert len(api.asked("/files")) == 1
    assert_paid_once(tuning)


def test_a_creation_whose_answer_is_lost_is_not_sent_again(tuning, api):
    api.fault("lost", path=JOBS)
    driven = tuning.drive()
    assert (driven.error, driven.notes) == (None, ["tuned: started ftjob-0002 on 12 training rows"])
    assert len(api.asked(JOBS)) == 1
    assert_paid_once(tuning)


def test_a_creation_that_never_came_about_is_sent_again(tuning, api):
    api.fault("reset", path=JOBS)
    api.fault("503", path=JOBS)
    assert tuning.drive().error is None
    assert len(api.asked(JOBS)) == 3
    assert_paid_once(tuning)


def test_a_creation_after_which_nothing_is_heard_is_found_by_the_next_session(tuning, api):
    api.fault("lost", path=JOBS)
    api.fault(error(400, "Something is wrong here"), path=JOBS, method="GET", after=1)
    assert tuning.drive().error == "[finetune.tuned] HTTP 400: Something is wrong here (invalid_request_error)"
    driven = tuning.drive()
    assert driven.error is None
    assert driven.notes[0].startswith("tuned: using ftjob-0002 (")
    assert_paid_once(tuning)


def test_a_retrained_job_whose_answer_is_lost_is_told_from_the_old_one(tuning, api):
    tuning.drive()
    api.fault("lost", path=JOBS)
    assert tuning.drive(retrain=True).notes[-1] == "tuned: started ftjob-0004 on 12 training rows"
    assert tuning.job_ids == ["ftjob-0002", "ftjob-0004"]


def test_a_network_lost_while_polling_is_waited_out(tuning, api):
    for fault in ("reset", "503", "html error", "cut", "429 at once"):
        api.fault(fault if fault != "cut" else Reply({"status": "running"}, cut=True), "", POLL, "GET", after=1)
    driven = tuning.drive()
    assert driven.error is None
    waits = [shown for shown in driven.shown if shown.startswith("waiting for the API: ")]
    assert len(waits) >= 4  # A reset of a connection that was kept open is no more than a reason for another connection.
    assert "waiting for the API: HTTP 503: The engine is currently overloaded (server_error)" in waits
    assert_paid_once(tuning)


def test_a_network_lost_for_too_long_ends_the_wait_and_not_the_job(tuning, api):
    api.fault("reset", path=POLL, method="GET", times=math.inf)
    found = tuning.drive().error
    assert found is not None
    assert found.startswith("[finetune.tuned] the connection failed: ")
    api.forget()
    assert tuning.drive().error is None
    assert_paid_once(tuning)


def test_what_the_api_asks_to_wait_is_waited_and_no_longer(tuning, api):
    for path, method in (("/files", "POST"), (JOBS, "POST"), (POLL, "GET"), ("/content", "GET")):
        api.fault("429 at once", path=path, method=method)
    assert tuning.drive().error is None
    assert_paid_once(tuning)


# ---------------------------------------------------------------- sessions that end early

MOMENTS = {
    "upload": ("POST", "/files", ""),
    "creation": ("POST", JOBS, ""),
    "polling": ("GET", POLL, ""),
    "after success": ("GET", "/content", ""),
    "asking": ("POST", CHAT, '"model": "ft:'),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_killed_session_the_job_is_gone_on_with(tuning, api, moment):
    method, path, match = MOMENTS[moment]
    api.fault(NEVER, match, path, method)
    running = tuning.start("evals", "--record", "-p no:xdist")
    wait_for(lambda: any(match in asked.text for asked in api.asked(path, method)))
    wait_for(lambda: len(tuning.recorded("small")) == 6)
    running.kill()
    running.process.join()
    before = api.answered
    assert_complete(tuning, tuning.run("evals", "--record-missing", "--snapshot-update", "-p no:xdist"))
    assert_paid_once(tuning)
    # Baseline samples were recorded, and of the tuned model's at most those in flight are asked again.
    assert api.answered - before <= 6


@pytest.mark.parametrize("workers", ["-n 0", "-n 4"])
def test_after_ctrl_c_while_it_trains_the_job_is_gone_on_with(tuning, api, workers):
    api.tuning.step_s = 3600
    running = tuning.start("evals", "--record", workers)
    wait_for(lambda: len(api.asked(POLL, "GET")) > 1 and len(tuning.recorded("small")) == 6)
    os.killpg(running.pid, signal.SIGINT)
    run = running.wait()
    assert run.exit_code == 2, run.output
    assert "KeyboardInterrupt" in run.output
    if workers == "-n 0":  # With workers the interrupt may find one that is still starting, and its complaint comes first.
        assert "ftjob-0002 goes on at the API, and a later recording goes on with it" in run.output
    assert "INTERNALERROR" not in run.output
    assert not tuning.job_cassette.exists()
    api.tuning.step_s = None
    calls = api.calls
    assert_complete(tuning, tuning.run("evals", "--record-missing", "--snapshot-update", "-p no:xdist"))
    assert_paid_once(tuning)
    assert api.calls == calls + 6


def test_a_killed_worker_takes_no_job_along(tuning, api):
    api.tuning.step_s = 3600
    running = tuning.start("evals", "--record", "--snapshot-update", "-n 4", "-v")
    wait_for(lambda: running.output.count("PASSED") == 6, 60)
    # The last of four workers has had the first two samples of the tuned model from the start, and waits for them.
    os.kill(running.workers()[3], signal.SIGKILL)
    wait_for(lambda: "replacing crashed worker" in running.output, 60)
    api.tuning.step_s = None
    run = running.wait()
    assert "INTERNALERROR" not in run.output
    assert len(tuning.recorded("tuned")) == 7, run.output
    assert_paid_once(tuning)
    assert api.calls == 12


# ---------------------------------------------------------------- recording again


def test_record_again_asks_the_samples_and_uses_the_job(tuning, api):
    tuning.drive()
    run = tuning.run("evals", "-m", "finetuned and sample", "--record", "-n 0")
    assert_passed(run)
    assert "tuned: using ftjob-0002 (succeeded, ft:small-2026-01-01:acme:talks:0002), made of the same data" in run.output
    assert_paid_once(tuning)
    assert api.calls == 6


def test_retrain_says_what_there_is_and_keeps_its_recording_until_the_new_job_succeeded(tuning, api):
    assert_passed(tuning.run("evals", "-m", "finetuned", "-k", "test_sample", "--record", "-p no:xdist"))
    recorded = tuning.recorded("tuned")
    api.tuning.step_s = 3600
    running = tuning.start("evals", "-m", "finetuned", "--record", "--retrain", "-n 0")
    wait_for(lambda: len(api.asked("/ftjob-0004", "GET")) > 1)
    wait_for(lambda: "training anew; there is ftjob-0002 (succeeded" in running.output)
    running.kill()
    running.process.join()
    assert tuning.recorded("tuned") == recorded
    replay = tuning.run("evals", "-m", "finetuned", "-k", "test_sample", "-p no:xdist")
    assert_passed(replay)
    # The job that was started is no more paid for again than any other, though the very same command be given.
    api.tuning.step_s = None
    run = tuning.run("evals", "-m", "finetuned", "-k", "test_sample", "--record", "--retrain", "-p no:xdist")
    assert_passed(run)
    assert tuning.job_ids == ["ftjob-0002", "ftjob-0004"]
    assert tuning.uploads == 1
    assert "ft:small-2026-01-01:acme:talks:0004" in tuning.recorded("tuned")["t1"]


def test_a_new_job_that_fails_leaves_the_old_recording(tuning, api):
    tuning.drive()
    recorded = tuning.recorded("tuned")
    api.tuning.states = ("failed",)
    assert tuning.drive(retrain=True).error is not None
    assert tuning.recorded("tuned") == recorded


# ---------------------------------------------------------------- what is shared by two


def test_sessions_of_two_checkouts_share_one_job(tuning, api):
    tuning.drive()
    recorded = tuning.recorded("tuned")["job"]
    tuning.job_cassette.unlink()
    with pytest.raises(RecordingError):
        tuning.jobs().job("tuned")
    tuning.drive()
    assert_paid_once(tuning)
    assert recorded.endswith(tuning.recorded("tuned")["job"].split("interactions:\n", 1)[1])
