"""The HTTP client beneath OpenAI's: bounded answers, no redirect of paid calls, no empty key.

Its transport is aiohttp: a call takes two thirds of the time that it takes with httpx2's own.
"""

import asyncio
import os
import ssl
from contextvars import ContextVar
from functools import cache, partial
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai

from evaltape.errors import UserError
from evaltape.recorder.api.failures import headers_of
from evaltape.recording.cassettes import LARGEST_BYTES
from evaltape.recording.redaction import without_secrets
from evaltape.suite.endpoint import is_local

PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
LARGEST_HEADER_BYTES = 2**20
"""aiohttp's own limit, 8 KiB, loses answers that are paid for: gateways put cookies and policies of any size before them."""


HAS_LEFT: ContextVar[asyncio.Event | None] = ContextVar("HAS_LEFT", default=None)
"""Set once the call that the running task makes begins to leave this machine. Until then it surely costs nothing."""


class AnswerTooLarge(httpx2.TransportError):
    """An answer with more bytes than are read."""


class BoundedClient(openai.DefaultAioHttpClient):  # type: ignore[misc,valid-type,unused-ignore]
    """An `httpx2.AsyncClient` that reads at most 32 MiB of an answer, unpacked, and raises `AnswerTooLarge` beyond."""

    def __init__(self, base_url: str, key: str, connect_s: float) -> None:
        """Raises `OSError` for certificates that can't be read, `ValueError` for a proxy that isn't spoken to."""
        self._sends_key = bool(key)
        # A proxy of the environment is for other machines. Asked for an address of this machine, it would ask itself.
        self._is_direct = is_local(base_url)
        super().__init__(
            cookies=NoCookies(),
            timeout=httpx2.Timeout(None, connect=connect_s),  # The whole call has a limit around it.
            verify=certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
            mounts={f"all://{urlsplit(base_url).netloc.rpartition('@')[2]}": None} if self._is_direct else None,
        )

    def _init_transport(self, *args: Any, **options: Any) -> Any:
        transport: Any = super()._init_transport(*args, **options)
        transport.client = partial(_session, transport)
        return transport

    def _init_proxy_transport(self, proxy: httpx2.Proxy, *args: Any, **options: Any) -> Any:
        if proxy.url.scheme not in ("http", "https") and not self._is_direct:
            raise ValueError(f"a {proxy.url.scheme} proxy; it takes one of http:// or https://")
        transport: Any = super()._init_proxy_transport(proxy, *args, **options)
        transport.client = partial(_session, transport)
        return transport

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request and read its answer.

        A redirected POST is not followed: the place it leads to would be paid, and the answer may be another call's.
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
        if size > LARGEST_BYTES:
            raise AnswerTooLarge(f"more than {LARGEST_BYTES:,} bytes")


def _unpacked(response: httpx2.Response, content: bytes) -> httpx2.Response:
    """Return a response that was read in parts as if it had been read at once."""
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


def _session(transport: Any) -> aiohttp.ClientSession:
    """Return the session beneath a transport; it notes when a request leaves, and keeps no cookies."""

    async def leave(*_: object) -> None:
        has_left = HAS_LEFT.get()
        if has_left is not None:
            has_left.set()

    async def leave_without_body(_: object, __: object, sent: aiohttp.TraceRequestHeadersSentParams) -> None:
        if sent.headers.get("Content-Length", "0") == "0" and "Transfer-Encoding" not in sent.headers:
            await leave()

    trace = aiohttp.TraceConfig()
    trace.on_request_chunk_sent.append(leave)
    trace.on_request_headers_sent.append(leave_without_body)
    limits = transport.limits
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            keepalive_timeout=limits.keepalive_expiry, ssl=transport.ssl_context, limit=limits.max_connections or 0
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=LARGEST_HEADER_BYTES,
        max_field_size=LARGEST_HEADER_BYTES,
        max_headers=2_000,
        trace_configs=[trace],
    )


class NoCookies(CookieJar):
    """Keeps no cookie, so that no cookie is sent: they identify the caller, and looking after them costs every call time."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Take no cookie from an answer."""


@cache
def certificates(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Return what servers are checked by: a file or a folder of certificates, or the system's.

    Reading them takes as long as ten calls, so all clients of a process share them.
    """
    if file or folder:
        return ssl.create_default_context(cafile=file or None, capath=None if file else folder)
    return httpx2.create_ssl_context(trust_env=False)


def http_client(base_url: str, key: str, connect_s: float) -> BoundedClient:
    """Return the HTTP client for an address and key. Raises `UserError` for unusable certificates or proxies."""
    try:
        return BoundedClient(base_url, key, connect_s)
    except OSError as error:
        path = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
        place = f"SSL_CERT_FILE = {path!r}: " if path else ""
        raise UserError(f"{place}the certificates can't be read: {error.strerror or error}") from None
    except (ValueError, httpx2.InvalidURL) as error:
        variables = [name for name in PROXY_VARIABLES for name in (name, name.lower()) if os.environ.get(name)]
        raise UserError(f"{', '.join(variables) or 'the environment'}: {without_secrets(str(error), key)}") from None
