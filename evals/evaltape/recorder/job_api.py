"""The calls of a fine-tuning job: what only reads is sent until it is answered, what costs never twice blindly."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from evaltape.finetuning.training_file import TrainingFile
from evaltape.recorder.client import CallFailed, Endpoint
from evaltape.recorder.retries import backoff_s
from evaltape.recording.cassettes import Exchange

READ_PATIENCE_S = 60.0
POLL_PATIENCE_S = 900.0
"""How long a lost network is put up with while a job is polled."""
TRIES = 5
PAGE = 100

Send = Callable[[], Awaitable[Any]]


class JobApi:
    """Files, jobs and models of one endpoint. Methods raise `CallFailed`; `trouble` hears of what is waited out."""

    def __init__(self, endpoint: Endpoint, trouble: Callable[[str], None]) -> None:
        self._endpoint = endpoint
        self._trouble = trouble

    async def jobs(self, digest: str) -> list[Any]:
        """The jobs that carry a digest, newest first, whether or not the API filters by metadata."""
        raw = self._endpoint.client.fine_tuning.jobs.with_raw_response.list
        jobs = await self._all(lambda **page: raw(metadata={"evaltape_digest": digest}, **page))
        mine = [job for job in jobs if (job.get("metadata") or {}).get("evaltape_digest") == digest]
        return sorted(mine, key=lambda job: job["created_at"], reverse=True)

    async def create(self, order: dict[str, Any], digest: str, known: set[str]) -> tuple[Any, list[Exchange]]:
        """The new job, and its exchange. `known` are the jobs of that digest that were there before."""
        raw = self._endpoint.client.fine_tuning.jobs.with_raw_response.create

        async def there() -> Any:
            return next((job for job in await self.jobs(digest) if job["id"] not in known), None)

        found = await self._once(lambda: raw(**order), there)
        return (found.answered, [found]) if isinstance(found, Exchange) else (found, [])

    async def upload(self, file: TrainingFile) -> Exchange:
        """The file's upload, stored with digest and size in place of its bytes. An identical one is reused."""
        raw = self._endpoint.client.files.with_raw_response

        async def there() -> Any:
            files = await self._all(lambda **page: raw.list(purpose="fine-tune", **page))
            mine = [found for found in files if (found["filename"], found["bytes"]) == (file.name, len(file.content))]
            return next((found for found in mine if found.get("status") != "error"), None)

        found = await there()
        if found is None:
            found = await self._once(lambda: raw.create(file=(file.name, file.content), purpose="fine-tune"), there)
        stored = {"filename": file.name, "sha256": hashlib.sha256(file.content).hexdigest(), "bytes": len(file.content)}
        address = f"{str(self._endpoint.client.base_url).rstrip('/')}/files"
        answered = found.answered if isinstance(found, Exchange) else found
        return Exchange("POST", address, {"purpose": "fine-tune", "file": stored}, 200, answered)

    async def job(self, job_id: str) -> Exchange:
        """The state of a job."""
        raw = self._endpoint.client.fine_tuning.jobs.with_raw_response.retrieve
        return await self._patiently(lambda: raw(job_id), POLL_PATIENCE_S)

    async def events(self, job_id: str) -> list[Exchange]:
        """All events of a job, newest first, a page each."""
        raw = self._endpoint.client.fine_tuning.jobs.with_raw_response.list_events
        return await self._pages(lambda **page: raw(job_id, **page))

    async def latest_message(self, job_id: str) -> str:
        """The newest event's message; empty where it can't be had."""
        raw = self._endpoint.client.fine_tuning.jobs.with_raw_response.list_events
        try:
            events = (await self._endpoint.call(lambda: raw(job_id, limit=1)))[0].answered["data"]
            return str(events[0]["message"]) if events else ""
        except (CallFailed, KeyError, TypeError):
            return ""

    async def content(self, file_id: str) -> Exchange:
        """The content of a file."""
        raw = self._endpoint.client.files.with_raw_response.content
        return await self._patiently(lambda: raw(file_id))

    async def _all(self, send: Callable[..., Awaitable[Any]]) -> list[Any]:
        return [item for page in await self._pages(send) for item in page.answered["data"]]

    async def _pages(self, send: Callable[..., Awaitable[Any]]) -> list[Exchange]:
        pages: list[Exchange] = []
        after: dict[str, str] = {}
        while True:
            page = await self._patiently(partial(send, limit=PAGE, **after))
            pages.append(page)
            if not page.answered.get("has_more") or not page.answered["data"]:
                return pages
            after = {"after": page.answered["data"][-1]["id"]}

    async def _once(self, send: Send, there: Callable[[], Awaitable[Any]]) -> Any:
        """Send what must not happen twice: after a failure that leaves it open, look whether it is `there`."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return (await self._endpoint.call(send))[0]
            except CallFailed as failure:
                if not failure.transient or attempt == TRIES:
                    raise
                await self._pause(attempt, failure)
            found = await there()
            if found is not None:
                return found

    async def _patiently(self, send: Send, patience_s: float = READ_PATIENCE_S) -> Exchange:
        started, attempt = time.monotonic(), 0
        while True:
            try:
                return (await self._endpoint.call(send))[0]
            except CallFailed as failure:
                attempt += 1
                if not failure.transient or time.monotonic() - started > patience_s:
                    raise
                await self._pause(attempt, failure)

    async def _pause(self, attempt: int, failure: CallFailed) -> None:
        self._trouble(f"waiting for the API: {failure.message}")
        await asyncio.sleep(backoff_s(attempt, failure.retry_after_s))
