"""The gate that every request passes: who may ask, how much they may send, and the headers of every answer."""

import hmac
import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evaltape.local.errors import ApiError
from evaltape.local.settings import is_loopback
from evaltape.local.state import is_full
from evaltape.text import visible

LOG = logging.getLogger("evaltape.local")
MOST_JSON_BYTES = 8 * 2**20
FORM_BYTES = 2**16
"""How much larger a form is than the file in it."""
EARLY = (401, 403, 413)
"""Statuses with which a request may be answered before it was read."""


class Guard:
    """Wraps an ASGI app: refuses strangers and bodies that are too large, adds headers, logs failures."""

    def __init__(self, app: ASGIApp, *, api_key: str | None, max_upload_bytes: int) -> None:
        self._app, self._key, self._max_upload_bytes = app, api_key, max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        is_upload = (scope["method"], scope["path"]) == ("POST", "/v1/files")
        limit = self._max_upload_bytes + FORM_BYTES if is_upload else MOST_JSON_BYTES
        start_s, taken, more = time.perf_counter(), 0, True

        async def take() -> Message:
            nonlocal taken, more
            message = await receive()
            taken += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def take_bounded() -> Message:
            message = await take()
            if taken > limit:
                raise _too_large(limit)
            return message

        async def pass_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A client that is still sending doesn't see an answer yet, so read on.
                while more and message["status"] in EARLY and taken < 16 * limit:
                    await take()
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = f"req_{secrets.token_hex(16)}"
                headers["openai-processing-ms"] = str(round(1000 * (time.perf_counter() - start_s)))
            await send(message)

        try:
            self._check(Headers(scope=scope), limit)
            await self._app(scope, take_bounded, pass_on)
        except ApiError as error:
            await JSONResponse(error.body(), error.status)(scope, receive, pass_on)
        except ClientDisconnect:
            return
        except Exception as error:  # it was answered
            _log(scope, error)

    def _check(self, headers: Headers, limit: int) -> None:
        """Raise `ApiError` for a client that may not ask, or a body that says that it is too large."""
        if self._key is None:
            _check_local("host", [_hostname(f"//{host}") for host in headers.getlist("host") if host])
            _check_local("origin", [_hostname(origin) or origin for origin in headers.getlist("origin")])
        else:
            given = headers.get("authorization", "").removeprefix("Bearer ").strip()
            if not given:
                raise ApiError("You didn't provide an API key (Authorization: Bearer YOUR_KEY).", status=401)
            if not hmac.compare_digest(given.encode("latin-1"), self._key.encode()):
                raise ApiError("Incorrect API key provided.", status=401, code="invalid_api_key")
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit):
            raise _too_large(limit)


def _too_large(limit: int) -> ApiError:
    message = f"The request is too large: at most {limit // 2**20} MB are taken here (--max-upload-mb for files)."
    return ApiError(message, status=413, code="request_too_large")


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
