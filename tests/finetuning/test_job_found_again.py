"""A job is found again: by what is recorded, by what was ordered, by its digest, by its training file. Nothing is paid twice."""

import asyncio
import json
import math
import shutil
from typing import Any

import pytest
from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.recorded_job import read_job
from evaltape.recorder.tuning.hosts import read_job as remote_job
from evaltape.recorder.tuning.matching import preferred
from evaltape.recorder.tuning.states import State
from msgspec.structs import replace

from tests.support.server import ApiServer, Reply, error
from tests.support.server.http import Asked
from tests.support.tuning import BRISK, TRAINING, Driven, TuningProject

JOBS = "/fine_tuning/jobs"
BASE = "small-2026-01-01"
GONE = error(404, "No such fine-tuning job: ftjob-0002", "fine_tune_not_found")
GO_ON, RETRAIN = (
    "pytest evals -m finetuned --record-missing",
    "pytest evals -m finetuned --record --retrain (costs 1 fine-tuning job, 6 calls)",
)
USING = "tuned: using ftjob-0002 (succeeded, ft:small-2026-01-01:acme:talks:0002), made of the same data, base and settings"


def on_another_machine(tuning: TuningProject) -> None:
    """Nothing of what a session wrote is there."""
    shutil.rmtree(tuning.job_cassette.parent)


# ---------------------------------------------------------------- in the API's listing


@pytest.mark.parametrize("state", ["validating_files", "queued", "running", "succeeded"])
def test_a_job_of_another_machine_is_found_in_any_state_and_gone_on_with(
    tuning: TuningProject, api: ApiServer, state: str
) -> None:
    api.tuning.states = (state, "succeeded")
    api.fault("400", "", "/ftjob-0002", "GET")
    assert tuning.drive().error is not None
    on_another_machine(tuning)
    driven = tuning.drive()
    assert driven.error is None
    assert driven.notes[0].startswith(f"tuned: using ftjob-0002 ({state}")
    assert (tuning.uploads, tuning.job_ids) == (1, ["ftjob-0002"])


@pytest.mark.parametrize("filters", ["yes", "ignored", "refused"])
@pytest.mark.parametrize(("metadata", "oldest_first"), [("kept", False), ("dropped", False), ("dropped", True)])
def test_a_job_is_found_among_those_of_others_on_any_page(
    tuning: TuningProject, api: ApiServer, filters: str, metadata: str, oldest_first: bool
) -> None:
    quirks = api.tuning.quirks
    quirks.filters, quirks.oldest_first, quirks.keeps_metadata = filters, oldest_first, metadata == "kept"
    api.tuning.create(model=BASE)
    tuning.drive()
    on_another_machine(tuning)
    file = api.tuning.add_file("others.jsonl", b"{}", "fine-tune")["id"]
    for number in range(5):
        api.tuning.create(model=BASE, training_file=file, metadata={"evaltape_digest": str(number)})
    api.tuning.page = 2
    assert tuning.drive().notes[0].startswith("tuned: using ftjob-0003 (succeeded")
    assert len(tuning.job_ids) == 7


@pytest.mark.parametrize(
    ("old", "new"),
    [("n_epochs = 1", "n_epochs = 2"), ("seed = 7", "seed = 8"), (BASE, "large-2026-01-01"), ("Summarise", "Sum up")],
    ids=["hyperparameter", "seed", "base", "prompt"],
)
@pytest.mark.parametrize("metadata", ["kept", "dropped"])
def test_other_settings_or_data_make_another_job(
    tuning: TuningProject, api: ApiServer, old: str, new: str, metadata: str
) -> None:
    api.tuning.quirks.keeps_metadata = metadata == "kept"
    tuning.drive()
    tuning.edit_suite(old, new)
    assert tuning.drive().notes[-1].startswith("tuned: started ftjob-")
    assert len(tuning.job_ids) == 2


def test_without_metadata_a_job_is_found_by_a_file_that_the_listing_of_files_lacks(
    tuning: TuningProject, api: ApiServer
) -> None:
    api.tuning.quirks.keeps_metadata = False
    tuning.drive()
    on_another_machine(tuning)
    api.fault(error(404, "Invalid URL"), path="/files", method="GET", times=math.inf)
    assert tuning.drive().notes == [USING]
    assert api.asked("/files/file-0001", "GET")


