"""A fine-tuning job in every state an API can tell, and every refusal: what is waited for, said, recorded and paid."""

import asyncio
import base64
import datetime
import math
import re

import pytest
from evaltape.finetuning.recorded_job import read_job
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.budget import Budget, OverBudget
from evaltape.recorder.loop import Recorder
from evaltape.recorder.tuning.ordering import most_usd
from evaltape.recorder.tuning.states import Drive, State
from evaltape.recorder.wire import Outcomes
from evaltape.suite.cost import training_tokens
from evaltape.text import usd

from tests.support.recording import add_lane
from tests.support.server import ApiServer, Reply, error
from tests.support.server.jobs import RESULTS
from tests.support.tuning import TuningProject

JOBS = "/fine_tuning/jobs"
BASE = "small-2026-01-01"
GONE = error(404, "No such fine-tuning job: ftjob-0002", "fine_tune_not_found")
GO_ON, RETRAIN = (
    "pytest evals -m finetuned --record-missing",
    "pytest evals -m finetuned --record --retrain (costs 1 fine-tuning job, 6 calls)",
)
MENDED = f". Nothing was ordered. Once that is mended, this goes on: {GO_ON}"


def in_days(days: int) -> str:
    return (datetime.date.today() + datetime.timedelta(days=days)).isoformat()


# ---------------------------------------------------------------- what is waited for


