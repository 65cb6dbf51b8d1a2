"""The lines of Batch JSONL: requests as they are written, replies as engines write them.

A request's `custom_id` names the recording that its answer makes, and the request itself by a digest, as in
`chats/gpt-4o-mini/13829853.repeat-2@9f86d081884c7d65`: suite, model, sample and repeat. An output file holds no requests, so
the digest alone says whether an answer is for today's request.
"""

import json
import re
from typing import Any

import msgspec

from evaltape.recorder.api.failures import CallFailed, words_of
from evaltape.recorder.lane import Ask, Lane
from evaltape.recording.cassettes import Exchange, digest_of, is_filtered, without_identity

URL = "/v1/chat/completions"
_CUSTOM_ID = re.compile(r"([^/]+)/([^/]+)/(.+)@[0-9a-f]{16}", re.DOTALL)


class CallName(msgspec.Struct, frozen=True):
    """A call by its recording, without a digest of its request."""

    suite: str
    model: str
    """The key of the model or judge, by the first folder of the recording."""
    call: str
    """All of it, as in `chats/small/t1`."""


def custom_id(lane: Lane, ask: Ask, body: dict[str, Any]) -> str:
    """Return the `custom_id` in the line of a request, and of its answer."""
    return f"{lane.model.suite}/{ask.name}@{digest_of(body)}"


def call_name(text: str) -> CallName | None:
    """Return the call that a `custom_id` names; None if it isn't ours."""
    found = _CUSTOM_ID.fullmatch(text)
    return CallName(found[1], found[2], text.rpartition("@")[0]) if found else None


def request_line(name: str, body: dict[str, Any]) -> bytes:
    """Return the line of a request, its end included."""
    return json.dumps({"custom_id": name, "method": "POST", "url": URL, "body": body}).encode() + b"\n"


class Reply(msgspec.Struct, frozen=True):
    """The line of an answer, or of a request that failed."""

    custom_id: str
    status: int
    """HTTP's; 0 where there was no response."""
    body: Any
    error: Any
    """The engine's error beside or in place of a response; None for an answer."""

    @property
    def is_answer(self) -> bool:
        """Whether it is an answer."""
        return self.error is None and 200 <= self.status < 300 and isinstance(self.body, dict)

    def exchange(self, asked: dict[str, Any], base_url: str, came: str) -> Exchange:
        """Return the call that `asked` makes with this reply. Raises `CallFailed` if it is no answer."""
        url = f"{base_url.rstrip('/')}/chat/completions"
        exchange = Exchange("POST", url, asked, self.status, without_identity(self.body), came=came)
        if self.is_answer or is_filtered(exchange):
            return exchange
        said = self.error if self.error is not None else self.body
        code = said.get("code") if isinstance(said, dict) else None
        words = words_of(said, str(code or "no message"))
        status = f"HTTP {self.status}: " if self.status else ""
        raise CallFailed(f"{status}{words}" + (f" ({code})" if code and str(code) not in words else ""))


def read_reply(line: bytes | str) -> Reply:
    """Read the line of an output or error file. Raises `ValueError` with the fault."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("isn't JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("custom_id"), str):
        raise ValueError("has no custom_id")
    response, error = value.get("response"), value.get("error")
    if response is None and error is None:
        raise ValueError("is a request: name the engine's output" if "body" in value else "holds no response and no error")
    response = response if isinstance(response, dict) else {}
    status = response.get("status_code", 200 if error is None else 0)
    return Reply(value["custom_id"], status if isinstance(status, int) else 0, response.get("body"), error)
