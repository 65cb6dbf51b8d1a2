"""What every request passes through: who may ask, how much they may send, and the headers every answer carries."""

import hmac
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from evaltape.local.errors import ApiError
from evaltape.local.settings import is_loopback

LOG = logging.getLogger("evaltape.local")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
MOST_JSON_BYTES = 8 * 2**20
# A multipart body is a little larger than the file in it.
FORM_BYTES = 2**16


class Meter:
    """Counts the bytes of a request's body, and stops handing them on past a limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self.limit, self._taken = receive, limit, 0

    @property
    def exceeded(self) -> bool:
        """Whether the body is larger than the limit."""
        return self._taken > self.limit

    async def receive(self) -> MutableMapping[str, Any]:
        """The next part of the body. Raises `ValueError` past the limit."""
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self.exceeded:
            raise ValueError("the body is too large")
        return message

    async def drain(self) -> None:
        """Reads on for a while, keeping nothing: a client that is still sending would not see the answer."""
        taken, more = 0, True
        while more and taken < 16 * self.limit:
            message = await self._receive()
            taken += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)


class Answering:
    """Sends one answer, with the headers OpenAI's answers carry."""

    def __init__(self, send: Send) -> None:
        self._send, self._began, self._started = send, time.perf_counter(), False

    async def send(self, message: MutableMapping[str, Any], *, muted: bool = False) -> None:
        """Sends a part of the answer, or drops it where another answer is to follow."""
        if muted and not self._started:
            return
        if message["type"] == "http.response.start":
            self._started = True
            spent_ms = round(1000 * (time.perf_counter() - self._began))
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", f"req_{secrets.token_hex(16)}".encode()),
                (b"openai-processing-ms", str(spent_ms).encode()),
            ]
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        """Answers with an error, unless an answer has begun."""
        if self._started:
            return
        body = json.dumps(error.body()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


class Guard:
    """Wraps an ASGI app: refuses strangers and bodies that are too large, names each answer."""

    def __init__(self, app: App, *, api_key: str | None, max_upload_bytes: int) -> None:
        self._app, self._key, self._max_upload_bytes = app, api_key, max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        limit = self._max_upload_bytes + FORM_BYTES if _is_upload(scope) else MOST_JSON_BYTES
        meter, answer = Meter(receive, limit), Answering(send)
        try:
            self._check(headers)
            if headers.get("content-length", "0").isdigit() and int(headers.get("content-length", "0")) > limit:
                raise _too_large(limit)
            await self._app(scope, meter.receive, lambda message: answer.send(message, muted=meter.exceeded))
            if meter.exceeded:
                raise _too_large(limit)
        except ApiError as error:
            await meter.drain()
            await answer.refuse(error)
        except Exception:
            LOG.exception("%s %s failed", scope["method"], scope["path"])
            message = "The server had an error while processing your request"
            await answer.refuse(ApiError(message, status=500, kind="server_error"))

    def _check(self, headers: dict[str, str]) -> None:
        if self._key is None:
            _check_local(headers)
            return
        given = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not given:
            raise ApiError("You didn't provide an API key (Authorization: Bearer YOUR_KEY).", status=401)
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            raise ApiError("Incorrect API key provided.", status=401, code="invalid_api_key")


def _check_local(headers: dict[str, str]) -> None:
    """Without a key, keeps web pages that a browser on this machine shows from using the service."""
    for name, url in (("host", f"//{headers.get('host', '')}"), ("origin", headers.get("origin", ""))):
        host = _hostname(url)
        if host is not None and not is_loopback(host):
            message = f"Requests with the {name} '{host}' need a key: start the service with one."
            raise ApiError(message, status=403, code="forbidden_origin")


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return "?"


def _is_upload(scope: Scope) -> bool:
    return (scope["method"], scope["path"].rstrip("/")) == ("POST", "/v1/files")


def _too_large(limit: int) -> ApiError:
    message = f"The request is too large: at most {limit // 2**20} MB are taken here (--max-upload-mb for files)."
    return ApiError(message, status=413, code="request_too_large")
