"""An API that speaks OpenAI's protocol, through the official client: one attempt per call, every failure classified.

Retrying is the recorder's: the client's own retries are off, so that there is one layer of it.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urljoin, urlsplit

from evaltape.recorder.address import base_url_of, key_of
from evaltape.recorder.failures import CallFailed as CallFailed
from evaltape.recorder.failures import headers_of, of_status, words_of
from evaltape.recording.cassettes import LARGEST_BYTES, Exchange, without_identity
from evaltape.recording.redaction import without_secrets
from evaltape.suite.address import is_local
from evaltape.suite.definition import Model
from evaltape.text import cut

CHATTY = ("openai", "httpx2", "httpcore2", "aiohttp")
"""Loggers whose debug records hold headers and bodies as they are, with keys and identities in them."""
LONGEST_CONNECT_S = 30.0
"""A call that is given up while it connects was never sent, which is worth knowing: it costs nothing."""
LONGEST_MESSAGE = 500
IDENTITY = ("OpenAI-Organization", "OpenAI-Project")
"""Headers that say who asks, sent with a key alone."""
NO_KEY = (
    "No key was sent: a server on this machine gets one only if the suite names its variable, as in "
    'api_key_env = "OPENAI_API_KEY" under the model'
)

Answered = tuple[Exchange, Mapping[str, str]]
"""A call, and the headers of its answer by name in small letters."""


@dataclass
class Endpoint:
    """The client for one address and key, and the two ways to ask it."""

    base_url: str
    key: str
    """Empty if none is sent."""
    timeout_s: float
    """Of a whole call, from its start to the last byte of its answer."""
    _client: Any = field(default=None, init=False)

    @property
    def client(self) -> Any:
        """The official asynchronous client, made on first use."""
        if self._client is None:
            import openai

            anonymous: Any = dict.fromkeys(IDENTITY, openai.Omit())
            for name in CHATTY:
                logging.getLogger(name).setLevel(logging.WARNING)
            self._client = openai.AsyncOpenAI(
                api_key=self.key or "not sent",
                base_url=self.base_url,
                max_retries=0,
                default_headers=None if self.key else anonymous,
                http_client=self._http_client(),
            )
        return self._client

    def _http_client(self) -> Any:
        from evaltape.recorder.transport import BoundedClient, timeouts

        # A proxy of the environment is for other machines: this one would be asked for an address of its own.
        direct = {f"all://{urlsplit(self.base_url).netloc.rpartition('@')[2]}": None} if is_local(self.base_url) else None
        return BoundedClient(
            sends_key=bool(self.key),
            most_bytes=LARGEST_BYTES,
            cookies=NoCookies(),
            timeout=timeouts(self._connect_s),
            mounts=direct,
        )

    @property
    def _connect_s(self) -> float:
        # Shorter than the whole call's limit, or it would never be the one that is reached.
        return min(0.9 * self.timeout_s, LONGEST_CONNECT_S)

    async def chat(self, body: dict[str, Any]) -> Answered:
        """Make one chat completion call; return the timed exchange and the answer's headers. Raises `CallFailed`.

        What it answers is JSON, whatever its content type says.
        """
        import httpx2

        # The client's way to send JSON as it stands: its typed method spends a sixth of a call's time on looking at it.
        send = self.client.post
        exchange, headers = await self._sent(
            lambda: send("/chat/completions", body=body, cast_to=httpx2.Response), _chat_exchange
        )
        self._refuse_error(exchange, headers)
        return exchange, headers

    async def call(self, send: Callable[[], Awaitable[Any]], timeout_s: float | None = None) -> Answered:
        """Send a request of the client's `with_raw_response` kind once; return the exchange and the answer's headers.

        `timeout_s` replaces the endpoint's. Raises `CallFailed`.
        """
        return await self._sent(send, _exchange, timeout_s)

    async def _sent(
        self, send: Callable[[], Awaitable[Any]], read: Callable[[Any], Answered], timeout_s: float | None = None
    ) -> Answered:
        import openai

        limit_s = self.timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s):
                sent = await send()
            return read(getattr(sent, "http_response", sent))
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except openai.APIConnectionError as error:
            raise self._broken(error) from None
        except TimeoutError:
            raise CallFailed(f"no answer within {limit_s:g} s", transient=True) from None
        except (ValueError, openai.OpenAIError) as error:
            raise CallFailed(f"the answer is not JSON of this API: {self.shown(str(error)[:200])}") from None

    def shown(self, text: str) -> str:
        """Return an API's words fit for a message: in one line, of bounded length, without keys and identities."""
        return cut(without_secrets(text, self.key), LONGEST_MESSAGE)

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()

    # ------------------------------------------------------------ what went wrong

    def _refusal(self, error: Any) -> CallFailed:
        status, headers, body = error.status_code, headers_of(error.response), error.body
        kind = body.get("type") if isinstance(body, dict) else None
        code = next((it for it in (error.code, kind) if isinstance(it, str)), None)
        words = self.shown(words_of(body, error.response.reason_phrase or "no message"))
        if 300 <= status < 400:
            words = self._redirection(error.response)
        failure = of_status(status, words, code, headers, exhausted="insufficient_quota" in (code, kind))
        return replace(failure, message=f"{failure.message}. {NO_KEY}") if status == 401 and not self.key else failure

    def _redirection(self, response: Any) -> str:
        parts = urlsplit(urljoin(str(response.request.url), response.headers.get("location", "")))
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        base = place.removesuffix("/").removesuffix("/chat/completions")
        advice = f". Name it in base_url: {self.shown(base)}" if base != self.base_url.rstrip("/") else ""
        return f"the API redirects the call to {self.shown(place)}; what is paid for isn't sent on{advice}"

    def _refuse_error(self, exchange: Exchange, headers: Mapping[str, str]) -> None:
        """Raise `CallFailed` for an error that came with the status of an answer, as some gateways send it."""
        answered = exchange.answered
        error = answered.get("error") if isinstance(answered, dict) and not answered.get("choices") else None
        if not error:
            return
        code = error.get("code") if isinstance(error, dict) else None
        meant = of_status(code, "", None, headers) if type(code) is int and 400 <= code < 600 else None
        raise CallFailed(
            message=f"HTTP {exchange.status}: {self.shown(words_of(error, 'an error without a message'))}",
            status=exchange.status,
            code=str(code) if code is not None else None,
            transient=meant is not None and meant.transient,
            rate_limited=meant is not None and meant.rate_limited,
            retry_after_s=meant.retry_after_s if meant else None,
            asked_to_wait_s=meant.asked_to_wait_s if meant else None,
        )

    def _broken(self, error: BaseException) -> CallFailed:
        from evaltape.recorder.transport import AnswerTooLarge, was_never_sent

        chain = list(_causes(error))
        if any(isinstance(cause, AnswerTooLarge) for cause in chain):
            return CallFailed(f"the answer is larger than {LARGEST_BYTES // 2**20} MiB, which no recording may be")
        unsent = was_never_sent(chain)
        reason = self.shown(str(chain[-1])) or type(chain[-1]).__name__
        if isinstance(chain[-1], TimeoutError):
            reason = f"none within {self._connect_s:g} s" if unsent else "a timeout"
        return CallFailed(f"the connection failed: {reason}", transient=True, may_be_billed=not unsent)


