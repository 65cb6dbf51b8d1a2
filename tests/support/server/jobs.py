"""Files and fine-tuning jobs, in memory. A job's status goes through a script, one step a poll or one every so often."""

import itertools
import math
import time
from dataclasses import dataclass, field
from typing import Any

from tests.support.server.http import Asked
from tests.support.server.replies import ORGANISATION, Reply, error

STATES = ("validating_files", "queued", "running", "succeeded")
ENDED = ("succeeded", "failed", "cancelled")
RESULTS = "step,train_loss,valid_loss\n1,2.51,2.60\n2,2.03,2.31\n3,1.74,2.12\n"
CREATED = 1_790_000_000


@dataclass
class Job:
    """A job with the script of its states."""

    body: dict[str, Any]
    states: list[str]
    error: dict[str, Any] | None
    polls: int = 0
    polled_in_turn: bool = False
    has_trained: bool = False
    ordered_with: str = ""
    """The authorization of the request that created it."""
    cancelled_with: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def age_s(self) -> float:
        """Seconds since its creation."""
        return time.monotonic() - self.started


@dataclass
class Quirks:
    """What an API may do otherwise than OpenAI's documentation says."""

    keeps_metadata: bool = True
    filters: str = "yes"
    """The metadata filter of the job listing: "yes", "ignored", or "refused" with a 400."""
    lag_s: float = 0.0
    """A job is listed so long after its creation; `math.inf`: never."""
    endless: bool = False
    """Every page of a job listing is the first and says has_more."""
    oldest_first: bool = False
    names_model: bool = True
    """Whether a job that has succeeded names its tuned model."""
    result_files: bool = True
    """Whether the result file of a job is there."""
    tick_s: float = 0.0
    """Jobs created within one tick have the same `created_at`; 0: each has one of its own."""
    shuffled_ids: bool = False
    """Whether ids say nothing about the order of creation."""
    queue_s: float | None = None
    """If set, a job isn't advanced before its second poll of those that come so long after it was first listed."""