def test_every_state_is_waited_through_and_shown(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.states = ("validating_files", "queued", "running", "running", "succeeded")
    driven = tuning.drive()
    assert driven.error is None
    # The job is created as validating_files; each line is a poll.
    assert [re.sub("0 min 0[0-9] s", "TIME", shown) for shown in driven.shown] == [
        "queued, TIME",
        "running, TIME, Step 2: training loss=1.50",
        "running, TIME, Step 3: training loss=1.00",
        "succeeded, TIME, 2,100 trained tokens",
    ]
    assert driven.notes == ["tuned: started ftjob-0002 on 12 training rows"]


def test_a_job_that_succeeded_is_recorded_with_its_events_and_metrics(tuning: TuningProject) -> None:
    tuning.drive()
    job = read_job(tuning.job_cassette)
    assert (job.id, job.status, job.base, job.trained_tokens) == ("ftjob-0002", "succeeded", BASE, 2_100)
    assert job.tuned_model == f"ft:{BASE}:acme:talks:0002"
    assert [event["message"] for event in job.events] == [
        "Created fine-tuning job",
        "Step 1: training loss=3.00",
        "Step 2: training loss=1.50",
        "Step 3: training loss=1.00",
    ]
    assert job.metrics[0] == {"step": 1.0, "train_loss": 2.51, "valid_loss": 2.60}
    assert [row["train_loss"] for row in job.metrics] == [2.51, 2.03, 1.74]


def test_events_are_read_page_by_page(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.page = 2
    assert tuning.drive().error is None
    assert len(api.asked("/events", "GET")) > 2
    assert len(read_job(tuning.job_cassette).events) == 4


def test_metrics_may_come_in_base64(tuning: TuningProject, api: ApiServer) -> None:
    api.fault(Reply(base64.b64encode(RESULTS.encode()).decode(), content_type="text/plain"), "", "/content", "GET")
    assert tuning.drive().error is None
    assert [row["train_loss"] for row in read_job(tuning.job_cassette).metrics] == [2.51, 2.03, 1.74]


def test_a_result_file_that_is_none_costs_only_the_metrics(tuning: TuningProject, api: ApiServer) -> None:
    api.fault(Reply("\x00\x01 no table", content_type="application/octet-stream"), "", "/content", "GET")
    assert tuning.drive().error is None
    assert read_job(tuning.job_cassette).metrics == ()


# ---------------------------------------------------------------- jobs that end without a model


def test_a_failed_job_is_reported_with_the_apis_reason_and_not_paid_for_again(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.states = ("validating_files", "failed")
    wanted = f"[finetune.tuned] ftjob-0002 failed: Line 3 has no assistant message. To pay for another: {RETRAIN}"
    assert tuning.drive().error == wanted
    assert tuning.drive().error == wanted
    assert (tuning.uploads, tuning.job_ids) == (1, ["ftjob-0002"])
    assert not tuning.job_cassette.exists()


def test_a_cancelled_job_is_reported_and_not_paid_for_again(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.states = ("validating_files", "running", "cancelled")
    assert tuning.drive().error == f"[finetune.tuned] ftjob-0002 was cancelled. To pay for another: {RETRAIN}"
    assert tuning.drive().error == f"[finetune.tuned] ftjob-0002 was cancelled. To pay for another: {RETRAIN}"
    assert len(tuning.job_ids) == 1


def test_after_a_failed_job_retrain_starts_another_and_says_what_there_was(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.states = ("failed",)
    tuning.drive()
    api.tuning.states = ("queued", "succeeded")
    driven = tuning.drive(retrain=True)
    assert driven.error is None
    assert driven.notes == [
        "tuned: training again; there is ftjob-0002 (failed), made of the same data, base and settings",
        "tuned: started ftjob-0003 on 12 training rows",
    ]
    assert (tuning.uploads, tuning.job_ids) == (1, ["ftjob-0002", "ftjob-0003"])
    # From now on the one that failed is no matter.
    assert tuning.drive().notes == [
        "tuned: using ftjob-0003 (succeeded, ft:small-2026-01-01:acme:talks:0003), made of the same data, base and settings"
    ]


def test_a_paused_job_is_gone_on_with_once_it_was_resumed(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.states = ("validating_files", "running", "paused")
    driven = tuning.drive()
    assert driven.error == (f"[finetune.tuned] ftjob-0002 is paused at the API. Resume it there; this goes on with it: {GO_ON}")
    api.tuning.jobs["ftjob-0002"].states[:] = ["running", "running", "running", "running", "succeeded"]
    assert tuning.drive().error is None
    assert len(tuning.job_ids) == 1


def test_a_job_without_a_tuned_model_is_no_success(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks.names_model = False
    assert tuning.drive().error == (
        "[finetune.tuned] ftjob-0002 succeeded, but this API names no tuned model that could be asked. Name a function that "
        f"deploys it in deploy under [finetune.tuned]; this then records the job, without paying again: {GO_ON}"
    )
    assert not tuning.job_cassette.exists()


# ---------------------------------------------------------------- refusals


def test_permission_refused_says_who_still_tunes(tuning: TuningProject, api: ApiServer) -> None:
    api.fault("403", path=JOBS)
    assert tuning.drive().error == (
        "[finetune.tuned] HTTP 403: Organization [removed] may not create fine-tuning jobs (permission_denied). This "
        "API lets the organisation start no fine-tuning job (OpenAI takes none after 6 January 2027). Name another service "
        "in base_url of [models.small] (docs/hosts.md), or serve one: evaltape serve --help" + MENDED
    )
    assert len(api.asked(JOBS)) == 1


def test_an_exhausted_quota_is_reported_once_and_not_retried(tuning: TuningProject, api: ApiServer) -> None:
    api.fault("quota", path=JOBS)
    assert tuning.drive().error == "[finetune.tuned] HTTP 429: You exceeded your current quota (insufficient_quota)" + MENDED
    assert len(api.asked(JOBS)) == 1


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (400, "model_not_available", "Model nope is not available for fine-tuning or does not exist."),
        (404, "model_not_found", "The model `nope` does not exist"),
    ],
)
def test_an_unknown_base_is_named_with_its_place_in_the_suite(
    tuning: TuningProject, api: ApiServer, status: int, code: str, words: str
) -> None:
    tuning.edit_suite(BASE, "nope")
    api.fault(error(status, words, code), path=JOBS)
    assert tuning.drive().error == (
        f"[finetune.tuned] HTTP {status}: {words} ({code}). [models.small] model = 'nope': name a model that this API "
        "can fine-tune" + MENDED
    )


def test_a_service_without_fine_tuning_is_reported_as_one(tuning: TuningProject, api: ApiServer) -> None:
    api.fault(error(404, "Invalid URL (GET /v1/fine_tuning/jobs)"), path=JOBS, method="GET", times=math.inf)
    assert tuning.drive().error == (
        "[finetune.tuned] HTTP 404: Invalid URL (GET /v1/fine_tuning/jobs) (invalid_request_error). The service of "
        "[models.small] seems to have no fine-tuning API (docs/hosts.md has those that do)" + MENDED
    )


@pytest.mark.parametrize("body", [{"hello": "world"}, ["hello"], "hello"], ids=["object", "list", "text"])
def test_an_answer_that_is_not_of_this_api_is_reported_as_one(tuning: TuningProject, api: ApiServer, body: object) -> None:
    api.fault(Reply(body if body != "hello" else '"hello"'), path=JOBS, method="GET")
    assert tuning.drive().error == "[finetune.tuned] the answer is no listing of the fine-tuning API" + MENDED
    assert not tuning.job_ids


def test_a_job_that_vanishes_while_it_is_waited_for_is_reported(tuning: TuningProject, api: ApiServer) -> None:
    api.fault(GONE, "", "/ftjob-0002", "GET", after=1, times=math.inf)
    driven = tuning.drive()
    assert (driven.state, driven.error) == (
        State.GONE,
        "[finetune.tuned] ftjob-0002 is gone: HTTP 404: No such fine-tuning job: ftjob-0002 (fine_tune_not_found). It was "
        "deleted, or this key is of another project. Nothing more is paid. If it comes back, this goes on with it: "
        f"{GO_ON}. To pay for another job: {RETRAIN}",
    )
    assert tuning.drive().state is State.GONE
    assert tuning.job_ids == ["ftjob-0002"]


def test_a_job_that_the_api_does_not_know_at_once_is_waited_for(tuning: TuningProject, api: ApiServer) -> None:
    api.fault(GONE, "", "/ftjob-0002", "GET", times=3)
    assert tuning.drive().error is None
    assert tuning.job_ids == ["ftjob-0002"]


def test_a_status_that_nobody_documented_is_waited_through_for_a_while(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.states = ("pending", "provisioning", "Running", "succeeded")
    driven = tuning.drive()
    assert driven.error is None
    assert driven.shown[0].startswith("provisioning, 0 min 0")


def test_a_job_whose_status_stays_undocumented_is_waited_for_as_long_as_it_lives_and_shown_as_written(
    tuning: TuningProject, api: ApiServer
) -> None:
    api.tuning.states = ("queued", "hib\x1bernating")
    driven = tuning.interrupt(lambda shown: len(shown) > 15)
    assert driven.shown[-1].startswith("hib\\x1bernating, 0 min 0")
    assert driven.notes[-1] == f"tuned: ftjob-0002 goes on at the API, and this goes on with it: {GO_ON}"
    api.tuning.jobs["ftjob-0002"].states[:] = ["running", "running", "succeeded"]
    assert tuning.drive().error is None
    assert tuning.job_ids == ["ftjob-0002"]


def test_a_folder_that_cannot_be_written_starts_no_job(tuning: TuningProject) -> None:
    tuning.job_cassette.parent.parent.mkdir(parents=True)
    tuning.job_cassette.parent.write_text("a file where the folder has to be")
    error = tuning.drive().error
    assert error is not None
    assert error.startswith(f"[finetune.tuned] {tuning.job_cassette.parent} can't be written: ")
    assert not tuning.job_ids


def test_a_recording_that_cannot_be_written_keeps_the_job(tuning: TuningProject) -> None:
    tuning.job_cassette.mkdir(parents=True)
    error = tuning.drive(retrain=True).error
    assert error is not None
    assert error.endswith(
        f"Is a directory. ftjob-0002 itself has succeeded, and this records it, without paying again: {GO_ON}"
    )
    tuning.job_cassette.rmdir()
    assert tuning.drive().error is None
    assert tuning.job_ids == ["ftjob-0002"]


# ---------------------------------------------------------------- models that are shut down


def test_a_base_that_shuts_down_within_30_days_is_noted_before_money_is_spent(tuning: TuningProject, api: ApiServer) -> None:
    api.models = {BASE: in_days(12)}
    driven = tuning.drive()
    assert driven.notes[0] == f"tuned: {BASE} shuts down on {in_days(12)}, in 12 days"
    order = [asked.path.removeprefix("/v1") for asked in api.requests]
    assert order.index(f"/models/{BASE}") < order.index("/files") < order.index(JOBS, order.index("/files"))


@pytest.mark.parametrize(
    ("date", "when"), [(90, "in 90 days"), (1, "in 1 day"), (0, "today"), (-400, "400 days ago"), (91, None)]
)
def test_only_a_shutdown_that_is_near_is_noted(tuning: TuningProject, api: ApiServer, date: int, when: str | None) -> None:
    api.models = {BASE: in_days(date)}
    wanted = [f"tuned: {BASE} shuts down on {in_days(date)}, {when}"] if when else []
    assert [note for note in tuning.drive().notes if "shuts down" in note] == wanted


def test_a_date_that_is_none_does_not_matter(tuning: TuningProject, api: ApiServer) -> None:
    api.models = {BASE: "soon"}
    driven = tuning.drive()
    assert (driven.error, len(driven.notes)) == (None, 1)


# ---------------------------------------------------------------- money


def priced(tuning: TuningProject) -> float:
    tuning.edit_suite("poll_seconds", "price = { training = 100, input = 1, output = 1 }\npoll_seconds")
    return training_tokens(tuning.training_file().text) * 100 / 1e6


def test_a_job_that_the_budget_may_not_bear_is_not_started(tuning: TuningProject) -> None:
    most = priced(tuning)
    driven = tuning.drive(budget_usd=most + 0.5, spent_usd=0.51)
    assert driven.error == (
        f"[finetune.tuned] it can cost up to {usd(most)}, more than the budget of ${most + 0.5:g} covers: $0.5100 is spent; not started. "
        f"With a larger --budget, or fewer n_epochs, this goes on: {GO_ON}"
    )
    assert (tuning.uploads, tuning.job_ids, driven.recorder.budget.committed_usd) == (0, [], 0.51)


def test_what_a_job_cost_is_counted_where_it_was_started(tuning: TuningProject) -> None:
    most = priced(tuning)
    first, second = tuning.drive(budget_usd=most + 0.5), tuning.drive(budget_usd=0.01)
    assert (first.error, second.error) == (None, None)
    assert first.recorder.budget.committed_usd == pytest.approx(2_100 * 100 / 1e6)
    assert second.recorder.budget.committed_usd == 0.0


def test_a_job_on_this_machine_costs_nothing_if_it_has_no_price(tuning: TuningProject) -> None:
    driven = tuning.drive(budget_usd=0.01)
    assert (driven.error, driven.recorder.budget.committed_usd) == (None, 0.0)


def test_a_job_without_a_price_is_not_covered_by_a_budget(tuning: TuningProject) -> None:
    elsewhere = Endpoint("http://api.example.invalid/v1", "", 1.0)
    drive = Drive(tuning.jobs().prepare("tuned"), elsewhere, Budget(0.01), print, print)
    drive.open()
    with pytest.raises(OverBudget, match=r"the suite states no price\.training of it, so --budget can't bound what it costs"):
        most_usd(drive, 1_000_000)


def test_a_job_that_may_have_been_created_counts_as_perhaps_spent(tuning: TuningProject, api: ApiServer) -> None:
    most = priced(tuning)
    api.fault("lost", path=JOBS)
    api.tuning.quirks.lag_s = math.inf
    driven = tuning.drive(budget_usd=most + 0.5)
    assert driven.state is State.UNCLEAR
    budget = driven.recorder.budget
    assert (budget.spend.perhaps_usd, budget.committed_usd, budget.spend.broke_off) == (
        pytest.approx(most),
        pytest.approx(most),
        1,
    )


def test_a_job_that_an_interrupted_session_leaves_counts_as_perhaps_spent(tuning: TuningProject, api: ApiServer) -> None:
    most = priced(tuning)
    api.fault("400", path="/ftjob-0002", method="GET")
    driven = tuning.drive(budget_usd=most + 0.5)
    assert driven.state is State.STOPPED
    assert driven.recorder.budget.spend.perhaps_usd == driven.recorder.budget.committed_usd == pytest.approx(most)


def test_an_order_that_the_api_refused_costs_nothing(tuning: TuningProject, api: ApiServer) -> None:
    most = priced(tuning)
    api.fault("403", path=JOBS)
    assert tuning.drive(budget_usd=most + 0.5).recorder.budget.committed_usd == 0.0


def recording(tuning: TuningProject, budget_usd: float | None = None) -> tuple[Recorder, Outcomes]:
    """A recorder with the six calls to the base, each of which may cost 0.04 USD."""
    tuning.edit_suite('"small-2026-01-01"\n', '"small-2026-01-01"\nprice = { input = 0, output = 10 }\n')
    outcomes = Outcomes()
    recorder = Recorder(outcomes, 16, budget_usd)
    add_lane(recorder, tuning, tuning.loaded()[0].models["small"])
    return recorder, outcomes


def test_calls_wait_while_a_job_may_need_the_money(tuning: TuningProject, api: ApiServer) -> None:
    recorder, _ = recording(tuning, budget_usd=1.0)
    hold, calls = recorder.budget.hold(0.99), list[int]()
    assert hold is not None

    async def job() -> None:
        await asyncio.sleep(0.2)
        calls.append(api.calls)
        hold.release()

    recorder.add_work(job, is_job=True)
    recorder.run()
    assert (calls, api.calls) == ([0], 6)


def test_a_job_that_breaks_off_leaves_no_test_waiting(tuning: TuningProject) -> None:
    recorder, outcomes = recording(tuning)

    async def job() -> None:
        raise LookupError("nobody thought of this")

    recorder.add_work(job, is_job=True)
    recorder.run()
    assert outcomes.stopped == "the recording broke off: LookupError('nobody thought of this')"
