"""Cassettes: recorded calls in vcrpy's format, a file by sample, matched on method, path and JSON body.

They are written whole or not at all, and hold no secret in headers and bodies.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from evaltape.errors import HoldsKey, NotFetched, NotRecorded, RecordedOtherwise, RecordingError
from evaltape.files import FETCH, has_conflict, is_lfs_pointer, keep_a_side, write_whole
from evaltape.names import shown
from evaltape.recording.redaction import HOLDS_KEY, holds_secret
from evaltape.recording.vcr_yaml import HEAD, interactions_of, json_text, text_of
from evaltape.text import cut, visible

ENDPOINT = "/chat/completions"
REMOVED_KEYS = {"organization_id", "organization", "org_id", "project_id", "project", "user_id", "user_email", "account_id"}
LARGEST_BYTES = 32 * 2**20
LATENCY, COST, CALL = "x-evaltape-latency-s", "x-evaltape-cost-usd", "x-evaltape-call"
"""Headers of our own, beside the API's: how long the answer took, its cost, and in a pack the name of the call."""
CAME, BATCH, ANSWERS_FROM = "x-evaltape-came", "batch", "answers-from"
"""A header of our own with its values: how an answer came without a live call."""
_FILTERED = ("content_filter", "content_policy_violation", "moderation_blocked")
_HTTP_DATE = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3]\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


class Exchange(msgspec.Struct, frozen=True):
    """An HTTP call: the request, with a JSON body or without, and the status and body of the answer."""

    method: str
    url: str
    asked: Any
    status: int
    answered: Any
    content_type: str = "application/json"
    date: str | None = None
    """The API's header of that name."""
    latency_s: float | None = None
    """Seconds from sending the request to the end of the answer."""
    cost_usd: float | None = None
    """By the suite's price."""
    came: str | None = None
    """How the answer came: `BATCH`, `ANSWERS_FROM`, or None for a live call."""
    name: str | None = None
    """Of a call in a pack: the name that a cassette of its own would have."""

    @property
    def path(self) -> str:
        """The path of the URL."""
        return urlsplit(self.url).path


