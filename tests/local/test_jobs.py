"""Fine-tuning jobs through the official client."""

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.local_service import NEEDS_EXTRA, Service, examples, upload, wait_for, wait_for_step

pytestmark = NEEDS_EXTRA
NAME = "tiny-1.5"
NUMBERS: dict[str, Any] = {"n_epochs": 4, "batch_size": 4, "learning_rate_multiplier": 10}
LONG: dict[str, Any] = {"n_epochs": 50, "batch_size": 1, "learning_rate_multiplier": 1}


def supervised(numbers: dict[str, Any]) -> Any:
    return {"type": "supervised", "supervised": {"hyperparameters": numbers}}


def start(client: OpenAI, **settings: Any) -> Any:
    given = {"model": NAME, "seed": 11, "method": supervised(NUMBERS), **settings}
    if "training_file" not in given:
        given["training_file"] = upload(client, examples())
    return client.fine_tuning.jobs.create(**given)


@pytest.fixture(scope="module")
def earlier(service: Service) -> set[Path]:
    """The folders of models before the jobs."""
    return set((service.state / "models").iterdir())


@pytest.fixture(scope="module")
def jobs(service: Service, earlier: set[Path]) -> list[Any]:
    """A job that is done, and one with the older way to give hyperparameters that was cancelled at once."""
    client = service.client()
    metadata = {"digest": "one", "empty": ""}
    files = {"training_file": upload(client, examples()), "validation_file": upload(client, examples(3))}
    first = start(client, **files, suffix="sum up", metadata=metadata)
    second = start(client, **files, method=openai.omit, hyperparameters=NUMBERS, metadata={"digest": "two"})
    cancelled = client.fine_tuning.jobs.cancel(second.id)
    assert cancelled.hyperparameters.n_epochs == 4
    return [wait_for(client, first.id, "succeeded"), cancelled]


@pytest.fixture
def long_job(client: OpenAI) -> Iterator[Any]:
    job = start(client, method=supervised(LONG), training_file=upload(client, examples(60)))
    yield job
    if client.fine_tuning.jobs.retrieve(job.id).status not in ("succeeded", "failed", "cancelled"):
        client.fine_tuning.jobs.cancel(job.id)


def test_a_job_ends_with_a_tuned_model_that_answers(client: OpenAI, jobs: list[Any]) -> None:
    job = jobs[0]
    assert (job.status, job.object, job.model, job.seed) == ("succeeded", "fine_tuning.job", NAME, 11)
    assert job.hyperparameters.n_epochs == job.method.supervised.hyperparameters.n_epochs == 4
    assert job.finished_at >= job.created_at
    assert job.error is None
    assert job.fine_tuned_model.startswith(f"ft:{NAME}:local:sum-up:")
    assert len(job.fine_tuned_model.rsplit(":", 1)[1]) == 8
    assert job.fine_tuned_model in [model.id for model in client.models.list()]
    ask: Any = {"messages": examples()[0]["messages"][:1], "temperature": 0, "max_completion_tokens": 20}
    base, tuned, again = (
        client.chat.completions.create(model=name, **ask).choices[0].message.content
        for name in (NAME, job.fine_tuned_model, NAME)
    )
    assert tuned != base == again


def test_trained_tokens_count_every_epoch(jobs: list[Any]) -> None:
    # As rendered by the template, a token for each byte; special tokens count one.
    rendered = [
        len(f"user\n{row['messages'][0]['content']}\nassistant\n{row['messages'][1]['content']}\n") + 4 for row in examples()
    ]
    assert jobs[0].trained_tokens == 4 * sum(rendered)


def test_a_tuned_model_is_no_more_than_an_adapter(service: Service, earlier: set[Path], jobs: list[Any]) -> None:
    folders = set((service.state / "models").iterdir()) - earlier
    # Three checkpoints of the job are kept.
    assert len(folders) == 3
    names = {"adapter_config.json", "adapter_model.safetensors"}
    assert {frozenset(path.name for path in folder.iterdir()) for folder in folders} == {frozenset(names)}
    assert len({(folder / "adapter_model.safetensors").read_bytes() for folder in folders}) == 3


