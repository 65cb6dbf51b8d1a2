"""A job as a user meets it: recorded beside the baseline, replayed, and guarded against change."""

import json
import math
import shutil

import pytest
import yaml
from evaltape.errors import RecordingError
from evaltape.finetuning.training_file import build_validation_file
from msgspec.structs import replace

from tests.support.project import ROWS, wait_for
from tests.support.server import ApiServer, Reply, error
from tests.support.server.replies import ORGANISATION, PROJECT, REQUEST
from tests.support.tuning import KEY, TRAINING, TuningProject

JOBS = "/fine_tuning/jobs"
TUNED = "ft:small-2026-01-01:acme:talks:0002"
RECORD = "pytest evals -m finetuned --record"
COSTS = " (costs 1 fine-tuning job, 6 calls)"


def refused(tuning: TuningProject) -> str:
    """Why the recorded job can't be replayed, without the path that it starts with."""
    with pytest.raises(RecordingError) as found:
        tuning.jobs().job("tuned")
    assert (found.value.command, found.value.cost.startswith(" (costs 1 fine-tuning job, ")) == (RECORD, True)
    path, _, reason = str(found.value).partition(": ")
    assert path == str(tuning.job_cassette)
    return reason


def assert_replays(tuning: TuningProject) -> None:
    assert tuning.jobs().job("tuned").status == "succeeded"


# ---------------------------------------------------------------- recording


def test_recording_everything_pays_for_one_job_and_runs_the_baseline_while_it_trains(
    tuning: TuningProject, api: ApiServer
) -> None:
    api.tuning.step_s = 3600
    running = tuning.start("evals", "--record", "--snapshot-update", "-v", "-n 2")
    wait_for(lambda: running.output.count("PASSED") == 6, 60)
    wait_for(lambda: api.asked("/ftjob-0002", "GET"))
    assert api.tuning.jobs["ftjob-0002"].body["status"] == "validating_files"
    assert {asked.json["model"] for asked in api.asked()} == {"small-2026-01-01"}
    api.tuning.step_s = None
    run = running.wait()
    assert run.exit_code == 0, run.output
    assert (tuning.uploads, tuning.job_ids, api.calls) == (1, ["ftjob-0002"], 12)
    assert {asked.json["model"] for asked in api.asked()} == {"small-2026-01-01", TUNED}
    assert "tuned: started ftjob-0002 on 12 training rows" in run.output
    assert set(tuning.recorded("tuned")) == {"job", "t1", "t2", "t3", "t4", "t5", "t6"}
    for sample in ("t1", "t6"):
        asked = yaml.safe_load(tuning.recorded("tuned")[sample])["interactions"][0]["request"]["body"]
        assert json.loads(asked)["model"] == TUNED


