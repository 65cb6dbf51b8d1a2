"""A lane: the calls to a model in the order of their tests, at the pace that the model's API can take.

A judge has a lane like a model; its calls are added as soon as there is an answer, and share concurrency and budget. Calls that
another engine answers leave `waiting` for `away`.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaltape.errors import HoldsKey, RecordingError
from evaltape.recorder.api import failures
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.throttle import Throttle
from evaltape.recorder.wire import LaneTally
from evaltape.recording import cassettes
from evaltape.recording.redaction import HOLDS_KEY, holds_secret
from evaltape.recording.unfinished import Unfinished, new_text
from evaltape.samples.frozen import promote
from evaltape.samples.sample import Failure
from evaltape.suite.definition import Model
from evaltape.text import duration


@dataclass(eq=False)
class Call:
    """A call for a sample's answer, or for a judge's verdict: its request, the place of its answer, and its state so far."""

    sample: str
    """The id of the sample that it is about."""
    folder: Path
    """The suite's folder of recordings."""
    cassette: Path
    """The recording that it makes."""
    request: Callable[[], dict[str, Any]]
    """Makes the JSON body; raises `RecordingError` if it can't."""
    secret: str
    """The key that it is asked with; empty without a key."""
    end: Callable[[Failure | None], None]
    """Receives None once the answer is on disk, or why it isn't."""
    unfinished: Unfinished | None = None
    """The fresh recording that it is part of."""
    attempts: int = 0
    refusals: int = 0
    timeouts: int = 0
    answered_before: int = 0
    """How many calls of the lane had been answered when this call was first refused."""
    not_before: float = 0.0
    failed_with: str = ""
    """Why it is asked again."""

    @property
    def name(self) -> str:
        """The recording's path under the suite's folder, without suffix."""
        return self.cassette.relative_to(self.folder).with_suffix("").as_posix()

    def body(self) -> dict[str, Any]:
        """Return the JSON body. Raises `RecordingError` if no recording could hold it, before it is paid for."""
        body = self.request()
        if any(holds_secret(str(turn["content"]), (self.secret,)) for turn in body["messages"]):
            raise HoldsKey(f"not asked, because the prompt {HOLDS_KEY}, which no recording may")
        return body

    def keep(self, exchange: cassettes.Exchange) -> None:
        """Record an answer. Raises `RecordingError` if it must not be recorded, `OSError` if it can't be now."""
        text = new_text(exchange, self.unfinished, self.cassette.stem)
        cassettes.write_text(self.cassette, text, secrets=(self.secret,))
        promote(self.folder)


def failure_of(error: RecordingError) -> Failure:
    """Return the failure of a call that can't be asked or recorded."""
    return Failure("holds a key" if isinstance(error, HoldsKey) else "job" if error.command else "call", str(error))