def test_events_are_the_job_s_story_newest_first(client: OpenAI, jobs: list[Any]) -> None:
    events = list(client.fine_tuning.jobs.list_events(jobs[0].id, limit=5))
    messages = [event.message for event in reversed(events)]
    assert messages[0] == f"Created fine-tuning job: {jobs[0].id}"
    assert messages[1] == f"Validating training file: {jobs[0].training_file}"
    assert "Files validated, moving job to queued state" in messages
    assert messages[-2:] == [f"New fine-tuned model created: {jobs[0].fine_tuned_model}", "The job has successfully completed"]
    metrics: Any = [event for event in reversed(events) if event.type == "metrics"]
    steps = [event for event in metrics if event.message.startswith("Step ") and "training loss" in event.message]
    assert [event.data["step"] for event in steps] == list(range(1, 13))
    assert steps[0].message == f"Step 1/12: training loss={steps[0].data['train_loss']:.2f}"
    assert steps[-1].data["train_loss"] < steps[0].data["train_loss"]


def test_the_result_file_is_the_api_s_table(client: OpenAI, jobs: list[Any]) -> None:
    assert client.files.retrieve(jobs[0].result_files[0]).purpose == "fine-tune-results"
    lines = client.files.content(jobs[0].result_files[0]).text.splitlines()
    assert lines[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert [line.split(",")[0] for line in lines[1:]] == [str(step) for step in range(1, 13)]
    # Validation is measured at the end of each epoch of three steps.
    assert [bool(line.split(",")[3]) for line in lines[1:]] == [False, False, True] * 4


def test_checkpoints_are_models_too(client: OpenAI, jobs: list[Any]) -> None:
    checkpoints = client.fine_tuning.jobs.checkpoints.list(jobs[0].id).data
    assert [one.step_number for one in checkpoints] == [12, 9, 6]
    assert checkpoints[0].fine_tuned_model_checkpoint == jobs[0].fine_tuned_model
    assert checkpoints[1].fine_tuned_model_checkpoint == f"{jobs[0].fine_tuned_model}:ckpt-step-9"
    assert checkpoints[0].metrics.train_loss is not None
    assert checkpoints[0].metrics.full_valid_loss is not None
    assert client.chat.completions.create(
        model=checkpoints[1].fine_tuned_model_checkpoint, messages=[{"role": "user", "content": "Hi"}], max_tokens=2
    )


def test_jobs_are_listed_by_metadata_page_by_page(client: OpenAI, jobs: list[Any]) -> None:
    def listed(**given: Any) -> list[str]:
        return [job.id for job in client.fine_tuning.jobs.list(**given)]

    first, second = (job.id for job in jobs)
    assert listed(metadata={"digest": "one"}) == [first]
    assert listed(metadata={"digest": "one", "empty": ""}) == [first]
    assert listed(metadata={"digest": "none"}) == []
    ids = listed(limit=1)
    assert ids.index(second) < ids.index(first)
    assert first not in listed(extra_query={"metadata": "null"})
    assert [job.id for job in client.fine_tuning.jobs.list(after=second, limit=1).data] == [first]


def test_a_job_waits_for_the_one_before_it_and_both_can_be_cancelled(client: OpenAI, service: Service, long_job: Any) -> None:
    waiting = start(client, method=supervised({"n_epochs": 1}))
    assert waiting.hyperparameters.batch_size == "auto"
    wait_for_step(client, long_job.id)
    answer = client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": "Hi"}], max_tokens=4)
    assert answer.choices, "chats are answered meanwhile"
    assert client.fine_tuning.jobs.retrieve(long_job.id).estimated_finish is not None
    queued = wait_for(client, waiting.id, "queued")
    assert (queued.hyperparameters.n_epochs, queued.hyperparameters.batch_size) == (1, 8)
    assert queued.method.supervised.hyperparameters.learning_rate_multiplier == 1
    for job in (waiting, long_job):
        cancelled = client.fine_tuning.jobs.cancel(job.id)
        assert cancelled.status == "cancelled"
        assert cancelled.finished_at is not None
        assert cancelled.fine_tuned_model is None
        with pytest.raises(openai.BadRequestError, match=f"Job {job.id} can't be cancelled: it is already cancelled"):
            client.fine_tuning.jobs.cancel(job.id)
    until = time.monotonic() + 10
    while (service.state / "jobs" / long_job.id).exists():
        assert time.monotonic() < until, "the training goes on"
        time.sleep(0.05)


def test_a_model_that_is_deleted_between_its_request_and_its_answer_is_not_found(
    client: OpenAI, service: Service, jobs: list[Any]
) -> None:
    name = f"{jobs[0].fine_tuned_model}:ckpt-step-6"
    row = sqlite3.connect(service.state / "state.db").execute("SELECT body FROM models WHERE id = ?", (name,)).fetchone()
    shutil.rmtree(service.state / "models" / json.loads(row[0])["folder"])
    for stream in (False, True):
        with pytest.raises(openai.APIError, match=f"The model '{name}' does not exist") as refused:
            list(client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}], stream=stream))
        assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_a_job_that_has_ended_cannot_be_cancelled(client: OpenAI, jobs: list[Any], status: str) -> None:
    job = jobs[0].id
    if status == "failed":
        job = wait_for(client, start(client, training_file=upload(client, ["text"])).id, "failed").id
    with pytest.raises(openai.BadRequestError, match=f"Job {job} can't be cancelled: it has already {status}") as refused:
        client.fine_tuning.jobs.cancel(job)
    assert refused.value.code == "job_already_ended"


