"""A service that is killed, and comes back."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.support.local_service import NEEDS_EXTRA, Service, examples, upload, wait_for, wait_for_event

pytestmark = NEEDS_EXTRA


def test_a_killed_service_comes_back_and_its_training_goes_on_after_the_last_epoch(service: Service) -> None:
    client = service.client()
    models = set((service.state / "models").iterdir())
    file = upload(client, examples())
    numbers: Any = {"n_epochs": 2, "batch_size": 1}
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": numbers}}
    job = client.fine_tuning.jobs.create(model="tiny-1.5", training_file=file, seed=3, method=method)
    wait_for_event(client, job.id, "Step 8/24")
    trainer = trainer_of(service.process.pid)
    service.process.send_signal(signal.SIGKILL)
    service.process.wait()
    assert ends(trainer), "the training must not outlive the service"

    service.start()
    client = service.client()
    assert client.files.retrieve(file).bytes > 0
    done = wait_for(client, job.id, "succeeded")
    events = client.fine_tuning.jobs.list_events(job.id, limit=1000).data[::-1]
    beginning = "The training was interrupted: it goes on after step "
    resumed = next(event.message for event in events if event.message.startswith(beginning))
    step = int(resumed.removeprefix(beginning))
    assert step >= 6 and step % 3 == 0
    trained = [int(event.message.split("/")[0].removeprefix("Step ")) for event in events if event.message.startswith("Step ")]
    # Until the training notices that the service is gone it may take steps, and even save, with nobody to keep their events.
    assert set(trained) >= {*range(1, 9), *range(step + 1, 25)}
    assert all(trained.count(early) <= 1 for early in range(1, step + 1)), "what was saved isn't trained again"
    lines = client.files.content(done.result_files[0]).text.splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(step) for step in range(1, 25)]
    assert [one.step_number for one in client.fine_tuning.jobs.checkpoints.list(job.id)] == [24, 12]
    ask: Any = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    assert client.chat.completions.create(model=done.fine_tuned_model, **ask).choices
    assert len(set((service.state / "models").iterdir()) - models) == 2
    assert not (service.state / "jobs" / job.id).exists()


def trainer_of(service: int) -> int:
    """The process that leads a session of its own."""
    listed = " ".join(path.read_text() for path in Path(f"/proc/{service}/task").glob("*/children"))
    return next(process for process in map(int, listed.split()) if os.getsid(process) == process)


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
