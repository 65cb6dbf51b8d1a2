"""The HTTP client beneath OpenAI's: bounded answers, no redirect of what is paid for, no key unless there is one.

Its transport is aiohttp: a call takes two thirds of the time that it takes with httpx2's own.
"""

from collections.abc import Iterable
from typing import Any

import aiohttp
import httpx2
import openai

from evaltape.recorder.failures import headers_of

_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""Refused, not found, not reached in time, no TLS, a proxy that wouldn't: the request itself was never sent."""


class AnswerTooLarge(httpx2.TransportError):
    """An answer with more bytes than are read."""


class BoundedClient(openai.DefaultAioHttpClient):  # type: ignore[misc,valid-type,unused-ignore]
    """An `httpx2.AsyncClient` that reads at most `most_bytes` of an answer, unpacked, and raises `AnswerTooLarge` beyond."""

    def __init__(self, *, sends_key: bool, most_bytes: int, **options: Any) -> None:
        super().__init__(**options)
        self._sends_key = sends_key
        self._most_bytes = most_bytes

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request and read its answer.

        A redirected POST is not followed: the place it leads to would be paid, and what came back may be another call's.
        """
        if not self._sends_key:
            del request.headers["authorization"]
        options["follow_redirects"] = request.method == "GET"
        response = await super().send(request, stream=True, **options)
        if stream:
            return response
        try:
            return await self._read(response)
        except BaseException:
            await response.aclose()
            raise

    async def _read(self, response: httpx2.Response) -> httpx2.Response:
        headers = headers_of(response)
        length = headers.get("content-length", "")
        if length.isdecimal() and len(length) < 10 and "content-encoding" not in headers:
            self._check(int(length))
            await response.aread()
            return response
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            self._check(size)
            parts.append(part)
        await response.aclose()
        return _unpacked(response, b"".join(parts))

    def _check(self, size: int) -> None:
        if size > self._most_bytes:
            raise AnswerTooLarge(f"more than {self._most_bytes:,} bytes")


def _unpacked(response: httpx2.Response, content: bytes) -> httpx2.Response:
    """Return a response that was read in parts as one that was read at once."""
    hidden = ("content-encoding", "content-length", "transfer-encoding")
    whole = httpx2.Response(
        status_code=response.status_code,
        headers=[(name, value) for name, value in response.headers.raw if name.decode().lower() not in hidden],
        content=content,
        request=response.request,
        extensions=response.extensions,
    )
    whole.elapsed = response.elapsed
    return whole


def timeouts(connect_s: float) -> httpx2.Timeout:
    """Return the client's own limits: on connecting alone, since the whole call has one around it."""
    return httpx2.Timeout(None, connect=connect_s)


def was_never_sent(causes: Iterable[BaseException]) -> bool:
    """Return whether a connection that failed, with these causes, had not yet carried the request."""
    return any(isinstance(cause, _UNSENT) for cause in causes)