def test_a_deleted_model_answers_no_more(client: OpenAI, jobs: list[Any]) -> None:
    name = f"{jobs[0].fine_tuned_model}:ckpt-step-9"
    assert client.models.delete(name).deleted
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(name)
    with pytest.raises(openai.NotFoundError):
        client.models.delete(name)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (examples(9), "file has 9 example(s), but must have at least 10"),
        ([*examples(11), "text"], "line 12: it is 'text': should be an object"),
        (
            [*examples(3), {"messages": [{"role": "robot", "content": ""}]}],
            "line 4: messages[0].role is 'robot': should be 'system', 'developer', 'user' or 'assistant'",
        ),
    ],
)
def test_a_bad_training_file_fails_the_job_naming_the_line(client: OpenAI, rows: list[Any], words: str) -> None:
    file = upload(client, rows)
    job = start(client, training_file=file)
    failed = wait_for(client, job.id, "failed")
    assert (failed.error.code, failed.error.param) == ("invalid_training_file", "training_file")
    assert words in failed.error.message
    assert client.fine_tuning.jobs.list_events(job.id).data[0].level == "error"


def test_a_bad_validation_file_fails_the_job(client: OpenAI) -> None:
    job = start(client, validation_file=upload(client, ["text"]))
    failed = wait_for(client, job.id, "failed")
    assert (failed.error.code, failed.error.param) == ("invalid_validation_file", "validation_file")


@pytest.mark.parametrize(
    ("settings", "param", "words"),
    [
        ({"training_file": "file-unknown"}, "training_file", "file-unknown: no such file"),
        ({"validation_file": "file-unknown"}, "validation_file", "no such file"),
        (
            {"method": {"type": "reinforcement"}},
            "method.type",
            "'reinforcement' is not supported here. Valid: 'supervised', 'dpo'",
        ),
        ({"method": supervised({"n_epochs": 0})}, "method.supervised.hyperparameters.n_epochs", "from 1 to 50"),
        ({"method": supervised({"n_epochs": 1.5})}, "method.supervised.hyperparameters.n_epochs", "a whole number, not 1.5"),
        ({"method": supervised({"batch_size": "big"})}, "method.supervised.hyperparameters.batch_size", "not 'big'"),
        ({"hyperparameters": {"n_epochs": 1}}, "hyperparameters", "put them into 'method'"),
        ({"suffix": "x" * 65}, "suffix", "at most 64 characters"),
        ({"metadata": {"k" * 65: ""}}, "metadata", "at most 64 characters"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata", "at most 16 items"),
        ({"integrations": [{"type": "wandb"}]}, "integrations", "at most 0 items"),
    ],
)
def test_a_job_that_cannot_be_is_refused(client: OpenAI, settings: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        start(client, **settings)
    assert refused.value.param == param
    assert words in refused.value.message


def test_an_unknown_model_or_job_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        start(client, model="gpt-4o-mini")
    assert refused.value.code == "model_not_found"
    for call in (client.fine_tuning.jobs.retrieve, client.fine_tuning.jobs.cancel, client.fine_tuning.jobs.list_events):
        with pytest.raises(openai.NotFoundError, match="No such FineTuningJob object: ftjob-1"):
            call("ftjob-1")
