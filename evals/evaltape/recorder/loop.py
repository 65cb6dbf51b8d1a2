"""Makes the calls of a recording, in a process of its own, ahead of the tests that assert on each.

An event loop holds every request of the session in flight, for any number of workers: requests in flight are cheap, processes
are dear, and limits on calls, pace and money are kept exactly in a single place.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from evaltape.errors import RecordingError
from evaltape.names import shown
from evaltape.recorder.api import failures
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.budget import Budget
from evaltape.recorder.calls import Calls
from evaltape.recorder.lane import Call, Lane, failure_of
from evaltape.recorder.throttle import FIRST_LIMIT, Throttle, most_in_flight
from evaltape.recorder.wire import GRACE_S, CallEnd, Ended, LaneTally, Outcomes, Tally, place_of
from evaltape.recording.unfinished import Unfinished
from evaltape.samples.sample import Failure, Sample
from evaltape.suite.cost import batch_price, most_usd
from evaltape.suite.definition import Model
from evaltape.text import duration, usd

TICK_S = 0.5
PUBLISH_EVERY_S = 0.02
"""Outcomes are published that often, together: every process of the session receives each."""
REPORT_EVERY_S = 0.1
"""How often the tally is reported if it has changed."""

Work = Callable[[], Awaitable[None]]


class Engine(Protocol):
    """Answers calls in place of the loop's own calls, in turn: from files, or through the Batch API."""

    def take_up(self, lane: Lane, calls: list[Call]) -> None:
        """See to it that these calls of a lane end, in work of the recorder's."""


