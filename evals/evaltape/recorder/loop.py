"""Makes the calls of a recording, in a process of its own, ahead of the tests that assert on each.

One event loop holds every request of the session in flight, whatever the number of workers: requests in flight are cheap,
processes are dear, and limits on calls, pace and money are kept exactly where there is one place to keep them. A call's
cassette is written the moment it is answered; its outcome is then published to whoever runs the sample's test.
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from evaltape.errors import RecordingError
from evaltape.names import shown
from evaltape.recorder.client import CallFailed, Endpoint
from evaltape.recorder.outcomes import GRACE_S, Ended, Outcomes
from evaltape.recorder.tally import LaneTally, Tally
from evaltape.recorder.throttle import Throttle
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.folder import Recordings
from evaltape.samples.samples import Sample
from evaltape.scoring.prediction import Answer, read_completion
from evaltape.suite.pricing import call_usd, most_usd
from evaltape.suite.reader import Model

ATTEMPTS = 5
PATIENCE_S = 600.0
"""How long a call may go on being refused for its pace."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 20.0
TICK_S = 0.5
PUBLISH_EVERY_S = 0.02
"""Outcomes wait so long for others to be published with: every process of the session hears of each."""
TELL_EVERY_S = 0.1
"""How often the tally is told, where it has changed."""
FIRST_ANSWER_S = 0.2
"""When the first calls are out and, as a rule, not answered: the time to import what writing their answers takes."""


@dataclass(eq=False)
class Call:
    """One sample to ask a model for; `repeat` counts from 2 where it is asked again to measure noise."""

    sample: Sample
    repeat: int = 1
    attempts: int = 0
    first_refused: float | None = None
    not_before: float = 0.0


@dataclass
class Lane:
    """The calls to one model, in the order of their tests, with what the model's API can take."""

    model: Model
    endpoint: Endpoint
    throttle: Throttle
    tally: LaneTally
    waiting: deque[Call] = field(default_factory=deque)
    delayed: list[Call] = field(default_factory=list)

    def next_call(self, now: float) -> tuple[Call | None, float]:
        """The first call that may start now, or None and the seconds until one may."""
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


JobDriver = Callable[["Recorder"], Awaitable[None]]