class NoCookies(CookieJar):
    """Keeps no cookie, so that none is sent: they identify the caller, and looking after them costs every call time."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Take none from an answer."""


def endpoint_of(model: Model, timeout_s: float) -> Endpoint:
    """Return the endpoint a model is asked at. Raises `UserError` if its address can't be used or its key is missing."""
    base_url = base_url_of(model)
    return Endpoint(base_url, key_of(model, base_url), timeout_s)


def _exchange(raw: Any) -> Answered:
    headers = headers_of(raw)
    content_type = headers.get("content-type", "application/json").split(";")[0]
    request = raw.request
    is_json = request.headers.get("content-type", "").startswith("application/json")
    asked = json.loads(request.content) if is_json and request.content else None
    answered = without_identity(raw.json()) if "json" in content_type else raw.text
    return Exchange(request.method, str(request.url), asked, raw.status_code, answered, content_type), headers


def _chat_exchange(raw: Any) -> Answered:
    request, headers = raw.request, headers_of(raw)
    exchange = Exchange(
        method=request.method,
        url=str(request.url),
        asked=json.loads(request.content),
        status=raw.status_code,
        answered=without_identity(raw.json()),
        date=headers.get("date"),
        latency_s=raw.elapsed.total_seconds(),
    )
    return exchange, headers


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from, down to what the client and its transport began with."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__
