"""Cassettes: recorded calls in vcrpy's format, one file per sample, matched on method, path and JSON body.

vcrpy's cassette, matchers, record modes and YAML reader do the work; what is added is a writer that keeps bodies readable,
files that are written whole or not at all, and headers and bodies that carry no secret.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from vcr.cassette import Cassette
from vcr.matchers import get_matchers_results, method
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.record_mode import RecordMode
from vcr.request import Request
from vcr.serialize import deserialize as from_text
from vcr.serialize import serialize as to_text
from vcr.serializers import yamlserializer

from evals.harness.errors import RecordingError
from evals.harness.files import write_whole
from evals.harness.names import shown

KEPT_HEADERS = ("content-type",)
REMOVED_KEYS = {"organization_id", "organization", "project_id", "project", "user_id"}
LARGEST_BYTES = 32 * 2**20
_KEY_LIKE = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}|\bBearer [A-Za-z0-9._~+/-]{16,}")
# What a literal block of YAML can't hold; in JSON each has an escape.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


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
    return [_exchange(path, *pair) for pair in _load(path)]


def replay(path: Path, endpoint: str, asked: dict[str, Any]) -> Any:
    """The recorded answer's JSON to a POST of `asked` to an API's `endpoint`.

    Raises `RecordingError` where the cassette is missing or damaged, or holds another call: it says what differs.
    """
    wanted = _request("POST", f"https://any.host{endpoint}", asked)
    recorded = [(request, _exchange(path, request, response)) for request, response in _load(path)]
    for request, exchange in recorded:
        if not get_matchers_results(wanted, request, (method, same_endpoint, same_json))[1]:
            return exchange.answered
    raise RecordingError(f"{shown(path)}: recorded with {difference(endpoint, asked, recorded[0][1])}")


def _load(path: Path) -> list[tuple[Request, Any]]:
    try:
        cassette = Cassette.load(
            path=path, persister=_Persister, serializer=_Serializer, record_mode=RecordMode.NONE, match_on=(method,)
        )
        if not cassette.rewound:
            raise RecordingError(f"{shown(path)}: there is no such recording")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, yaml.YAMLError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RecordingError(f"{shown(path)}: not a readable cassette ({type(error).__name__}: {reason})") from None
    if not cassette.data:
        raise RecordingError(f"{shown(path)}: an empty cassette")
    return list(cassette.data)


def _exchange(path: Path, request: Request, response: Any) -> Exchange:
    try:
        asked = json.loads(request.body) if request.body else None
        content_type = response.get("headers", {}).get("content-type", ["application/json"])[0]
        text = response["body"]["string"].decode()
        answered = json.loads(text) if "json" in content_type else text
        return Exchange(request.method, request.uri, asked, int(response["status"]["code"]), answered, content_type)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise RecordingError(f"{shown(path)}: a cassette, but not of this API ({error!r})") from None


# ---------------------------------------------------------------- matching


def same_endpoint(asked: Request, recorded: Request) -> None:
    """A vcrpy matcher: the path under the API's base URL, whose host and prefix are where the API is served today."""
    if not str(recorded.path).endswith(str(asked.path)):
        raise AssertionError(f"{asked.path} != {recorded.path}")


def same_json(asked: Request, recorded: Request) -> None:
    """A vcrpy matcher: equal JSON bodies, whatever their spacing and the order of their keys."""
    if canonical(json.loads(asked.body)) != canonical(json.loads(recorded.body or "null")):
        raise AssertionError("the JSON bodies differ")