class Conflicted(RecordingError):
    """A recording that git could not merge: it holds both sides, so nothing has to be asked for again."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{shown(path)}: holds the conflict markers of a git merge", keep_a_side(path))


def read(path: Path) -> list[Exchange]:
    """Return the calls of a cassette. Raises `RecordingError` if the file is missing or no cassette."""
    content = b""
    try:
        with path.open("rb") as file:
            # No more than there is: a buffer of the largest size takes longer to get than a recording to read.
            content = file.read(min(os.fstat(file.fileno()).st_size, LARGEST_BYTES) + 1)
        return exchanges_of(lambda: shown(path), content)
    except FileNotFoundError:
        raise NotRecorded(f"{shown(path)}: there is no such recording") from None
    except OSError as error:
        raise _unreadable(lambda: shown(path), error) from None
    except RecordingError:
        if has_conflict(content):
            raise Conflicted(path) from None
        raise


def replay(path: Path, asked: dict[str, Any]) -> Exchange:
    """Return the recorded call that is a POST of `asked` for a chat completion.

    Raises `RecordingError` if the cassette is missing or damaged, or holds another call (it names the difference) or an error.
    """
    return matching(lambda: shown(path), read(path), asked)


def matching(place: Callable[[], str], recorded: Sequence[Exchange], asked: dict[str, Any]) -> Exchange:
    """Return the call among recorded ones that is a POST of `asked` for a chat completion. Raises as `replay` does."""
    exchange = next((exchange for exchange in recorded if matches(exchange, asked)), None)
    if exchange is None:
        changes = differences(asked, recorded[0])
        kinds = " and ".join(change.split(" (")[0] for change in changes)
        raise RecordedOtherwise(f"{place()}: recorded with {'; '.join(changes)}", kinds)
    if not 200 <= exchange.status < 300 and not is_filtered(exchange):
        raise RecordingError(f"{place()}: recorded with HTTP status {exchange.status}, which is no answer")
    return exchange


def is_valid(read_recording: Callable[[], object]) -> bool:
    """Return whether a recording can be read; False means that it has to be asked for.

    Raises `RecordingError` for a recording that exists, but that Git LFS hasn't fetched or git couldn't merge: asking again
    would be paid.
    """
    try:
        read_recording()
    except NotFetched as error:
        raise RecordingError(f"{error}. Fetch it first, recording it again would be paid: {FETCH}") from None
    except Conflicted as error:
        raise RecordingError(f"{error}. Take one side whole (or --theirs), which calls nothing: {error.command}") from None
    except RecordingError:
        return False
    return True


def is_filtered(exchange: Exchange) -> bool:
    """Return whether the API's content filter refused the prompt, with HTTP status 400. That is the model's answer."""
    error = exchange.answered.get("error") if exchange.status == 400 and isinstance(exchange.answered, dict) else None
    return isinstance(error, dict) and error.get("code") in _FILTERED


def exchanges_of(place: Callable[[], str], content: bytes) -> list[Exchange]:
    """Return the calls of a cassette's content, or of a part of it without the head. Raises `RecordingError`.

    `place` names it in messages: most names are never told, and take longer than a file to read.
    """
    try:
        if len(content) > LARGEST_BYTES:
            raise ValueError(f"larger than {LARGEST_BYTES // 2**20} MiB")
        if is_lfs_pointer(content):
            raise NotFetched(f"{place()}: a Git LFS pointer, which stands for a recording that isn't on this machine")
        text = content.decode()
        interactions = interactions_of(HEAD + text if text.startswith("- ") else text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(place, error) from None
    if not interactions:
        raise RecordingError(f"{place()}: an empty cassette")
    return [_exchange(place, *interaction) for interaction in interactions]


def _unreadable(place: Callable[[], str], error: Exception) -> RecordingError:
    reason = visible(" ".join(str(error).split())[:200])
    return RecordingError(f"{place()}: not a readable cassette ({type(error).__name__}: {reason})")


def _exchange(place: Callable[[], str], method: str, uri: str, body: bytes | None, response: Any) -> Exchange:
    try:
        headers = response.get("headers", {})
        content_type = headers.get("content-type", ["application/json"])[0]
        text = response["body"]["string"].decode()
        return Exchange(
            method=method,
            url=uri,
            asked=json.loads(body) if body else None,
            status=int(response["status"]["code"]),
            answered=json.loads(text) if "json" in content_type else text,
            content_type=content_type,
            date=str(headers["date"][0]) if "date" in headers else None,
            latency_s=_number(headers, LATENCY),
            cost_usd=_number(headers, COST),
            came=str(headers[CAME][0]) if CAME in headers else None,
            name=str(headers[CALL][0]) if CALL in headers else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError) as error:
        reason = visible(repr(error)[:200])
        raise RecordingError(f"{place()}: a cassette, but not of this API ({reason})") from None


def _number(headers: Mapping[str, Any], name: str) -> float | None:
    """Return a header of our own: a number from 0, or None if it is missing."""
    try:
        number = float(headers[name][0])
    except (ValueError, TypeError, IndexError, KeyError, OverflowError):
        return None
    return number if 0 <= number < math.inf else None


def matches(recorded: Exchange, asked: dict[str, Any]) -> bool:
    """Return whether a recorded call is a POST of this JSON for a chat completion.

    Host and prefix of the path don't count, nor do spacing and the order of keys.
    """
    return recorded.method == "POST" and recorded.path.endswith(ENDPOINT) and is_same(asked, recorded.asked)


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and no spaces. `1` and `1.0` differ, as do `true` and `1`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON, for which `1` and `1.0` are the same number, and `true` and `1` differ."""
    return spelling(one) == spelling(other)