def test_without_metadata_settings_that_the_api_chose_are_those_that_were_left_to_it(
    tuning: TuningProject, api: ApiServer
) -> None:
    api.tuning.quirks.keeps_metadata = False
    tuning.edit_suite("n_epochs = 1", 'n_epochs = "auto"')
    tuning.edit_suite("seed = 7\n", "")
    tuning.drive()
    on_another_machine(tuning)
    job = api.tuning.jobs["ftjob-0002"].body
    job["method"]["supervised"]["hyperparameters"] = {"n_epochs": 3, "batch_size": 1}
    job["seed"], job["model"] = 1_234_567, f"{BASE}-2026-07-18"
    assert tuning.drive().notes == [USING]


def test_without_metadata_a_job_on_our_file_with_another_base_is_left_to_the_user(
    tuning: TuningProject, api: ApiServer
) -> None:
    api.tuning.quirks.keeps_metadata = False
    tuning.drive()
    on_another_machine(tuning)
    api.tuning.jobs["ftjob-0002"].body["model"] = f"{BASE}-mini"
    driven = tuning.drive()
    assert (driven.state, driven.error) == (
        State.UNCLEAR,
        "[finetune.tuned] there is ftjob-0002 (succeeded, ft:small-2026-01-01:acme:talks:0002) with base "
        "'small-2026-01-01-mini', asked for 'small-2026-01-01', on this very training file. It may be the job that is asked "
        "for, so nothing more is paid. To use it, name in the suite what the API states, and run this: "
        f"{GO_ON}. To pay for another: {RETRAIN}",
    )
    assert len(tuning.job_ids) == 1
    tuning.edit_suite(f'"{BASE}"', f'"{BASE}-mini"')
    assert tuning.drive().notes == [USING]
    on_another_machine(tuning)
    tuning.edit_suite(f'"{BASE}-mini"', f'"{BASE}"')
    driven = tuning.drive(retrain=True)
    assert driven.notes[0].startswith("tuned: training though there is ftjob-0002 (succeeded, ")
    assert (driven.error, len(tuning.job_ids)) == (None, 2)


def job(name: str, status: str, created: int, run: int | None = None) -> RemoteJob:
    return remote_job({"id": name, "status": status, "created_at": created, "metadata": run and {"evaltape_run": str(run)}})


@pytest.mark.parametrize(
    ("jobs", "wanted"),
    [
        ([], None),
        ([job("a", "failed", 1), job("b", "cancelled", 2)], None),
        ([job("b", "queued", 2, 1), job("a", "running", 1, 1)], "a"),
        ([job("b", "queued", 1, 1), job("a", "queued", 1, 1)], "a"),
        ([job("a", "succeeded", 1, 1), job("b", "queued", 2, 2)], "b"),
        ([job("a", "succeeded", 1, 1), job("b", "failed", 2, 2)], "a"),
        ([job("a", "succeeded", 1), job("b", "succeeded", 2), job("c", "queued", 3)], "b"),
        ([job("b", "queued", 2), job("a", "queued", 1)], "a"),
    ],
    ids=["none", "all ended", "oldest", "equal times", "retrained", "retraining failed", "no metadata", "no metadata, new"],
)
def test_every_session_prefers_the_same_of_several_jobs(jobs: list[RemoteJob], wanted: str | None) -> None:
    assert getattr(preferred(jobs), "id", None) == wanted
    assert getattr(preferred(jobs[::-1]), "id", None) == wanted


def test_a_retrained_job_is_used_by_all_later_sessions(tuning: TuningProject) -> None:
    tuning.drive()
    tuning.drive(retrain=True)
    on_another_machine(tuning)
    assert tuning.drive().notes[0].startswith("tuned: using ftjob-0004 (succeeded")
    assert read_job(tuning.job_cassette).id == "ftjob-0004"
    assert tuning.job_ids == ["ftjob-0002", "ftjob-0004"]


# ---------------------------------------------------------------- in job.yaml