class Recorder:
    """Runs lanes of calls and fine-tuning jobs to their end, or until it is stopped."""

    def __init__(
        self,
        recordings: Recordings,
        outcomes: Outcomes,
        concurrency: int,
        budget_usd: float | None = None,
        tell: Callable[[Tally], None] = lambda tally: None,
    ) -> None:
        """`tell` hears the tally now and then, while it changes, and at the end."""
        self.recordings = recordings
        self.outcomes = outcomes
        self.concurrency = concurrency
        self.budget_usd = budget_usd
        self.tally = Tally()
        self.lanes: list[Lane] = []
        self.job_held_usd = 0.0
        self._tell = tell
        self._jobs: list[JobDriver] = []
        self._held_usd = 0.0
        self._turn = 0
        self._ended: list[Ended] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    # ------------------------------------------------------------ what is to be done

    def add_lane(self, model: Model, endpoint: Endpoint, calls: list[Call]) -> None:
        """Add a model's calls, before the start or from within the loop."""
        tally = LaneTally(model.key, total=len(calls), has_price=model.price is not None)
        self.lanes.append(Lane(model, endpoint, Throttle(self.concurrency), tally, deque(calls)))
        self.tally.lanes.append(tally)
        self._wake.set()

    def add_job(self, drive: JobDriver) -> None:
        """Add a fine-tuning job, or what else is done beside the calls, before the start or from within the loop."""
        self._jobs.append(drive)
        self._wake.set()

    def show_job(self, key: str, status: str) -> None:
        """Show a job's state."""
        self.tally.statuses[key] = status

    def run(self) -> None:
        """Do all of it. Whatever happens, no test waits for ever."""
        try:
            asyncio.run(self._main())
        except Exception as error:
            self.stop(f"the recording broke off: {error!r}")
        finally:
            self._publish()
            self.outcomes.stop("the recording is over")
            self._tell(self.tally)

    def stop(self, reason: str) -> None:
        """Start no further call; those in flight are let finish."""
        self._publish()
        if self.outcomes.stopped is None:
            self.tally.stopped = reason
        self.outcomes.stop(reason)
        self._wake.set()

    def stop_soon(self, reason: str) -> None:
        """The same from another thread than the one that runs it."""
        with contextlib.suppress(RuntimeError):  # It is over.
            if self._loop is None:
                self.stop(reason)
            else:
                self._loop.call_soon_threadsafe(self.stop, reason)

    @property
    def committed_usd(self) -> float:
        """What the session has cost, with every call and job under way counted for the most that it can cost."""
        return self.tally.spent_usd + self._held_usd + self.job_held_usd

    # ------------------------------------------------------------ in the loop

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(FIRST_ANSWER_S, cassettes.prepare_to_write)
        telling = asyncio.create_task(self._tell_often())
        jobs: list[asyncio.Task[None]] = []
        try:
            while not self.outcomes.stopped:
                jobs += [asyncio.create_task(self._drive(job)) for job in self._jobs[len(jobs) :]]
                if not self._unfinished() and all(job.done() for job in jobs):
                    break
                pause = self._start_calls()
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), min(pause, TICK_S))
        finally:
            for job in jobs:
                job.cancel()
            in_time = asyncio.timeout(GRACE_S if self.outcomes.stopped else None)
            with contextlib.suppress(TimeoutError):
                async with in_time:
                    await asyncio.gather(*self._tasks, *jobs, return_exceptions=True)
            telling.cancel()
            self._count_what_is_left()
            for lane in self.lanes:
                await lane.endpoint.close()

    async def _tell_often(self) -> None:
        told: dict[str, Any] = {}
        while True:
            if (now := self.tally.as_dict()) != told:
                self._tell(self.tally)
                told = now
            await asyncio.sleep(TELL_EVERY_S)

    def _count_what_is_left(self) -> None:
        if self.tally.stopped:
            calls = {lane.model.key: [*lane.waiting, *lane.delayed] for lane in self.lanes}
            self.tally.left = {key: [call.sample.id for call in left] for key, left in calls.items()}

    async def _drive(self, job: JobDriver) -> None:
        try:
            await job(self)
        except Exception as error:  # Whatever it is, no test may wait for ever.
            self.stop(f"the recording broke off: {error!r}")
        finally:
            self._wake.set()

    def _unfinished(self) -> bool:
        return any(lane.waiting or lane.delayed or lane.tally.in_flight for lane in self.lanes)

    def _start_calls(self) -> float:
        """Start every call that may start, model by model in turn; the seconds until another may."""
        pause = float("inf")
        idle = 0
        while idle < len(self.lanes) and not self.outcomes.stopped:
            if self.tally.in_flight >= self.concurrency:
                return float("inf")
            lane = self.lanes[self._turn % len(self.lanes)]
            self._turn += 1
            call, wait = lane.next_call(time.monotonic())
            if call is None:
                pause = min(pause, wait)
                idle += 1
            elif self._start(lane, call):
                idle = 0
            else:
                return float("inf")
        return pause

    def _start(self, lane: Lane, call: Call) -> bool:
        """Start a call, unless the budget may not bear it; then it waits for those in flight to tell what they cost."""
        try:
            body = self.recordings.request(lane.model, call.sample)
        except RecordingError as error:
            self._end(lane, call, str(error))
            return True
        most = most_usd(lane.model, body)
        if self.budget_usd is not None and self.committed_usd + most > self.budget_usd:
            lane.waiting.appendleft(call)
            if self.tally.in_flight == 0 and self.job_held_usd == 0:
                self.stop(
                    f"the budget of ${self.budget_usd:g} can't bear a further call (${self.tally.spent_usd:.4f} spent); "
                    "--record-missing with a larger --budget goes on"
                )
            return False
        self._held_usd += most
        lane.tally.in_flight += 1
        lane.throttle.start(time.monotonic())
        task = asyncio.create_task(self._ask(lane, call, body, most))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _ask(self, lane: Lane, call: Call, body: dict[str, Any], most: float) -> None:
        started = time.monotonic()
        try:
            exchange, headers = await lane.endpoint.chat(body)
            self._record(lane, call, exchange)
        except CallFailed as failure:
            self._fail(lane, call, failure, started)
        except Exception as error:  # Whatever it is, the sample's test has to hear of it.
            lane.throttle.fail()
            self._end(lane, call, f"the call broke off: {lane.endpoint.redacted(repr(error))}")
        else:
            lane.throttle.succeed(time.monotonic(), headers)
        finally:
            lane.tally.in_flight -= 1
            self._held_usd -= most
            self._wake.set()

    def _fail(self, lane: Lane, call: Call, failure: CallFailed, started: float) -> None:
        now = time.monotonic()
        if failure.rate_limited:
            lane.throttle.refuse(started, now, failure.retry_after_s)
            call.first_refused = call.first_refused or now
            retry = now - call.first_refused < PATIENCE_S
        else:
            lane.throttle.fail()
            call.attempts += 1
            retry = failure.transient and call.attempts < ATTEMPTS
            backoff = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2**call.attempts) * random.uniform(0.5, 1.0)
            call.not_before = now + max(backoff, failure.retry_after_s or 0.0)
        if failure.ends_run:
            self._end(lane, call, failure.message)
            self.stop(f"{failure.message}. What was answered before is recorded; --record-missing goes on")
        elif retry:
            lane.delayed.append(call)
        else:
            tries = f" (after {call.attempts} attempts)" if call.attempts > 1 else ""
            self._end(lane, call, failure.message + tries)

    def _record(self, lane: Lane, call: Call, exchange: Exchange) -> None:
        path = self.recordings.cassette(lane.model, call.sample, call.repeat)
        try:
            answer = read_completion(exchange.answered)
            self._count(lane, exchange, answer)
            cassettes.write(path, [exchange], secrets=(lane.endpoint.key,))
        except ValueError as error:
            self._end(lane, call, f"HTTP {exchange.status}: the answer is {error}")
        except RecordingError as error:
            self._end(lane, call, str(error))
        except OSError as error:
            self._end(lane, call, f"{shown(path)} can't be written: {error.strerror}")
            self.stop(f"{shown(path)} can't be written: {error.strerror}. What was written before is whole")
        else:
            self._end(lane, call, None)

    def _count(self, lane: Lane, exchange: Exchange, answer: Answer) -> None:
        lane.tally.tokens += answer.prompt_tokens + answer.completion_tokens
        lane.tally.cost_usd += call_usd(lane.model.price, answer.prompt_tokens, answer.completion_tokens)
        if not answer.prompt_tokens:  # An API that tells no tokens: the budget holds by what the call can cost.
            self._held_usd += most_usd(lane.model, exchange.asked)

    def _end(self, lane: Lane, call: Call, error: str | None) -> None:
        lane.tally.done += 1
        lane.tally.failed += error is not None
        if call.repeat == 1:
            self._ended.append((lane.model.key, call.sample.id, error))
            if len(self._ended) == 1:
                asyncio.get_running_loop().call_later(PUBLISH_EVERY_S, self._publish)

    def _publish(self) -> None:
        ended, self._ended = self._ended, []
        if ended:
            self.outcomes.end(ended)
