"""How a host's class asks its API: questions until they are answered, an order once, each call kept for the recording.

Every wait has a deadline, in `Patience`. The service's own work may take any time: training, processing, registering.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import IO, Any, TypeVar

import msgspec

from evaltape.finetuning.host import Upload
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.api.failures import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, CallFailed, backoff_s
from evaltape.recording.cassettes import Exchange
from evaltape.text import duration

T = TypeVar("T")
Passes = Callable[[CallFailed, int], bool]
"""Returns whether a failure passes, by its attempt's number from 1."""
GARBLED_ATTEMPTS = 3
"""So often an answer is asked for again that isn't JSON: a gateway's page may pass, a wrong address doesn't."""


class Patience(msgspec.Struct, frozen=True):
    """The waits of a drive."""

    read_s: float = 60.0
    """How long a question that costs nothing is asked again while the API fails to answer it."""
    poll_s: float = 900.0
    """The same for the state of a job that is under way: a lost network doesn't end the wait for a training of hours."""
    order_s: float = 120.0
    """How long an order is sent again that the API surely refused for its pace (429)."""
    look_s: float = 90.0
    """How long the listing is looked through for a job after an order without an answer, and a job may be unknown (404)."""
    look_every_s: float = 2.0
    """Between two such looks."""
    rivals_s: float = 180.0
    """How long a job of ours that isn't training yet is compared with other sessions' jobs."""
    settle_s: float = 2.5
    """How long the comparison goes on after the listing shows our job: creation times are whole seconds."""
    file_s: float = 3600.0
    """How long an uploaded file is waited for until the service has processed it."""
    serve_s: float = 900.0
    """How long questions are asked again on the way to a tuned model that can be asked."""
    longest_wait_s: float = 60.0
    """The longest pause between two looks at a file, or at a model that is being registered."""
    extra_s: float = 15.0
    """How long events and metrics are asked for; a job counts without them."""
    first_backoff_s: float = FIRST_BACKOFF_S
    longest_backoff_s: float = LONGEST_BACKOFF_S
    longest_retry_after_s: float = 60.0
    """The most of a Retry-After that is waited."""
    upload_bytes_per_s: float = 100_000.0
    """The slowest upload that isn't given up."""
    download_s: float = 1800.0
    """How much longer a file of answers may take than an answer."""


def passes(failure: CallFailed, attempt: int) -> bool:
    """Return whether a failure is of a kind that passes."""
    return failure.transient or (failure.status is None and attempt < GARBLED_ATTEMPTS)


