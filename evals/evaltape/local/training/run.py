"""One training under way: the reports of its process become events, checkpoints, a result file and a tuned model."""

import time
from typing import Any

from evaltape.local.ids import new_id, now
from evaltape.local.state.database import Row
from evaltape.local.state.disk import link, remove
from evaltape.local.state.store import Store
from evaltape.local.training.jobs import Jobs
from evaltape.local.training.recipe import KEPT_EPOCHS

COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


class Run:
    """Follows one job's process. Used by the worker's training thread only."""

    def __init__(self, job: Row, store: Store, jobs: Jobs, *, was_running: bool) -> None:
        self._job, self._store, self._jobs, self._was_running = job, store, jobs, was_running
        self._out = store.job_folder(job["id"]) / "out"
        self._start_s, self._first_step = time.monotonic(), 0
        self._metrics: dict[int, dict[str, float]] = {}
        self._checkpoints: dict[int, str] = {}
        self.is_done = False
        self.failure: str | None = None

    def receive(self, report: dict[str, Any]) -> None:
        """Handle one report of the process."""
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
        name = f"ft:{base}:local:{_plain(self._job['user_provided_suffix'])}:{new_id('', 8)}"
        folders = {step: self._copy_adapter(step) for step in steps}
        result = self._store.files.store_content("step_metrics.csv", "fine-tune-results", [self._table().encode()])
        changes = {"fine_tuned_model": name, "result_files": [result["id"]]}
        changes["trained_tokens"] = self._job["_tokens"] * self._job["hyperparameters"]["n_epochs"]

        def store() -> bool:
            if self._jobs.move(job, "succeeded", since=("running",), **changes) is None:
                return False
            self._store.database.add("files", result)
            for step, folder in folders.items():
                # As at OpenAI, the last checkpoint is the tuned model itself.
                self._add_model(name if step == steps[-1] else f"{name}:ckpt-step-{step}", step, folder)
            self._jobs.event(job, f"New fine-tuned model created: {name}")
            self._jobs.event(job, "The job has successfully completed")
            return True

        if not self._store.database.write(store):  # cancelled in the last moment
            for folder in folders.values():
                remove(self._store.model_folder(folder))
            remove(self._store.files.path(result["id"]))

    def _receive_start(self, report: dict[str, Any]) -> None:
        self._first_step, self._start_s = report["step"], time.monotonic()
        for row in report["history"]:
            self._metrics.setdefault(row.pop("step"), {}).update(row)
        if not self._was_running:
            return self._jobs.event(self._job["id"], "Fine-tuning job started")
        saved = f"it goes on after step {report['step']}" if report["step"] else "nothing was saved, so it starts again"
        self._jobs.event(self._job["id"], f"The training was interrupted: {saved}", "warn")

    def _receive_metrics(self, kind: str, report: dict[str, Any]) -> None:
        step, steps = report.pop("step"), report.pop("steps")
        tokens = report.pop("tokens")
        self._metrics.setdefault(step, {}).update(report)
        if kind == "validation":
            message = f"Step {step}: validation loss={report['valid_loss']:.2f}"
            return self._jobs.event(self._job["id"], message, data={"step": step, **_full(report)})
        data = {"step": step, "total_steps": steps, "train_loss": report["train_loss"], "tokens_seen": tokens}
        data["train_mean_token_accuracy"] = report.get("train_accuracy")
        self._jobs.event(self._job["id"], f"Step {step}/{steps}: training loss={report['train_loss']:.2f}", data=data)
        pace_s = (time.monotonic() - self._start_s) / max(1, step - self._first_step)
        finish = now() + round(pace_s * (steps - step))
        self._jobs.move(self._job["id"], "running", since=("running",), estimated_finish=finish)

    def _copy_adapter(self, step: int) -> str:
        """Copy a checkpoint's adapter to the tuned models, without using more space where links can; return its new name.

        The original stays until the job's end is stored: a service that is killed in between begins from it again.
        """
        name = new_id("", 16)
        target = self._store.model_folder(name)
        target.mkdir()
        try:
            for file in ADAPTER:
                link(self._out / self._checkpoints[step] / file, target / file)
        except BaseException:
            remove(target)
            raise
        return name

    def _add_model(self, name: str, step: int, folder: str) -> None:
        row = {"id": name, "object": "model", "created": now(), "owned_by": "org-local", "folder": folder}
        self._store.database.add("models", {**row, "fingerprint": self._job["_fingerprint"]}, self._job["id"])
        values = self._metrics[step]
        metrics = {"train_loss": values["train_loss"], "train_mean_token_accuracy": values.get("train_accuracy")}
        self._jobs.checkpoint(self._job["id"], name, step, metrics | (_full(values) if "valid_loss" in values else {}))

    def _table(self) -> str:
        lines = [",".join(COLUMNS)]
        for step, values in sorted(self._metrics.items()):
            lines.append(",".join([str(step), *(_cell(values.get(name)) for name in COLUMNS[1:])]))
        return "\n".join(lines) + "\n"


def _full(values: dict[str, float]) -> Row:
    return {"full_valid_loss": values["valid_loss"], "full_valid_mean_token_accuracy": values.get("valid_mean_token_accuracy")}


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}"


def _plain(suffix: str | None) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in suffix or "")
