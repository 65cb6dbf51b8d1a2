"""The hosts that jobs are driven at: OpenAI's API, in the ways that a `Service` declares, and classes of the user's."""

import datetime
import functools
import importlib
import math
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote, urljoin

from evaltape.errors import UserError
from evaltape.finetuning.host import Api, Event, FileState, Host, Listing, Order, RemoteJob, Upload, as_text
from evaltape.finetuning.recorded_job import read_metrics, token_count
from evaltape.finetuning.services import SERVICES, FilePhase, Phase, Service, phase_of, service_of
from evaltape.recorder.api.asking import Asking
from evaltape.recorder.api.failures import CallFailed, message_in, words_of
from evaltape.suite.definition import Finetune
from evaltape.text import cut, duration, visible

JOBS = "/fine_tuning/jobs"
PAGE = 100
MOST_PAGES = 200
"""Pages of a listing: 20,000 jobs, files or events."""
NO_FILTER = (400, 404, 405, 422, 501)
"""Statuses of an API that can't filter its jobs, or has no jobs."""
NO_FILE = (400, 403, 404, 405, 410, 501)
FIRST_REGISTERED_S, REGISTERED_EVERY_S = 0.25, 5.0
"""The first and the longest pause between two looks at a model that is being registered; each is twice the one before."""
LATEST_FILE_POLL_S = 10.0
MILLISECONDS = 1e11
"""A time over this is in milliseconds: as seconds it would be the year 5138."""


