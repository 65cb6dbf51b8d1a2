"""The fine-tuning API's calls. What costs nothing is asked until it is answered; an order is sent once."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from evaltape.finetuning.training_file import TrainingFile
from evaltape.recorder.client import Endpoint
from evaltape.recorder.failures import CallFailed
from evaltape.recorder.jobs.listing import Listing, read_listing
from evaltape.recorder.jobs.patience import Patience
from evaltape.recorder.jobs.remote import RemoteJob, remote_job
from evaltape.recording.cassettes import Exchange
from evaltape.text import duration

Send = Callable[[], Awaitable[Any]]


class JobApi:
    """Files, jobs and events of one endpoint. Every method raises `CallFailed`; `show` receives what is waited for."""

    def __init__(self, endpoint: Endpoint, patience: Patience, show: Callable[[str], None]) -> None:
        self.endpoint = endpoint
        self._patience = patience
        self._show = show

    @property
    def address(self) -> str:
        """The API's base URL."""
        return str(self.endpoint.client.base_url).rstrip("/")

    # ------------------------------------------------------------ jobs

    async def jobs(self, metadata: dict[str, str] | None = None) -> tuple[list[RemoteJob], Listing]:
        """Return the listed jobs; those with this metadata, if the API filters by it."""
        raw = self.endpoint.client.fine_tuning.jobs.with_raw_response.list
        fixed = {"metadata": metadata} if metadata else {}
        listing = await read_listing(lambda query: self._patiently(lambda: raw(**fixed, **query), "the list of jobs"))
        return [_job(item) for item in listing.items], listing

    async def order(self, body: dict[str, Any]) -> Exchange:
        """Create a job: one attempt. A failure leaves open whether it was created unless `surely_refused`."""
        raw = self.endpoint.client.fine_tuning.jobs.with_raw_response.create
        return await self._attempt(lambda: raw(**body))

    async def job(self, job_id: str, patience_s: float | None = None) -> tuple[RemoteJob, Exchange]:
        """Return the state of a job."""
        raw = self.endpoint.client.fine_tuning.jobs.with_raw_response.retrieve
        patience_s = self._patience.read_s if patience_s is None else patience_s
        exchange = await self._patiently(lambda: raw(job_id), f"the state of {job_id}", patience_s, partial(_is_job, job_id))
        return _job(exchange.answered), exchange

    async def cancel(self, job_id: str) -> None:
        """Cancel a job; again if the answer is lost, which does no harm."""
        raw = self.endpoint.client.fine_tuning.jobs.with_raw_response.cancel
        await self._patiently(lambda: raw(job_id), f"the cancelling of {job_id}")

    async def events(self, job_id: str) -> list[Exchange]:
        """Return all events of a job, newest first, a page each."""
        raw = self.endpoint.client.fine_tuning.jobs.with_raw_response.list_events
        extra_s = self._patience.extra_s
        pages = await read_listing(
            lambda query: self._patiently(lambda: raw(job_id, **query), f"the events of {job_id}", extra_s)
        )
        return pages.pages

    async def latest_message(self, job_id: str) -> str:
        """Return the newest event's message; empty if it can't be had."""
        raw = self.endpoint.client.fine_tuning.jobs.with_raw_response.list_events
        try:
            events = (await self._attempt(lambda: raw(job_id, limit=1), self._patience.extra_s)).answered["data"]
            return str(events[0]["message"]) if events else ""
        except (CallFailed, KeyError, TypeError, IndexError):
            return ""

    # ------------------------------------------------------------ files

    async def files(self) -> dict[str, dict[str, Any]]:
        """Return the listed training files by id."""
        raw = self.endpoint.client.files.with_raw_response.list
        ask = partial(raw, purpose="fine-tune")
        listing = await read_listing(lambda query: self._patiently(lambda: ask(**query), "the list of files"))
        return {item["id"]: item for item in listing.items}

    async def file_name(self, file_id: str) -> str | None:
        """Return the name a file was uploaded under; None if it is gone."""
        raw = self.endpoint.client.files.with_raw_response.retrieve
        try:
            answered = (await self._patiently(lambda: raw(file_id), f"the file {file_id}")).answered
        except CallFailed as failure:
            if failure.status in (400, 403, 404, 410):
                return None
            raise
        return str(answered.get("filename")) if isinstance(answered, dict) else None

    async def upload(self, file: TrainingFile) -> Exchange:
        """Upload a file; the exchange holds its digest and size, not its bytes. An identical file is used again.

        After an answer that was lost it is uploaded again: two identical files cost nothing and are both recognised.
        """
        raw = self.endpoint.client.files.with_raw_response.create
        answered = await self._uploaded(file)
        if answered is None:
            timeout_s = self.endpoint.timeout_s + len(file.content) / self._patience.upload_bytes_per_s
            send = partial(raw, file=(file.name, file.content), purpose="fine-tune")
            answered = (await self._patiently(send, "the upload", timeout_s=timeout_s)).answered
        if not isinstance(answered, dict) or not isinstance(answered.get("id"), str):
            raise CallFailed("the answer to an upload describes no file of this API")
        stored = {"filename": file.name, "sha256": hashlib.sha256(file.content).hexdigest(), "bytes": len(file.content)}
        return Exchange("POST", f"{self.address}/files", {"purpose": "fine-tune", "file": stored}, 200, answered)

    async def content(self, file_id: str) -> Exchange:
        """Return the content of a file."""
        raw = self.endpoint.client.files.with_raw_response.content
        return await self._patiently(lambda: raw(file_id), f"the file {file_id}", self._patience.extra_s)

    async def _uploaded(self, file: TrainingFile) -> dict[str, Any] | None:
        try:
            listed = (await self.files()).values()
        except CallFailed:  # Not every API lists files; then it is uploaded once more.
            return None
        same = [one for one in listed if one.get("filename") == file.name and one.get("bytes") in (None, len(file.content))]
        return next((one for one in same if one.get("status") != "error"), None)

    # ------------------------------------------------------------ asking

    async def _patiently(
        self,
        send: Send,
        what: str,
        patience_s: float | None = None,
        accept: Callable[[Any], bool] = lambda answered: True,
        timeout_s: float | None = None,
    ) -> Exchange:
        """Ask until there is an answer that is accepted, while failures are of a kind that passes."""
        patience_s = self._patience.read_s if patience_s is None else patience_s
        started, attempt = time.monotonic(), 0
        while True:
            try:
                exchange = await self._attempt(send, timeout_s)
                if accept(exchange.answered):
                    return exchange
                failure = CallFailed(f"the answer isn't {what}", "attempt")
            except CallFailed as error:
                failure = error
            attempt += 1
            left_s = patience_s - (time.monotonic() - started)
            if not failure.transient or left_s <= 0:
                raise failure
            await self.pause(what, attempt, failure, left_s)

    async def _attempt(self, send: Send, timeout_s: float | None = None) -> Exchange:
        """Send a request once; its answer must come within the timeout as a whole."""
        return (await self.endpoint.call(send, timeout_s))[0]

    async def pause(self, what: str, attempt: int, failure: CallFailed, left_s: float) -> None:
        """Wait before the next attempt, and show for what and how long."""
        pause_s = min(self._patience.pause_s(attempt, failure.retry_after_s), max(left_s, 0.0))
        asked_s = failure.asked_to_wait_s or 0.0
        asked = f" (the API asks for {duration(asked_s)})" if asked_s > pause_s else ""
        self._show(f"waiting {duration(pause_s)} for {what}{asked}: {failure.message}")
        await asyncio.sleep(pause_s)


def surely_refused(failure: CallFailed) -> bool:
    """Return whether an order that failed so has surely created no job: the API refused it, or it was never sent.

    408 and 409 may speak of an order that arrived.
    """
    return not failure.may_be_billed and failure.status not in (408, 409)


def _job(value: Any) -> RemoteJob:
    try:
        return remote_job(value)
    except ValueError as error:
        raise CallFailed(f"the answer is not of the fine-tuning API: {error}") from None


def _is_job(job_id: str, answered: Any) -> bool:
    """Whether an answer isn't that of another job: what isn't a job at all is an error of its own."""
    return not isinstance(answered, dict) or answered.get("id") in (None, job_id)