@pytest.mark.parametrize("listing", ["deleted", "another project's key", "no metadata and no file", "no fine-tuning API"])
def test_a_recorded_job_that_the_api_does_not_have_is_kept_and_not_paid_for_again(
    tuning: TuningProject, api: ApiServer, listing: str
) -> None:
    tuning.drive()
    recorded = tuning.job_cassette.read_text()
    if listing == "no fine-tuning API":
        for path in (JOBS, "/ftjob-0002"):
            api.fault(error(404, "Invalid URL"), path=path, method="GET", times=math.inf)
    elif listing == "another project's key":
        for path in (JOBS, "/ftjob-0002"):
            api.fault("403", path=path, method="GET", times=math.inf)
    else:
        api.tuning.jobs.clear()
    driven = tuning.drive()
    assert (driven.state, driven.error) == (State.KEPT, None)
    assert driven.notes[0].startswith("tuned: using ftjob-0002 as it is recorded: ")
    assert driven.notes[0].endswith(f". To pay for another: {RETRAIN}")
    assert tuning.job_cassette.read_text() == recorded
    assert len(api.asked(JOBS)) == 1


def test_a_recorded_job_that_is_not_listed_is_used(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    api.tuning.quirks.lag_s = math.inf
    driven = tuning.drive()
    assert (driven.state, driven.notes) == (State.RECORDED, [USING])
    assert len(tuning.job_ids) == 1


def test_recording_one_sample_again_does_not_pay_for_its_job(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    api.tuning.quirks.keeps_metadata = False
    for body in api.tuning.jobs.values():
        body.body["metadata"] = None
    api.tuning.files.clear()
    assert tuning.drive(may_replace=False).error is None
    assert len(api.asked(JOBS)) == 1


def test_recording_one_sample_does_not_pay_for_a_job_on_changed_data(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    tuning.edit_suite("n_epochs = 1", "n_epochs = 2")
    run = tuning.run("evals", "-m", "finetuned", "-k", "t1 and test_sample", "--record", "-p no:xdist")
    assert run.exit_code == 1
    assert (
        "[finetune.tuned] cassettes/chats/tuned/job.yaml was recorded with another n_epochs (1; the suite asks for 2). A run of "
        f"some of the samples doesn't pay for another job: run all of them, or pay for it on purpose: {RETRAIN}"
    ) in run.output
    assert len(api.asked(JOBS)) == 1
    assert (tuning.drive().error, len(api.asked(JOBS))) == (None, 2)


def test_a_recording_that_cannot_be_read_is_not_replaced_by_a_paid_job(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    recorded = tuning.job_cassette.read_text()
    tuning.job_cassette.write_text(f"<<<<<<< HEAD\n{recorded}")
    api.tuning.jobs.clear()
    driven = tuning.drive()
    assert driven.state is State.UNCLEAR
    assert "tuned/job.yaml: not a readable cassette (" in str(driven.error)
    assert "There may be a job that was paid for, so none is started." in str(driven.error)
    assert len(api.asked(JOBS)) == 1
    tuning.job_cassette.write_text(recorded)
    assert tuning.drive().state is State.KEPT


def test_recording_again_keeps_the_events_and_metrics_that_the_api_has_deleted(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    recorded = tuning.job_cassette.read_text()
    for path in ("/events", "/content"):
        api.fault("404", path=path, method="GET", times=math.inf)
    assert tuning.drive().state is State.RECORDED
    assert tuning.job_cassette.read_text() == recorded


# ---------------------------------------------------------------- in job-intent.json


def test_the_order_is_on_disk_before_it_is_sent_and_gone_once_its_job_is_recorded(
    tuning: TuningProject, api: ApiServer
) -> None:
    intent, seen = tuning.job_cassette.with_name("job-intent.json"), []

    def order(asked: Any) -> Reply:
        seen.append(json.loads(intent.read_text()))
        return error(403, "no")

    api.fault(order, path=JOBS)
    tuning.drive()
    (order_on_disk,) = seen[0]["orders"].values()
    assert (order_on_disk["address"], order_on_disk["job"], order_on_disk["files"]) == (api.base_url, None, ["file-0001"])
    assert not intent.exists()
    tuning.drive()
    assert not intent.exists()


@pytest.mark.parametrize("quirk", [{"keeps_metadata": False}, {"lag_s": math.inf}], ids=["no metadata", "never listed"])
def test_a_job_that_was_answered_is_gone_on_with_by_its_id(
    tuning: TuningProject, api: ApiServer, quirk: dict[str, object]
) -> None:
    vars(api.tuning.quirks).update(quirk)
    api.fault("400", "", "/ftjob-0002", "GET")
    assert tuning.drive().state is State.STOPPED
    api.tuning.files.clear()
    driven = tuning.drive()
    assert driven.error is None
    assert driven.notes[0].startswith("tuned: going on with ftjob-0002 (")
    assert tuning.job_ids == ["ftjob-0002"]


def test_orders_for_other_data_stay_on_disk(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks.lag_s = math.inf
    api.fault("lost", path=JOBS)
    assert tuning.drive().state is State.UNCLEAR
    tuning.edit_suite("n_epochs = 1", "n_epochs = 2")
    assert tuning.drive().error is None
    tuning.edit_suite("n_epochs = 2", "n_epochs = 1")
    assert tuning.drive().state is State.UNCLEAR
    assert len(tuning.job_ids) == 2


@pytest.mark.parametrize("content", ["{", '{"version": 2, "orders": {}}', '{"version": 1, "orders": []}', "[]"])
def test_orders_that_cannot_be_read_are_left_to_the_user(tuning: TuningProject, api: ApiServer, content: str) -> None:
    intent = tuning.job_cassette.with_name("job-intent.json")
    intent.parent.mkdir(parents=True)
    intent.write_text(content)
    driven = tuning.drive()
    assert driven.state is State.UNCLEAR
    assert "tuned/job-intent.json can't be read (" in str(driven.error)
    assert not tuning.job_ids
    assert tuning.drive(retrain=True).error is None


def test_a_recorded_job_is_used_though_a_retraining_is_open(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    api.tuning.quirks.lag_s = math.inf
    api.fault("reset", path=JOBS)
    assert tuning.drive(retrain=True).state is State.UNCLEAR
    driven = tuning.drive()
    assert (driven.state, len(tuning.job_ids)) == (State.KEPT, 1)
    assert "got no answer, and no job of it shows up" in driven.notes[0]


def test_record_missing_goes_on_with_a_retraining_that_was_interrupted(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    api.fault("400", "", "/ftjob-0004", "GET")
    assert tuning.drive(retrain=True).state is State.STOPPED
    run = tuning.run("evals", "-m", "finetuned", "-k", "test_sample", "--record-missing", "-p no:xdist")
    assert run.exit_code == 0, run.output
    assert read_job(tuning.job_cassette).id == "ftjob-0004"
    assert tuning.job_ids == ["ftjob-0002", "ftjob-0004"]


# ---------------------------------------------------------------- interrupts


def test_an_interrupt_ends_a_wait_at_once_and_says_that_the_job_goes_on(tuning: TuningProject, api: ApiServer) -> None:
    tuning.edit_suite("poll_seconds = 0.1", "poll_seconds = 3600")
    api.tuning.states = ("running",)
    driven = tuning.interrupt(lambda shown: any("running, " in text for text in shown))
    assert driven.notes[-1] == f"tuned: ftjob-0002 goes on at the API, and this goes on with it: {GO_ON}"


def test_an_interrupt_while_an_order_is_out_says_that_a_job_may_be_there(tuning: TuningProject, api: ApiServer) -> None:
    api.fault("done, but never answered", path=JOBS)
    driven = tuning.interrupt(lambda shown: api.asked(JOBS))
    assert driven.notes == [f"tuned: a job may have been ordered just now; this looks for it and goes on with it: {GO_ON}"]
    assert tuning.drive().error is None
    assert len(tuning.job_ids) == 1


# ---------------------------------------------------------------- two sessions at once


class UnlistedUntilBothHaveOrdered:
    """A rule of the server: no session sees the job of the other before it has ordered its own."""

    fault = Reply({"object": "list", "data": [], "has_more": False})

    def __init__(self, api: ApiServer) -> None:
        self.api = api

    def applies(self, asked: Asked) -> bool:
        return asked.method == "GET" and asked.path.endswith(JOBS) and len(self.api.asked(JOBS)) < 2


def pair(tuning: TuningProject, api: ApiServer, **quirks: object) -> tuple[TuningProject, tuple[Driven, Driven]]:
    """Two drives at once, with folders of their own."""
    vars(api.tuning.quirks).update(queue_s=0.05, **quirks)
    api.add_rule(UnlistedUntilBothHaveOrdered(api))
    other = tuning.copy("other")
    return other, asyncio.run(both(tuning, other))


async def both(tuning: TuningProject, other: TuningProject) -> tuple[Driven, Driven]:
    return await asyncio.gather(tuning.drive_in_loop(), other.drive_in_loop())


@pytest.mark.parametrize("metadata", ["kept", "dropped"])
@pytest.mark.parametrize("lag_s", [0.0, 0.1], ids=["listed at once", "listed late"])
def test_two_sessions_at_once_use_the_older_job_and_cancel_the_younger(
    tuning: TuningProject, api: ApiServer, metadata: str, lag_s: float
) -> None:
    other, driven = pair(tuning, api, keeps_metadata=metadata == "kept", lag_s=lag_s)
    assert [one.error for one in driven] == [None, None]
    assert len(tuning.job_ids) == 2
    oldest, younger = sorted(tuning.job_ids)
    assert (api.tuning.paid, api.tuning.alive) == ([oldest], [oldest])
    assert {read_job(one.job_cassette).id for one in (tuning, other)} == {oldest}
    notes = [note for one in driven for note in one.notes]
    assert (f"tuned: the same job was ordered twice: using {oldest}; our {younger} was cancelled before its training") in notes


def test_a_younger_job_whose_training_has_begun_is_not_cancelled_and_named(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.states = ("running", "running", "running", "running", "succeeded")
    _, driven = pair(tuning, api)
    notes = [note for one in driven for note in one.notes]
    oldest, younger = sorted(tuning.job_ids)
    assert api.tuning.paid == [oldest, younger]
    assert not api.asked("/cancel")
    assert (
        f"tuned: the same job was ordered twice: using {oldest}; our {younger} is running already and goes on: cancel it at the "
        "API if you don't need it"
    ) in notes


class OrderedElsewhere:
    """A rule of the server: once ours has been looked for twice, another session's job is there, which wins by its id."""

    fault = Reply()

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self.job = ""

    def applies(self, asked: Asked) -> bool:
        if not self.job and len(self.api.asked(JOBS, "GET")) == 4 and asked.path.endswith("/ftjob-5838"):
            (order,) = self.api.asked(JOBS)
            metadata = {**order.json["metadata"], "evaltape_order": "another"}
            self.job = self.api.tuning.create(**{**order.json, "metadata": metadata})["id"]
        return False


def test_a_slow_look_does_not_end_the_comparison_before_its_time(tuning: TuningProject, api: ApiServer) -> None:
    # The second look begins before the job may begin, however busy the machine, and ends after.
    vars(api.tuning.quirks).update(queue_s=0.4, tick_s=3600.0, shuffled_ids=True)
    api.fault(Reply(late=True, delay_s=0.6), path=JOBS, method="GET", after=3)
    elsewhere = OrderedElsewhere(api)
    api.add_rule(elsewhere)
    assert tuning.drive(patience=replace(BRISK, settle_s=0.5)).error is None
    assert elsewhere.job == "ftjob-3757"
    assert read_job(tuning.job_cassette).id == "ftjob-3757"
    assert api.tuning.paid == ["ftjob-3757"]


def test_a_session_goes_on_with_the_other_job_if_its_own_is_cancelled_by_someone(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks.queue_s = 0.05
    api.fault("400", "", "/ftjob-0002", "GET")
    tuning.drive()
    body = api.tuning.jobs["ftjob-0002"].body
    other = api.tuning.create(**{key: body[key] for key in ("model", "training_file", "method", "seed", "metadata")})
    body["status"] = api.tuning.jobs["ftjob-0002"].status = "cancelled"
    driven = tuning.drive()
    assert driven.error is None
    assert read_job(tuning.job_cassette).id == other["id"]


def test_the_training_file_is_the_one_of_the_digest_in_its_name(tuning: TuningProject) -> None:
    assert tuning.training_file().name == f"evaltape-{tuning.training_file().sha256[:32]}.jsonl"
    assert tuning.training_file().rows == len(TRAINING)
