"""A full disk: what needs room is refused, what makes room works, and no training is lost."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.local_service import (
    NEEDS_EXTRA,
    PATIENCE_S,
    Service,
    examples,
    training_config,
    upload,
    wait_for,
    wait_for_event,
)

pytestmark = NEEDS_EXTRA
FULL = "The disk of the local service is full"
LONG: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 50, "batch_size": 1}}}
SHORT: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 12, "batch_size": 1}}}


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
def cramped(tiny_model: Path, disk: Disk) -> Iterator[Service]:
    """A service whose state is on the small disk."""
    running = Service(tiny_model, disk.folder / "state")
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(cramped: Service) -> OpenAI:
    return cramped.client()


@pytest.fixture
def full(disk: Disk) -> Iterator[Disk]:
    """The disk, given back its room afterwards."""
    yield disk
    disk.filler.unlink(missing_ok=True)


def test_on_a_full_disk_nothing_half_stored_stays_and_the_error_says_so(client: OpenAI, cramped: Service, full: Disk) -> None:
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
    assert "Traceback" not in cramped.log.read_text()


def test_on_a_full_disk_files_are_deleted_one_after_another(client: OpenAI, cramped: Service, full: Disk) -> None:
    files = [upload(client, examples(200)) for _ in range(40)]
    for file in files:
        full.fill()
        assert client.files.delete(file).deleted
        assert not (cramped.state / "files" / file).exists()
    assert not set(files) & {file.id for file in client.files.list()}


def test_a_training_waits_for_room_to_save_and_loses_nothing(client: OpenAI, full: Disk) -> None:
    file = upload(client, examples())
    plain, waiting = (
        client.fine_tuning.jobs.create(model="tiny-1.5", training_file=file, seed=5, method=SHORT, suffix=suffix)
        for suffix in ("plain", "waiting")
    )
    wait_for(client, plain.id, "succeeded")
    wait_for_event(client, waiting.id, "Fine-tuning job started")
    full.fill()
    wait_for_event(client, waiting.id, "The disk of the service is full: ")
    assert client.fine_tuning.jobs.retrieve(waiting.id).status == "running"
    full.free()
    results = [wait_for(client, job.id, "succeeded").result_files[0] for job in (plain, waiting)]
    tables = [client.files.content(result).text for result in results]
    assert tables[0] == tables[1]
    assert len(tables[0].splitlines()) == 1 + 12 * 12


def test_a_checkpoint_that_finds_no_room_is_saved_when_there_is_some(tiny_model: Path, disk: Disk, full: Disk) -> None:
    from evaltape.local.training.trainer import Trainer

    config = training_config(disk.folder / "training", tiny_model, n_epochs=2)
    reports: list[dict[str, Any]] = []

    def report(values: dict[str, Any]) -> None:
        reports.append(values)
        if values["type"] == "start":
            full.fill()
        elif values["type"] == "waiting":
            full.free()

    Trainer(config, report).run()
    assert [values["step"] for values in reports if values["type"] == "waiting"] == [3]
    assert [values["step"] for values in reports if values["type"] == "checkpoint"] == [3, 6]
    assert reports[-1] == {"type": "done"}
    assert sorted(path.name for path in Path(config["out"]).iterdir()) == ["progress.safetensors", "step-3", "step-6"]


def test_a_training_that_waits_for_room_can_be_cancelled(client: OpenAI, full: Disk) -> None:
    job = client.fine_tuning.jobs.create(model="tiny-1.5", training_file=upload(client, examples()), method=LONG)
    wait_for_event(client, job.id, "Fine-tuning job started")
    full.fill()
    wait_for_event(client, job.id, "The disk of the service is full: ")
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"


def test_a_service_starts_on_a_full_disk_and_deletes(cramped: Service, full: Disk) -> None:
    file = upload(cramped.client(), examples())
    assert cramped.stop() == 0
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


def test_a_job_that_waits_for_room_keeps_nobody_else_waiting(disk: Disk, full: Disk) -> None:
    from evaltape.local.state.store import Store
    from evaltape.local.training.patience import Patience
    from evaltape.local.training.records import Records

    store = Store(disk.folder / "nested")
    file = store.files.add("train.jsonl", "fine-tune", [b"{}"])["id"]
    store.database.add("jobs", {"id": "ftjob-1", "status": "running"})
    waits = threading.Event()
    records = Records(store.database, Patience(waits.set))
    full.fill()
    # Larger than what SQLite keeps in memory until the transaction ends.
    failing = threading.Thread(target=records.fail, args=("ftjob-1", "code", "x" * 3_000_000), daemon=True)
    failing.start()
    assert waits.wait(PATIENCE_S)
    deleting = threading.Thread(target=store.files.delete, args=(file,), daemon=True)
    deleting.start()
    deleting.join(PATIENCE_S)
    assert not deleting.is_alive()
    assert store.files.get(file) is None
    full.free()
    failing.join(PATIENCE_S)
    assert [row["status"] for row in store.database.rows("jobs")] == ["failed"]
    assert len(store.database.rows("events", "ftjob-1")) == 1
    store.close()


def test_patience_ends_when_the_service_closes() -> None:
    import errno

    from evaltape.local.training.patience import Closing, Patience

    patience = Patience()

    def full() -> None:
        patience.end()
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Closing):
        patience(full)