class OpenAIHost(Host):
    """Files, jobs, events and checkpoints as OpenAI's API has them."""

    def __init__(self, api: Api, service: Service | None = None) -> None:
        self._api = api
        self._service = service or Service()

    async def upload(self, file: Upload) -> FileState:
        """Upload a file, unless the service has a usable file of this name and size."""
        try:
            listed = await self.files()
        except CallFailed:  # Not every API lists files; then it is uploaded once more.
            listed = []
        same = [one for one in listed if one.name == file.name and one.size in (None, len(file.content))]
        usable = [one for one in same if one.phase is not FilePhase.FAILED]
        if usable:
            return usable[0]
        answered = await self._api.upload("/files", file, {"purpose": self._service.purpose})
        return _read_file(answered)

    async def files(self) -> list[FileState]:
        """Return the listed training files."""
        items, _ = await self._pages("/files", {"purpose": self._service.purpose})
        return [_read_file(item) for item in items]

    async def file(self, file_id: str) -> FileState:
        """Return a file as it stands now."""
        return _read_file(await self._api.get(f"/files/{_part(file_id)}"))

    async def file_content(self, file_id: str) -> str | None:
        """Return the content of a file; None if the API doesn't give it."""
        try:
            return await self._api.content(f"/files/{_part(file_id)}/content")
        except CallFailed as failure:
            if failure.status in NO_FILE:
                return None
            raise

    async def order(self, order: Order) -> RemoteJob:
        """Create a job: one attempt."""
        return read_job(await self._api.post(JOBS, self._body(order)), self._service)

    def _body(self, order: Order) -> dict[str, Any]:
        ways = self._service
        named = {ways.renamed.get(key, key): value for key, value in order.hyperparameters.items()}
        supervised = {"method": {"type": "supervised", "supervised": {"hyperparameters": named}}}
        optional = {
            "metadata": dict(order.metadata) if ways.takes_metadata else None,
            "validation_file": order.validation_file,
            "seed": order.seed if ways.takes_seed else None,
            "suffix": order.suffix if ways.takes_suffix else None,
        }
        return {
            "model": order.base,
            "training_file": order.training_file,
            **({"hyperparameters": named} if ways.top_level else supervised),
            **{key: value for key, value in optional.items() if value is not None},
            **order.extra,
        }

    async def find(self, digest: str) -> Listing:
        """Return the jobs with our digest, if the API filters by it and has any; else all."""
        if self._service.takes_metadata:
            try:
                found = await self._listing({"metadata[evaltape_digest]": digest})
            except CallFailed as failure:
                if failure.status not in NO_FILTER:  # The plain listing will say whether it is the filter's fault.
                    raise
                found = Listing()
            if found.jobs:
                return found
        return await self._listing({})

    async def _listing(self, query: Mapping[str, str]) -> Listing:
        items, unfinished = await self._pages(JOBS, query)
        return Listing(tuple(read_job(item, self._service) for item in items), unfinished)

    async def look(self, job_id: str) -> RemoteJob:
        """Return a job as it stands now."""
        job = read_job(await self._api.get(f"{JOBS}/{_part(job_id)}"), self._service)
        if job.id != job_id:
            raise CallFailed(f"the answer isn't the state of {job_id}", "attempt")
        return job

    async def cancel(self, job_id: str) -> None:
        """Cancel a job; again if the answer is lost, which does no harm."""
        await self._api.post(f"{JOBS}/{_part(job_id)}/cancel", again=True)

    async def events(self, job_id: str, newest: bool = False) -> list[Event]:
        """Return a job's messages, oldest first."""
        path = f"{JOBS}/{_part(job_id)}/events"
        items, _ = _page(await self._api.get(path, {"limit": 1})) if newest else await self._pages(path, {})
        return [_read_event(item) for item in reversed(items)]

    async def metrics(self, job: RemoteJob) -> list[dict[str, float | None]]:
        """Return the rows of a job's result files."""
        rows: list[dict[str, float | None]] = []
        for file in job.result_files:
            rows += read_metrics(await self._api.content(f"/files/{_part(file)}/content"))
        return rows

    async def serve(self, job: RemoteJob) -> str | None:
        """Return the name to ask the tuned model by; of a service that registers models, once it is registered."""
        if job.tuned_model or not self._service.registers:
            return job.tuned_model
        checkpoints, _ = await self._pages(f"{JOBS}/{_part(job.id)}/checkpoints", {})
        if not checkpoints:
            return None
        last = max(checkpoints, key=lambda one: (_number(one.get("step_number")), _number(one.get("created_at"))))
        models = urljoin(self._api.base_url, "/v0/models")
        suffix = "".join(sign if sign.isalnum() else "-" for sign in job.suffix or "evaltape")
        adapter = f"{suffix}-{job.id[-8:]}".lower()
        wanted = {"name": adapter, "base_model": job.base, "source": f"{job.id}:{last['id']}"}
        described = await self._api.post(models, wanted, again=True)
        pause_s = FIRST_REGISTERED_S
        while True:
            name, status = as_text(_mapping(described).get("name")), str(_mapping(described).get("status") or "active")
            if name is None:
                raise CallFailed("the answer to a registration names no model")
            if status.lower() == "active":
                return name
            if phase_of(status) in (Phase.FAILED, Phase.CANCELLED):
                raise CallFailed(f"the service refused to serve {name}: {words_of(described, status)}")
            await self._api.wait(f"{name} is registered and {status}", pause_s)
            pause_s = min(2 * pause_s, REGISTERED_EVERY_S)
            described = await self._api.get(f"{models}/{quote(name)}")

    async def _pages(self, path: str, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
        """Return the items of a listing, each id once, and why it couldn't be read to its end.

        A listing that says `has_more` and brings nothing new, or never ends, comes back unfinished.
        """
        items: dict[str, dict[str, Any]] = {}
        asked = {"limit": PAGE, **query}
        for number in range(1, MOST_PAGES + 1):
            page, has_more = _page(await self._api.get(path, asked))
            fresh = {item["id"]: item for item in page if item["id"] not in items}
            items |= fresh
            if not has_more or not page:
                return list(items.values()), None
            if not fresh:
                return list(items.values()), f"page {number} of the listing says has_more and brings nothing new"
            asked["after"] = page[-1]["id"]
        return list(items.values()), f"the listing says has_more after {MOST_PAGES} pages"


def _page(answered: Any) -> tuple[list[dict[str, Any]], bool]:
    items = _mapping(answered).get("data", ())
    items = [] if items is None else items
    if not isinstance(items, list) or not all(isinstance(item, dict) and isinstance(item.get("id"), str) for item in items):
        raise CallFailed("the answer is no listing of the fine-tuning API")
    return items, bool(answered.get("has_more"))


async def processed(host: Host, asking: Asking, state: FileState, patience_s: float, poll_s: float) -> FileState:
    """Wait until the service has processed a file. Raises `CallFailed` if it refuses it, or takes longer than `patience_s`."""
    started = time.monotonic()
    while state.phase is FilePhase.PROCESSING:
        waited_s = time.monotonic() - started
        if waited_s > patience_s:
            raise CallFailed(f"{state.id} is still {state.status!r} after {duration(waited_s)}")
        await asking.wait(f"{state.id} is {state.status}, {duration(waited_s)}", min(poll_s, LATEST_FILE_POLL_S))
        state = await host.file(state.id)
    if state.phase is FilePhase.FAILED:
        raise CallFailed(f"the service refused the file {state.id}: its status is {state.status!r}")
    return state


def read_job(value: Any, service: Service | None = None) -> RemoteJob:
    """Read a job from an API's JSON, leniently. Raise `CallFailed` for an answer that isn't a job."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), str) or not isinstance(value.get("status"), str):
        raise CallFailed("the answer is not of the fine-tuning API: it describes no fine-tuning job")
    files, method = value.get("result_files"), _mapping(value.get("method"))
    kind = as_text(method.get("type"))
    told = {**_mapping(value.get("hyperparameters")), **_mapping(_mapping(method.get(kind or "")).get("hyperparameters"))}
    ours = {theirs: mine for mine, theirs in (service.renamed if service else {}).items()}
    steps = value.get("trained_steps")
    return RemoteJob(
        id=value["id"],
        status=value["status"],
        created=_unix_time(value.get("created_at")),
        base=as_text(value.get("model")) or "",
        tuned_model=as_text(value.get("fine_tuned_model")),
        trained_tokens=token_count(value.get("trained_tokens")),
        trained_steps=steps if type(steps) is int else None,
        training_file=as_text(value.get("training_file")),
        seed=value["seed"] if type(value.get("seed")) is int else None,
        suffix=as_text(value.get("suffix")) or as_text(value.get("user_provided_suffix")),
        method=kind,
        hyperparameters={ours.get(key, key): item for key, item in told.items() if item is not None},
        metadata=_mapping(value.get("metadata")),
        reason=_reason(value.get("error")),
        result_files=tuple(file for file in files if isinstance(file, str)) if isinstance(files, list) else (),
    )


def _read_file(value: Any) -> FileState:
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise CallFailed("the answer describes no file of this API")
    name, size = as_text(value.get("filename")), value.get("bytes")
    if name is not None and value["id"] in name:  # Made of the id by a gateway that keeps no names.
        name = None
    return FileState(value["id"], name, size if type(size) is int and size > 0 else None, as_text(value.get("status")) or "")


def _read_event(value: Mapping[str, Any]) -> Event:
    created = value.get("created_at")
    return Event(
        str(value.get("message") or ""), str(value.get("level") or "info"), None if created is None else _unix_time(created)
    )


def _unix_time(value: Any) -> float:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value) / (1000 if value > MILLISECONDS else 1)
    try:
        return datetime.datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _reason(error: Any) -> str:
    """Return an API's words about a failed job: they may be a text, a list, or an object."""
    code = _mapping(error).get("code")
    return message_in(error) or (code if isinstance(code, str) else "")


def _part(name: str) -> str:
    """Return an id as a part of a path; gateways have ids with slashes."""
    return quote(name, safe="")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def host_for(job: Finetune, asking: Asking, root: Path) -> Host:
    """Return the host of a job's service. Raises `UserError` for a class of the user's that can't be used."""
    if job.service in SERVICES:
        return OpenAIHost(asking, service_of(job.service))
    made = loaded(job.service, f"[finetune.{job.key}] service", root)
    try:
        return guarded(made(asking), job.service)
    except Exception as error:
        raise UserError(f"[finetune.{job.key}] service = {job.service!r} can't be made: {shown_error(error)}") from None


def loaded(name: str, place: str, root: Path) -> Any:
    """Import the object `module:name`; the user's modules are found as pytest finds them. Raises `UserError`."""
    module, _, attribute = name.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise UserError(f"{place} = {name!r} can't be imported: {shown_error(error)}") from None


def guarded(host: Any, name: str) -> Host:
    """Return a class of the user's in which every error is a failed call with its name: a job may have been created."""
    methods = [each for each in vars(Host) if not each.startswith("_")]
    missing = [method for method in methods if not callable(getattr(host, method, None))]
    if missing:
        raise TypeError(f"it has no method {missing[0]}; inherit from evaltape.finetuning.host.Host")
    return cast(Host, SimpleNamespace(**{each: _guarded(getattr(host, each), f"{name}.{each}") for each in methods}))


def _guarded(method: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except CallFailed:
            raise
        except Exception as error:
            raise CallFailed(f"{name} raised {shown_error(error)}") from error

    return call


def shown_error(error: BaseException) -> str:
    """Return an error of the user's code in one line."""
    return cut(visible(f"{type(error).__name__}: {error}"), 300)
