"""The threads that do what jobs ask for: files are validated at once, one job trains at a time."""

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from evaltape.errors import UserError
from evaltape.local.model.weights import Loaded, bytes_per_weight, check_memory, end_tokens
from evaltape.local.state.database import Row
from evaltape.local.state.disk import remove
from evaltape.local.state.store import Store
from evaltape.local.training import recipe
from evaltape.local.training.patience import Closing, Patience
from evaltape.local.training.process import TrainerProcess
from evaltape.local.training.records import ENDED, Records
from evaltape.local.training.run import Run
from evaltape.local.training.training_file import InvalidFile, encode

LOG = logging.getLogger("evaltape.local")


class Worker:
    """Validates and trains. Waits while the disk is full; a restart continues what was not done."""

    def __init__(self, store: Store, loaded: Loaded, name: str, *, train_length: int) -> None:
        self._store, self._loaded, self._name, self._train_length = store, loaded, name, train_length
        self._patience = Patience(self._report_wait)
        self._records = Records(store.database, self._patience)
        self._to_validate: queue.Queue[str | None] = queue.Queue()
        self._to_train: queue.Queue[str | None] = queue.Queue()
        self._running: tuple[str, TrainerProcess] | None = None
        self._lock = threading.Lock()
        self._current = threading.local()
        self._queue_unfinished()
        work = ((self._to_validate, self._validate), (self._to_train, self._train))
        self._threads = [threading.Thread(target=self._work, args=pair, daemon=True) for pair in work]
        for thread in self._threads:
            thread.start()

    def validate(self, name: str) -> None:
        """Queue a new job."""
        self._to_validate.put(name)

    def stop(self, name: str) -> None:
        """End the training of a job that was cancelled, if it is the one under way."""
        with self._lock:
            if self._running and self._running[0] == name:
                self._running[1].kill()

    def close(self) -> None:
        """Stop all work; the next start continues it."""
        self._patience.end()
        with self._lock:
            if self._running:
                self._running[1].kill()
        for waiting in (self._to_validate, self._to_train):
            waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=5)

    def _queue_unfinished(self) -> None:
        """Queue what was not done when the service stopped, the training that was under way first."""
        unfinished = [row for row in self._store.database.rows("jobs") if row["status"] not in ENDED]
        names = {row["id"] for row in unfinished}
        for path in (self._store.folder / "jobs").iterdir():
            if path.name not in names:
                remove(path)
        for row in sorted(unfinished, key=lambda row: bool(row["status"] != "running")):
            # A job of other weights waits until they are served again.
            if row["_fingerprint"] == self._loaded.fingerprint:
                (self._to_validate if row["status"] == "validating_files" else self._to_train).put(row["id"])

    def _work(self, waiting: "queue.Queue[str | None]", action: Callable[[str], None]) -> None:
        while (name := waiting.get()) is not None and not self._patience.is_over:
            try:
                self._attempt(action, name)
            except Closing:
                return

    def _attempt(self, action: Callable[[str], None], name: str) -> None:
        self._current.job = name
        try:
            action(name)
        except Closing:
            raise
        except Exception as error:  # whatever it is, it must not end the thread that serves all jobs
            if self._patience.is_over:
                return
            LOG.exception("job %s failed", name)
            self._records.fail(name, "server_error", f"The service failed: {error!r}")

    def _report_wait(self) -> None:
        """Add an event from the reserve: there is room for little else."""
        message = "The disk of the service is full: the job goes on when there is room"
        with contextlib.suppress(sqlite3.Error):
            Records(self._store.database).event(self._current.job, message, "warn", essential=True)

    # ------------------------------------------------------------ validating

    def _validate(self, name: str) -> None:
        job = self._records.get(name)
        folder = self._store.job_folder(name)
        remove(folder)
        self._patience(folder.mkdir)
        try:
            examples = self._encode(job, "training_file", folder / "examples.jsonl")
            if job["validation_file"]:
                self._encode(job, "validation_file", folder / "validation.jsonl")
        except (InvalidFile, FileNotFoundError):
            remove(folder)
            return
        plan = asdict(recipe.resolve(job["hyperparameters"], examples))
        self._records.resolve(name, plan)
        if self._records.move(name, "queued", since=("validating_files",)):
            self._records.event(name, "Files validated, moving job to queued state")
            self._to_train.put(name)
        else:  # cancelled meanwhile
            remove(folder)

    def _encode(self, job: Row, param: str, target: Path) -> int:
        """Turn a job's file into tokens; return the number of examples. Fail the job if it isn't possible."""
        kind = param.replace("_", " ")
        try:
            row = self._store.files.get(job[param])
            if row is None:
                raise FileNotFoundError
            least = 10 if param == "training_file" else 1
            path = self._store.files.path(row["id"])
            encoded = encode(path, self._loaded.tokenizer, end_tokens(self._loaded), self._train_length, least=least)
        except FileNotFoundError:
            self._records.fail(job["id"], "file_not_found", f"The {kind} {job[param]} was deleted or has expired", param)
            raise
        except InvalidFile as error:
            message = f"The job failed due to an invalid {kind}. {job[param]}: {error}"
            self._records.fail(job["id"], f"invalid_{param}", message, param)
            raise
        if encoded.cut:
            message = f"{encoded.cut} of {len(encoded.examples)} examples of the {kind} are longer than "
            message += f"{self._train_length} tokens: their beginnings are left out (--train-length)"
            self._records.event(job["id"], message, "warn")
        self._patience(lambda: encoded.write(target))
        return len(encoded.examples)

    # ------------------------------------------------------------ training

    def _train(self, name: str) -> None:
        was_running = self._records.get(name)["status"] == "running"
        job = self._records.move(name, "running", since=("queued", "running"), estimated_finish=None)
        if job is None:  # cancelled while it waited
            remove(self._store.job_folder(name))
            return
        try:
            check_memory(self._loaded.folder, f"training {self._name}", 2 * bytes_per_weight("float32"))
        except UserError as error:
            self._records.fail(name, "insufficient_resources", str(error))
            return
        run = Run(job, self._store, self._records, self._patience, self._name, was_running=was_running)
        process = self._start(run.prepare(self._loaded.folder), name)
        try:
            for report in process.reports():
                run.receive(report)
        finally:
            reason = process.end()
            with self._lock:
                self._running = None
        self._end(name, run, reason)

    def _start(self, config: Path, name: str) -> TrainerProcess:
        process = self._patience(lambda: TrainerProcess(config))
        with self._lock:
            self._running = (name, process)
        # Cancelled or closed before there was a process to kill.
        if self._patience.is_over or self._records.get(name)["status"] != "running":
            process.kill()
        return process

    def _end(self, name: str, run: Run, reason: str) -> None:
        if run.is_done:
            run.finish()
        elif self._patience.is_over:
            return
        elif run.failure:
            self._records.fail(name, "training_failed", run.failure)
        else:  # does nothing to a job that was cancelled
            self._records.fail(name, "training_failed", reason)
        remove(self._store.job_folder(name))
