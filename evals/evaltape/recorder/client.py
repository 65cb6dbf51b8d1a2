"""An API that speaks OpenAI's protocol, through the official client: one attempt per call, every failure classified.

Retrying is the recorder's: the client's own retries are off, so that there is one layer of it.
"""

import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlsplit

from evaltape.errors import UserError
from evaltape.recording.cassettes import Exchange, without_identity
from evaltape.suite.definition import Model

DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"
CHATTY = ("openai", "httpx2", "httpcore2", "aiohttp")
"""Loggers whose debug records hold headers and bodies as they are, with keys and identities in them."""
_TRANSIENT = {408, 409, 429}
_SECRETS = re.compile(r"\b(?:sk-[\w*.-]{4,}|(?:org|proj|req|user)[-_][A-Za-z0-9]{8,}|Bearer \S+)")


@dataclass(frozen=True)
class CallFailed(Exception):
    """A call that gave no answer.

    `message` holds the API's own words; a `transient` failure may be tried again, not before `retry_after_s`; a
    `rate_limited` one was refused for its pace; one that `ends_run` can be mended by no further call.
    """

    message: str
    status: int | None = None
    code: str | None = None
    transient: bool = False
    rate_limited: bool = False
    ends_run: bool = False
    retry_after_s: float | None = None


@dataclass
class Endpoint:
    """The client for one model: its address, its key, and the two ways to ask it."""

    base_url: str | None
    key: str
    timeout_s: float
    _client: Any = field(default=None, init=False)

    @property
    def client(self) -> Any:
        """The official asynchronous client, made when it is first asked for.

        Its transport is aiohttp: a call takes two thirds of the time that it takes with httpx2's own.
        """
        if self._client is None:
            import openai

            for name in CHATTY:
                logging.getLogger(name).setLevel(logging.WARNING)
            self._client = openai.AsyncOpenAI(
                api_key=self.key,
                base_url=self.base_url,
                max_retries=0,
                timeout=self.timeout_s,
                http_client=openai.DefaultAioHttpClient(cookies=NoCookies()),
            )
        return self._client

    async def chat(self, body: dict[str, Any]) -> tuple[Exchange, Mapping[str, str]]:
        """One chat completion call; the exchange and the answer's headers. Raises `CallFailed`."""
        import httpx2

        # The client's way to send JSON as it stands: its typed method spends a sixth of a call's time on looking at it.
        return await self.call(lambda: self.client.post("/chat/completions", body=body, cast_to=httpx2.Response))

    async def call(self, send: Callable[[], Awaitable[Any]]) -> tuple[Exchange, Mapping[str, str]]:
        """Send a request of the client's `with_raw_response` kind, or for a bare response, once. Raises `CallFailed`."""
        import openai

        try:
            sent = await send()
            raw = getattr(sent, "http_response", sent)
            return _exchange(raw), raw.headers
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except openai.APIConnectionError as error:
            cause = _first_cause(error)
            if isinstance(cause, TimeoutError):
                raise CallFailed(f"no answer within {self.timeout_s:g} s", transient=True) from None
            reason = self.redacted(str(cause)) or type(cause).__name__
            raise CallFailed(f"the connection failed: {reason}", transient=True) from None
        except (ValueError, openai.OpenAIError) as error:
            raise CallFailed(f"the answer is not JSON of this API: {self.redacted(str(error))[:200]}") from None

    def redacted(self, text: str) -> str:
        """Text of the API's without keys and identities."""
        return _SECRETS.sub("[removed]", text.replace(self.key, "[removed]"))

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()

    def _refusal(self, error: Any) -> CallFailed:
        status, code = error.status_code, error.code or (error.body or {}).get("type") if _is_dict(error.body) else None
        words = error.body.get("message") if _is_dict(error.body) else None
        words = self.redacted(str(words or error.response.reason_phrase or "no message"))
        exhausted = "insufficient_quota" in (code, error.type)
        return CallFailed(
            message=f"HTTP {status}: {words}" + (f" ({code})" if code and code not in words else ""),
            status=status,
            code=code,
            transient=(status in _TRANSIENT or status >= 500) and not exhausted,
            rate_limited=status == 429 and not exhausted,
            ends_run=exhausted,
            retry_after_s=retry_after(error.response.headers),
        )


class NoCookies(CookieJar):
    """Keeps no cookie, so that none is sent: they identify the caller, and looking after them costs every call time."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Take none from an answer."""


def import_client() -> None:
    """Import the official client, which takes most of a second, ahead of the first call."""
    import openai  # noqa: F401


def endpoint_of(model: Model, timeout_s: float) -> Endpoint:
    """The endpoint a model is asked at. Raises `UserError` where there is no key for it.

    A server on this machine gets the key only where the suite names a variable for it: it needs none, as a rule.
    """
    address = model.base_url or os.environ.get("OPENAI_BASE_URL")
    local = address is not None and (urlsplit(address).hostname or "") in ("localhost", "127.0.0.1", "::1")
    key = None if local and model.api_key_env is None else os.environ.get(model.api_key_env or DEFAULT_KEY_VARIABLE)
    if key is None and local:
        key = "none-needed"
    if not key:
        raise UserError(
            f"{model.key}: recording needs an API key, and {model.api_key_env or DEFAULT_KEY_VARIABLE} is not set. "
            "Set it, or replay what is recorded by leaving --record out"
        )
    return Endpoint(model.base_url, key, timeout_s)


def retry_after(headers: Any) -> float | None:
    """Seconds an answer asks to wait, from `retry-after-ms` or `retry-after` (seconds, or an HTTP date)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit)
        except (KeyError, ValueError):
            continue
    return None


def _exchange(raw: Any) -> Exchange:
    content_type = raw.headers.get("content-type", "application/json").split(";")[0]
    request = raw.request
    is_json = request.headers.get("content-type", "").startswith("application/json")
    asked = json.loads(request.content) if is_json and request.content else None
    answered = without_identity(raw.json()) if "json" in content_type else raw.text
    return Exchange(request.method, str(request.url), asked, raw.status_code, answered, content_type)


def _first_cause(error: BaseException) -> BaseException:
    """What the wrapped errors of a client and its transport began with."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)