@dataclass(eq=False)
class Lane:
    """The calls to a model. Lanes to the same model of the same API, under the same key, share a throttle."""

    model: Model
    endpoint: Endpoint
    throttle: Throttle
    tally: LaneTally
    waiting: deque[Call] = field(default_factory=deque)
    delayed: list[Call] = field(default_factory=list)
    away: dict[Call, None] = field(default_factory=dict)
    """The calls that another engine answers, or shall."""
    given_up: Failure | None = None
    """Why no further call is made."""
    has_asked_too_long: bool = False
    """The API asked to wait for longer than it is granted; said once."""
    dearest: float = 1.0
    """The largest ratio yet of an answer's cost to the most that its request allows."""
    lost: int = 0
    """How many calls in a row failed for good."""
    alike: int = 0
    """How many of them, the last, failed with the same `cause`."""
    cause: str = ""

    def next_call(self, now: float) -> tuple[Call | None, float]:
        """Take the first call that may start now, or None and the seconds until then. Failed calls come last."""
        pause = self.throttle.wait_s(now)
        if pause > 0 and (self.waiting or self.delayed):
            return None, pause
        if self.waiting:
            return self.waiting.popleft(), 0.0
        for call in self.delayed:
            if call.not_before <= now:
                self.delayed.remove(call)
                return call, 0.0
        return None, min((call.not_before - now for call in self.delayed), default=float("inf"))

    def has_calls(self) -> bool:
        """Return whether calls are waiting or in flight."""
        return bool(self.waiting or self.delayed or self.tally.in_flight)

    def left(self) -> list[Call]:
        """Return the calls that are neither in flight nor ended."""
        return [*self.waiting, *self.delayed, *self.away]

    def send_away(self) -> list[Call]:
        """Take all calls that wait, for another engine to answer."""
        calls = list(self.waiting)
        self.waiting.clear()
        self.away.update(dict.fromkeys(calls))
        return calls

    def waits_for(self, now: float) -> str:
        """Return why no call may start now."""
        if self.throttle.wait_s(now) > 0 or not self.delayed:
            return self.throttle.paused_by
        return min(self.delayed, key=lambda call: call.not_before).failed_with

    def note_answer(self, now: float, headers: Mapping[str, str]) -> None:
        """Note that a call was answered."""
        self.throttle.succeed(now, headers)
        self.lost = self.alike = 0
        self.throttle.paused_by = "the API says that its limit is used up"

    def note_failure(self, call: Call, failure: failures.CallFailed, started: float, now: float) -> None:
        """Note that a call failed, and from when it may be tried again."""
        call.failed_with = failure.message
        match failure.mend:
            case "pace":
                self.throttle.paused_by = failure.message
                self.throttle.refuse(started, now, failure.retry_after_s)
                call.answered_before = call.answered_before if call.refusals else self.throttle.answered
                call.refusals += 1
                call.not_before = now + failures.backoff_s(call.refusals, failure.retry_after_s)
            case "network":
                self.throttle.paused_by = failure.message
                self.throttle.miss(now)
            case "time":
                self.throttle.time_out(started, now)
                call.timeouts += 1
            case _:
                self.throttle.fail()
                call.attempts += 1
                call.not_before = now + failures.backoff_s(call.attempts, failure.retry_after_s)

    def note_loss(self, message: str) -> None:
        """Note that a call failed for good."""
        cause = re.sub(r"\d+", "0", message)[:200]
        self.alike = self.alike + 1 if cause == self.cause else 1
        self.cause = cause
        self.lost += 1

    def may_retry(self, call: Call, failure: failures.CallFailed) -> bool:
        """Return whether a call that failed so is to be tried again."""
        if self.given_up is not None or not failure.transient:
            return False
        if failure.mend == "pace":
            return call.refusals < failures.REFUSALS or not self.throttle.answered > call.answered_before
        if failure.mend == "time":
            return call.timeouts < failures.TIMEOUTS
        return failure.mend == "network" or call.attempts < failures.ATTEMPTS

    def hopeless(self, failure: failures.CallFailed, now: float) -> str | None:
        """Return why the lane makes no further call after such a failure; None if it goes on."""
        throttle, last = self.throttle, f"the last with {failure.message}"
        refused_s, unreached_s = now - throttle.refused_since, now - throttle.unreached_since
        if failure.mend == "account":
            return f"not asked: {failure.message}"
        if failure.mend == "pace" and refused_s >= failures.PATIENCE_S:
            return f"not asked: the API has refused every call for {duration(refused_s)}, {last}"
        if failure.mend == "network" and unreached_s >= (failures.PATIENCE_S if throttle.answered else failures.UNREACHED_S):
            return f"not asked: the API couldn't be reached for {duration(unreached_s)}, {last}"
        if failure.mend == "time" and throttle.timeouts_alone >= failures.TIMEOUTS_ALONE:
            return f"not asked: even a single call at a time got {failure.message}; eval_timeout_s sets how long one may take"
        if failure.transient and self.lost >= failures.GIVE_UP_AFTER:
            return f"not asked: {self.lost} calls failed one after another, {last}"
        if self.alike >= (failures.HOPELESS if failure.mend == "model" else failures.GIVE_UP_AFTER):
            return f"not asked: {self.alike} calls in a row failed alike, {last}"
        return None
