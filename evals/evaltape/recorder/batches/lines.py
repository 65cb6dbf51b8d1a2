"""The lines of Batch JSONL: requests as they are written, replies as engines write them.

A request's `custom_id` names the recording that its answer makes, and the request itself by a digest, as in
`chats/gpt-4o-mini/13829853.repeat-2@9f86d081884c7d65`: suite, model, sample and repeat. An output file holds no requests, so
the digest alone says whether an answer is for today's request.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.files import write_whole
from evaltape.names import shown
from evaltape.recorder.api.failures import CallFailed, words_of
from evaltape.recorder.lane import Call, Lane
from evaltape.recording.cassettes import Exchange, digest_of, is_filtered, without_identity
from evaltape.suite.definition import Suite
from evaltape.text import counted

URL = "/v1/chat/completions"
CUSTOM_ID = re.compile(r"(?P<call>(?P<suite>[^/]+)/(?P<model>[^/]+)/.+)@(?P<digest>[0-9a-f]{16})", re.DOTALL)
"""A `custom_id` of ours. `model` is the key of a model or judge, `call` the recording, as in `chats/small/t1`."""


def custom_id(lane: Lane, call: Call, body: dict[str, Any]) -> str:
    """Return the `custom_id` in the line of a request, and of its answer."""
    return f"{lane.model.suite}/{call.name}@{digest_of(body)}"


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


# ---------------------------------------------------------------- --requests-to


class Written(msgspec.Struct, frozen=True):
    """The requests to a model or judge: how many were written, and how many weren't."""

    suite: str
    requests: int
    unwritten: int
    lines: tuple[str, ...]
    """Notes for the user."""


def write_requests(lanes: Iterable[Lane], suites: Iterable[Suite], folder: Path) -> list[Written]:
    """Write the calls that wait in lanes, by the suite and the key of their model. Raises `UserError` if that can't be done.

    The file of a model that isn't asked anything any more is removed: nobody is to pay for its requests.
    """
    try:
        for suite in suites:
            for key in (*suite.models, *suite.judges):
                (folder / f"{suite.name}.{key}.jsonl").unlink(missing_ok=True)
        return [_write(lane, folder / f"{lane.model.suite}.{lane.model.key}.jsonl") for lane in lanes]
    except OSError as error:
        raise UserError(f"--requests-to {shown(folder)}: can't be written: {error.strerror or error}") from None


def _write(lane: Lane, path: Path) -> Written:
    requests, problems, notes = list[bytes](), Counter[str](), list[str]()
    for call in lane.waiting:
        try:
            body = call.body()
            requests.append(request_line(custom_id(lane, call, body), body))
        except RecordingError as error:
            problems[str(error)] += 1
    if requests:
        write_whole(path, b"".join(requests).decode())
        notes.append(f"  {shown(path)}  {counted(len(requests), 'request')}, {sum(map(len, requests)) / 1e6:,.1f} MB")
    if problems:
        notes.append(f"  {path.stem}: {counted(problems.total(), 'request')} not written: {'; '.join(problems)}")
    return Written(lane.model.suite, len(requests), problems.total(), tuple(notes))
