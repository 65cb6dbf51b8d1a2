"""The work of jobs: files are validated at once, jobs train in turn, in processes of their own.

The reports of these processes become events, checkpoints, a result file and tuned models.
"""

import asyncio
import json
import logging
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from evaltape.errors import UserError
from evaltape.local.model import Loaded, check_memory
from evaltape.local.state import Row, State, is_full, link, new_id, remove
from evaltape.local.training.jobs import NO_ROOM, UNFINISHED, Jobs, found_no_room, resolve
from evaltape.local.training.training_file import LEAST_EXAMPLES, Encoder, InvalidFile

LOG = logging.getLogger("evaltape.local")
SOURCE_ROOT = Path(__file__).resolve().parents[3]
"""The folder from which `evaltape` can be imported."""
KEPT_EPOCHS = 3
"""As at OpenAI: the checkpoints of the last epochs become models."""
COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
RESUME = ". Free some space, then resume the job (client.fine_tuning.jobs.resume): it goes on after its last checkpoint"


class Worker:
    """Validates and trains. `launcher` is a command in place of `python`, or empty; `train_length` is in tokens.

    All methods belong to the event loop of the service.
    """

    def __init__(
        self, state: State, jobs: Jobs, loaded: Loaded, name: str, *, train_length: int, launcher: Sequence[str] = ()
    ) -> None:
        self._state, self._jobs, self._loaded, self._name = state, jobs, loaded, name
        self._train_length, self._launcher = train_length, launcher
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._validating, self._training = asyncio.Lock(), asyncio.Lock()

    def start(self) -> None:
        """Go on with the jobs that the last service left; drop the folders of ended jobs."""
        unfinished = self._jobs.unfinished()
        resumable = [row for row in self._state.rows("jobs") if found_no_room(row)]
        self._state.keep("jobs", {row["id"] for row in [*unfinished, *resumable]})
        for row in unfinished:
            # A job of other weights waits until they are served again.
            if row["_fingerprint"] == self._loaded.fingerprint:
                self.submit(row["id"])

    def submit(self, name: str) -> None:
        """Start the work on a job."""
        self._tasks[name] = asyncio.create_task(self._work(name))

    def stop(self, name: str) -> None:
        """End the work on a job that was cancelled."""
        if name in self._tasks:
            self._tasks[name].cancel()

    async def close(self) -> None:
        """Stop all work; the next start continues it."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, name: str) -> None:
        try:
            if self._jobs.get(name)["status"] == "validating_files":
                async with self._validating:
                    await asyncio.to_thread(self._validate, name)
            if self._jobs.get(name)["status"] in UNFINISHED:
                async with self._training:
                    await self._train(name)
        except Exception as error:  # the other jobs go on
            self._fail(name, error)
        finally:
            del self._tasks[name]
            row = self._jobs.get(name)
            if row["status"] not in UNFINISHED and not found_no_room(row):
                remove(self._state.path("jobs", name))

    def _fail(self, name: str, error: Exception) -> None:
        code, message = "server_error", f"The service failed: {error!r}"
        if is_full(error):
            code, message = NO_ROOM, f"The disk of the service is full: some MB are needed in {self._state.folder}{RESUME}"
        else:
            LOG.error("job %s failed", name, exc_info=error)
        with suppress(sqlite3.Error):
            self._jobs.fail(name, code, message)

    # ------------------------------------------------------------ validating

    def _validate(self, name: str) -> None:
        job, folder = self._jobs.get(name), self._state.path("jobs", name)
        remove(folder)
        folder.mkdir()
        found = self._encode(job, "training_file", folder / "examples.jsonl", least=LEAST_EXAMPLES)
        if found and job["validation_file"] and not self._encode(job, "validation_file", folder / "validation.jsonl", least=1):
            return
        if found:
            self._jobs.queue(name, resolve(job["hyperparameters"], found[0]), found[1])

    def _encode(self, job: Row, param: str, target: Path, *, least: int) -> tuple[int, int] | None:
        """Make rows of a job's file; return their number and their tokens. Fail the job if it isn't possible."""
        kind, name = param.replace("_", " "), job[param]
        encoder = Encoder(self._loaded.tokenizer, self._loaded.ends, self._train_length)
        try:
            row = self._state.files.get(name)
            if row is None:
                raise FileNotFoundError
            count = encoder.write(self._state.files.path(row["id"]), target, job["method"]["type"], least=least)
        except FileNotFoundError:
            self._jobs.fail(job["id"], "file_not_found", f"The {kind} {name} was deleted or has expired", param)
            return None
        except InvalidFile as error:
            message = f"The job failed due to an invalid {kind}. {name}: {error}"
            self._jobs.fail(job["id"], f"invalid_{param}", message, param)
            return None
        if encoder.cut:
            message = f"{encoder.cut} of {count} examples of the {kind} are longer than "
            self._jobs.event(job["id"], f"{message}{self._train_length} tokens: they are cut (--train-length)", "warn")
        return count, encoder.tokens

    # ------------------------------------------------------------ training

    async def _train(self, name: str) -> None:
        before = self._jobs.get(name)
        job = self._jobs.move(name, "running", since=("queued", "running"), _resumed=False)
        assert job is not None, "cancelling a job ends its work"
        try:
            check_memory(self._loaded.folder, f"training {self._name}", 8)
        except UserError as error:
            return self._jobs.fail(name, "insufficient_resources", str(error))
        run = Run(job, self._state, self._jobs, was_running=before["status"] == "running" or before.get("_resumed", False))
        reason = await run_trainer(self._configure(job), self._launcher, run.receive)
        if run.is_done:
            await asyncio.to_thread(run.finish, self._name)
        elif run.failure and "disk" in run.failure:
            self._jobs.fail(name, NO_ROOM, run.failure + RESUME)
        else:
            self._jobs.fail(name, "training_failed", run.failure or reason)

    def _configure(self, job: Row) -> Path:
        folder = self._state.path("jobs", job["id"])
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
            "kept_epochs": KEPT_EPOCHS,
        }
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return folder / "config.json"


async def run_trainer(config: Path, launcher: Sequence[str], receive: Callable[[Row], None]) -> str:
    """Train in processes of their own, and pass each report to `receive`; return how they ended, for an end without report.

    `launcher` starts a program of Python's with several processes, in place of `python`. All of them are killed if this
    is cancelled or `receive` raises.
    """
    command = [*(launcher or [sys.executable]), "-m", "evaltape.local.training.trainer", str(config)]
    paths = [str(SOURCE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
    pipe, log = asyncio.subprocess.PIPE, config.parent / "trainer.log"
    with log.open("w") as errors:
        # Its standard input stays open as long as this process lives: a trainer ends when it closes.
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=pipe,
            stdout=pipe,
            stderr=errors,
            cwd=config.parent,
            env=environ,
            start_new_session=True,
            limit=2**26,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            with suppress(json.JSONDecodeError):  # a launcher's own line
                report = json.loads(line)
                if isinstance(report, dict) and "type" in report:
                    receive(report)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), timeout=10)
    finally:
        process.stdin.close()  # ends trainers that a launcher has put into sessions of their own
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        code = await process.wait()
    if code == -signal.SIGKILL:
        return "The training process was killed: most likely the machine ran out of memory"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    started = " ".join(command[: command.index("-m")])
    return f"The training process `{started}` ended with exit code {code}: {lines[-1] if lines else 'no message'}"


class Run:
    """A training under way."""

    def __init__(self, job: Row, state: State, jobs: Jobs, *, was_running: bool) -> None:
        self._job, self._state, self._jobs, self._was_running = job, state, jobs, was_running
        self._start_s, self._first_step = time.monotonic(), 0
        self._metrics: dict[int, dict[str, float]] = {}
        self._checkpoints: dict[int, str] = {}
        self.is_done = False
        self.failure: str | None = None

    def receive(self, report: Row) -> None:
        """Handle a report of the trainer."""
        kind = report.pop("type")
        if kind == "start":
            self._receive_start(report)
        elif kind in ("step", "validation"):
            self._receive_metrics(kind, report)
        elif kind == "checkpoint":
            self._checkpoints[report["step"]] = report["folder"]
        elif kind == "done":
            self.is_done = True
        elif kind == "failed":
            self.failure = report["message"]

    def finish(self, base: str) -> None:
        """Make the tuned model, its checkpoints and the result file, and call the job done: all of it or nothing."""
        job, steps = self._job["id"], sorted(self._checkpoints)[-KEPT_EPOCHS:]
        suffix = "".join(
            letter if letter.isalnum() or letter in "-_." else "-" for letter in self._job["user_provided_suffix"] or ""
        )
        name = f"ft:{base}:local:{suffix}:{new_id('', 8)}"
        folders = {step: self._copy_adapter(step) for step in steps}
        result = self._state.files.store_content("step_metrics.csv", "fine-tune-results", [self._table().encode()])
        tokens = self._job["_tokens"] * self._job["hyperparameters"]["n_epochs"]
        changes = {"fine_tuned_model": name, "result_files": [result["id"]], "trained_tokens": tokens}

        def store() -> bool:
            if not self._jobs.move(job, "succeeded", since=("running",), finished_at=self._state.now(), **changes):
                return False
            self._state.add("files", result)
            for step, folder in folders.items():
                # As at OpenAI, the last checkpoint is the tuned model itself.
                self._add_model(name if step == steps[-1] else f"{name}:ckpt-step-{step}", step, folder)
            self._jobs.event(job, f"New fine-tuned model created: {name}")
            self._jobs.event(job, "The job has successfully completed")
            return True

        if not self._state.write(store):  # cancelled in the last moment
            for path in (*folders.values(), self._state.files.path(result["id"])):
                remove(path)

    def _receive_start(self, report: Row) -> None:
        self._first_step, self._start_s = report["step"], time.monotonic()
        for row in report["history"]:
            self._metrics.setdefault(row.pop("step"), {}).update(row)
        if not self._was_running:
            return self._jobs.event(self._job["id"], "Fine-tuning job started")
        saved = f"it goes on after step {report['step']}" if report["step"] else "nothing was saved, so it starts again"
        self._jobs.event(self._job["id"], f"The training was interrupted: {saved}", "warn")

    def _receive_metrics(self, kind: str, report: Row) -> None:
        job, step, steps, tokens = self._job["id"], report.pop("step"), report.pop("steps"), report.pop("tokens")
        self._metrics.setdefault(step, {}).update(report)
        if kind == "validation":
            message = f"Step {step}: validation loss={report['valid_loss']:.2f}"
            return self._jobs.event(job, message, data={"step": step, **_full(report)})
        data = {"step": step, "total_steps": steps, "train_loss": report["train_loss"], "tokens_seen": tokens}
        data["train_mean_token_accuracy"] = report.get("train_accuracy")
        self._jobs.event(job, f"Step {step}/{steps}: training loss={report['train_loss']:.2f}", data=data)
        pace_s = (time.monotonic() - self._start_s) / max(1, step - self._first_step)
        finish = self._state.now() + round(pace_s * (steps - step))
        self._jobs.move(job, "running", since=("running",), estimated_finish=finish)

    def _copy_adapter(self, step: int) -> Path:
        """Copy a checkpoint's adapter to the tuned models, as links where the file system has them; return its folder.

        The original stays until the job's end is stored: a service that is killed in between begins from it again.
        """
        target = self._state.path("models", new_id("", 16))
        target.mkdir()
        try:
            for file in ADAPTER:
                link(self._state.path("jobs", self._job["id"]) / "out" / self._checkpoints[step] / file, target / file)
        except BaseException:
            remove(target)
            raise
        return target

    def _add_model(self, name: str, step: int, folder: Path) -> None:
        row = {"id": name, "object": "model", "created": self._state.now(), "owned_by": "org-local", "folder": folder.name}
        self._state.add("models", {**row, "fingerprint": self._job["_fingerprint"]}, self._job["id"])
        values = self._metrics[step]
        metrics = {"train_loss": values["train_loss"], "train_mean_token_accuracy": values.get("train_accuracy")}
        self._jobs.checkpoint(self._job["id"], name, step, metrics | (_full(values) if "valid_loss" in values else {}))

    def _table(self) -> str:
        rows = [[str(step), *map(_cell, map(values.get, COLUMNS[1:]))] for step, values in sorted(self._metrics.items())]
        return "".join(",".join(row) + "\n" for row in [COLUMNS, *rows])


def _full(values: dict[str, Any]) -> Row:
    return {"full_valid_loss": values["valid_loss"], "full_valid_mean_token_accuracy": values.get("valid_mean_token_accuracy")}


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}"
