"""Files and fine-tuning jobs, in memory. A job's status goes through a script, one step a poll or one every so often."""

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from tests.support.server.http import Asked
from tests.support.server.replies import ORGANISATION, Reply, error

STATES = ("validating_files", "queued", "running", "succeeded")
RESULTS = "step,train_loss,valid_loss\n1,2.51,2.60\n2,2.03,2.31\n3,1.74,2.12\n"
CREATED = 1_790_000_000


@dataclass
class Job:
    """A job with the script of its states."""

    body: dict[str, Any]
    states: list[str]
    error: dict[str, Any] | None
    polls: int = 0
    started: float = field(default_factory=time.monotonic)


@dataclass
class Tuning:
    """The files and jobs of a server.

    `states` is the script for new jobs, `step_s` makes it run by time instead of by polls, `job_error` is the error that a
    `failed` job tells.
    """

    states: tuple[str, ...] = STATES
    step_s: float | None = None
    job_error: dict[str, Any] = field(
        default_factory=lambda: {
            "code": "invalid_training_file",
            "message": "Line 3 has no assistant message",
            "param": "training_file",
        }
    )
    trained_tokens: int = 2_100
    page: int = 20
    files: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def tuned_models(self) -> list[str]:
        """The models that jobs have made."""
        return [job.body["fine_tuned_model"] for job in self.jobs.values() if job.body["fine_tuned_model"]]

    def answer(self, asked: Asked, parts: list[str]) -> Reply:
        """The answer to a call under /v1/files or /v1/fine_tuning/jobs; `parts` is the path behind /v1."""
        if parts[0] == "files":
            return self._files(asked, parts[1:])
        return self._jobs(asked, parts[2:]) if parts[:2] == ["fine_tuning", "jobs"] else _unknown(asked.path)

    # ------------------------------------------------------------ files

    def _files(self, asked: Asked, parts: list[str]) -> Reply:
        if not parts:
            return self._upload(asked) if asked.method == "POST" else self._page(asked, [f for f, _ in self.files.values()])
        if parts[0] not in self.files:
            return error(404, f"No such File object: {parts[0]}")
        described, content = self.files[parts[0]]
        if asked.method == "DELETE":
            del self.files[parts[0]]
            return Reply({"id": parts[0], "object": "file", "deleted": True})
        return Reply(content, content_type="application/octet-stream") if parts[1:] == ["content"] else Reply(described)

    def _upload(self, asked: Asked) -> Reply:
        name, content = asked.fields["file"]
        return Reply(self.add_file(name or "upload", content, asked.fields["purpose"][1].decode()))

    def add_file(self, name: str, content: bytes, purpose: str) -> dict[str, Any]:
        """Keep a file; its description."""
        file = {
            "id": f"file-{next(self._numbers):04d}", "object": "file", "bytes": len(content), "created_at": CREATED,
            "filename": name, "purpose": purpose, "status": "processed",
        }  # fmt: skip
        self.files[str(file["id"])] = (file, content)
        return file

    # ------------------------------------------------------------ jobs

    def _jobs(self, asked: Asked, parts: list[str]) -> Reply:
        if not parts:
            return self._create(asked.json) if asked.method == "POST" else self._page(asked, self._matching(asked.query))
        job = self.jobs.get(parts[0])
        if job is None:
            return error(404, f"No such fine-tuning job: {parts[0]}", "fine_tune_not_found")
        what = parts[1] if len(parts) > 1 else "retrieve"
        if what in ("events", "checkpoints"):
            return self._page(asked, _events(job) if what == "events" else _checkpoints(job))
        self._advance(job, {"cancel": "cancelled", "pause": "paused", "resume": "running"}.get(what))
        return Reply(job.body)

    def _create(self, asked: dict[str, Any]) -> Reply:
        for key in ("training_file", "validation_file"):
            if asked.get(key) and asked[key] not in self.files:
                return error(400, f"{key}: no such file {asked[key]}", "invalid_file")
        method = asked.get("method") or {
            "type": "supervised",
            "supervised": {"hyperparameters": asked.get("hyperparameters", {})},
        }
        body = {
            "id": f"ftjob-{next(self._numbers):04d}", "object": "fine_tuning.job", "created_at": CREATED, "error": None,
            "fine_tuned_model": None, "finished_at": None, "estimated_finish": None, "model": asked["model"],
            "hyperparameters": {"n_epochs": "auto", **method.get("supervised", {}).get("hyperparameters", {})},
            "method": method, "organization_id": ORGANISATION, "user_id": "user-planted12345678", "result_files": [],
            "seed": asked.get("seed") or 7, "status": self.states[0], "trained_tokens": None, "integrations": [],
            "training_file": asked["training_file"], "validation_file": asked.get("validation_file"),
            "metadata": asked.get("metadata"), "suffix": asked.get("suffix"),
        }  # fmt: skip
        job = self.jobs[body["id"]] = Job(body, list(self.states), self.job_error)
        self._enter(job, self.states[0])
        return Reply(dict(job.body))

    def _matching(self, query: dict[str, str]) -> list[dict[str, Any]]:
        wanted = {key[len("metadata[") : -1]: value for key, value in query.items() if key.startswith("metadata[")}
        for job in self.jobs.values() if self.step_s else []:
            self._advance(job)
        bodies = [job.body for job in reversed(self.jobs.values())]
        return [body for body in bodies if all((body["metadata"] or {}).get(k) == v for k, v in wanted.items())]

    def _advance(self, job: Job, to: str | None = None) -> None:
        if job.body["status"] in ("succeeded", "failed", "cancelled"):
            return
        job.polls += 1
        step = job.polls if self.step_s is None else int((time.monotonic() - job.started) / self.step_s)
        if to:
            job.states = [to]
        self._enter(job, job.states[min(step, len(job.states) - 1)])

    def _enter(self, job: Job, status: str) -> None:
        job.body["status"] = status
        if status in ("succeeded", "failed", "cancelled"):
            job.body["finished_at"] = CREATED + 600
        if status == "failed":
            job.body["error"] = job.error
        if status == "succeeded":
            suffix = job.body["suffix"] or ""
            job.body["fine_tuned_model"] = f"ft:{job.body['model']}:acme:{suffix}:{job.body['id'][-4:]}"
            job.body["trained_tokens"] = self.trained_tokens
            job.body["result_files"] = [self.add_file("step_metrics.csv", RESULTS.encode(), "fine-tune-results")["id"]]

    def _page(self, asked: Asked, items: list[dict[str, Any]]) -> Reply:
        start = next((n for n, item in enumerate(items, 1) if item["id"] == asked.query.get("after")), 0)
        end = start + min(int(asked.query.get("limit", self.page)), self.page)
        chosen = items[start:end]
        ends = {"first_id": chosen[0]["id"], "last_id": chosen[-1]["id"]} if chosen else {}
        return Reply({"object": "list", "data": chosen, "has_more": end < len(items), **ends})


def _unknown(path: str) -> Reply:
    return error(404, f"Invalid URL ({path})")


def _events(job: Job) -> list[dict[str, Any]]:
    """Newest first, as OpenAI lists them: a line for each poll, with a loss."""
    made = [
        {
            "id": f"ftevent-{number:04d}", "object": "fine_tuning.job.event", "created_at": CREATED + number, "level": "info",
            "message": f"Step {number}: training loss={3 / number:.2f}" if number else "Created fine-tuning job",
            "type": "metrics" if number else "message", "data": {"step": number, "train_loss": 3 / number} if number else {},
        }
        for number in range(job.polls + 1)
    ]  # fmt: skip
    return made[::-1]


def _checkpoints(job: Job) -> list[dict[str, Any]]:
    if job.body["fine_tuned_model"] is None:
        return []
    return [
        {
            "id": "ftckpt-0001", "object": "fine_tuning.job.checkpoint", "created_at": CREATED,
            "fine_tuned_model_checkpoint": f"{job.body['fine_tuned_model']}:ckpt-step-3", "fine_tuning_job_id": job.body["id"],
            "metrics": {"step": 3, "train_loss": 1.74, "valid_loss": 2.12}, "step_number": 3,
        }
    ]  # fmt: skip
