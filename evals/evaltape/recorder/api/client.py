"""An API that speaks OpenAI's protocol, through the official client: its address and key, an attempt per call.

Retrying is the recorder's: the client's own retries are off.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit

from evaltape.errors import UserError
from evaltape.recorder.api.failures import NO_MONEY_CODES, Mend, headers_of, of_status, words_of
from evaltape.recorder.api.failures import CallFailed as CallFailed
from evaltape.recording.cassettes import LARGEST_BYTES, Exchange, is_filtered, without_identity
from evaltape.recording.redaction import without_secrets
from evaltape.suite.definition import Model
from evaltape.suite.endpoint import address_problem, is_local
from evaltape.text import cut

DEFAULT_URL = "https://api.openai.com/v1"
URL_VARIABLE, KEY_VARIABLE = "OPENAI_BASE_URL", "OPENAI_API_KEY"
HEADERS_VARIABLE = "OPENAI_CUSTOM_HEADERS"


def base_url_of(model: Model) -> str:
    """Return the address of a model's API. Raises `UserError` for an address that can't be asked at.

    The suite's `base_url` comes first, then the environment's; an empty variable counts as unset.
    """
    url = model.base_url or os.environ.get(URL_VARIABLE, "").strip()
    problem = address_problem(url) if url else None
    if problem is not None:
        source = f"{model.key}: base_url" if model.base_url else URL_VARIABLE
        raise UserError(f"{source} {problem}")
    return url or DEFAULT_URL


def custom_headers_kept_from(url: str) -> list[str]:
    """Return the names of the client's custom headers that aren't sent to an address.

    `OPENAI_CUSTOM_HEADERS` may hold keys. They are for the address that the environment names, or for OpenAI's own, not for
    every host of a suite.
    """
    own = os.environ.get(URL_VARIABLE, "").strip() or DEFAULT_URL
    if url.rstrip("/") == own.rstrip("/"):
        return []
    lines = os.environ.get(HEADERS_VARIABLE, "").split("\n")
    return [line.partition(":")[0].strip() for line in lines if ":" in line]


def key_of(model: Model, url: str) -> str:
    """Return the key that a model is asked with at `url`; empty if no key is sent. Raises `UserError` for a missing key.

    A server on this machine gets a key only if the suite names a variable: it usually needs no key, and it may not be the
    server that the key is for.
    """
    if model.api_key_env is None and is_local(url):
        return ""
    variable = model.api_key_env or KEY_VARIABLE
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(f"{model.key}: its API takes a key, and {variable} is not set. Set it; a replay needs no key")
    if not key.isascii() or not key.isprintable():
        raise UserError(f"{model.key}: {variable} holds characters that no key has, and that can't be sent")
    return key


CHATTY = ("openai", "httpx2", "httpcore2", "aiohttp")
"""Loggers with debug records that hold headers and bodies unchanged, with keys and identities in them."""
LONGEST_CONNECT_S = 30.0
"""A call that is given up while it connects was never sent, which is worth knowing: it costs nothing."""
LONGEST_MESSAGE = 500
IDENTITY = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
"""Headers that say who asks, sent with a key alone, by their variables."""
NO_KEY = (
    "No key was sent: a server on this machine gets one only if the suite names its variable, as in "
    'api_key_env = "OPENAI_API_KEY" under the model'
)

Answered = tuple[Exchange, Mapping[str, str]]
"""A call, and the headers of its answer by name in small letters."""


LATE_S = 1.0
"""A deadline that is noticed so much too late was missed by this process, which was stopped or asleep."""
SECOND_CHANCE_S = 5.0
"""The time that such a call is given: an answer that arrived meanwhile is still to be read."""


class Endpoint:
    """The client for an address and key, and the two ways to ask it."""

    def __init__(self, base_url: str, key: str, timeout_s: float) -> None:
        """`key` is empty if no key is sent; `timeout_s` holds for a whole call, from its start to its answer's last byte."""
        self.base_url = base_url
        self.key = key
        self.timeout_s = timeout_s

    def open(self) -> None:
        """Make the client. Raises `UserError` as `client` does."""
        _ = self.client

    @cached_property
    def client(self) -> Any:
        """The official asynchronous client, made when it is first asked for.

        Raises `UserError` if the environment doesn't let it be made: a file of certificates, a proxy, an identity.
        """
        import openai

        from evaltape.recorder.api.transport import http_client

        headers: dict[str, Any] = {} if self.key else dict.fromkeys(IDENTITY, openai.Omit())
        headers |= dict.fromkeys(custom_headers_kept_from(self.base_url), openai.Omit())
        if self.key and any(name.lower() == "authorization" for name in headers):
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            headers["Authorization"] = f"Bearer {self.key}"
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        for variable in IDENTITY.values() if self.key else ():
            value = os.environ.get(variable, "")
            if not (value.isascii() and value.isprintable()):
                raise UserError(f"{variable} holds characters that can't be sent")
        return openai.AsyncOpenAI(
            api_key=self.key or "not sent",
            base_url=self.base_url,
            max_retries=0,
            default_headers=headers or None,
            http_client=http_client(self.base_url, self.key, self._connect_s),
        )

    @property
    def _connect_s(self) -> float:
        # Shorter than the whole call's limit, which would be reached first otherwise.
        return min(0.9 * self.timeout_s, LONGEST_CONNECT_S)

    async def chat(self, body: dict[str, Any]) -> Answered:
        """Make a chat completion call; return the timed exchange and the answer's headers. Raises `CallFailed`.

        The answer is JSON, also under another content type. A prompt that the API's content filter refuses is answered:
        with HTTP status 400.
        """
        import httpx2

        # The client's way to send JSON as it stands: its typed method spends a sixth of a call's time on looking at it.
        send = self.client.post
        exchange, headers = await self.call(lambda: send("/chat/completions", body=body, cast_to=httpx2.Response), is_chat=True)
        if exchange.status < 300:
            self._refuse_error(exchange, headers)
        return exchange, headers

    async def call(
        self, send: Callable[[], Awaitable[Any]], timeout_s: float | None = None, *, is_chat: bool = False
    ) -> Answered:
        """Send a request of the client's `with_raw_response` kind once; return the exchange and the answer's headers.

        `timeout_s` replaces the endpoint's; `is_chat` is for `chat`. Raises `CallFailed`.
        """
        import openai

        from evaltape.recorder.api.transport import HAS_LEFT

        limit_s = self.timeout_s if timeout_s is None else timeout_s
        has_left = asyncio.Event()
        HAS_LEFT.set(has_left)
        try:
            async with _deadline(limit_s):
                sent = await send()
            return _exchange(getattr(sent, "http_response", sent), is_chat)
        except openai.APIStatusError as error:
            if is_chat and error.status_code == 400 and isinstance(error.body, dict):
                answered = _exchange(error.response, is_chat)
                if is_filtered(answered[0]):
                    return answered
            raise self._refusal(error) from None
        except openai.APIConnectionError as error:
            raise self._broken(error, has_left.is_set()) from None
        except TimeoutError:
            raise CallFailed(
                f"no answer within {limit_s:g} s", "time" if has_left.is_set() else "network", may_be_billed=has_left.is_set()
            ) from None
        except (ValueError, openai.OpenAIError) as error:
            if not has_left.is_set():
                raise CallFailed(f"it can't be sent: {self.shown(str(error)[:200])}", "model", may_be_billed=False) from None
            raise CallFailed(f"the answer is not JSON of this API: {self.shown(str(error)[:200])}", "model") from None
        except Exception as error:  # The client didn't foresee it.
            message = f"the call broke off: {self.shown(repr(error))}"
            raise CallFailed(message, "attempt" if has_left.is_set() else "model", may_be_billed=has_left.is_set()) from None

    def shown(self, text: str) -> str:
        """Return an API's words fit for a message: in one line, of bounded length, without keys and identities."""
        return cut(without_secrets(text, self.key), LONGEST_MESSAGE)

    async def close(self) -> None:
        """Close all connections."""
        if "client" in vars(self):
            await self.client.close()

    def _refusal(self, error: Any) -> CallFailed:
        status, headers, body = error.status_code, headers_of(error.response), error.body
        words = self.shown(words_of(body, error.response.reason_phrase or "no message"))
        if 300 <= status < 400:
            words = self._redirection(error.response)
        # An error is named by its code, else by its type; by either if that says that money is missing.
        codes = [it for it in (error.code, body.get("type") if isinstance(body, dict) else None) if isinstance(it, str)]
        code = next((it for it in codes if it in NO_MONEY_CODES), codes[0] if codes else None)
        failure = of_status(status, words, code, headers)
        return replace(failure, message=f"{failure.message}. {NO_KEY}") if status == 401 and not self.key else failure

    def _redirection(self, response: Any) -> str:
        parts = urlsplit(urljoin(str(response.request.url), response.headers.get("location", "")))
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        base = place.removesuffix("/").removesuffix("/chat/completions")
        advice = f". Name it in base_url: {self.shown(base)}" if base != self.base_url.rstrip("/") else ""
        return f"the API redirects the call to {self.shown(place)}; paid calls aren't sent on{advice}"

    def _refuse_error(self, exchange: Exchange, headers: Mapping[str, str]) -> None:
        """Raise `CallFailed` for an error that came with the status of an answer, as some gateways send it."""
        answered = exchange.answered
        error = answered.get("error") if isinstance(answered, dict) and not answered.get("choices") else None
        if not error:
            return
        code = error.get("code") if isinstance(error, dict) else None
        words = self.shown(words_of(error, "an error without a message"))
        meant = of_status(404, words, str(code or ""), headers)
        if isinstance(code, int) and 400 <= code < 600:
            meant = of_status(code, words, None, headers)
        raise replace(meant, message=f"HTTP {exchange.status}: {words}", status=exchange.status, may_be_billed=True)

    def _broken(self, error: BaseException, has_left: bool) -> CallFailed:
        from evaltape.recorder.api.transport import AnswerTooLarge

        chain = [error]
        while chain[-1].__cause__ is not None:
            chain.append(chain[-1].__cause__)
        if any(isinstance(cause, AnswerTooLarge) for cause in chain):
            return CallFailed(f"the answer is larger than {LARGEST_BYTES // 2**20} MiB, which no recording may be", "call")
        reason = self.shown(str(chain[-1])) or type(chain[-1]).__name__
        if isinstance(chain[-1], TimeoutError):
            reason = "a timeout" if has_left else f"none within {self._connect_s:g} s"
        mend: Mend = "attempt" if has_left else "network"
        return CallFailed(f"the connection failed: {reason}", mend, may_be_billed=has_left)


