"""What every request passes through: who may ask, how much they may send, and the headers of every answer."""

import hmac
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect

from evaltape.local.errors import ApiError, disk_full, server_error
from evaltape.local.settings import is_loopback
from evaltape.local.state.disk import is_full
from evaltape.text import visible

LOG = logging.getLogger("evaltape.local")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
MOST_JSON_BYTES = 8 * 2**20
# A multipart body is a little larger than the file in it.
FORM_BYTES = 2**16
UPLOAD = ("POST", "/v1/files")


class Meter:
    """Counts the bytes of a request's body, and stops passing them on beyond a limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self.limit, self._taken = receive, limit, 0

    @property
    def exceeded(self) -> bool:
        """Whether the body is larger than the limit."""
        return self._taken > self.limit

    async def receive(self) -> MutableMapping[str, Any]:
        """Return the next part of the body. Raise `ValueError` beyond the limit."""
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self.exceeded:
            raise ValueError("the body is too large")
        return message

    async def drain(self) -> None:
        """Read on for a while and keep nothing: a client that is still sending would not see the answer."""
        taken, more = 0, True
        while more and taken < 16 * self.limit:
            message = await self._receive()
            taken += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)


class Answering:
    """Sends one answer, with the headers that OpenAI's answers carry."""

    def __init__(self, send: Send) -> None:
        self._send, self._start_s, self._started = send, time.perf_counter(), False

    async def send(self, message: MutableMapping[str, Any], *, muted: bool = False) -> None:
        """Send a part of the answer; drop it if `muted`, because another answer is to follow."""
        if muted and not self._started:
            return
        if message["type"] == "http.response.start":
            self._started = True
            spent_ms = round(1000 * (time.perf_counter() - self._start_s))
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", f"req_{secrets.token_hex(16)}".encode()),
                (b"openai-processing-ms", str(spent_ms).encode()),
            ]
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        """Answer with an error, unless an answer has begun."""
        if self._started:
            return
        body = json.dumps(error.body()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


class Guard:
    """Wraps an ASGI app: refuses strangers and bodies that are too large, adds headers, logs failures."""

    def __init__(self, app: App, *, api_key: str | None, max_upload_bytes: int) -> None:
        self._app, self._key, self._max_upload_bytes = app, api_key, max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_upload = (scope["method"], scope["path"]) == UPLOAD
        limit = self._max_upload_bytes + FORM_BYTES if is_upload else MOST_JSON_BYTES
        meter, answer = Meter(receive, limit), Answering(send)
        try:
            self._check(scope, limit)
            await self._app(scope, meter.receive, lambda message: answer.send(message, muted=meter.exceeded))
            if meter.exceeded:
                raise _too_large(limit)
        except ApiError as error:
            await meter.drain()
            await answer.refuse(error)
        except ClientDisconnect:
            return
        except Exception as error:
            if meter.exceeded:
                await meter.drain()
                await answer.refuse(_too_large(limit))
                return
            _log(scope, error)
            await answer.refuse(failure(error))

    def _check(self, scope: Scope, limit: int) -> None:
        """Raise `ApiError` for a client that may not ask, or announces too large a body."""
        if self._key is None:
            _check_local(scope)
        else:
            self._check_key(_values(scope, "authorization"))
        length = "".join(_values(scope, "content-length")[:1])
        if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit):
            raise _too_large(limit)

    def _check_key(self, values: Sequence[str]) -> None:
        assert self._key is not None
        given = "".join(values[:1]).removeprefix("Bearer ").strip()
        if not given:
            raise ApiError("You didn't provide an API key (Authorization: Bearer YOUR_KEY).", status=401)
        if not hmac.compare_digest(given.encode("latin-1"), self._key.encode()):
            raise ApiError("Incorrect API key provided.", status=401, code="invalid_api_key")


def failure(error: BaseException) -> ApiError:
    """Return what a client is answered when handling its request has failed unexpectedly."""
    return disk_full() if is_full(error) else server_error()


def _log(scope: Scope, error: Exception) -> None:
    request = f"{scope['method']} {visible(scope['path'])}"
    if is_full(error):
        LOG.error("%s failed: the disk of the state folder is full (%s)", request, error)
    else:
        LOG.error("%s failed", request, exc_info=error)


def _check_local(scope: Scope) -> None:
    """Keep web pages that a browser on this machine shows from using a service that needs no key.

    A page of no site of its own (a sandboxed frame, a file) has the origin "null"; other clients send no origin.
    """
    hosts = [_hostname(f"//{host}") for host in _values(scope, "host") if host]
    origins = [_hostname(origin) or origin for origin in _values(scope, "origin")]
    for name, values in (("host", hosts), ("origin", origins)):
        for value in values:
            if value is not None and not is_loopback(value):
                message = f"Requests with the {name} '{value}' need a key: start the service with one."
                raise ApiError(message, status=403, code="forbidden_origin")


def _values(scope: Scope, name: str) -> list[str]:
    """Return the values of a header, one for each time that it was sent."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name.encode()]


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return "?"


def _too_large(limit: int) -> ApiError:
    message = f"The request is too large: at most {limit // 2**20} MB are taken here (--max-upload-mb for files)."
    return ApiError(message, status=413, code="request_too_large")
