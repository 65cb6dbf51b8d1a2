"""One upload and one paid job, whatever happens: kills, interrupts, lost answers, a lost network. The server counts."""

import itertools
import math
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from evaltape.errors import RecordingError
from evaltape.finetuning.recorded_job import read_job
from evaltape.recorder.api.asking import surely_refused
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.tuning.states import State
from msgspec.structs import replace

from tests.support.project import Run, wait_for
from tests.support.server import ApiServer, Reply, error
from tests.support.server.server import CHAT
from tests.support.tuning import BRISK, TuningProject

JOBS = "/fine_tuning/jobs"
POLL = "/ftjob-0002"
GO_ON = "pytest evals -m finetuned --record-missing"
RETRAIN = "pytest evals -m finetuned --record --retrain (costs 1 fine-tuning job, 6 calls)"
NEVER = "done, but never answered"


def intent_of(tuning: TuningProject) -> Path:
    return tuning.job_cassette.with_name("job-intent.json")


def assert_paid_once(tuning: TuningProject) -> None:
    assert (tuning.uploads, tuning.job_ids) == (1, ["ftjob-0002"])


def assert_complete(tuning: TuningProject, run: Run) -> None:
    """All of both models is recorded, and every gate holds."""
    assert run.exit_code == 0, run.output
    assert set(tuning.recorded("tuned")) == {"job", *tuning.recorded("small")}
    assert len(tuning.recorded("small")) == 6


def assert_passed(run: Run) -> None:
    """The six samples of one model."""
    assert (run.exit_code, run.outcomes["passed"]) == (0, 6), run.output


# ---------------------------------------------------------------- lost answers


def test_an_upload_whose_answer_is_lost_leaves_one_job(tuning: TuningProject, api: ApiServer) -> None:
    api.fault("lost", path="/files")
    assert tuning.drive().error is None
    assert len(tuning.job_ids) == 1


@pytest.mark.parametrize("fault", ["lost", "504 though done", "html though done", "late"])
@pytest.mark.parametrize("metadata", ["kept", "dropped"])
@pytest.mark.parametrize("lag_s", [0.0, 0.1], ids=["listed at once", "listed late"])
def test_an_order_whose_answer_is_lost_is_not_sent_again(
    tuning: TuningProject, api: ApiServer, fault: str, metadata: str, lag_s: float
) -> None:
    api.fault(fault if fault != "late" else Reply(late=True, delay_s=9), path=JOBS)
    api.tuning.quirks.keeps_metadata, api.tuning.quirks.lag_s = metadata == "kept", lag_s
    driven = tuning.drive(timeout_s=0.5)
    assert driven.error is None
    assert driven.notes[0].startswith("tuned: started ftjob-0002 (")
    assert len(api.asked(JOBS)) == 1
    assert_paid_once(tuning)


@pytest.mark.parametrize("quirk", [{"keeps_metadata": False}, {"lag_s": math.inf}], ids=["no metadata", "never listed"])
def test_with_every_answer_to_an_order_lost_one_job_is_paid(
    tuning: TuningProject, api: ApiServer, quirk: dict[str, object]
) -> None:
    vars(api.tuning.quirks).update(quirk)
    api.fault("lost", path=JOBS, times=math.inf)
    errors = [tuning.drive().error for _ in range(3)]
    assert len(api.asked(JOBS)) == 1
    assert_paid_once(tuning)
    assert all(error is None or "nothing more is paid" in error for error in errors)


def test_an_order_that_may_not_have_arrived_is_left_to_the_user(tuning: TuningProject, api: ApiServer) -> None:
    api.fault("reset", path=JOBS)
    driven = tuning.drive()
    assert driven.state is State.UNCLEAR
    assert re.sub(r"\d{4}-.* UTC", "TIME", str(driven.error)) == (
        f"[finetune.tuned] a job was ordered on TIME at {api.base_url}, no answer came (the connection failed: "
        "[Errno 104] Connection reset by peer), and the API's listing doesn't show it. It may have been created, so nothing "
        f"more is paid. Look there for a job on {tuning.training_file().name} (base small-2026-01-01). If there is one, this "
        f"looks again: {GO_ON}. If there is none, this pays for another: {RETRAIN}"
    )
    assert tuning.drive().state is State.UNCLEAR
    assert (len(api.asked(JOBS)), tuning.job_ids) == (1, [])
    # The user has looked, and decides.
    assert tuning.drive(retrain=True).error is None
    assert tuning.job_ids == ["ftjob-0002"]
    assert not intent_of(tuning).exists()