def canonical(value: Any) -> str:
    """JSON in one spelling: sorted keys, no spaces. `1` and `1.0` differ, as do `true` and `1`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def difference(endpoint: str, asked: dict[str, Any], recorded: Exchange) -> str:
    """How a recorded call differs from the one asked for, in the words of the suite file."""
    if not recorded.path.endswith(endpoint) or not isinstance(recorded.asked, dict):
        return f"a call to {recorded.path}, not to {endpoint}"
    changes = []
    for key in dict.fromkeys([*asked, *recorded.asked]):
        now, then = asked.get(key), recorded.asked.get(key)
        if key in asked and key in recorded.asked and canonical(now) == canonical(then):
            continue
        changes.append(_change(key, key in asked, now, key in recorded.asked, then))
    return "; ".join(changes)


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
    number = next((n for n, pair in enumerate(zip(*lines, strict=False), 1) if pair[0] != pair[1]), min(map(len, lines)) + 1)
    return f"line {number} differs"


# ---------------------------------------------------------------- writing


def write(path: Path, exchanges: list[Exchange], secrets: tuple[str, ...] = ()) -> None:
    """Record calls, replacing the cassette at `path` as a whole.

    Raises `RecordingError`, and writes nothing, where what would be written holds one of the session's `secrets` or
    something that looks like an API key.
    """
    cassette = Cassette(path=path, persister=_Persister, serializer=_Serializer, record_mode=RecordMode.ALL)
    for exchange in exchanges:
        headers = {"content-type": [exchange.content_type]}
        answered = _text(exchange.answered, "json" in exchange.content_type)
        response = {
            "status": {"code": exchange.status, "message": "OK"},
            "headers": headers,
            "body": {"string": answered.encode()},
        }
        cassette.append(_request(exchange.method, exchange.url, exchange.asked), response)
    _refuse_secrets(path, cassette, secrets)
    cassette._save(force=True)


def _refuse_secrets(path: Path, cassette: Cassette, secrets: tuple[str, ...]) -> None:
    text = to_text(cassette._as_dict(), _Serializer)
    if any(secret in text for secret in secrets if secret) or _KEY_LIKE.search(text):
        raise RecordingError(f"{shown(path)}: not written, because the answer holds an API key or what looks like one")


def without_identity(value: Any) -> Any:
    """JSON without the organisation, project and user that an API adds to its objects."""
    if isinstance(value, dict):
        return {key: without_identity(item) for key, item in value.items() if key not in REMOVED_KEYS}
    if isinstance(value, list):
        return [without_identity(item) for item in value]
    return value


def _request(verb: str, url: str, asked: Any) -> Request:
    """vcrpy's request, with a JSON body or none, and neither credentials nor query in its address."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    body = None if asked is None else _text(asked, is_json=True).encode()
    headers = {} if asked is None else {"content-type": "application/json"}
    return Request(verb, f"{parts.scheme}://{host}{parts.path}", body, headers)


def _text(value: Any, is_json: bool) -> str:
    """A body as text: JSON with a line for each key, so that a change of one shows as one line."""
    if not is_json:
        return str(value)
    if not isinstance(value, dict):
        return _json(value)
    return "{" + ",\n ".join(f"{_json(key)}: {_json(item)}" for key, item in value.items()) + "}"


def _json(value: Any) -> str:
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


class _Persister:
    """vcrpy's persister: files written whole, of bounded size when read."""

    @staticmethod
    def load_cassette(path: Path, serializer: Any) -> tuple[list[Request], list[Any]]:
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST_BYTES + 1)
        except FileNotFoundError:
            raise CassetteNotFoundError from None
        if len(data) > LARGEST_BYTES:
            raise ValueError(f"larger than {LARGEST_BYTES // 2**20} MiB")
        requests, responses = from_text(data.decode(), serializer)[:2]
        return requests, responses

    @staticmethod
    def save_cassette(path: Path, cassette: dict[str, Any], serializer: Any) -> None:
        write_whole(path, to_text(cassette, serializer))


class _Serializer:
    """vcrpy's serializer: its own YAML reader, and a writer that gives every body a literal block."""

    @staticmethod
    def deserialize(text: str) -> Any:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise ValueError("YAML tags, anchors and aliases have no place in a cassette")
        return yamlserializer.deserialize(text)

    @staticmethod
    def serialize(data: dict[str, Any]) -> str:
        return "".join(_yaml_lines(data))


def _yaml_lines(data: dict[str, Any]) -> Iterator[str]:
    yield f"version: {data['version']}\ninteractions:\n"
    for interaction in data["interactions"]:
        request, response = interaction["request"], interaction["response"]
        yield f"- request:\n    method: {request['method']}\n    uri: {_json(request['uri'])}\n"
        yield f"    headers: {_json(request['headers'])}\n"
        yield "    body:" + _block(request["body"], "      ")
        yield f"  response:\n    status: {_json(response['status'])}\n    headers: {_json(response['headers'])}\n"
        yield "    body:\n      string:" + _block(response["body"]["string"], "        ")


def _block(text: str | None, indent: str) -> str:
    """A literal block holding exactly `text`; text that can't stand in one is written as a JSON string, also YAML."""
    if text is None:
        return " null\n"
    if _NOT_IN_YAML.search(text) or text != text.strip() or "\r" in text or "\t" in text or not text:
        return f" {_json(text)}\n"
    return " |-\n" + "".join(f"{indent}{line}\n" for line in text.split("\n"))