def spelling(value: Any) -> str:
    """Return JSON in a spelling that is the same for all values with the same meaning."""
    return canonical(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value


def digest_of(asked: Any) -> str:
    """Return a digest of a JSON body in 16 hex digits: the same for bodies that are `is_same`."""
    return hashlib.sha256(spelling(asked).encode()).hexdigest()[:16]


def differences(asked: dict[str, Any], recorded: Exchange) -> list[str]:
    """Return how a recorded call differs from today's request, in the words of the suite file."""
    if not recorded.path.endswith(ENDPOINT) or not isinstance(recorded.asked, dict):
        return [f"a call to {cut(recorded.path, 100)}, not to {ENDPOINT}"]
    keys = list(dict.fromkeys([*asked, *recorded.asked]))
    same = [key for key in keys if key in asked and key in recorded.asked and is_same(asked[key], recorded.asked[key])]
    changes = [_change(key, asked, recorded.asked) for key in keys if key not in same]
    return changes or [f"another method ({cut(recorded.method, 20)}; the suite asks with POST)"]


def _change(key: str, asked: Mapping[str, Any], recorded: Mapping[str, Any]) -> str:
    now, then = asked.get(key), recorded.get(key)
    if key == "messages":
        return f"another prompt ({_line_that_differs(now, then)})"
    if key == "model":
        return f"another model ({cut(repr(then), 100)}; the suite names {now!r})"
    values = [cut(json.dumps(each[key]), 100) if key in each else "none" for each in (recorded, asked)]
    return f"another {cut(key, 50)} ({values[0]}; the suite asks for {values[1]})"


def _line_that_differs(now: Any, then: Any) -> str:
    turns_then = [turn for turn in then if isinstance(turn, dict)] if isinstance(then, list) else []
    roles = [[str(turn.get("role")) for turn in turns] for turns in (now, turns_then)]
    if roles[0] != roles[1]:
        recorded = cut(", ".join(roles[1]), 100) or "nobody"
        return f"messages by {recorded}; the suite has {', '.join(roles[0])}"
    lines = [[line for turn in turns for line in str(turn.get("content")).split("\n")] for turns in (now, turns_then)]
    pairs = enumerate(zip(*lines, strict=False), 1)
    number = next((n for n, pair in pairs if pair[0] != pair[1]), min(map(len, lines)) + 1)
    return f"line {number} differs"


def write(path: Path, exchanges: list[Exchange], secrets: Collection[str] = ()) -> None:
    """Record calls, replacing the cassette at `path` as a whole.

    Raises `RecordingError`, and writes nothing, if the text holds a key of the session's `secrets` or something
    that looks like an API key, or if it is too large to be read.
    """
    write_text(path, as_text(exchanges), secrets)


def as_text(exchanges: list[Exchange]) -> str:
    """Return the text of a cassette with these calls."""
    return HEAD + "".join(map(call_text, exchanges))


def write_text(path: Path, text: str, secrets: Collection[str] = ()) -> None:
    """Like `write`, for a text of `as_text`."""
    if holds_secret(text, secrets):
        raise HoldsKey(f"{shown(path)}: not written, because the answer {HOLDS_KEY}")
    if len(text) > LARGEST_BYTES // 4 and len(text.encode()) > LARGEST_BYTES:  # A character has at most 4 bytes.
        raise RecordingError(f"{shown(path)}: not written, because it would be larger than {LARGEST_BYTES // 2**20} MiB")
    write_whole(path, text)


def without_identity(value: Any) -> Any:
    """Return JSON without the organisation, project and user that an API adds to its objects."""
    if isinstance(value, dict):
        return {key: without_identity(item) for key, item in value.items() if key not in REMOVED_KEYS}
    if isinstance(value, list):
        return [without_identity(item) for item in value]
    return value


def call_text(exchange: Exchange) -> str:
    """Return a call as it stands in a cassette, with neither credentials nor query in its address."""
    parts = urlsplit(exchange.url)
    headers = {
        "content-type": exchange.content_type,
        "date": exchange.date if _HTTP_DATE.fullmatch(exchange.date or "") else None,
        LATENCY: None if exchange.latency_s is None else f"{exchange.latency_s:.6f}",
        COST: None if exchange.cost_usd is None else f"{exchange.cost_usd:.9f}",
        CAME: exchange.came,
        CALL: exchange.name,
    }
    return text_of(
        exchange.method,
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
        None if exchange.asked is None else _text(exchange.asked, is_json=True),
        {"code": exchange.status, "message": "OK" if exchange.status == 200 else "Bad Request"},
        {name: [value] for name, value in headers.items() if value is not None},
        _text(exchange.answered, "json" in exchange.content_type),
    )


def _text(value: Any, is_json: bool) -> str:
    """Return a body as text: JSON with a line for each key, so that a changed key shows as a changed line."""
    if not is_json:
        return str(value)
    if not isinstance(value, dict):
        return json_text(value)
    return "{" + ",\n ".join(f"{json_text(key)}: {json_text(item)}" for key, item in value.items()) + "}"