@dataclass
class Tuning:
    """The files and jobs of a server.

    `states` is the script for new jobs, `step_s` makes it run by time instead of by polls, `job_error` is the error of a
    `failed` job.
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
    quirks: Quirks = field(default_factory=Quirks)
    files: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def tuned_models(self) -> list[str]:
        """The models that jobs have made."""
        return [job.body["fine_tuned_model"] for job in self.jobs.values() if job.body["fine_tuned_model"]]

    @property
    def paid(self) -> list[str]:
        """The jobs whose training has begun."""
        return [key for key, job in self.jobs.items() if job.has_trained]

    @property
    def alive(self) -> list[str]:
        """The jobs that have trained or still will."""
        return [key for key, job in self.jobs.items() if job.body["status"] not in ("failed", "cancelled")]

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
            return self._create(asked.json, asked.headers) if asked.method == "POST" else self._list(asked)
        job = self.jobs.get(parts[0])
        if job is None:
            return error(404, f"No such fine-tuning job: {parts[0]}", "fine_tune_not_found")
        what = parts[1] if len(parts) > 1 else "retrieve"
        if what in ("events", "checkpoints"):
            return self._page(asked, _events(job) if what == "events" else _checkpoints(job))
        if what == "cancel" and job.body["status"] not in ENDED:
            job.cancelled_with = asked.headers.get("authorization", "")
        self._advance(job, {"cancel": "cancelled", "pause": "paused", "resume": "running"}.get(what))
        return Reply(dict(job.body))

    def create(self, **order: Any) -> dict[str, Any]:
        """Create a job as someone else would; its description."""
        return dict(self._create({"model": "other", "training_file": None, **order}, {}).body)

    def _create(self, asked: dict[str, Any], headers: dict[str, str]) -> Reply:
        for key in ("training_file", "validation_file"):
            if asked.get(key) and asked[key] not in self.files:
                return error(400, f"{key}: no such file {asked[key]}", "invalid_file")
        method = asked.get("method") or {
            "type": "supervised",
            "supervised": {"hyperparameters": asked.get("hyperparameters", {})},
        }
        number = next(self._numbers)
        tick_s = self.quirks.tick_s
        body = {
            "id": f"ftjob-{number * 7919 % 10_000 if self.quirks.shuffled_ids else number:04d}",
            "object": "fine_tuning.job", "error": None,
            "created_at": CREATED + (int((time.monotonic() - self.started) / tick_s) if tick_s else number),
            "fine_tuned_model": None, "finished_at": None, "estimated_finish": None, "model": asked["model"],
            "hyperparameters": {"n_epochs": "auto", **method.get("supervised", {}).get("hyperparameters", {})},
            "method": method, "organization_id": ORGANISATION, "user_id": "user-planted12345678", "result_files": [],
            "seed": asked.get("seed") or 7, "status": self.states[0], "trained_tokens": None, "integrations": [],
            "training_file": asked["training_file"], "validation_file": asked.get("validation_file"),
            "metadata": asked.get("metadata") if self.quirks.keeps_metadata else None, "suffix": asked.get("suffix"),
        }  # fmt: skip
        job = self.jobs[body["id"]] = Job(body, list(self.states), self.job_error)
        job.ordered_with = headers.get("authorization", "")
        self._enter(job, self.states[0])
        return Reply(dict(job.body))

    def _list(self, asked: Asked) -> Reply:
        wanted = {key[len("metadata[") : -1]: value for key, value in asked.query.items() if key.startswith("metadata[")}
        if wanted and self.quirks.filters == "refused":
            return error(400, "Unknown parameter: 'metadata'", "unknown_parameter")
        jobs = self._matching(wanted if self.quirks.filters == "yes" else {})
        if self.quirks.endless:
            listed = self._page(asked, jobs, after=None).body
            return Reply({**listed, "has_more": bool(listed["data"])})
        return self._page(asked, jobs)

    def _matching(self, wanted: dict[str, str]) -> list[dict[str, Any]]:
        for job in self.jobs.values() if self.step_s else []:
            self._advance(job)
        listed = [job for job in self.jobs.values() if job.age_s >= self.quirks.lag_s]
        bodies = [job.body for job in (listed if self.quirks.oldest_first else reversed(listed))]
        return [body for body in bodies if all((body["metadata"] or {}).get(k) == v for k, v in wanted.items())]

    def _advance(self, job: Job, to: str | None = None) -> None:
        if job.body["status"] in ENDED or (to is None and self._is_queued(job)):
            return
        job.polls += 1
        step = job.polls if self.step_s is None else int((time.monotonic() - job.started) / self.step_s)
        if to:
            job.states = [to]
        self._enter(job, job.states[min(step, len(job.states) - 1)])

    def _is_queued(self, job: Job) -> bool:
        queue_s, lag_s = self.quirks.queue_s, self.quirks.lag_s
        if queue_s is None:
            return False
        is_first = not job.polled_in_turn
        job.polled_in_turn = job.age_s > queue_s + (0.0 if math.isinf(lag_s) else lag_s)
        return is_first

    def _enter(self, job: Job, status: str) -> None:
        job.body["status"] = status
        job.has_trained = job.has_trained or status in ("running", "succeeded")
        if status in ENDED:
            job.body["finished_at"] = CREATED + 600
        if status == "failed":
            job.body["error"] = job.error
        if status == "succeeded":
            suffix = job.body["suffix"] or ""
            name = f"ft:{job.body['model']}:acme:{suffix}:{job.body['id'][-4:]}"
            job.body["fine_tuned_model"] = name if self.quirks.names_model else None
            job.body["trained_tokens"] = self.trained_tokens
            results = self.add_file("step_metrics.csv", RESULTS.encode(), "fine-tune-results")["id"]
            job.body["result_files"] = [results]
            if not self.quirks.result_files:
                del self.files[results]

    def _page(self, asked: Asked, items: list[dict[str, Any]], after: str | None = "") -> Reply:
        after = asked.query.get("after") if after == "" else after
        start = next((n for n, item in enumerate(items, 1) if item["id"] == after), 0)
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
