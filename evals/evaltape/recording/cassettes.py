"""Cassettes: recorded calls in vcrpy's format, one file per sample, matched on method, path and JSON body.

They are written whole or not at all, and hold no secret in headers and bodies.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from evaltape.errors import NotRecorded, RecordedOtherwise, RecordingError
from evaltape.files import write_whole
from evaltape.names import shown
from evaltape.recording.vcr_yaml import Asked, Interaction, interactions_of, json_text, text_of

REMOVED_KEYS = {"organization_id", "organization", "project_id", "project", "user_id"}
LARGEST_BYTES = 32 * 2**20
_KEY_LIKE = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}|\bBearer [A-Za-z0-9._~+/-]{16,}")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP call: what was asked, with a JSON body or none, and the status and body of the answer."""

    method: str
    url: str
    asked: Any
    status: int
    answered: Any
    content_type: str = "application/json"

    @property
    def path(self) -> str:
        """The path of the URL."""
        return urlsplit(self.url).path


# ---------------------------------------------------------------- reading


def read(path: Path) -> list[Exchange]:
    """The calls of a cassette. Raises `RecordingError` where there is none, or what is there is no cassette."""
    return [_exchange(path, *interaction) for interaction in _load(path)]


def replay(path: Path, endpoint: str, asked: dict[str, Any]) -> Any:
    """The recorded answer's JSON to a POST of `asked` to an API's `endpoint`.

    Raises `RecordingError` where the cassette is missing or damaged, or holds another call: it says what differs.
    """
    recorded = read(path)
    for exchange in recorded:
        if matches(exchange, endpoint, asked):
            return exchange.answered
    changes = differences(endpoint, asked, recorded[0])
    what = " and ".join(change.split(" (")[0] for change in changes)
    raise RecordedOtherwise(f"{shown(path)}: recorded with {'; '.join(changes)}", what)


def _load(path: Path) -> list[Interaction]:
    try:
        with path.open("rb") as file:
            # No more than there is: a buffer of the largest size takes longer to get than a recording to read.
            data = file.read(min(os.fstat(file.fileno()).st_size, LARGEST_BYTES) + 1)
        if len(data) > LARGEST_BYTES:
            raise ValueError(f"larger than {LARGEST_BYTES // 2**20} MiB")
        interactions = interactions_of(data.decode())
    except FileNotFoundError:
        raise NotRecorded(f"{shown(path)}: there is no such recording") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RecordingError(f"{shown(path)}: not a readable cassette ({type(error).__name__}: {reason})") from None
    if not interactions:
        raise RecordingError(f"{shown(path)}: an empty cassette")
    return interactions


def _exchange(path: Path, request: Asked, response: Any) -> Exchange:
    try:
        asked = json.loads(request.body) if request.body else None
        content_type = response.get("headers", {}).get("content-type", ["application/json"])[0]
        text = response["body"]["string"].decode()
        answered = json.loads(text) if "json" in content_type else text
        return Exchange(request.method, request.uri, asked, int(response["status"]["code"]), answered, content_type)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise RecordingError(f"{shown(path)}: a cassette, but not of this API ({error!r})") from None


# ---------------------------------------------------------------- matching


def matches(recorded: Exchange, endpoint: str, asked: dict[str, Any]) -> bool:
    """Whether a recorded call is a POST of this JSON to this endpoint.

    The endpoint is the path under the API's base URL: host and prefix are wherever the API is served today. JSON bodies
    are equal whatever their spacing and the order of their keys.
    """
    same_endpoint = recorded.method == "POST" and recorded.path.endswith(endpoint)
    return same_endpoint and canonical(asked) == canonical(recorded.asked)


def canonical(value: Any) -> str:
    """JSON in one spelling: sorted keys, no spaces. `1` and `1.0` differ, as do `true` and `1`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def differences(endpoint: str, asked: dict[str, Any], recorded: Exchange) -> list[str]:
    """Return how a recorded call differs from the one asked for, in the words of the suite file."""
    if not recorded.path.endswith(endpoint) or not isinstance(recorded.asked, dict):
        return [f"a call to {recorded.path}, not to {endpoint}"]
    changes = []
    for key in dict.fromkeys([*asked, *recorded.asked]):
        now, then = asked.get(key), recorded.asked.get(key)
        if key in asked and key in recorded.asked and canonical(now) == canonical(then):
            continue
        changes.append(_change(key, key in asked, now, key in recorded.asked, then))
    return changes


def _change(key: str, is_asked: bool, now: Any, was_asked: bool, then: Any) -> str:
    if key == "messages":
        return f"another prompt ({_line_that_differs(now, then)})"
    if key == "model":
        return f"another model ({then!r}; the suite names {now!r})"
    told = [json.dumps(value) if there else "none" for value, there in ((then, was_asked), (now, is_asked))]
    return f"another {key} ({told[0]}; the suite asks for {told[1]})"


def _line_that_differs(now: Any, then: Any) -> str:
    roles = [[turn.get("role") for turn in turns if isinstance(turn, dict)] for turns in (now, then or [])]
    if roles[0] != roles[1]:
        return f"messages by {', '.join(map(str, roles[1])) or 'nobody'}; the suite has {', '.join(map(str, roles[0]))}"
    lines = [[line for turn in turns for line in str(turn.get("content")).split("\n")] for turns in (now, then)]
    pairs = enumerate(zip(*lines, strict=False), 1)
    number = next((n for n, pair in pairs if pair[0] != pair[1]), min(map(len, lines)) + 1)
    return f"line {number} differs"


# ---------------------------------------------------------------- writing


def write(path: Path, exchanges: list[Exchange], secrets: tuple[str, ...] = ()) -> None:
    """Record calls, replacing the cassette at `path` as a whole.

    Raises `RecordingError`, and writes nothing, where what would be written holds one of the session's `secrets` or
    something that looks like an API key.
    """
    text = text_of([_interaction(exchange) for exchange in exchanges])
    if any(secret in text for secret in secrets if secret) or _KEY_LIKE.search(text):
        raise RecordingError(f"{shown(path)}: not written, because the answer holds an API key or what looks like one")
    write_whole(path, text)


def prepare_to_write() -> None:
    """Import what the first writing would import."""
    text_of([])


def without_identity(value: Any) -> Any:
    """JSON without the organisation, project and user that an API adds to its objects."""
    if isinstance(value, dict):
        return {key: without_identity(item) for key, item in value.items() if key not in REMOVED_KEYS}
    if isinstance(value, list):
        return [without_identity(item) for item in value]
    return value


def _interaction(exchange: Exchange) -> Interaction:
    """A call as vcrpy has it, with neither credentials nor query in its address."""
    parts = urlsplit(exchange.url)
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    asked = None if exchange.asked is None else _text(exchange.asked, is_json=True).encode()
    return Asked(exchange.method, address, asked), {
        "status": {"code": exchange.status, "message": "OK"},
        "headers": {"content-type": [exchange.content_type]},
        "body": {"string": _text(exchange.answered, "json" in exchange.content_type).encode()},
    }


def _text(value: Any, is_json: bool) -> str:
    """A body as text: JSON with a line for each key, so that a change of one shows as one line."""
    if not is_json:
        return str(value)
    if not isinstance(value, dict):
        return json_text(value)
    return "{" + ",\n ".join(f"{json_text(key)}: {json_text(item)}" for key, item in value.items()) + "}"
