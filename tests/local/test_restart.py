"""A service that is killed, and comes back."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.support.local_service import NEEDS_EXTRA, Service, examples, upload, wait_for, wait_for_step

pytestmark = NEEDS_EXTRA


def test_a_killed_service_comes_back_with_its_jobs(guarded: Service) -> None:
    client = guarded.client()
    file = upload(client, examples(30))
    numbers: Any = {"n_epochs": 2, "batch_size": 1}
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": numbers}}
    job = client.fine_tuning.jobs.create(model="guarded", training_file=file, seed=3, method=method)
    wait_for_step(client, job.id)
    trainer = trainer_of(guarded.process.pid)
    guarded.process.send_signal(signal.SIGKILL)
    guarded.process.wait()
    assert ends(trainer), "the training must not outlive the service"

    guarded.start()
    client = guarded.client()
    assert client.files.retrieve(file).bytes > 0
    done = wait_for(client, job.id, "succeeded")
    events = client.fine_tuning.jobs.list_events(job.id, limit=1000).data[::-1]
    told = [event.message for event in events]
    assert any(message.startswith("The service stopped while this job was training: ") for message in told)
    first_steps = [event.data for event in events if event.message.startswith("Step 1/")]
    assert len(first_steps) == 2
    assert first_steps[0] == first_steps[1], "interrupted or not, it is the same training"
    ask: Any = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    assert client.chat.completions.create(model=done.fine_tuned_model, **ask).choices
    assert len(list((guarded.state / "models").iterdir())) == 2
    assert not list((guarded.state / "jobs").iterdir())


def trainer_of(service: int) -> int:
    children = Path(f"/proc/{service}/task").glob("*/children")
    return int(next(text for path in children if (text := path.read_text().strip())).split()[0])


def ends(process: int, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_a_half_written_file_is_swept_away(tmp_path: Path) -> None:
    from evaltape.local.state.store import Store

    store = Store(tmp_path)
    kept = store.files.add("kept", "fine-tune", [b"{}"])
    (tmp_path / "files" / "file-half.partial").write_bytes(b"{")
    (tmp_path / "models" / "unknown").mkdir()
    store.close()
    store = Store(tmp_path)
    assert [path.name for path in (tmp_path / "files").iterdir()] == [kept["id"]]
    assert not list((tmp_path / "models").iterdir())
    assert json.dumps(store.database.get("files", kept["id"])) == json.dumps(kept)
    store.close()