class Asking:
    """The `Api` of a drive; `show` receives the reason of each wait.

    `shared` are keys that go with every call: in the query of a GET, in the body of a POST, in an upload's form.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        patience: Patience,
        show: Callable[[str], None],
        extra: Mapping[str, Any],
        shared: tuple[str, ...] = (),
    ) -> None:
        self.endpoint = endpoint
        self.extra = extra
        """The suite's `extra`."""
        self.calls: list[Exchange] = []
        """The calls that were answered, since they were last taken."""
        self._shared = {key: extra[key] for key in shared if key in extra}
        self._patience = patience
        self._patience_s = patience.read_s
        self._show = show

    @property
    def base_url(self) -> str:
        """The API's base URL."""
        return str(self.endpoint.client.base_url).rstrip("/")

    @contextlib.contextmanager
    def patient(self, seconds: float) -> Iterator[None]:
        """Ask so long, not as long as questions usually are asked."""
        before, self._patience_s = self._patience_s, seconds
        try:
            yield
        finally:
            self._patience_s = before

    def taken(self, method: str = "POST") -> tuple[Exchange, ...]:
        """Return the calls of a method that were answered since the last time, and forget all calls."""
        calls, self.calls = self.calls, []
        return tuple(call for call in calls if call.method == method)

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Ask until there is an answer; return its JSON."""
        return await self._asked("get", path, options={"params": {**self._shared, **(query or {})}})

    async def post(self, path: str, body: Any = None, *, again: bool = False) -> Any:
        """Send once, or with `again` until there is an answer; return its JSON."""
        body = {**self._shared, **(body or {})} if self._shared else body
        return await self._asked("post", path, again=again, is_json=False, body=body)

    async def upload(self, path: str, file: Upload, fields: Mapping[str, str]) -> Any:
        """Send a file until there is an answer. The call that is kept holds its digest and size, not its bytes."""
        limit_s = self.endpoint.timeout_s + len(file.content) / self._patience.upload_bytes_per_s
        files, options = [("file", (file.name, file.content))], {"headers": {"Content-Type": "multipart/form-data"}}
        body = {**self._shared, **fields}
        answered = await self._asked("post", path, limit_s=limit_s, files=files, body=body, options=options)
        stored = {"filename": file.name, "sha256": file.sha256, "bytes": len(file.content)}
        self.calls[-1] = Exchange("POST", f"{self.base_url}{path}", {**fields, "file": stored}, 200, answered)
        return answered

    async def content(self, path: str) -> str:
        """Return a file's content as text."""
        return str(await self._asked("get", path, is_json=False, options={"params": self._shared}))

    async def download(self, file_id: str, into: IO[bytes]) -> None:
        """Write a file's content, which may be larger than an answer, to the start of another file."""
        import httpx2

        client = self.endpoint.client

        async def send() -> Any:
            async with client.files.with_streaming_response.content(file_id) as response:
                into.seek(0)
                into.truncate()
                async for part in response.iter_bytes():
                    into.write(part)
                return httpx2.Response(200, json={}, request=response.http_request)

        limit_s = self.endpoint.timeout_s + self._patience.download_s
        await self.retry(lambda: self.endpoint.call(send, limit_s), f"the file {file_id}")

    async def delete(self, path: str) -> None:
        """Delete a file, or another object, in a single attempt."""
        await self._asked("delete", path, again=False, is_json=False)

    async def wait(self, what: str, seconds: float) -> None:
        """Sleep, and show the reason."""
        self._show(what)
        await asyncio.sleep(min(seconds, self._patience.longest_wait_s))

    async def _asked(
        self, method: str, path: str, *, again: bool = True, is_json: bool = True, limit_s: float | None = None, **parts: Any
    ) -> Any:
        """Send a request by a method of the client, once or until there is an answer; keep the call."""
        import httpx2

        send = getattr(self.endpoint.client, method)

        async def ask() -> Exchange:
            exchange, _ = await self.endpoint.call(lambda: send(path, cast_to=httpx2.Response, **parts), limit_s)
            if is_json and "json" not in exchange.content_type:
                raise CallFailed("the answer is not JSON of this API", "model")
            return exchange

        name = "the upload" if "files" in parts else f"{method.upper()} {path}"
        exchange = await (self.retry(ask, name) if again else ask())
        self.calls.append(exchange)
        return exchange.answered

    async def retry(
        self, ask: Callable[[], Awaitable[T]], name: str, passes: Passes = passes, patience_s: float | None = None
    ) -> T:
        """Ask until there is an answer, while failures pass; `patience_s` stands in for the patience with questions."""
        started, attempt = time.monotonic(), 0
        patience_s = self._patience_s if patience_s is None else patience_s
        while True:
            try:
                return await ask()
            except CallFailed as failure:
                attempt += 1
                left_s = patience_s - (time.monotonic() - started)
                if left_s <= 0 or not passes(failure, attempt):
                    raise
                await self._pause(name, attempt, failure, left_s)

    async def _pause(self, what: str, attempt: int, failure: CallFailed, left_s: float) -> None:
        waits = self._patience
        retry_after_s = min(failure.retry_after_s or 0.0, waits.longest_retry_after_s)
        pause_s = backoff_s(attempt, retry_after_s, waits.first_backoff_s, waits.longest_backoff_s)
        pause_s = min(pause_s, max(left_s, 0.0))
        asked_s = failure.asked_to_wait_s or 0.0
        asked = f" (the API asks for {duration(asked_s)})" if asked_s > pause_s else ""
        self._show(f"waiting {duration(pause_s)} for {what}{asked}: {failure.message}")
        await asyncio.sleep(pause_s)


def surely_refused(failure: CallFailed) -> bool:
    """Return whether an order that failed so has surely created no job: the API refused it, or it was never sent.

    408 and 409 may speak of an order that arrived.
    """
    return not failure.may_be_billed and failure.status not in (408, 409)