def endpoint_of(model: Model, timeout_s: float, *, is_asked: bool = True) -> Endpoint:
    """Return a model's endpoint. Raises `UserError` if its address can't be used, or its key is missing and it is asked."""
    base_url = base_url_of(model)
    return Endpoint(base_url, key_of(model, base_url) if is_asked else "", timeout_s)


@contextlib.asynccontextmanager
async def _deadline(limit_s: float) -> AsyncIterator[None]:
    """Raise `TimeoutError` after so many seconds, of which this process wasn't stopped or asleep.

    Answers that arrived while it was are read before the deadline counts.
    """
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def expire(at_s: float) -> None:
        now_s = loop.time()
        if now_s - at_s > LATE_S:
            watch(now_s + SECOND_CHANCE_S)
        else:
            timeout.reschedule(now_s)

    def watch(at_s: float) -> None:
        timers[:] = [loop.call_at(at_s, expire, at_s)]

    async with asyncio.timeout(None) as timeout:
        watch(loop.time() + limit_s)
        try:
            yield
        finally:
            timers[0].cancel()


def _exchange(raw: Any, is_chat: bool) -> Answered:
    request, headers = raw.request, headers_of(raw)
    content_type = "application/json" if is_chat else headers.get("content-type", "application/json").split(";")[0]
    sends_json = is_chat or request.headers.get("content-type", "").startswith("application/json")
    exchange = Exchange(
        method=request.method,
        url=str(request.url),
        asked=json.loads(request.content) if sends_json and request.content else None,
        status=raw.status_code,
        answered=without_identity(raw.json()) if "json" in content_type else raw.text,
        content_type=content_type,
        date=headers.get("date") if is_chat else None,
        latency_s=raw.elapsed.total_seconds() if is_chat else None,
    )
    return exchange, headers
