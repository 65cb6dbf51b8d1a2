"""The queue of fine-tuning jobs: files are validated at once, one job trains at a time, in a process of its own."""

import json
import logging
import queue
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from evaltape.local import recipe
from evaltape.local.chat import end_tokens
from evaltape.local.errors import ApiError
from evaltape.local.records import ENDED, Records, shown
from evaltape.local.requests import JobRequest
from evaltape.local.run import Run
from evaltape.local.store import Row, Store, remove
from evaltape.local.training_file import InvalidFile, encode
from evaltape.local.weights import Loaded, bytes_per_weight, check_memory

LOG = logging.getLogger("evaltape.local")


class Jobs:
    """Creates, trains and cancels jobs. A restart queues what was not done; a training starts from its first step."""

    def __init__(self, store: Store, loaded: Loaded, name: str, *, train_length: int) -> None:
        self._store, self._loaded, self._name, self._longest = store, loaded, name, train_length
        self._records = Records(store)
        self._to_validate: queue.Queue[str | None] = queue.Queue()
        self._to_train: queue.Queue[str | None] = queue.Queue()
        self._running: tuple[str, subprocess.Popen[str]] | None = None
        self._lock = threading.Lock()
        self._closing = False
        self._restart()
        work = ((self._to_validate, self._validate), (self._to_train, self._train))
        self._threads = [threading.Thread(target=self._work, args=pair, daemon=True) for pair in work]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stops the training under way; the next start takes it up again."""
        with self._lock:
            self._closing = True
            if self._running:
                self._running[1].kill()
        for waiting in (self._to_validate, self._to_train):
            waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=5)

    # ------------------------------------------------------------ what the API asks for

    def create(self, request: JobRequest) -> Row:
        """Queues a job. Raises `ApiError` where its files don't exist."""
        request.chosen()
        for param in ("training_file", "validation_file"):
            self._check_file(getattr(request, param), param)
        seed = secrets.randbelow(2**31) if request.seed is None else request.seed
        job = self._records.create(request, seed=seed, fingerprint=self._loaded.fingerprint)
        self._to_validate.put(job["id"])
        return job

    def get(self, name: str) -> Row:
        """One job."""
        return shown(self._records.get(name))

    def all(self, metadata: dict[str, str] | Literal["null"] | None = None) -> list[Row]:
        """All jobs, the newest first, or those with this metadata ("null": those with none)."""
        rows = [shown(row) for row in self._store.rows("jobs", newest_first=True)]
        if metadata == "null":
            return [row for row in rows if row["metadata"] is None]
        wanted = (metadata or {}).items()
        return [row for row in rows if wanted <= (row["metadata"] or {}).items()]

    def events(self, name: str) -> list[Row]:
        """A job's events, the newest first."""
        self._records.get(name)
        return self._store.rows("events", name, newest_first=True)

    def checkpoints(self, name: str) -> list[Row]:
        """A job's checkpoints, the newest first."""
        self._records.get(name)
        return self._store.rows("checkpoints", name, newest_first=True)

    def cancel(self, name: str) -> Row:
        """Ends a job; one that is training stops within its step."""
        row = self._records.move(name, "cancelled", since=("validating_files", "queued", "running"))
        if row is None:
            status = self._records.get(name)["status"]
            message = f"Job has already {status}: {name}"
            raise ApiError(message, param="fine_tuning_job_id", code="job_already_ended")
        self._records.event(name, "The job was cancelled", "warn")
        with self._lock:
            if self._running and self._running[0] == name:
                self._running[1].kill()
        return shown(row)

    # ------------------------------------------------------------ the work

    def _restart(self) -> None:
        """Takes up what was not done when the service stopped."""
        rows = self._store.rows("jobs")
        unfinished = {row["id"] for row in rows if row["status"] not in ENDED}
        for path in (self._store.folder / "jobs").iterdir():
            if path.name not in unfinished:
                remove(path)
        for row in rows:
            if row["id"] in unfinished:
                self._take_up(row)

    def _take_up(self, row: Row) -> None:
        self._records.forget_results(row["id"])
        if row["status"] == "running":
            message = "The service stopped while this job was training: it starts again from its first step"
            self._records.event(row["id"], message, "warn")
            self._records.move(row["id"], "queued", since=("running",), estimated_finish=None)
        # A job of other weights waits until they are served again.
        if row["_fingerprint"] == self._loaded.fingerprint:
            (self._to_validate if row["status"] == "validating_files" else self._to_train).put(row["id"])

    def _work(self, waiting: "queue.Queue[str | None]", action: Callable[[str], None]) -> None:
        while (name := waiting.get()) is not None and not self._closing:
            try:
                action(name)
            except Exception as error:  # one job's trouble, whatever it is, must not end the thread
                if not self._closing:
                    LOG.exception("job %s failed", name)
                    self._records.fail(name, "server_error", f"The service failed: {error!r}")

    def _validate(self, name: str) -> None:
        job = self._records.get(name)
        folder = self._folder(name)
        remove(folder)
        folder.mkdir()
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
        """Turns a job's file into tokens; returns the number of examples. Fails the job where it can't be."""
        path = self._store.file_path(job[param])
        kind = param.replace("_", " ")
        try:
            ends = end_tokens(self._loaded)
            least = 10 if param == "training_file" else 1
            encoded = encode(path, self._loaded.tokenizer, ends, self._longest, least=least)
        except FileNotFoundError:
            self._records.fail(job["id"], "file_not_found", f"The {kind} {job[param]} was deleted", param)
            raise
        except InvalidFile as error:
            message = f"The job failed due to an invalid {kind}. {job[param]}: {error}"
            self._records.fail(job["id"], f"invalid_{param}", message, param)
            raise
        if encoded.cut:
            message = f"{encoded.cut} of {len(encoded.examples)} examples of the {kind} are longer than "
            message += f"{self._longest} tokens: their beginnings are left out (--train-length)"
            self._records.event(job["id"], message, "warn")
        encoded.write(target)
        return len(encoded.examples)

    def _train(self, name: str) -> None:
        job = self._records.move(name, "running", since=("queued",))
        if job is None:  # cancelled while it waited
            remove(self._folder(name))
            return
        try:
            check_memory(self._loaded.folder, f"training {self._name}", 2 * bytes_per_weight("float32"))
        except Exception as error:
            self._records.fail(name, "insufficient_resources", str(error))
            return
        self._records.event(name, "Fine-tuning job started")
        run = Run(job, self._records, self._folder(name), self._name)
        process = self._start(run.prepare(self._loaded.folder), name)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                run.hear(json.loads(line))
        finally:
            # It has ended already, unless what it said could not be understood.
            process.kill()
            code = process.wait()
            with self._lock:
                self._running = None
        self._end(name, run, code)

    def _start(self, config: Path, name: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "evaltape.local.trainer", str(config)]
        with self._lock, (config.parent / "trainer.log").open("w") as log:
            if self._closing:
                raise RuntimeError("the service is closing")
            # The child's standard input stays open as long as this process lives: that is how it knows.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=_package_root()
            )
            self._running = (name, process)
        if self._records.get(name)["status"] != "running":
            process.kill()
        return process

    def _end(self, name: str, run: Run, code: int) -> None:
        if self._closing and not run.done:
            return
        if run.done:
            run.finish()
        elif run.failure:
            self._records.fail(name, "training_failed", run.failure)
        elif self._records.get(name)["status"] == "running":
            self._records.fail(name, "training_failed", _reason(code, self._folder(name) / "trainer.log"))
        remove(self._folder(name))

    def _folder(self, name: str) -> Path:
        return self._store.folder / "jobs" / name

    def _check_file(self, name: str | None, param: str) -> None:
        if name is None:
            return
        row: Any = self._store.get("files", name)
        if row is None:
            raise ApiError(f"invalid {param}: {name}: no such file", param=param, code="invalid_file")
        if row["purpose"] != "fine-tune":
            message = f"invalid {param}: {name}: its purpose is '{row['purpose']}', not 'fine-tune'"
            raise ApiError(message, param=param, code="invalid_file")


def _package_root() -> Path:
    """Where `evals` can be imported from, whatever the current folder is."""
    return Path(__file__).resolve().parents[2]


def _reason(code: int, log: Path) -> str:
    if code == -9:
        return "The training process was killed: most likely the machine ran out of memory"
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"The training process failed (exit code {code}): {lines[-1] if lines else 'no message'}"
