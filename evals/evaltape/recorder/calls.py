"""Makes single calls, and accounts for their ends: money, outcome, recording, the next attempt."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from evaltape.errors import RecordingError
from evaltape.names import shown
from evaltape.recorder.api import failures
from evaltape.recorder.api.failures import LONGEST_WAIT_S, CallFailed, message_in
from evaltape.recorder.budget import Hold
from evaltape.recorder.lane import Call, Lane, failure_of
from evaltape.recording.cassettes import Exchange
from evaltape.samples.sample import Failure
from evaltape.scoring.prediction import read_completion
from evaltape.suite.cost import call_usd, read_usage
from evaltape.text import counted, duration

if TYPE_CHECKING:
    from evaltape.recorder.loop import Recorder

MARGIN = 1.25
"""How much more than the dearest answer yet a call may cost, where answers cost more than their requests allow."""


class Calls:
    """The calls of a recorder."""

    def __init__(self, recorder: "Recorder") -> None:
        self._recorder = recorder
        self.unwritten = 0
        """Answers that couldn't be written yet. Meanwhile no further call starts."""

    async def make(self, lane: Lane, call: Call, body: dict[str, Any], hold: Hold) -> None:
        """Make a call and account for its end: its test waits, and its money is held."""
        started = time.monotonic()
        try:
            with hold:
                try:
                    exchange, headers = await lane.endpoint.chat(body)
                    cost_usd, is_whole = _counted(lane, exchange)
                except CallFailed as failure:
                    if not failure.may_be_billed:
                        hold.release()
                    self._fail(lane, call, failure, started)
                    return
                lane.note_answer(time.monotonic(), headers)
                self._settle(lane, hold, cost_usd, is_whole)
            await self._take(lane, call, exchange, cost_usd if is_whole else None)
        finally:
            lane.tally.in_flight -= 1

    async def receive(self, lane: Lane, call: Call, exchange: Exchange) -> float | None:
        """Record another engine's answer; return its cost, None if its counts don't say all of it. Raises `CallFailed`."""
        cost_usd, is_whole = _counted(lane, exchange)
        await self._take(lane, call, exchange, cost_usd if is_whole else None)
        return cost_usd if is_whole else None

    async def _take(self, lane: Lane, call: Call, exchange: Exchange, cost_usd: float | None) -> None:
        """Record an answer, wherever it came from, and end its call."""
        try:
            failure = await self._kept(call, replace(exchange, cost_usd=cost_usd if lane.model.price else None))
        except Exception as broken:  # No test may wait for ever.
            failure = Failure("call", f"the call broke off: {lane.endpoint.shown(repr(broken))}")
        self.end(lane, call, failure)

    def end(self, lane: Lane, call: Call, failure: Failure | None) -> None:
        """Count a call that has ended, and publish how."""
        lane.tally.done += 1
        lane.tally.failed += failure is not None
        lane.away.pop(call, None)
        call.end(failure)

    def _fail(self, lane: Lane, call: Call, failure: CallFailed, started: float) -> None:
        now, at_once = time.monotonic(), lane.throttle.most
        lane.note_failure(call, failure, started, now)
        self._note_waits(lane, failure, at_once)
        is_retried = lane.may_retry(call, failure)
        if not is_retried:
            lane.note_loss(failure.message)
        reason = lane.hopeless(failure, now)
        if is_retried and reason is None:
            lane.delayed.append(call)
            return
        tries = call.attempts + call.refusals + call.timeouts
        self.end(lane, call, Failure("call", failure.message + (f" (after {tries} attempts)" if tries > 1 else "")))
        if reason is None:
            return
        # An account without money is that of all lanes under its key.
        is_account = failure.mend == "account"
        hopeless = [it for it in self._recorder.lanes if it.endpoint is lane.endpoint] if is_account else [lane]
        if is_account and not self._recorder.has_other_work(hopeless):
            self._recorder.stop(f"{failure.message}. Earlier answers are recorded; --record-missing goes on")
            return
        for it in hopeless:
            self._give_up(it, reason)

    def _give_up(self, lane: Lane, reason: str) -> None:
        left = lane.left()
        lane.waiting.clear()
        lane.delayed.clear()
        lane.given_up = Failure("call", reason)
        for call in left:
            self.end(lane, call, lane.given_up)
        if left:
            self._note(f"{lane.model.key}: {counted(len(left), 'call')} {reason}")

    def _note_waits(self, lane: Lane, failure: CallFailed, at_once: int) -> None:
        asked_s = failure.asked_to_wait_s or 0.0
        if asked_s > LONGEST_WAIT_S and failure.transient and not lane.has_asked_too_long:
            lane.has_asked_too_long = True
            self._note(
                f"{lane.model.key}: the API asked to wait {duration(min(asked_s, 1e9))} ({failure.message}); "
                f"it is asked again after {duration(LONGEST_WAIT_S)}"
            )
        if failure.mend == "time" and lane.throttle.most < at_once:
            self._note(
                f"{lane.model.key}: {failure.message} (eval_timeout_s), so fewer calls are in flight: "
                f"{int(lane.throttle.limit)} for now, {lane.throttle.most} at most (--concurrency)"
            )

    def _note(self, text: str) -> None:
        if text not in self._recorder.tally.notes:
            self._recorder.tally.notes.append(text)

    def _settle(self, lane: Lane, hold: Hold, cost_usd: float, is_whole: bool) -> None:
        """Count the cost of an answer: the most if its counts don't say all of it, unless they say more."""
        is_dearer = cost_usd > hold.most_usd > 0
        hold.settle(cost_usd if is_whole or is_dearer else None)
        if is_dearer:
            lane.dearest *= cost_usd / hold.most_usd * MARGIN
            if self._recorder.budget.limit_usd is not None:
                lane.throttle.begin_anew()
                self._note(
                    f"{lane.model.key}: an answer cost more than its request allows; the budget may be passed by as much. "
                    "Further calls count for more, and start one at a time until their costs are known"
                )

    async def _kept(self, call: Call, exchange: Exchange) -> Failure | None:
        """Write an answer; return why it can't be. A full disk, or too many open files, are waited for a while."""
        until = time.monotonic() + failures.WRITE_PATIENCE_S
        self.unwritten += 1
        try:
            while True:
                try:
                    call.keep(exchange)
                    return None
                except RecordingError as error:
                    return failure_of(error)
                except OSError as error:
                    problem = f"{shown(call.cassette)} can't be written: {error.strerror}"
                if time.monotonic() >= until:
                    self._recorder.stop(f"{problem}. Files written earlier are whole")
                    return Failure("call", problem)
                await asyncio.sleep(failures.WRITE_PATIENCE_S / 40)
        finally:
            self.unwritten -= 1


def _counted(lane: Lane, exchange: Exchange) -> tuple[float, bool]:
    """Count an answer's tokens; return its cost, and whether the counts say all of it. Raise `CallFailed` if there is none."""
    try:  # A prompt that was filtered has an answer without text.
        has_text = exchange.status < 300 and bool(read_completion(exchange.answered).text)
    except ValueError as error:
        words = message_in(exchange.answered)
        said = f"{error}: {words}" if words else str(error)
        raise CallFailed(f"HTTP {exchange.status}: the answer is {lane.endpoint.shown(said)}", "model") from None
    usage = read_usage(exchange.answered.get("usage"), has_text)
    lane.tally.tokens += usage.prompt + usage.answer
    return call_usd(lane.model.price, usage.prompt, usage.answer), usage.is_whole
