"""One training under way: what its process reports becomes events, checkpoints, a result file and a tuned model."""

import json
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from evaltape.local.ids import new_id, now
from evaltape.local.state.database import Row
from evaltape.local.state.disk import link, remove
from evaltape.local.state.store import Store
from evaltape.local.training.patience import Patience
from evaltape.local.training.records import Records
from evaltape.local.training.training_file import read_encoded

COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
KEPT_CHECKPOINTS = 3
"""As at OpenAI: the checkpoints of the last epochs become models."""


class Run:
    """Follows one job's process. Used by the worker's training thread only."""

    def __init__(self, job: Row, store: Store, records: Records, patience: Patience, base: str, *, was_running: bool) -> None:
        self._job, self._store, self._records, self._patience, self._base = job, store, records, patience, base
        self._was_running = was_running
        self._folder = store.job_folder(job["id"])
        self._start_s, self._first_step = time.monotonic(), 0
        self._metrics: dict[int, dict[str, float]] = {}
        self._checkpoints: dict[int, str] = {}
        self.is_done = False
        self.failure: str | None = None

    def prepare(self, weights: Path) -> Path:
        """Write the process's configuration; return the file."""
        validation = self._folder / "validation.jsonl"
        config = {
            "weights": str(weights),
            "examples": str(self._folder / "examples.jsonl"),
            "validation": str(validation) if validation.exists() else None,
            "out": str(self._folder / "out"),
            "seed": self._job["seed"],
            "plan": self._job["hyperparameters"],
            "kept_checkpoints": KEPT_CHECKPOINTS,
        }
        path = self._folder / "config.json"
        self._patience(lambda: path.write_text(json.dumps(config), encoding="utf-8"))
        return path

    def receive(self, report: dict[str, Any]) -> None:
        """Handle one report of the process."""
        kind = report.pop("type")
        if kind == "start":
            self._receive_start(report)
        elif kind == "step":
            self._receive_step(report)
        elif kind == "validation":
            self._receive_validation(report)
        elif kind == "checkpoint":
            self._checkpoints[report["step"]] = report["folder"]
        elif kind == "waiting":
            message = f"The disk of the service is full: the training waits until step {report['step']} can be saved"
            self._records.event(self._job["id"], message, "warn", essential=True)
        elif kind == "done":
            self.is_done = True
        elif kind == "failed":
            self.failure = report["message"]

    def finish(self) -> None:
        """Make the tuned model, its checkpoints and the result file, and call the job done: all of it or nothing."""
        name = f"ft:{self._base}:local:{_plain(self._job['user_provided_suffix'])}:{new_id('', 8)}"
        steps = sorted(self._checkpoints)[-KEPT_CHECKPOINTS:]
        folders = {step: self._patience(partial(self._copy_adapter, step)) for step in steps}
        table = self._table().encode()
        result = self._patience(lambda: self._store.files.store_content("step_metrics.csv", "fine-tune-results", [table]))
        tokens = sum(len(example.ids) for example in read_encoded(self._folder / "examples.jsonl"))
        changes = {"fine_tuned_model": name, "result_files": [result["id"]]}
        changes["trained_tokens"] = tokens * self._job["hyperparameters"]["n_epochs"]

        def store() -> bool:
            job = self._job["id"]
            if self._records.move(job, "succeeded", since=("running",), **changes) is None:
                return False
            self._store.database.add("files", result)
            for step, folder in folders.items():
                # As at OpenAI, the last checkpoint is the tuned model itself.
                self._add_model(name if step == steps[-1] else f"{name}:ckpt-step-{step}", step, folder)
            self._records.event(job, f"New fine-tuned model created: {name}")
            self._records.event(job, "The job has successfully completed")
            return True

        if not self._records.write(store):  # cancelled in the last moment
            for folder in folders.values():
                remove(self._store.model_folder(folder))
            remove(self._store.files.path(result["id"]))

    def _receive_start(self, report: dict[str, Any]) -> None:
        self._first_step = report["step"]
        self._metrics = {row["step"]: {key: row[key] for key in row if key != "step"} for row in report["history"]}
        self._start_s = time.monotonic()
        if not self._was_running:
            self._records.event(self._job["id"], "Fine-tuning job started")
            return
        saved = f"it goes on after step {report['step']}" if report["step"] else "no epoch was saved, so it starts again"
        self._records.event(self._job["id"], f"The service stopped while this job was training: {saved}", "warn")

    def _receive_step(self, report: dict[str, Any]) -> None:
        step, steps = report["step"], report["steps"]
        self._metrics[step] = {name: report[name] for name in ("train_loss", "train_accuracy")}
        message = f"Step {step}/{steps}: training loss={report['train_loss']:.2f}"
        data = {"step": step, "total_steps": steps, "train_loss": report["train_loss"]}
        data["train_mean_token_accuracy"] = report["train_accuracy"]
        self._records.event(self._job["id"], message, data=data)
        pace_s = (time.monotonic() - self._start_s) / (step - self._first_step)
        self._records.estimate(self._job["id"], now() + round(pace_s * (steps - step)))

    def _receive_validation(self, report: dict[str, Any]) -> None:
        step = report.pop("step")
        self._metrics[step] |= report
        message = f"Step {step}: validation loss={report['valid_loss']:.2f}"
        data = {"step": step, "full_valid_loss": report["valid_loss"]}
        data["full_valid_mean_token_accuracy"] = report["valid_mean_token_accuracy"]
        self._records.event(self._job["id"], message, data=data)

    def _copy_adapter(self, step: int) -> str:
        """Copy a checkpoint to the tuned models, without using more space where links can; return its new name.

        The original stays until the job's end is stored: a service that is killed in between begins from it again.
        """
        name = new_id("", 16)
        target = self._store.model_folder(name)
        try:
            shutil.copytree(self._folder / "out" / self._checkpoints[step], target, copy_function=link)
        except BaseException:
            remove(target)
            raise
        return name

    def _add_model(self, name: str, step: int, folder: str) -> None:
        row = {"id": name, "object": "model", "created": now(), "owned_by": "org-local", "folder": folder}
        self._store.database.add("models", {**row, "fingerprint": self._job["_fingerprint"]}, self._job["id"])
        values = self._metrics[step]
        metrics = {"train_loss": values["train_loss"], "train_mean_token_accuracy": values["train_accuracy"]}
        if "valid_loss" in values:
            metrics["full_valid_loss"] = values["valid_loss"]
            metrics["full_valid_mean_token_accuracy"] = values["valid_mean_token_accuracy"]
        self._records.checkpoint(self._job["id"], name, step, metrics)

    def _table(self) -> str:
        lines = [",".join(COLUMNS)]
        for step, values in sorted(self._metrics.items()):
            lines.append(",".join([str(step), *(_cell(values.get(name)) for name in COLUMNS[1:])]))
        return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}"


def _plain(suffix: str | None) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in suffix or "")