class Recorder:
    """Runs lanes of calls and fine-tuning jobs to their end, or until it is stopped."""

    def __init__(
        self,
        outcomes: Outcomes,
        concurrency: int,
        budget_usd: float | None = None,
        report: Callable[[Tally], None] = lambda tally: None,
    ) -> None:
        """`report` receives the tally now and then, while it changes, and at the end."""
        self.outcomes = outcomes
        self.concurrency = most_in_flight(concurrency)
        self.budget = Budget(budget_usd)
        self.tally = Tally(spend=self.budget.spend)
        self.calls = Calls(self)
        self.lanes: list[Lane] = []
        if self.concurrency < concurrency:
            self.tally.notes.append(
                f"{self.concurrency} calls are in flight at most, not --concurrency {concurrency}: this system lets a process "
                "open no more files (ulimit -n)"
            )
        self.engine: Engine | None = None
        """Answers the calls, if the loop doesn't call the API for each."""
        self._report = report
        self.at_end: list[Work] = []
        """Called after the last call."""
        self.begun: list[tuple[Unfinished, Sequence[Sample]]] = []
        """Fresh recordings that have begun, to be finished with the run, each with all samples of its suite."""
        self._works: list[tuple[Work, bool]] = []
        self._driving = 0
        self._throttles: dict[tuple[str, str, str], Throttle] = {}
        self._turn = 0
        self._ended: list[CallEnd] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    # ------------------------------------------------------------ work to do

    def add_lane(self, model: Model, asked_by: str, endpoint: Endpoint, calls: Iterable[Call] = ()) -> Lane:
        """Add a lane with a model's first calls, before the start or from within the loop.

        `asked_by` is the name that the API knows the model by; empty if it isn't known yet.
        """
        if self.engine is not None:
            model = msgspec.structs.replace(model, price=batch_price(model.price))
        tally = LaneTally(model.key, has_price=model.price is not None)
        # Under a budget the first call is alone: an API that bills more than a request allows is known after its first answer.
        is_bounded = self.budget.limit_usd is not None and model.price is not None
        throttle = Throttle(self.concurrency, 1 if is_bounded else FIRST_LIMIT)
        # APIs count their limits by model and key.
        throttle = self._throttles.setdefault((endpoint.base_url, endpoint.key, asked_by), throttle)
        lane = Lane(model, endpoint, throttle, tally)
        self.lanes.append(lane)
        self.tally.lanes.append(tally)
        self.add_calls(lane, calls)
        return lane

    def add_calls(self, lane: Lane, calls: Iterable[Call]) -> None:
        """Add further calls to a lane, before the start or from within the loop."""
        calls = list(calls)
        lane.tally.total += len(calls)
        if lane.given_up is not None:
            for call in calls:
                self.calls.end(lane, call, lane.given_up)
        else:
            lane.waiting.extend(calls)
        self._wake.set()

    def publish(self, suite: str, model: str, sample: str, failure: Failure | None) -> None:
        """Publish the end of a call soon, with others."""
        self._ended.append(((suite, model, sample), failure))
        if self._loop is None:
            self._publish()
        elif len(self._ended) == 1:
            self._loop.call_later(PUBLISH_EVERY_S, self._publish)

    def has_other_work(self, lanes: list[Lane]) -> bool:
        """Return whether lanes beside these have calls left, or a job is under way."""
        return self._driving > 0 or any(lane.has_calls() for lane in self.lanes if lane not in lanes)

    def add_work(self, work: Work, *, is_job: bool) -> None:
        """Add work beside the calls, before the start or from within the loop: a job, or questions that cost nothing."""
        self._works.append((work, is_job))
        self._wake.set()

    def run(self) -> None:
        """Do all of it. Also after an error of our own, no test waits for ever."""
        try:
            asyncio.run(self._main())
        except Exception as error:
            self.stop(f"the recording broke off: {error!r}")
        finally:
            for unfinished, samples in self.begun:
                try:
                    unfinished.finish(samples)
                except OSError as error:
                    self.tally.notes.append(f"{shown(unfinished.folder)} can't be written: {error.strerror}")
            self.tally.waits.clear()
            self._publish()
            self.outcomes.stop("the recording is over")
            self._report(self.tally)

    def stop(self, reason: str) -> None:
        """Start no further call; calls in flight may finish."""
        self._publish()
        if self.outcomes.stopped is None:
            self.tally.stopped = reason
        self.outcomes.stop(reason)
        self._wake.set()

    def stop_soon(self, reason: str) -> None:
        """The same, from another thread than the loop's."""
        with contextlib.suppress(RuntimeError):  # It is over.
            if self._loop is None:
                self.stop(reason)
            else:
                self._loop.call_soon_threadsafe(self.stop, reason)

    # ------------------------------------------------------------ in the loop

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        reporting = asyncio.create_task(self._report_often())
        works: list[asyncio.Task[None]] = []
        try:
            while not self.outcomes.stopped:
                self._wake.clear()
                works += [asyncio.create_task(self._guarded(work(), is_job)) for work, is_job in self._works[len(works) :]]
                if not any(lane.has_calls() for lane in self.lanes) and all(work.done() for work in works):
                    break
                pause = self._start_calls()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), min(pause, TICK_S))
        finally:
            for work in works:
                work.cancel()
            in_time = asyncio.timeout(GRACE_S if self.outcomes.stopped else None)
            with contextlib.suppress(TimeoutError):
                async with in_time:
                    await asyncio.gather(*self._tasks, *works, return_exceptions=True)
            for end in self.at_end:
                await end()
            reporting.cancel()
            if self.tally.stopped:
                self.tally.left = {place_of(lane.model): [call.sample for call in lane.left()] for lane in self.lanes}
            for endpoint in {id(lane.endpoint): lane.endpoint for lane in self.lanes}.values():
                await endpoint.close()

    async def _report_often(self) -> None:
        reported: dict[str, Any] = {}
        while True:
            if (now := msgspec.to_builtins(self.tally)) != reported:
                self._report(self.tally)
                reported = now
            await asyncio.sleep(REPORT_EVERY_S)

    async def _guarded(self, work: Awaitable[None], is_job: bool = False) -> None:
        self._driving += is_job
        try:
            await work
        except Exception as error:  # No test may wait for ever.
            self.stop(f"the recording broke off: {error!r}")
        finally:
            self._driving -= is_job
            self._wake.set()

    def _start_calls(self) -> float:
        """Start every call that may start, model by model in turn; return the seconds until another may."""
        if self.engine is not None:
            lanes = [lane for lane in self.lanes if lane.waiting]
            for lane in lanes:
                self.engine.take_up(lane, lane.send_away())
            return 0.0 if lanes else float("inf")
        pause = float("inf")
        idle = 0
        while idle < len(self.lanes) and not self.outcomes.stopped:
            if self.tally.calls.in_flight >= self.concurrency or self.calls.unwritten:
                return float("inf")
            lane = self.lanes[self._turn % len(self.lanes)]
            self._turn += 1
            now = time.monotonic()
            call, wait = lane.next_call(now)
            self._show_wait(lane, now, 0.0 if call else wait)
            if call is None:
                pause = min(pause, wait)
                idle += 1
            elif self._start(lane, call):
                idle = 0
            else:
                return float("inf")
        return pause

    def _show_wait(self, lane: Lane, now: float, wait_s: float) -> None:
        if failures.WORTH_SAYING_S <= wait_s < float("inf"):
            self.tally.waits[lane.model.key] = f"waiting {duration(wait_s)}: {lane.waits_for(now)}"
        elif self.tally.waits:
            self.tally.waits.pop(lane.model.key, None)

    def _start(self, lane: Lane, call: Call) -> bool:
        """Start a call, unless the budget doesn't cover it; then it waits until the cost of the calls in flight is known."""
        try:
            body = call.body()
        except RecordingError as error:
            self.calls.end(lane, call, failure_of(error))
            return True
        hold = self.budget.hold(most_usd(lane.model, body) * lane.dearest)
        if hold is None:
            lane.waiting.appendleft(call)
            if not self.budget.holds:
                self.stop(self._spent_up())
            return False
        lane.tally.in_flight += 1
        lane.throttle.start(time.monotonic())
        task = asyncio.create_task(self._guarded(self.calls.make(lane, call, body, hold)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _spent_up(self) -> str:
        spend = self.budget.spend
        perhaps = f", perhaps {usd(spend.perhaps_usd)} more: {spend.doubts}" if spend.perhaps_usd else ""
        return (
            f"the budget of ${self.budget.limit_usd:g} doesn't cover another call ({usd(spend.usd)} spent{perhaps}); "
            "--record-missing with a larger --budget goes on"
        )

    def _publish(self) -> None:
        ended, self._ended = self._ended, []
        if ended:
            self.outcomes.receive(Ended(ended))
