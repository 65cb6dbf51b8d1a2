"""Files and fine-tuning jobs, in memory. A job's status goes through a script, one step a poll or one every so often."""

import itertools
import math
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.support.server.http import Asked
from tests.support.server.replies import ORGANISATION, Reply, error

STATES = ("validating_files", "queued", "running", "succeeded")
ENDED = ("succeeded", "failed", "cancelled")
RESULTS = "step,train_loss,valid_loss\n1,2.51,2.60\n2,2.03,2.31\n3,1.74,2.12\n"
CREATED = 1_790_000_000
PATIENT_POLLS = 8


@dataclass
class Job:
    """A job with the script of its states."""

    body: dict[str, Any]
    states: list[str]
    error: dict[str, Any] | None
    polls: int = 0
    was_listed_late: bool = False
    """Whether the session that ordered it has looked at the list when it was time to begin."""
    late_polls: int = 0
    has_trained: bool = False
    created: dict[str, Any] = field(default_factory=dict)
    """Its description at its creation."""
    ordered_with: str = ""
    """The authorization of the request that created it."""
    cancelled_with: str = ""
    started: float = field(default_factory=time.monotonic)

    status: str = ""
    """OpenAI's word for where it stands."""

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
    """If set, a job begins so long after it was first listed, once the session that ordered it has looked at the list again,
    or has been polled so often that it looks no more."""
    words: dict[str, str] = field(default_factory=dict)
    """The host's own words, by OpenAI's."""
    begins: str | None = None
    """A status that comes before OpenAI's first."""
    other_case: bool = False
    """Names of models come back in capitals."""
    spelling: str = "{}"
    """How the base comes back."""
    own_seed: int | None = None
    """The seed it states, instead of the one that was asked for."""
    reads: str = "method"
    """Where hyperparameters are read: within `method`, at the `top`, or in `both` places. Elsewhere it trains 3 epochs."""
    tells_settings: bool = True
    """Whether it states method and hyperparameters."""
    tells_tokens: bool = True
    tells_steps: bool = False
    """Whether it states `trained_steps`: 0 until it trains."""
    file_polls: int = 0
    """So many looks at a file say `pending`; a job on it is refused until then."""
    names_files: bool = True
    """Whether files keep their names; else they are made of ids."""
    gives_content: bool = True
    """Whether an uploaded file can be read."""
    by_file_name: bool = False
    """A job names its training file by name, not by id."""
    null_lists: bool = False
    """An empty list is null."""
    reasons: str = "object"
    """How a failure's reason stands: as an `object`, a `text` or a `list`."""
    milliseconds: bool = False
    """Times are in milliseconds."""
    slashed_ids: bool = False
    """Ids hold slashes."""
    refuses: tuple[str, ...] = ()
    """Keys of an order that it doesn't take."""
    needs: tuple[str, ...] = ()
    """Keys that an order must have."""
    asked_with: tuple[str, ...] = ()
    """Keys that every call must have, in query, form or body."""
    serves: str = "name"
    """How a tuned model can be asked: by its `name`, by a `deployment` of any name, or `registered` from a checkpoint."""
    register_polls: int = 2
    """So many looks at a registered model say `validating`."""
    stale_listing: bool = False
    """The list shows each job as it was created."""
    model_name: str = "ft:{base}:acme:{suffix}:{number}"


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
    trained_tokens: int | None = 2_100
    page: int = 20
    quirks: Quirks = field(default_factory=Quirks)
    files: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    file_looks: dict[str, int] = field(default_factory=dict)
    deployments: dict[str, str] = field(default_factory=dict)
    """The tuned model behind each name that can be asked."""
    deploying: dict[str, int] = field(default_factory=dict)
    registered: dict[str, dict[str, Any]] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def tuned_models(self) -> list[str]:
        """The names that models which jobs have made can be asked by."""
        if self.quirks.serves == "deployment":
            return [name for name in self.deployments if self.deploying.get(name, 2) >= 2]
        if self.quirks.serves == "registered":
            return [name for name, model in self.registered.items() if model["status"] == "active"]
        return [job.body["fine_tuned_model"] for job in self.jobs.values() if job.body["fine_tuned_model"]]

    @property
    def paid(self) -> list[str]:
        """The jobs whose training has begun."""
        return [key for key, job in self.jobs.items() if job.has_trained]

    @property
    def alive(self) -> list[str]:
        """The jobs that have trained or still will."""
        return [key for key, job in self.jobs.items() if job.status not in ("failed", "cancelled")]

    def answer(self, asked: Asked, parts: list[str]) -> Reply:
        """The answer to a call under /v1/files or /v1/fine_tuning/jobs; `parts` is the path behind /v1."""
        parts = [unquote(part) for part in parts]
        if parts[:2] == ["v0", "models"]:
            return self._register(asked, parts[2:])
        if parts[0] == "subscriptions":
            return self._deployment(asked, parts[-1])
        lacking = next((key for key in self.quirks.asked_with if key not in self._keys_of(asked)), None)
        if lacking:
            return error(400, f"{lacking} is required", "missing_parameter")
        if parts[0] == "files":
            return self._files(asked, parts[1:])
        return self._jobs(asked, parts[2:]) if parts[:2] == ["fine_tuning", "jobs"] else _unknown(asked.path)

    @staticmethod
    def _keys_of(asked: Asked) -> set[str]:
        if asked.method == "GET":
            return set(asked.query)
        is_form = "boundary=" in asked.headers.get("content-type", "")
        return set(asked.fields if is_form else asked.json or {})

    def _register(self, asked: Asked, parts: list[str]) -> Reply:
        """Nebius's models: registered from a checkpoint, and validated for a while."""
        if not parts:
            wanted = asked.json
            job = self.jobs[wanted["source"].split(":")[0]]
            assert wanted["source"].split(":")[1] == _checkpoints(job)[-1]["id"]
            name = f"{wanted['base_model']}-LoRa:{wanted['name']}-{len(self.registered)}"
            self.registered[name] = {"name": name, "base_model": wanted["base_model"], "status": "validating", "looks": 0}
            return Reply(dict(self.registered[name]))
        model = self.registered.get("/".join(parts))
        if model is None:
            return error(404, "no such model")
        model["looks"] += 1
        if model["looks"] >= self.quirks.register_polls:
            model["status"] = "active"
        return Reply(dict(model))

    def _deployment(self, asked: Asked, name: str) -> Reply:
        """Azure's management API: a deployment is created, succeeds after two looks, and answers a look later."""
        if asked.method == "DELETE":
            self.deployments.pop(name, None)
            return Reply({})
        if asked.method == "PUT":
            self.deploying[name] = 0
            self.deployments[name] = asked.json["properties"]["model"]["name"]
        else:
            self.deploying[name] += 1
        state = "Succeeded" if self.deploying[name] >= 2 else "Creating"
        return Reply({"name": name, "properties": {"provisioningState": state}})

    # ------------------------------------------------------------ files

    def _files(self, asked: Asked, parts: list[str]) -> Reply:
        if not parts:
            listed = [self._described(key) for key in self.files]
            return self._upload(asked) if asked.method == "POST" else self._page(asked, listed)
        if parts[0] not in self.files:
            return error(404, f"No such File object: {parts[0]}")
        if asked.method == "DELETE":
            del self.files[parts[0]]
            return Reply({"id": parts[0], "object": "file", "deleted": True})
        described, content = self.files[parts[0]]
        if parts[1:] == ["content"]:
            is_ours = described["purpose"] == "fine-tune-results" or self.quirks.gives_content
            return Reply(content, content_type="application/octet-stream") if is_ours else error(404, "Not found")
        self.file_looks[parts[0]] = self.file_looks.get(parts[0], 0) + 1
        return Reply(self._described(parts[0]))

    def _described(self, file_id: str) -> dict[str, Any]:
        """A file as the host describes it."""
        described, _ = self.files[file_id]
        quirks = self.quirks
        is_pending = self.file_looks.get(file_id, 0) < quirks.file_polls and described["purpose"] != "fine-tune-results"
        changes = {"status": "pending"} if is_pending and described["status"] == "processed" else {}
        return {**described, **changes, **({} if quirks.names_files else {"filename": f"{file_id}.jsonl", "bytes": 0})}

    def _upload(self, asked: Asked) -> Reply:
        name, content = asked.fields["file"]
        file = self.add_file(name or "upload", content, asked.fields["purpose"][1].decode())
        return Reply(self._described(file["id"]))

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
        if what == "cancel" and job.status not in ENDED:
            job.cancelled_with = asked.headers.get("authorization", "")
        to = {"cancel": "cancelled", "pause": "paused", "resume": "running"}.get(what)
        self._advance(job, to, by_owner=asked.headers.get("authorization", "") == job.ordered_with)
        return Reply(dict(job.body))

    def create(self, **order: Any) -> dict[str, Any]:
        """Create a job as someone else would; its description."""
        return dict(self._create({"model": "other", "training_file": None, **order}, {}).body)

    def _create(self, asked: dict[str, Any], headers: dict[str, str]) -> Reply:
        quirks = self.quirks
        for key in ("training_file", "validation_file"):
            if asked.get(key) and asked[key] not in self.files:
                return error(400, f"{key}: no such file {asked[key]}", "invalid_file")
            if asked.get(key) and self._described(asked[key])["status"] == "pending":
                return error(400, f"{key} {asked[key]} is not processed yet", "invalid_file")
        for key in quirks.refuses:
            if key in asked:
                return error(400, f"{key} is not supported", "unsupported_parameter")
        for key in quirks.needs:
            if key not in asked:
                return error(400, f"The model {asked['model']} does not support fine-tuning without {key}", "invalid_request")
        number = next(self._numbers)
        name = f"ftjob-{number * 7919 % 10_000 if quirks.shuffled_ids else number:04d}"
        job = Job({}, list(self.states), self.job_error)
        job.body = self._body(asked, number, f"projects/acme/{name}" if quirks.slashed_ids else name)
        self.jobs[job.body["id"]] = job
        job.ordered_with = headers.get("authorization", "")
        self._enter(job, quirks.begins or self.states[0])
        job.created = dict(job.body)
        return Reply(dict(job.body))

    def _body(self, asked: dict[str, Any], number: int, name: str) -> dict[str, Any]:
        quirks, tick_s = self.quirks, self.quirks.tick_s
        created = CREATED + (int((time.monotonic() - self.started) / tick_s) if tick_s else number)
        base = quirks.spelling.format(asked["model"])
        file = asked["training_file"]
        settings = self._settings(asked)
        told = {"hyperparameters": settings, "method": _method(settings)} if quirks.tells_settings else {}
        return {
            "id": name, "object": "fine_tuning.job", "error": None, "created_at": created * (1000 if quirks.milliseconds else 1),
            "fine_tuned_model": None, "finished_at": None, "estimated_finish": None,
            "model": base.upper() if quirks.other_case else base, **told,
            "organization_id": ORGANISATION, "user_id": "user-planted12345678", "result_files": [],
            "seed": (asked.get("seed") or 7) if quirks.own_seed is None else quirks.own_seed,
            "status": "", "trained_tokens": None, "integrations": [],
            "training_file": self.files[file][0]["filename"] if file and quirks.by_file_name else file,
            "validation_file": asked.get("validation_file"),
            "metadata": asked.get("metadata") if quirks.keeps_metadata else None, "suffix": asked.get("suffix"),
            **({"trained_steps": 0, "total_steps": 3} if quirks.tells_steps else {}),
        }  # fmt: skip

    def _settings(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The hyperparameters that it trains by: those that stand where it reads them, else its own."""
        within = ((asked.get("method") or {}).get("supervised") or {}).get("hyperparameters")
        at_top = asked.get("hyperparameters")
        places = {"method": (within, at_top), "top": (at_top,), "both": (within, at_top)}
        found = next((each for each in places[self.quirks.reads] if each is not None), None)
        return {"n_epochs": "auto" if found is not None else 3, **(found or {})}

    def _list(self, asked: Asked) -> Reply:
        wanted = {key[len("metadata[") : -1]: value for key, value in asked.query.items() if key.startswith("metadata[")}
        if wanted and self.quirks.filters == "refused":
            return error(400, "Unknown parameter: 'metadata'", "unknown_parameter")
        jobs = self._matching(wanted if self.quirks.filters == "yes" else {})
        for job in self.jobs.values():
            is_by_owner = asked.headers.get("authorization", "") == job.ordered_with
            job.was_listed_late = job.was_listed_late or (is_by_owner and self._is_late(job))
        if self.quirks.endless:
            listed = self._page(asked, jobs, after=None).body
            return Reply({**listed, "has_more": bool(listed["data"])})
        return self._page(asked, jobs)

    def _matching(self, wanted: dict[str, str]) -> list[dict[str, Any]]:
        for job in self.jobs.values() if self.step_s else []:
            self._advance(job)
        listed = [job for job in self.jobs.values() if job.age_s >= self.quirks.lag_s]
        shown = "created" if self.quirks.stale_listing else "body"
        bodies = [getattr(job, shown) for job in (listed if self.quirks.oldest_first else reversed(listed))]
        return [body for body in bodies if all((body["metadata"] or {}).get(k) == v for k, v in wanted.items())]

    def _advance(self, job: Job, to: str | None = None, by_owner: bool = True) -> None:
        if job.status in ENDED or (to is None and self._is_queued(job, by_owner)):
            return
        job.polls += 1
        step = job.polls if self.step_s is None else int((time.monotonic() - job.started) / self.step_s)
        if to:
            job.states = [to]
        self._enter(job, job.states[min(step, len(job.states) - 1)])

    def _is_queued(self, job: Job, by_owner: bool) -> bool:
        if self.quirks.queue_s is None or job.has_trained:
            return False
        job.late_polls += self._is_late(job)
        return not ((job.was_listed_late and by_owner) or job.late_polls > PATIENT_POLLS)

    def _is_late(self, job: Job) -> bool:
        queue_s, lag_s = self.quirks.queue_s or 0.0, self.quirks.lag_s
        return job.age_s > queue_s + (0.0 if math.isinf(lag_s) else lag_s)

    def _enter(self, job: Job, status: str) -> None:
        quirks, body = self.quirks, job.body
        job.status = status
        body["status"] = quirks.words.get(status, status)
        is_training = status in ("running", "succeeded") and not (quirks.tells_steps and job.polls < 2)
        job.has_trained = job.has_trained or is_training
        if quirks.tells_steps and job.has_trained:
            body["trained_steps"] = 3
        if status in ENDED:
            body["finished_at"] = CREATED + 600
        if status == "failed":
            words = (job.error or {}).get("message")
            body["error"] = {"object": job.error, "text": words, "list": [job.error]}[quirks.reasons]
        if status == "succeeded":
            name = quirks.model_name.format(base=body["model"], suffix=body["suffix"] or "", number=body["id"][-4:])
            body["fine_tuned_model"] = name if quirks.names_model else None
            body["trained_tokens"] = self.trained_tokens if quirks.tells_tokens else None
            results = self.add_file("step_metrics.csv", RESULTS.encode(), "fine-tune-results")["id"]
            body["result_files"] = [results]
            if not quirks.result_files:
                del self.files[results]

    def _page(self, asked: Asked, items: list[dict[str, Any]], after: str | None = "") -> Reply:
        after = asked.query.get("after") if after == "" else after
        start = next((n for n, item in enumerate(items, 1) if item["id"] == after), 0)
        end = start + min(int(asked.query.get("limit", self.page)), self.page)
        chosen = items[start:end]
        ends = {"first_id": chosen[0]["id"], "last_id": chosen[-1]["id"]} if chosen else {}
        data = chosen or (None if self.quirks.null_lists else [])
        return Reply({"object": "list", "data": data, "has_more": end < len(items), **ends})


def _method(hyperparameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}


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
    if job.status != "succeeded":
        return []
    return [
        {
            "id": "ftckpt-0001", "object": "fine_tuning.job.checkpoint", "created_at": CREATED,
            "fine_tuned_model_checkpoint": f"{job.body['fine_tuned_model']}:ckpt-step-3", "fine_tuning_job_id": job.body["id"],
            "metrics": {"step": 3, "train_loss": 1.74, "valid_loss": 2.12}, "step_number": 3,
        }
    ]  # fmt: skip
