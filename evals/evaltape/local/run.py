"""One training under way: what its process reports becomes events, checkpoints, a result file and a tuned model."""

import json
import time
from pathlib import Path
from typing import Any

from evaltape.local.records import Records
from evaltape.local.store import Row, new_id, now, remove
from evaltape.local.training_file import read_encoded

COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


class Run:
    """Follows one job's process. Used by the job queue's thread only."""

    def __init__(self, job: Row, records: Records, folder: Path, base: str) -> None:
        self._job, self._records, self._folder, self._base = job, records, folder, base
        self._began = time.monotonic()
        self._metrics: dict[int, dict[str, float]] = {}
        self._checkpoints: list[tuple[int, str]] = []
        self.done = False
        self.failure: str | None = None

    def prepare(self, weights: Path) -> Path:
        """Writes what the process needs to know; returns the file."""
        validation = self._folder / "validation.jsonl"
        remove(self._folder / "out")
        config = {
            "weights": str(weights),
            "examples": str(self._folder / "examples.jsonl"),
            "validation": str(validation) if validation.exists() else None,
            "out": str(self._folder / "out"),
            "seed": self._job["seed"],
            "plan": self._job["hyperparameters"],
        }
        path = self._folder / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def hear(self, told: dict[str, Any]) -> None:
        """Takes one report of the process."""
        kind = told.pop("type")
        if kind == "step":
            self._hear_step(told)
        elif kind == "validation":
            self._hear_validation(told)
        elif kind == "checkpoint":
            self._checkpoints.append((told["step"], told["folder"]))
        elif kind == "done":
            self.done = True
        elif kind == "failed":
            self.failure = told["message"]

    def finish(self) -> None:
        """Makes the tuned model, its checkpoints and the result file, and only then calls the job done."""
        tuned = f"ft:{self._base}:local:{_plain(self._job['user_provided_suffix'])}:{new_id('', 8)}"
        kept = self._checkpoints[-3:]
        for step, folder in kept:
            # As at OpenAI, the last checkpoint is the tuned model itself.
            name = tuned if step == kept[-1][0] else f"{tuned}:ckpt-step-{step}"
            self._keep(name, folder)
            self._records.checkpoint(self._job["id"], name, step, self._at_checkpoint(step))
        content = [self._table().encode()]
        result = self._records.store.add_file("step_metrics.csv", "fine-tune-results", content)
        tokens = sum(len(one.ids) for one in read_encoded(self._folder / "examples.jsonl"))
        changes = {"fine_tuned_model": tuned, "result_files": [result["id"]]}
        changes["trained_tokens"] = tokens * self._job["hyperparameters"]["n_epochs"]
        if self._records.move(self._job["id"], "succeeded", since=("running",), **changes):
            self._records.event(self._job["id"], f"New fine-tuned model created: {tuned}")
            self._records.event(self._job["id"], "The job has successfully completed")
        else:  # cancelled in the last moment
            self._records.forget_results(self._job["id"])
            self._records.store.delete_file(result["id"])

    def _hear_step(self, told: dict[str, Any]) -> None:
        step, steps = told["step"], told.pop("steps")
        self._metrics[step] = {name: told[name] for name in ("train_loss", "train_accuracy")}
        message = f"Step {step}/{steps}: training loss={told['train_loss']:.2f}"
        data = {"step": step, "total_steps": steps, "train_loss": told["train_loss"]}
        data["train_mean_token_accuracy"] = told["train_accuracy"]
        self._records.event(self._job["id"], message, data=data)
        spent_s = time.monotonic() - self._began
        self._records.estimate(self._job["id"], now() + round(spent_s / step * (steps - step)))

    def _hear_validation(self, told: dict[str, Any]) -> None:
        step = told.pop("step")
        self._metrics[step] |= told
        message = f"Step {step}: validation loss={told['valid_loss']:.2f}"
        data = {"step": step, "full_valid_loss": told["valid_loss"]}
        data["full_valid_mean_token_accuracy"] = told["valid_mean_token_accuracy"]
        self._records.event(self._job["id"], message, data=data)

    def _keep(self, name: str, folder: str) -> None:
        """Moves an adapter to the tuned models, then makes it known."""
        target = new_id("", 16)
        (self._folder / "out" / folder).rename(self._records.store.folder / "models" / target)
        row = {"id": name, "object": "model", "created": now(), "owned_by": "org-local", "folder": target}
        self._records.store.add("models", {**row, "fingerprint": self._job["_fingerprint"]}, self._job["id"])

    def _at_checkpoint(self, step: int) -> Row:
        known = self._metrics[step]
        told = {"train_loss": known["train_loss"], "train_mean_token_accuracy": known["train_accuracy"]}
        if "valid_loss" in known:
            told["full_valid_loss"] = known["valid_loss"]
            told["full_valid_mean_token_accuracy"] = known["valid_mean_token_accuracy"]
        return told

    def _table(self) -> str:
        lines = [",".join(COLUMNS)]
        for step, values in sorted(self._metrics.items()):
            lines.append(",".join([str(step), *(_cell(values.get(name)) for name in COLUMNS[1:])]))
        return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}"


def _plain(suffix: str | None) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in suffix or "")
