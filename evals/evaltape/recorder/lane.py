"""A lane: the calls to one model, in the order of their tests, with what the model's API can take."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from evaltape.recorder import retries
from evaltape.recorder.client import Endpoint
from evaltape.recorder.failures import CallFailed
from evaltape.recorder.tally import LaneTally
from evaltape.recorder.throttle import Throttle
from evaltape.recording.folder import Recordings
from evaltape.recording.unfinished import Unfinished
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Model
from evaltape.text import duration


@dataclass(eq=False)
class Call:
    """One sample to ask a model for; `repeat` counts from 2 if it is asked again to measure noise."""

    sample: Sample
    repeat: int = 1
    attempts: int = 0
    first_refused: float | None = None
    not_before: float = 0.0
    failed_with: str = ""
    """Why it is asked again."""


@dataclass(eq=False)
class Lane:
    """The calls to one model. Lanes to the same model of the same API, under one key, share a throttle."""

    key: tuple[str, str]
    """What its calls are known by in `Outcomes`, before the sample."""
    model: Model
    recordings: Recordings
    endpoint: Endpoint
    throttle: Throttle
    tally: LaneTally
    unfinished: Unfinished | None = None
    """The fresh recording that its calls are part of."""
    waiting: deque[Call] = field(default_factory=deque)
    delayed: list[Call] = field(default_factory=list)
    failed_in_a_row: int = 0
    has_asked_too_long: bool = False
    """The API asked to wait for longer than it is granted; said once."""

    def next_call(self, now: float) -> tuple[Call | None, float]:
        """Return the first call that may start now, or None and the seconds until one may."""
        pause = self.throttle.wait_s(now)
        if pause > 0 and (self.waiting or self.delayed):
            return None, pause
        for call in self.delayed:
            if call.not_before <= now:
                self.delayed.remove(call)
                return call, 0.0
        if self.waiting:
            return self.waiting.popleft(), 0.0
        return None, min((call.not_before - now for call in self.delayed), default=float("inf"))

    def has_calls(self) -> bool:
        """Return whether calls are waiting or in flight."""
        return bool(self.waiting or self.delayed or self.tally.in_flight)

    def left(self) -> Iterator[Call]:
        """Yield the calls that are neither in flight nor ended."""
        yield from self.waiting
        yield from self.delayed

    def waits_for(self, now: float) -> str:
        """Return why no call may start now."""
        if self.throttle.wait_s(now) > 0 or not self.delayed:
            return self.throttle.paused_by
        return min(self.delayed, key=lambda call: call.not_before).failed_with

    # ------------------------------------------------------------ how calls end

    def succeed(self, now: float, headers: Mapping[str, str]) -> None:
        """Note that a call was answered."""
        self.throttle.succeed(now, headers)
        self.failed_in_a_row = 0
        self.throttle.paused_by = "the API says that its limit is used up"

    def retries(self, call: Call, failure: CallFailed, started: float, now: float) -> bool:
        """Note that a call failed; return whether it is to be tried again, not before `call.not_before`."""
        call.failed_with = failure.message
        if failure.rate_limited:
            self.throttle.paused_by = failure.message
            self.throttle.refuse(started, now, failure.retry_after_s)
            call.first_refused = now if call.first_refused is None else call.first_refused
            return now - call.first_refused < retries.PATIENCE_S
        self.throttle.fail()
        call.attempts += 1
        call.not_before = now + retries.backoff_s(call.attempts, failure.retry_after_s)
        return failure.transient and call.attempts < retries.ATTEMPTS

    def why_given_up(self, failure: CallFailed, now: float) -> str | None:
        """Return why the rest of the lane isn't asked after a call that failed for good; None if it is."""
        self.failed_in_a_row += failure.transient
        refused_s = self.throttle.refused_for_s(now)
        if failure.rate_limited and refused_s >= retries.PATIENCE_S:
            return f"not asked: the API has refused every call for {duration(refused_s)}, the last with {failure.message}"
        if failure.transient and self.failed_in_a_row >= retries.GIVE_UP_AFTER:
            return f"not asked: {self.failed_in_a_row} calls failed one after another, the last with {failure.message}"
        return None