def test_a_job_is_ordered_as_the_suite_says(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    (order,) = (asked.json for asked in api.asked(JOBS))
    metadata = order.pop("metadata")
    assert order == {
        "model": "small-2026-01-01",
        "training_file": "file-0001",
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
        "seed": 7,
        "suffix": "talks",
    }
    assert metadata["evaltape_training"] == tuning.training_file().sha256
    assert metadata["evaltape_settings"] == '{"base":"small-2026-01-01","hyperparameters":{"n_epochs":1},"seed":7}'
    assert len(metadata["evaltape_digest"]) == 64
    # What OpenAI takes.
    assert len(metadata) <= 16
    assert all(len(key) <= 64 and len(value) <= 512 for key, value in metadata.items())


def test_what_the_suite_leaves_out_is_not_ordered(tuning: TuningProject, api: ApiServer) -> None:
    for line in ('suffix = "talks"\n', "seed = 7\n", "hyperparameters = { n_epochs = 1 }\n"):
        tuning.edit_suite(line, "")
    assert tuning.drive().error is None
    (order,) = (asked.json for asked in api.asked(JOBS))
    assert set(order) == {"model", "training_file", "method", "metadata"}
    assert order["method"] == {"type": "supervised", "supervised": {"hyperparameters": {}}}


def test_the_file_is_uploaded_for_tuning_under_its_digest(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    (upload,) = (asked.fields for asked in api.asked("/files"))
    file = tuning.training_file()
    assert upload["purpose"] == (None, b"fine-tune")
    assert upload["file"] == (f"evaltape-{file.sha256[:32]}.jsonl", file.content)


def test_an_identical_file_is_uploaded_once(tuning: TuningProject) -> None:
    tuning.drive()
    tuning.edit_suite("n_epochs = 1", "n_epochs = 3")
    tuning.drive()
    assert (tuning.uploads, len(tuning.job_ids)) == (1, 2)


def test_a_file_that_the_api_refused_is_uploaded_again(tuning: TuningProject, api: ApiServer) -> None:
    api.fault(error(400, "Something is wrong here"), path=JOBS)
    tuning.drive()
    next(iter(api.tuning.files.values()))[0]["status"] = "error"
    assert tuning.drive().error is None
    assert tuning.uploads == 2


def test_a_validation_split_is_uploaded_and_named_in_the_order(tuning: TuningProject, api: ApiServer) -> None:
    tuning.extend_suite('[finetune.tuned.validation]\nsplit = "held-out"\nsamples = 2\n')
    tuning.write_split("held-out", [{"id": f"h{n}", "dialogue": f"Pia: {n}?", "summary": f"{n}."} for n in range(3)])
    tuning.drive()
    (order,) = (asked.json for asked in api.asked(JOBS))
    file = build_validation_file(*tuning.loaded())
    assert file is not None
    assert file.rows == 2
    assert [asked.fields["file"][1] for asked in api.asked("/files")] == [tuning.training_file().content, file.content]
    assert (order["training_file"], order["validation_file"]) == ("file-0001", "file-0002")


def test_a_train_split_with_fewer_rows_than_asked_for_is_reported(tuning: TuningProject) -> None:
    tuning.edit_suite('train = { split = "train" }', 'train = { split = "train", samples = 99 }')
    assert any("99 samples asked for, split 'train' has " in note for note in tuning.jobs().prepare("tuned").training.notes())


def test_recording_the_baseline_starts_no_job(tuning: TuningProject, api: ApiServer) -> None:
    run = tuning.run("evals", "-m", "baseline", "-k", "test_sample", "--record", "-p no:xdist")
    assert run.exit_code == 0, run.output
    assert (api.calls, tuning.uploads, tuning.job_ids) == (6, 0, [])


def test_a_job_that_fails_fails_its_tests_with_the_reason_and_no_other(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.states = ("validating_files", "failed")
    run = tuning.run("evals", "--record", "-k", "not test_scores", "-p no:xdist")
    assert run.exit_code == 1, run.output
    # The job, six samples and a gate; the baseline's seven tests pass.
    assert (run.outcomes["passed"], run.outcomes["failed"]) == (7, 8), run.output
    reason = (
        f"[finetune.tuned] ftjob-0002 failed: Line 3 has no assistant message. To pay for another: {RECORD} --retrain{COSTS}\n"
    )
    assert f"\n{reason}" in run.output
    assert f"\ntuned: {reason}" in run.output  # its gate
    assert len(tuning.recorded("small")) == 6
    assert not tuning.recorded("tuned")


# ---------------------------------------------------------------- what is recorded


def test_the_recording_holds_the_jobs_own_calls_and_nothing_of_others(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.create(model="secret-base", metadata={"whose": "a colleague's"})
    tuning.drive()
    interactions = yaml.safe_load(tuning.job_cassette.read_text())["interactions"]
    calls = [(one["request"]["method"], one["request"]["uri"].split("/v1")[-1]) for one in interactions]
    assert calls == [
        ("POST", "/files"),
        ("POST", JOBS),
        ("GET", f"{JOBS}/ftjob-0003"),
        ("GET", "evaltape:///fine_tuning/jobs/ftjob-0003"),
    ]
    text = tuning.job_cassette.read_text()
    assert "secret-base" not in text
    assert "colleague" not in text


def test_an_upload_is_recorded_as_digest_and_size(tuning: TuningProject) -> None:
    tuning.drive()
    file = tuning.training_file()
    upload = yaml.safe_load(tuning.job_cassette.read_text())["interactions"][0]["request"]
    assert json.loads(upload["body"]) == {
        "purpose": "fine-tune",
        "file": {"filename": file.name, "sha256": file.sha256, "bytes": len(file.content)},
    }
    assert "ran off" not in tuning.job_cassette.read_text()


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "compressed"])
def test_no_key_and_no_identity_is_recorded(tuning: TuningProject, api: ApiServer, gzip: bool) -> None:
    api.gzip = gzip
    tuning.drive()
    tuning.drive(retrain=True)
    written = "".join(path.read_text() for path in tuning.job_cassette.parent.iterdir())
    for secret in (KEY, ORGANISATION, PROJECT, REQUEST, "user-planted", "planted-cookie", "organization_id", "user_id"):
        assert secret not in written


def test_events_that_hold_the_key_are_left_out(tuning: TuningProject, api: ApiServer) -> None:
    event = {"id": "e1", "created_at": 1, "level": "info", "message": f"Authorised by {KEY}"}
    api.fault(Reply({"object": "list", "data": [event], "has_more": False}), "", "/events", "GET", times=9)
    driven = tuning.drive()
    assert driven.error is None
    assert driven.notes[-1].startswith("tuned: ftjob-0002 is recorded without events and metrics: ")
    assert KEY not in "".join(path.read_text() for path in tuning.job_cassette.parent.iterdir())
    assert_replays(tuning)


def test_a_job_without_result_file_and_events_counts_and_is_recorded(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks.result_files = False
    api.fault(error(404, "Invalid URL"), "", "/events", "GET", times=9)
    driven = tuning.drive()
    assert (driven.error, driven.notes[1:]) == (
        None,
        [
            "tuned: ftjob-0002 is recorded without its events: HTTP 404: Invalid URL (invalid_request_error)",
            "tuned: ftjob-0002 is recorded without its metrics: HTTP 404: No such File object: file-0003 "
            "(invalid_request_error)",
        ],
    )
    job = tuning.jobs().job("tuned")
    assert (job.id, job.metrics, job.events) == ("ftjob-0002", (), ())


def test_events_that_never_end_are_recorded_as_far_as_they_go(tuning: TuningProject, api: ApiServer) -> None:
    event = {"id": "e1", "created_at": 1, "level": "info", "message": "Step 1"}
    api.fault(Reply({"object": "list", "data": [event], "has_more": True}), "", "/events", "GET", times=math.inf)
    assert tuning.drive().error is None
    assert {event["message"] for event in tuning.jobs().job("tuned").events} == {"Step 1"}
    assert len(api.asked("/events", "GET")) < 10


# ---------------------------------------------------------------- replay


def test_replay_needs_neither_the_api_nor_the_training_split_nor_time(tuned: TuningProject, api: ApiServer) -> None:
    api.stop()
    (tuned.splits / "train.jsonl").unlink()
    tuned.edit_suite("poll_seconds = 0.1", "poll_seconds = 3600")
    results = tuned.results_of("-m", "finetuned", "-n 2")
    assert results["jobs"] == {
        "tuned": {"id": "ftjob-0002", "status": "succeeded", "tuned_model": TUNED, "trained_tokens": 2_100, "cost_usd": None}
    }
    gate = {"threshold": 0.9, "verdict": "passed", "fragility": None, "passed": True}
    assert results["models"]["tuned"]["gates"] == {"rouge1": gate}
    assert results["models"]["tuned"]["served"] == TUNED


def test_a_job_without_a_recording_is_reported_with_the_command(tuning: TuningProject) -> None:
    assert refused(tuning) == "there is no such recording"


def test_training_data_that_changed_fails_the_replay(tuned: TuningProject) -> None:
    tuned.write_split("train", [{**TRAINING[0], "summary": "Zoë says bye."}, *TRAINING[1:]])
    run = tuned.run("evals", "-m", "finetuned", "-k", "t1 or rouge1", "-p no:xdist")
    assert (run.exit_code, run.outcomes["failed"]) == (1, 2), run.output
    assert (
        "cassettes/chats/tuned/job.yaml: the recording is of other training data: the split's rows changed since (its "
        f"training file has sha256 6b88ad5e0cc5, the suite makes {tuned.training_file().sha256[:12]}). Record it: "
        f"{RECORD}{COSTS}\n"
    ) in run.output


@pytest.mark.parametrize(
    "rows",
    [TRAINING[:-1], [*TRAINING[:-1], {**TRAINING[-1], "dialogue": "Ann: my emu ran off\nBob: oh no!"}], TRAINING[::-1]],
    ids=["a row less", "a character more", "another order"],
)
def test_any_change_of_the_training_file_is_noticed(tuned: TuningProject, rows: list[dict[str, str]]) -> None:
    assert_replays(tuned)
    tuned.write_split("train", rows)
    assert refused(tuned).startswith("the recording is of other training data: the split's rows changed since (")


def test_a_split_written_in_another_way_is_the_same_training_data(tuned: TuningProject) -> None:
    lines = (json.dumps(dict(reversed(row.items()))) + "\n" for row in TRAINING)
    (tuned.splits / "train.jsonl").write_text("\n" + "".join(lines))
    assert_replays(tuned)


def test_training_data_that_became_unusable_is_reported_as_such(tuned: TuningProject) -> None:
    tuned.write_split("train", TRAINING[:3])
    assert refused(tuned) == (
        f"the training data can't be checked against the recording: {tuned.suite}: [finetune.tuned] 3 training rows; "
        "the API asks for 10 or more"
    )


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("n_epochs = 1", "n_epochs = 2", "another n_epochs (1; the suite asks for 2)"),
        ("n_epochs = 1", "batch_size = 8", "another batch_size (none; the suite asks for 8); another n_epochs (1; the "
         "suite asks for none)"),
        ("seed = 7\n", "", "another seed (7; the suite asks for none)"),
        ("small-2026-01-01", "big", 'another base ("small-2026-01-01"; the suite asks for "big")'),
    ],
)  # fmt: skip
def test_settings_that_changed_are_named(tuned: TuningProject, old: str, new: str, change: str) -> None:
    tuned.edit_suite(old, new)
    assert refused(tuned) == f"recorded with {change}"


@pytest.mark.parametrize("at_hand", [True, False], ids=["train split at hand", "not at hand"])
def test_a_prompt_that_changed_is_reported(tuned: TuningProject, at_hand: bool) -> None:
    tuned.edit_suite("Summarise", "Sum up")
    if not at_hand:
        (tuned.splits / "train.jsonl").unlink()
    wanted = "the recording is of other training data: the prompt, the selection or the samples changed since"
    assert refused(tuned).startswith(wanted)


@pytest.mark.parametrize("change", ["suffix", "poll_seconds", "gates"])
def test_what_the_model_does_not_depend_on_may_change(tuned: TuningProject, change: str) -> None:
    edits = {"suffix": ('"talks"', '"chats"'), "poll_seconds": ("0.1", "30"), "gates": ("0.9", "0.5")}
    tuned.edit_suite(*edits[change])
    assert_replays(tuned)


def test_other_samples_keep_the_job_where_its_training_file_stays_the_same(tuning: TuningProject) -> None:
    tuning.drive()
    tuning.write_rows(ROWS[:4])
    assert_replays(tuning)
    # Without the training split nothing can tell that, until the job was found again for these samples.
    train = (tuning.splits / "train.jsonl").read_text()
    (tuning.splits / "train.jsonl").unlink()
    assert "the prompt, the selection or the samples changed since" in refused(tuning)
    (tuning.splits / "train.jsonl").write_text(train)
    assert tuning.drive().notes[0].startswith("tuned: using ftjob-0002 (succeeded")
    (tuning.splits / "train.jsonl").unlink()
    assert_replays(tuning)


def test_a_validation_split_may_be_absent_or_changed_in_replay(tuning: TuningProject) -> None:
    tuning.extend_suite('[finetune.tuned.validation]\nsplit = "held-out"\n')
    tuning.write_split("held-out", [{"id": "h1", "dialogue": "Pia: chess?", "summary": "Chess."}])
    tuning.drive()
    tuning.write_split("held-out", [{"id": "h2", "dialogue": "Pia: cards?", "summary": "Cards."}])
    assert_replays(tuning)
    (tuning.splits / "held-out.jsonl").unlink()
    assert_replays(tuning)
    (tuning.splits / "train.jsonl").unlink()
    assert_replays(tuning)


def test_what_was_noted_beside_the_job_is_not_needed(tuned: TuningProject) -> None:
    (tuned.job_cassette.parent / "training.json").write_text("{")
    assert_replays(tuned)
    (tuned.job_cassette.parent / "training.json").unlink()
    assert_replays(tuned)


@pytest.mark.parametrize(
    ("old", "new"),
    [("evaltape:///", "https:///"), (f'"tuned_model": "{TUNED}"', '"tuned_model": null'), ('"identity"', '"identities"')],
    ids=["no summary", "no model", "not ours"],
)
def test_a_recording_of_something_else_is_no_job(tuned: TuningProject, old: str, new: str) -> None:
    text = tuned.job_cassette.read_text()
    assert old in text
    tuned.job_cassette.write_text(text.replace(old, new))
    (tuned.job_cassette.parent / "training.json").unlink()
    assert refused(tuned).startswith("not the recording of a job (")


@pytest.mark.parametrize("kept", ["job.yaml alone", "with training.json"])
def test_a_job_of_an_api_that_keeps_no_metadata_replays(tuning: TuningProject, api: ApiServer, kept: str) -> None:
    api.tuning.quirks.keeps_metadata = False
    assert tuning.drive().error is None
    if kept == "job.yaml alone":  # The order holds what the API forgot.
        (tuning.job_cassette.parent / "training.json").unlink()
    assert_replays(tuning)


def test_a_job_of_such_an_api_that_another_machine_ordered_replays(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks.keeps_metadata = False
    assert tuning.drive().error is None
    shutil.rmtree(tuning.job_cassette.parent)
    assert tuning.drive().notes[0].startswith("tuned: using ftjob-0002 (succeeded")
    assert "evaltape_training" not in tuning.job_cassette.read_text()
    assert_replays(tuning)
    # What training.json says of another job is not believed, and its depth doesn't matter.
    origin = tuning.job_cassette.parent / "training.json"
    for content in (
        origin.read_text().replace("ftjob-0002", "ftjob-0009").replace('"recipe": "', '"recipe": "0'),
        "[" * 99_999,
    ):
        origin.write_text(content)
        assert_replays(tuning)


def test_the_order_stays_recorded_when_its_job_is_recorded_again(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks.keeps_metadata = False
    tuning.drive()
    recorded = tuning.job_cassette.read_text()
    tuning.drive()
    assert tuning.job_cassette.read_text() == recorded


@pytest.mark.parametrize("tokens", ["1e999", "-7", '"many"', "true", "null"])
def test_a_count_of_tokens_that_is_none_is_no_obstacle_and_counts_for_the_most_it_can_be(
    tuning: TuningProject, api: ApiServer, tokens: str
) -> None:
    tuning.edit_suite("poll_seconds", "price = { training = 100, input = 1, output = 1 }\npoll_seconds")
    api.tuning.trained_tokens = json.loads(tokens)
    driven = tuning.drive(budget_usd=10)
    assert (driven.error, tuning.jobs().job("tuned").trained_tokens) == (None, None)
    most_usd = tuning.jobs().prepare("tuned").most_tokens() * 100 / 1e6
    assert (driven.recorder.budget.spend.usd, driven.recorder.budget.spend.perhaps_usd) == (0.0, pytest.approx(most_usd))


def test_metrics_that_are_not_numbers_are_none(tuning: TuningProject, api: ApiServer) -> None:
    table = "step,train_loss,valid_loss\n1,NaN,inf\n2,0.5,\n"
    api.fault(Reply(table, content_type="text/csv"), "", "/content", "GET")
    tuning.drive()
    assert tuning.jobs().job("tuned").metrics == (
        {"step": 1.0, "train_loss": None, "valid_loss": None},
        {"step": 2.0, "train_loss": 0.5, "valid_loss": None},
    )


def test_what_is_missing_is_asked_without_touching_the_job(tuned: TuningProject, api: ApiServer) -> None:
    tuned.cassette("t3", "tuned").unlink()
    run = tuned.run("evals", "--record-missing", "-p no:xdist")
    assert run.exit_code == 0, run.output
    assert [asked.json["model"] for asked in api.asked()] == [TUNED]
    assert not [asked for asked in api.requests if JOBS in asked.path or "/files" in asked.path]


def test_a_sample_named_job_does_not_take_the_jobs_place(tuning: TuningProject) -> None:
    sample = replace(tuning.samples()[0], id="job")
    path = tuning.recordings().cassette(tuning.loaded()[0].models["tuned"], sample)
    assert path == tuning.job_cassette.parent / "%6Aob.yaml"
