"""The threads that do the work of jobs: files are validated at once, one job trains at a time."""

import json
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from evaltape.errors import UserError
from evaltape.local.model.weights import Loaded, bytes_per_weight, check_memory
from evaltape.local.state.database import Row
from evaltape.local.state.disk import is_full, remove
from evaltape.local.state.store import Store
from evaltape.local.training import recipe
from evaltape.local.training.jobs import NO_ROOM, UNFINISHED, Jobs
from evaltape.local.training.process import TrainerProcess
from evaltape.local.training.run import Run
from evaltape.local.training.training_file import LEAST_EXAMPLES, Encoder, InvalidFile

LOG = logging.getLogger("evaltape.local")


class Worker:
    """Validates and trains; a restart continues the work. `launcher` is a command in place of `python`, or empty."""

    def __init__(
        self, store: Store, jobs: Jobs, loaded: Loaded, name: str, *, train_length: int, launcher: Sequence[str] = ()
    ) -> None:
        self._store, self._jobs, self._loaded, self._name = store, jobs, loaded, name
        self._train_length, self._launcher = train_length, launcher
        self._to_validate: queue.Queue[str | None] = queue.Queue()
        self._to_train: queue.Queue[str | None] = queue.Queue()
        self._running: tuple[str, TrainerProcess] | None = None
        self._lock = threading.Lock()
        self._closing = False
        self._queue_unfinished()
        work = ((self._to_validate, self._validate), (self._to_train, self._train))
        self._threads = [threading.Thread(target=self._work, args=pair, daemon=True) for pair in work]
        for thread in self._threads:
            thread.start()

    def submit(self, name: str) -> None:
        """Queue a job for its next step."""
        waiting = self._to_validate if self._jobs.get(name)["status"] == "validating_files" else self._to_train
        waiting.put(name)

    def stop(self, name: str) -> None:
        """End the training of a job that was cancelled, if it is the one under way."""
        with self._lock:
            if self._running and self._running[0] == name:
                self._running[1].kill()

    def close(self) -> None:
        """Stop all work; the next start continues it."""
        self._closing = True
        with self._lock:
            if self._running:
                self._running[1].kill()
        for waiting in (self._to_validate, self._to_train):
            waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=5)

    def _queue_unfinished(self) -> None:
        """Queue the work that the last service left, the training that was under way first; drop the folders of ended jobs."""
        rows = self._store.database.rows("jobs")
        unfinished = [row for row in rows if row["status"] in UNFINISHED]
        kept = {row["id"] for row in rows if row in unfinished or _found_no_room(row)}
        for path in (self._store.folder / "jobs").iterdir():
            if path.name not in kept:
                remove(path)
        for row in sorted(unfinished, key=lambda row: bool(row["status"] != "running")):
            # A job of other weights waits until they are served again.
            if row["_fingerprint"] == self._loaded.fingerprint:
                self.submit(row["id"])

    def _work(self, waiting: "queue.Queue[str | None]", action: Callable[[str], None]) -> None:
        while (name := waiting.get()) is not None and not self._closing:
            try:
                action(name)
            except Exception as error:  # it must not end the thread that serves all jobs
                if not self._closing:
                    self._fail(name, error)

    def _fail(self, name: str, error: Exception) -> None:
        code, message = "server_error", f"The service failed: {error!r}"
        if is_full(error):
            code, message = NO_ROOM, f"The disk of the service is full: some MB are needed in {self._store.folder}"
        else:
            LOG.error("job %s failed", name, exc_info=error)
        with suppress(sqlite3.Error):
            self._jobs.fail(name, code, message + (RESUME if code == NO_ROOM else ""))

    # ------------------------------------------------------------ validating

    def _validate(self, name: str) -> None:
        job = self._jobs.get(name)
        folder = self._store.job_folder(name)
        remove(folder)
        folder.mkdir()
        found = self._encode(job, "training_file", folder / "examples.jsonl", least=LEAST_EXAMPLES)
        if found and job["validation_file"] and not self._encode(job, "validation_file", folder / "validation.jsonl", least=1):
            found = None
        plan = found and recipe.resolve(job["hyperparameters"], found[0])
        if found and plan and self._jobs.queue(name, plan, found[1]):
            self._to_train.put(name)
        else:  # invalid, or cancelled meanwhile
            remove(folder)

    def _encode(self, job: Row, param: str, target: Path, *, least: int) -> tuple[int, int] | None:
        """Make rows of a job's file; return their number and their tokens. Fail the job if it isn't possible."""
        kind, name = param.replace("_", " "), job[param]
        encoder = Encoder(self._loaded.tokenizer, self._loaded.ends, self._train_length)
        try:
            row = self._store.files.get(name)
            if row is None:
                raise FileNotFoundError
            count = encoder.write(self._store.files.path(row["id"]), target, job["method"]["type"], least=least)
        except FileNotFoundError:
            self._jobs.fail(job["id"], "file_not_found", f"The {kind} {name} was deleted or has expired", param)
            return None
        except InvalidFile as error:
            message = f"The job failed due to an invalid {kind}. {name}: {error}"
            self._jobs.fail(job["id"], f"invalid_{param}", message, param)
            return None
        if encoder.cut:
            message = f"{encoder.cut} of {count} examples of the {kind} are longer than "
            message += f"{self._train_length} tokens: they are cut (--train-length)"
            self._jobs.event(job["id"], message, "warn")
        return count, encoder.tokens

    # ------------------------------------------------------------ training

    def _train(self, name: str) -> None:
        before = self._jobs.get(name)
        job = self._jobs.move(name, "running", since=("queued", "running"), _resumed=False)
        if job is None:  # cancelled while it waited
            return remove(self._store.job_folder(name))
        try:
            check_memory(self._loaded.folder, f"training {self._name}", 2 * bytes_per_weight("float32"))
        except UserError as error:
            return self._jobs.fail(name, "insufficient_resources", str(error))
        run = Run(job, self._store, self._jobs, was_running=before["status"] == "running" or before.get("_resumed", False))
        process = self._start(job)
        try:
            for report in process.reports():
                run.receive(report)
        finally:
            reason = process.end()
            with self._lock:
                self._running = None
        self._end(name, run, reason)

    def _start(self, job: Row) -> TrainerProcess:
        process = TrainerProcess(self._configure(job), self._launcher)
        with self._lock:
            self._running = (job["id"], process)
        # Cancelled or closed before there was a process to kill.
        if self._closing or self._jobs.get(job["id"])["status"] != "running":
            process.kill()
        return process

    def _configure(self, job: Row) -> Path:
        folder = self._store.job_folder(job["id"])
        validation = folder / "validation.jsonl"
        config = {
            "weights": str(self._loaded.folder),
            "examples": str(folder / "examples.jsonl"),
            "validation": str(validation) if validation.exists() else None,
            "out": str(folder / "out"),
            "seed": job["seed"],
            "method": job["method"]["type"],
            "plan": job["hyperparameters"],
            "train_length": self._train_length,
        }
        path = folder / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def _end(self, name: str, run: Run, reason: str) -> None:
        if run.is_done:
            run.finish(self._name)
        elif self._closing:
            return
        elif run.failure and "disk" in run.failure:
            return self._jobs.fail(name, NO_ROOM, run.failure + RESUME)
        else:  # does nothing to a job that was cancelled
            self._jobs.fail(name, "training_failed", run.failure or reason)
        remove(self._store.job_folder(name))


RESUME = ". Free some space, then resume the job (client.fine_tuning.jobs.resume): it goes on after its last checkpoint"


def _found_no_room(row: Row) -> bool:
    return bool(row["status"] == "failed" and row["error"]["code"] == NO_ROOM)
