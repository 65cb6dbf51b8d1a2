"""The gate that every request passes: who may ask, how much they may send, and the headers of every answer."""

import hmac
import json
import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evaltape.local.errors import ApiError, disk_full, server_error
from evaltape.local.settings import is_loopback
from evaltape.local.state.disk import is_full
from evaltape.text import visible

LOG = logging.getLogger("evaltape.local")
MOST_JSON_BYTES = 8 * 2**20
# A multipart body is a little larger than the file in it.
FORM_BYTES = 2**16


class Exchange:
    """One request and its answer: counts the bytes of the body, and adds the headers that OpenAI's answers carry."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive, self._send, self._limit = receive, send, limit
        self._start_s, self._started, self._taken = time.perf_counter(), False, 0

    @property
    def is_too_large(self) -> bool:
        """Whether the body is larger than the limit."""
        return self._taken > self._limit

    async def receive(self) -> Message:
        """Return the next part of the body. Raise `ValueError` beyond the limit."""
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self.is_too_large:
            raise ValueError("the body is too large")
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, unless the answer is yet to be that the body is too large."""
        if self.is_too_large and not self._started:
            return
        await self._pass_on(message)

    async def refuse(self, error: ApiError) -> None:
        """Answer with an error, unless an answer has begun. A client that is still sending would not see it, so read on."""
        taken, more = 0, error.status in (401, 403, 413)
        while more and taken < 16 * self._limit:
            message = await self._receive()
            taken += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
        if self._started:
            return
        body = json.dumps(error.body()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._pass_on({"type": "http.response.start", "status": error.status, "headers": headers})
        await self._pass_on({"type": "http.response.body", "body": body})

    def too_large(self) -> ApiError:
        """Return the error for a body beyond the limit."""
        message = f"The request is too large: at most {self._limit // 2**20} MB are taken here (--max-upload-mb for files)."
        return ApiError(message, status=413, code="request_too_large")

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            spent_ms = str(round(1000 * (time.perf_counter() - self._start_s))).encode()
            own = [(b"x-request-id", f"req_{secrets.token_hex(16)}".encode()), (b"openai-processing-ms", spent_ms)]
            message["headers"] = [*message["headers"], *own]
        await self._send(message)


class Guard:
    """Wraps an ASGI app: refuses strangers and bodies that are too large, adds headers, logs failures."""

    def __init__(self, app: ASGIApp, *, api_key: str | None, max_upload_bytes: int) -> None:
        self._app, self._key, self._max_upload_bytes = app, api_key, max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        is_upload = (scope["method"], scope["path"]) == ("POST", "/v1/files")
        limit = self._max_upload_bytes + FORM_BYTES if is_upload else MOST_JSON_BYTES
        exchange, headers = Exchange(receive, send, limit), Headers(scope=scope)
        try:
            self._check(headers)
            length = headers.get("content-length", "")
            if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit):
                raise exchange.too_large()
            await self._app(scope, exchange.receive, exchange.send)
            if exchange.is_too_large:
                raise exchange.too_large()
        except ApiError as error:
            await exchange.refuse(error)
        except ClientDisconnect:
            return
        except Exception as error:
            if exchange.is_too_large:
                return await exchange.refuse(exchange.too_large())
            _log(scope, error)
            await exchange.refuse(failure(error))

    def _check(self, headers: Headers) -> None:
        """Raise `ApiError` for a client that may not ask."""
        if self._key is None:
            _check_local("host", [_hostname(f"//{host}") for host in headers.getlist("host") if host])
            _check_local("origin", [_hostname(origin) or origin for origin in headers.getlist("origin")])
            return
        given = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not given:
            raise ApiError("You didn't provide an API key (Authorization: Bearer YOUR_KEY).", status=401)
        if not hmac.compare_digest(given.encode("latin-1"), self._key.encode()):
            raise ApiError("Incorrect API key provided.", status=401, code="invalid_api_key")


def failure(error: BaseException) -> ApiError:
    """Return what a client is answered when handling its request has failed unexpectedly."""
    return disk_full() if is_full(error) else server_error()


def _log(scope: Any, error: Exception) -> None:
    request = f"{scope['method']} {visible(scope['path'])}"
    if is_full(error):
        LOG.error("%s failed: the disk of the state folder is full (%s)", request, error)
    else:
        LOG.error("%s failed", request, exc_info=error)


def _check_local(name: str, values: Sequence[str | None]) -> None:
    """Keep web pages that a browser on this machine shows from using a service that needs no key.

    A page of no site of its own (a sandboxed frame, a file) has the origin "null"; other clients send no origin.
    """
    for value in values:
        if value is not None and not is_loopback(value):
            message = f"Requests with the {name} '{value}' need a key: start the service with one."
            raise ApiError(message, status=403, code="forbidden_origin")


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return "?"
