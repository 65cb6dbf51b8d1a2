"""A full disk: requests that need room are refused, those that make room work, and no training is lost."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.local_service import (
    NEEDS_EXTRA,
    InProcess,
    examples,
    training_config,
    upload,
    wait_for,
    wait_for_step,
)

pytestmark = NEEDS_EXTRA
FULL = "The disk of the local service is full"
LONG: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 50, "batch_size": 1}}}
SHORT: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 1}}}


def create(client: OpenAI, file: str) -> str:
    return client.fine_tuning.jobs.create(model="tiny-1.5", training_file=file, metadata={"k": "x" * 512}, method=LONG).id


class Disk:
    """A small file system in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.filler = folder, folder / "filler"

    def fill(self) -> None:
        """Take all the room that there is."""
        with self.filler.open("ab", buffering=0) as file:
            for size in (2**16, 2**12):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Give the room back."""
        self.filler.unlink()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a file system of a given size can't be mounted here")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def cramped(tiny_model: Path, disk: Disk) -> Iterator[InProcess]:
    """A service whose state is on the small disk."""
    running = InProcess(tiny_model, disk.folder / "state")
    yield running
    running.stop()


@pytest.fixture
def client(cramped: InProcess) -> OpenAI:
    return cramped.client()


@pytest.fixture
def full(disk: Disk) -> Iterator[Disk]:
    """The disk, given back its room afterwards."""
    yield disk
    disk.filler.unlink(missing_ok=True)


def test_on_a_full_disk_nothing_half_stored_stays_and_the_error_says_so(
    client: OpenAI, full: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    file = upload(client, examples())
    files, jobs = [f.id for f in client.files.list()], [job.id for job in client.fine_tuning.jobs.list()]
    full.fill()
    with pytest.raises(openai.InternalServerError, match=FULL) as refused:
        client.files.create(file=("train.jsonl", b"x" * 2**20), purpose="fine-tune")
    assert (refused.value.status_code, refused.value.code) == (507, "insufficient_storage")
    # The database's file may have room left for some rows.
    with pytest.raises(openai.InternalServerError, match=FULL):
        jobs.extend(iter(lambda: create(client, file), None))
    assert [f.id for f in client.files.list()] == files
    assert sorted(job.id for job in client.fine_tuning.jobs.list()) == sorted(jobs)
    assert client.chat.completions.create(model="tiny-1.5", messages=[{"role": "user", "content": "Hi"}], max_tokens=2).usage
    for job in jobs:
        assert client.fine_tuning.jobs.cancel(job).status == "cancelled"
    assert not [record for record in caplog.records if record.exc_info]


def test_on_a_full_disk_files_are_deleted_one_after_another(client: OpenAI, cramped: InProcess, full: Disk) -> None:
    files = [upload(client, examples(200)) for _ in range(40)]
    for file in files:
        full.fill()
        assert client.files.delete(file).deleted
        assert not (cramped.state / "files" / file).exists()
    assert not set(files) & {file.id for file in client.files.list()}


def test_a_training_without_room_fails_saying_how_much_and_where_and_is_resumed(
    client: OpenAI, cramped: InProcess, full: Disk
) -> None:
    file = upload(client, examples())
    job = client.fine_tuning.jobs.create(model="tiny-1.5", training_file=file, seed=5, method=SHORT)
    wait_for_step(client, job.id)
    full.fill()
    failed = wait_for(client, job.id, "failed")
    assert failed.error is not None
    assert failed.error.code == "insufficient_storage"
    assert "MB are needed in " + str(cramped.state) in failed.error.message
    assert "then resume the job (client.fine_tuning.jobs.resume)" in failed.error.message
    full.free()
    assert client.fine_tuning.jobs.resume(job.id).status == "queued"
    done = wait_for(client, job.id, "succeeded")
    assert done.error is None
    lines = client.files.content(done.result_files[0]).text.splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(step) for step in range(1, 25)]
    with pytest.raises(openai.BadRequestError, match="can't be resumed: it is succeeded") as refused:
        client.fine_tuning.jobs.resume(job.id)
    assert refused.value.code == "job_not_resumable"


def test_a_checkpoint_that_finds_no_room_keeps_the_one_before(tiny_model: Path, disk: Disk, full: Disk) -> None:
    from evaltape.local.training import trainer

    config = training_config(disk.folder / "training", tiny_model, n_epochs=2)
    reports: list[dict[str, Any]] = []

    def report(values: dict[str, Any]) -> None:
        reports.append(values)
        if values["type"] == "checkpoint":
            full.fill()

    with pytest.raises(trainer.Stop, match=f"MB are needed in {config['out']}, "):
        trainer.train(config, report)
    assert [step for step, _ in trainer.checkpoints(Path(config["out"]))][-1] == 3
    full.free()
    reports.clear()
    trainer.train(config, reports.append)
    assert reports[0]["step"] == 3


def test_a_service_starts_on_a_full_disk_and_deletes(cramped: InProcess, full: Disk) -> None:
    file = upload(cramped.client(), examples())
    cramped.stop()
    full.fill()
    cramped.start()
    assert cramped.client().files.delete(file).deleted


def test_a_disk_too_full_for_a_first_start_is_one_message(
    disk: Disk, full: Disk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaltape.cli.serve import main

    monkeypatch.delenv("EVALTAPE_LOCAL_KEY", raising=False)
    full.fill()
    assert main(["--model", "m", "--port", "0", "--state", str(disk.folder / "new")]) == 4
    error = capsys.readouterr().err
    assert f"--state {disk.folder / 'new'}: " in error
    assert "Free some space and start again" in error
