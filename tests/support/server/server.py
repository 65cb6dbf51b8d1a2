"""The server: routes, chat completions, limits, scripted faults, and counts of all that was asked."""

import asyncio
import contextlib
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tests.support.server.batches import Batches
from tests.support.server.http import Asked, read_request, write_reply
from tests.support.server.jobs import Tuning
from tests.support.server.replies import FAULTS, IDENTITY_HEADERS, Fault, Reply, completion, error

PREFIX = "/v1"
CHAT = "/chat/completions"


class Scripted(Protocol):
    """A rule for the server's answers."""

    @property
    def fault(self) -> Fault:
        """Its answer."""

    def applies(self, asked: Asked) -> bool:
        """Whether it answers this call."""


@dataclass
class Rule:
    """A scripted fault: for calls to `path` whose body holds `match`, after the first `after` of these, `times` times."""

    fault: Fault
    path: str
    method: str
    match: str
    after: int
    times: float

    def applies(self, asked: Asked) -> bool:
        """Whether this call is the one; counts it."""
        if asked.method != self.method or not asked.path.endswith(self.path) or self.match not in asked.text:
            return False
        self.after -= 1
        self.times -= self.after < 0
        return self.after < 0 and self.times >= 0


@dataclass
class ApiServer:
    """A server with its settings, which may be changed while it runs, and what it has seen.

    `answers` maps a model to a function from the user's prompt to a text; other models answer with the first line behind
    the prompt's first empty line. `references` maps inputs to the texts that tuned models (`ft:...`) answer with.
    """

    port: int = 0
    latency_s: float = 0.0
    held_after: float = math.inf
    """How many chat calls are answered; further ones wait until it is raised."""
    rate_per_s: float | None = None
    gzip: bool = False
    served: str | None = None
    models: dict[str, str | None] = field(default_factory=dict)
    answers: dict[str, Callable[[str], str]] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    tuning: Tuning = field(default_factory=Tuning)
    batches: Batches = field(init=False)
    requests: list[Asked] = field(default_factory=list)
    in_flight: int = 0
    peak_in_flight: int = 0
    _rules: list[Scripted] = field(default_factory=list)
    _accepted: deque[float] = field(default_factory=deque)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.batches = Batches(self.tuning, self._chat)

    # ------------------------------------------------------------ for tests

    @property
    def base_url(self) -> str:
        """What a client is given."""
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    def fault(
        self,
        fault: str | Fault,
        match: str = "",
        path: str = CHAT,
        method: str = "POST",
        after: int = 0,
        times: float = 1,
    ) -> None:
        """Script a fault by its name in `FAULTS`, or a reply of one's own; `times=math.inf` for every such call."""
        self._rules.append(Rule(FAULTS[fault] if isinstance(fault, str) else fault, path, method, match, after, times))

    def add_rule(self, rule: "Scripted") -> None:
        """Script faults by a rule of one's own."""
        self._rules.append(rule)

    def forget(self) -> None:
        """Drop scripted faults and counts."""
        self._rules.clear()
        self.requests.clear()
        self.peak_in_flight = 0

    def asked(self, path: str = CHAT, method: str = "POST") -> list[Asked]:
        """The requests so far to a path."""
        return [asked for asked in list(self.requests) if asked.method == method and asked.path.endswith(path)]

    @property
    def calls(self) -> int:
        """How many chat completions were asked for."""
        return len(self.asked())

    @property
    def answered(self) -> int:
        """How many of them got an answer, and would be paid for."""
        return sum(asked.status == 200 for asked in self.asked())

    @property
    def statuses(self) -> Counter[int | None]:
        """The statuses of all chat calls; None for those that never got one."""
        return Counter(asked.status for asked in self.asked())

    # ------------------------------------------------------------ its thread

    def __enter__(self) -> "ApiServer":
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        started: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve(started)), daemon=True)
        self._thread.start()
        self.port = started.result()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def stop(self) -> None:
        """Close the port and every connection; what was counted stays."""
        self.__exit__()

    def has_clients(self) -> bool:
        """Whether a connection is open: of killed clients it also reads the requests that had arrived."""
        return bool(self._connections)

    async def _serve(self, started: "Future[int]") -> None:
        try:
            server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, limit=2**24, backlog=1024)
        except OSError as error:
            return started.set_exception(error)
        started.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                while (asked := await read_request(reader)) and await self._exchange(asked, reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.requests.append(asked)
        is_chat = asked.path.endswith(CHAT)
        number = self.calls
        self.in_flight += is_chat
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            reply = self._reply(asked)
            if not await _waited(reader, reply.delay_s + (self.latency_s if is_chat and reply.status == 200 else 0)):
                return False
            while is_chat and number > self.held_after:
                if not await _waited(reader, 0.02):
                    return False
            goes_on = await write_reply(writer, asked, reply)
            asked.status = None if reply.reset or reply.cut else reply.status
            return goes_on
        finally:
            self.in_flight -= is_chat

    # ------------------------------------------------------------ what it answers

    def _reply(self, asked: Asked) -> Reply:
        parts = asked.path.removeprefix(PREFIX).strip("/").split("/")
        rule = next((rule for rule in self._rules if rule.applies(asked)), None)
        if rule is not None:
            reply = rule.fault if isinstance(rule.fault, Reply) else rule.fault(asked.json)
        else:
            reply = self._route(asked, parts)
        if reply.done or reply.lost:
            self._route(asked, parts)
            reply = replace(reply, reset=reply.reset or reply.lost)
        elif reply.late or reply.twice or reply.echoed:
            routed = [self._route(asked, parts) for _ in range(1 + reply.twice)]
            reply = replace(routed[-1], delay_s=reply.delay_s, echoed=reply.echoed)
        return replace(reply, headers={**IDENTITY_HEADERS, **reply.headers}, gzip=reply.gzip or self.gzip)

    def _route(self, asked: Asked, parts: list[str]) -> Reply:
        if parts == ["chat", "completions"]:
            return self._too_fast() or self._chat(asked.json)
        if parts[0] == "batches":
            return self.batches.answer(asked, parts[1:])
        if parts[0] == "models":
            return self._models(parts[1:])
        return self.tuning.answer(asked, parts)

    def _too_fast(self) -> Reply | None:
        if self.rate_per_s is None:
            return None
        now = time.monotonic()
        while self._accepted and self._accepted[0] <= now - 1:
            self._accepted.popleft()
        if len(self._accepted) >= self.rate_per_s:
            return FAULTS["429"]  # type: ignore[return-value]
        self._accepted.append(now)
        return None

    def _chat(self, asked: dict[str, Any]) -> Reply:
        model, prompt = asked["model"], asked["messages"][-1]["content"]
        if self.models and model not in self.models and model not in self.tuning.tuned_models:
            return error(404, f"The model {model!r} does not exist or you do not have access to it", "model_not_found")
        reply = completion(asked, self._text(model, prompt))
        if self.served:
            reply.body["model"] = self.served
        return reply

    def _text(self, model: str, prompt: str) -> str:
        if model in self.answers:
            return self.answers[model](prompt)
        if model.startswith("ft:") or model in self.tuning.tuned_models:
            known = [reference for text, reference in self.references.items() if text in prompt]
            if known:
                return known[0]
        return first_line(prompt)

    def _models(self, parts: list[str]) -> Reply:
        names = {**self.models, **dict.fromkeys(self.tuning.tuned_models)}
        listed = [
            {"id": name, "object": "model", "created": 1_790_000_000, "owned_by": "us", "shutdown_date": date}
            for name, date in names.items()
        ]
        if not parts:
            return Reply({"object": "list", "data": listed})
        found = [model for model in listed if model["id"] == "/".join(parts)]
        return Reply(found[0]) if found else error(404, f"The model {'/'.join(parts)!r} does not exist", "model_not_found")


async def _waited(reader: asyncio.StreamReader, duration_s: float) -> bool:
    """Whether the client was still there after so long."""
    end = time.monotonic() + duration_s
    while (left := end - time.monotonic()) > 0 and not reader.at_eof():
        await asyncio.sleep(min(left, 0.1))
    return not reader.at_eof()


def first_line(prompt: str) -> str:
    """The first line behind the first empty one, or the first line of all."""
    return prompt.strip().split("\n\n", 1)[-1].strip().split("\n")[0]