def test_retrain_does_not_pay_before_it_said_that_a_job_may_be_there(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks.lag_s = math.inf
    api.fault("lost", path=JOBS)
    assert tuning.drive(retrain=True).state is State.UNCLEAR
    assert len(tuning.job_ids) == 1
    assert tuning.drive(retrain=True).error is None
    assert len(tuning.job_ids) == 2


def test_a_job_that_is_listed_after_all_takes_the_place_of_the_one_that_was_ordered_on_purpose(
    tuning: TuningProject, api: ApiServer
) -> None:
    api.tuning.quirks.lag_s = math.inf
    api.fault("lost", path=JOBS)
    assert tuning.drive().state is State.UNCLEAR
    api.tuning.quirks.lag_s, api.tuning.quirks.queue_s = 0.0, 0.0
    api.fault(Reply({"object": "list", "data": [], "has_more": False}), path=JOBS, method="GET", times=4)
    driven = tuning.drive(retrain=True)
    assert driven.notes[-1] == (
        "tuned: the same job was ordered twice: using ftjob-0002; our ftjob-0003 was cancelled before its training"
    )
    assert read_job(tuning.job_cassette).id == "ftjob-0002"
    assert api.tuning.paid == ["ftjob-0002"]


def test_a_job_is_found_by_the_next_session_after_an_order_of_which_nothing_was_heard(
    tuning: TuningProject, api: ApiServer
) -> None:
    api.fault("lost", path=JOBS)
    api.fault(error(400, "Something is wrong here"), path=JOBS, method="GET", after=2, times=2)
    assert tuning.drive().state is State.UNCLEAR
    driven = tuning.drive()
    assert driven.error is None
    assert driven.notes[0].startswith("tuned: using ftjob-0002 (")
    assert_paid_once(tuning)


def test_a_retrained_job_whose_answer_is_lost_is_not_taken_for_the_old_one(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    api.fault("lost", path=JOBS)
    assert tuning.drive(retrain=True).notes[-1].startswith("tuned: started ftjob-0004 (")
    assert tuning.job_ids == ["ftjob-0002", "ftjob-0004"]
    assert read_job(tuning.job_cassette).id == "ftjob-0004"


def test_an_order_that_is_carried_out_twice_is_cancelled_once(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks.queue_s = 0.0
    api.fault("twice", path=JOBS)
    driven = tuning.drive()
    assert driven.error is None
    assert (api.tuning.paid, api.tuning.alive) == (["ftjob-0002"], ["ftjob-0002"])


def test_only_an_order_that_was_surely_refused_for_its_pace_is_sent_again(tuning: TuningProject, api: ApiServer) -> None:
    api.fault("429 at once", path=JOBS, times=2)
    assert tuning.drive().error is None
    assert len(api.asked(JOBS)) == 3
    assert_paid_once(tuning)


def test_an_order_that_stays_refused_for_its_pace_ends_with_the_reason(tuning: TuningProject, api: ApiServer) -> None:
    api.fault("429 at once", path=JOBS, times=math.inf)
    assert (
        tuning.drive().error
        == "[finetune.tuned] HTTP 429: Rate limit reached in organization [removed] (rate_limit_exceeded). Nothing was ordered. "
        f"Once that is mended, this goes on: {GO_ON}"
    )
    assert not intent_of(tuning).exists()


def test_an_order_that_the_api_redirects_is_not_sent_on_and_leaves_nothing_open(tuning: TuningProject, api: ApiServer) -> None:
    api.fault(Reply({}, 307, {"location": "/elsewhere/fine_tuning/jobs"}), path=JOBS)
    message = str(tuning.drive().error)
    assert message.startswith("[finetune.tuned] HTTP 307: the API redirects the call to ")
    assert not intent_of(tuning).exists()
    assert tuning.drive().error is None
    assert_paid_once(tuning)


@pytest.mark.parametrize(
    ("status", "billed", "refused"),
    [(400, False, True), (429, False, True), (408, False, False), (409, False, False), (504, True, False), (None, True, False),
     (None, False, True)],
)  # fmt: skip
def test_an_order_is_surely_refused_if_the_api_says_so_or_it_was_never_sent(
    status: int | None, billed: bool, refused: bool
) -> None:
    assert surely_refused(CallFailed("no", status=status, may_be_billed=billed)) is refused


# ---------------------------------------------------------------- a lost network and waits


def test_a_network_lost_while_polling_is_waited_out(tuning: TuningProject, api: ApiServer) -> None:
    for fault in ("reset", "503", "html error", "cut", "429 at once", "echoed", "twice"):
        api.fault(fault if fault != "cut" else Reply({"status": "running"}, cut=True), "", POLL, "GET", after=1)
    driven = tuning.drive()
    assert driven.error is None
    waits = [shown for shown in driven.shown if " for GET /fine_tuning/jobs/ftjob-0002: " in shown]
    assert len(waits) >= 4  # A reset of a connection that was kept open is no more than a reason for another connection.
    assert "HTTP 503: The engine is currently overloaded (server_error)" in "".join(waits)
    assert_paid_once(tuning)


def test_a_network_lost_for_too_long_ends_the_wait_and_not_the_job(tuning: TuningProject, api: ApiServer) -> None:
    api.fault("reset", path=POLL, method="GET", times=math.inf)
    message = tuning.drive(patience=replace(BRISK, poll_s=0.3)).error
    assert message is not None
    assert message.startswith("[finetune.tuned] the connection failed: ")
    assert message.endswith(f". ftjob-0002 goes on at the API, and this goes on with it: {GO_ON}")
    api.forget()
    assert tuning.drive().error is None
    assert_paid_once(tuning)


def test_what_the_api_asks_to_wait_is_waited(tuning: TuningProject, api: ApiServer) -> None:
    for path, method in (("/files", "POST"), (JOBS, "POST"), (POLL, "GET"), ("/content", "GET")):
        api.fault("429 at once", path=path, method=method)
    assert tuning.drive().error is None
    assert_paid_once(tuning)


@pytest.mark.parametrize(("path", "what"), [(JOBS, "GET /fine_tuning/jobs"), (POLL, "GET /fine_tuning/jobs/ftjob-0002")])
def test_a_day_that_the_api_asks_to_wait_is_capped_and_shown(
    tuning: TuningProject, api: ApiServer, path: str, what: str
) -> None:
    api.fault(error(503, "Overloaded", headers={"retry-after": "86400"}), path=path, method="GET")
    driven = tuning.drive()
    assert driven.error is None
    assert f"waiting 0 s for {what} (the API asks for 24 h 00 min): HTTP 503: Overloaded" in "".join(driven.shown)


def test_a_listing_that_never_ends_is_given_up_with_a_message_and_nothing_is_paid(
    tuning: TuningProject, api: ApiServer
) -> None:
    api.tuning.create()
    api.tuning.quirks.endless, api.tuning.quirks.filters = True, "ignored"
    driven = tuning.drive()
    assert (driven.state, driven.error) == (
        State.UNCLEAR,
        "[finetune.tuned] page 2 of the listing says has_more and brings nothing new. There may be a job that was paid for, so "
        f"none is started. Look there for a job on {tuning.training_file().name} (base small-2026-01-01). When that can be "
        f"read, this goes on: {GO_ON}. To pay for a job all the same: {RETRAIN}",
    )
    assert len(api.asked(JOBS, "GET")) < 10
    assert len(tuning.job_ids) == 1
    assert tuning.drive(retrain=True).error is None


def test_a_job_that_an_endless_listing_shows_is_used(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    tuning.job_cassette.unlink()
    api.tuning.quirks.endless = True
    assert tuning.drive().error is None
    assert_paid_once(tuning)


def test_a_listing_of_endless_new_jobs_is_given_up(tuning: TuningProject, api: ApiServer) -> None:
    numbers = itertools.count()

    def page(asked: Any) -> Reply:
        job = {"id": f"ftjob-x{next(numbers)}", "status": "succeeded", "model": "other"}
        return Reply({"object": "list", "data": [job], "has_more": True})

    api.fault(page, path=JOBS, method="GET", times=math.inf)
    assert "the listing says has_more after 200 pages" in str(tuning.drive().error)
    assert not tuning.job_ids


# ---------------------------------------------------------------- sessions that end early

MOMENTS = {
    "upload": ("POST", "/files"),
    "creation": ("POST", JOBS),
    "polling": ("GET", POLL),
    "after success": ("GET", "/content"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_session_that_ends_at_any_moment_the_job_is_gone_on_with(
    tuning: TuningProject, api: ApiServer, moment: str
) -> None:
    method, path = MOMENTS[moment]
    api.fault(NEVER, "", path, method)
    assert tuning.interrupt(lambda shown: api.asked(path, method)).state is None
    assert tuning.drive().error is None
    assert len(tuning.job_ids) == 1
    assert len(api.asked(JOBS)) == 1


@pytest.mark.parametrize("moment", [("POST", JOBS, ""), ("POST", CHAT, '"model": "ft:')], ids=["creation", "asking"])
def test_after_a_killed_session_the_job_is_gone_on_with(
    tuning: TuningProject, api: ApiServer, moment: tuple[str, str, str]
) -> None:
    method, path, match = moment
    api.fault(NEVER, match, path, method)
    running = tuning.start("evals", "--record", "-p no:xdist")
    wait_for(lambda: any(match in asked.text for asked in api.asked(path, method)))
    wait_for(lambda: len(tuning.recorded("small")) == 6)
    running.kill()
    running.process.join()
    wait_for(lambda: not api.has_clients())
    before = api.answered
    assert_complete(tuning, tuning.run("evals", "--record-missing", "--snapshot-update", "-p no:xdist"))
    assert_paid_once(tuning)
    # Baseline samples were recorded, and of the tuned model's at most those in flight are asked again.
    assert api.answered - before <= 6


@pytest.mark.parametrize("workers", ["-n 0", "-n 2"])
def test_after_ctrl_c_while_it_trains_the_job_is_gone_on_with(tuning: TuningProject, api: ApiServer, workers: str) -> None:
    api.tuning.step_s = 3600
    running = tuning.start("evals", "--record", workers)
    wait_for(lambda: len(api.asked(POLL, "GET")) > 1 and len(tuning.recorded("small")) == 6)
    os.killpg(running.pid, signal.SIGINT)
    run = running.wait()
    assert run.exit_code == 2, run.output
    assert "KeyboardInterrupt" in run.output
    if workers == "-n 0":  # With workers the interrupt may find one that is still starting, and its complaint comes first.
        assert f"ftjob-0002 goes on at the API, and this goes on with it: {GO_ON}" in " ".join(run.output.split())
    assert "INTERNALERROR" not in run.output
    assert not tuning.job_cassette.exists()
    api.tuning.step_s = None
    calls = api.calls
    assert_complete(tuning, tuning.run("evals", "--record-missing", "--snapshot-update", "-p no:xdist"))
    assert_paid_once(tuning)
    assert api.calls == calls + 6


def test_a_killed_worker_takes_no_job_along(tuning: TuningProject, api: ApiServer) -> None:
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


def test_record_again_asks_the_samples_and_uses_the_job(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    run = tuning.run("evals", "-m", "finetuned and sample", "--record", "-n 0")
    assert_passed(run)
    assert "tuned: using ftjob-0002 (succeeded, ft:small-2026-01-01:acme:talks:0002), made of the same data" in run.output
    assert_paid_once(tuning)
    assert api.calls == 6


def test_retrain_says_what_there_is_and_keeps_its_recording_until_the_new_job_succeeded(
    tuning: TuningProject, api: ApiServer
) -> None:
    tuning.drive()
    recorded = tuning.recorded("tuned")
    api.tuning.step_s = 3600
    driven = tuning.drive(retrain=True, until=lambda shown: len(api.asked("/ftjob-0004", "GET")) > 1)
    assert "training again; there is ftjob-0002 (succeeded" in driven.notes[0]
    assert tuning.recorded("tuned") == recorded
    assert tuning.jobs().job("tuned").id == "ftjob-0002"
    # The job that was started is no more paid for again than any other, though the very same command be given.
    api.tuning.step_s = None
    run = tuning.run("evals", "-m", "finetuned", "-k", "test_sample", "--record", "--retrain", "-p no:xdist")
    assert_passed(run)
    assert tuning.job_ids == ["ftjob-0002", "ftjob-0004"]
    assert tuning.uploads == 1
    assert "ft:small-2026-01-01:acme:talks:0004" in tuning.recorded("tuned")["t1"]


def test_a_new_job_that_fails_leaves_the_old_recording(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    recorded = tuning.recorded("tuned")
    api.tuning.states = ("failed",)
    assert tuning.drive(retrain=True).error is not None
    assert tuning.recorded("tuned") == recorded


# ---------------------------------------------------------------- what is shared by two


def test_sessions_of_two_checkouts_share_one_job(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    recorded = tuning.recorded("tuned")["job"]
    tuning.job_cassette.unlink()
    with pytest.raises(RecordingError):
        tuning.jobs().job("tuned")
    tuning.drive()
    assert_paid_once(tuning)
    assert recorded.endswith(tuning.recorded("tuned")["job"].split("interactions:\n", 1)[1])
