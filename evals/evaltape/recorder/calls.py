"""Makes single calls, and accounts for whatever becomes of them: money, outcome, recording, the next attempt."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from evaltape.errors import RecordingError
from evaltape.names import shown
from evaltape.recorder.budget import Budget, Hold
from evaltape.recorder.failures import LONGEST_WAIT_S, CallFailed, message_in
from evaltape.recorder.lane import Call, Lane
from evaltape.recorder.tally import Tally
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.redaction import holds_secret
from evaltape.recording.unfinished import cassette_name
from evaltape.samples.answer import Answer
from evaltape.samples.frozen import promote
from evaltape.scoring.prediction import read_completion
from evaltape.suite.pricing import call_usd
from evaltape.text import counted, duration


def request_of(lane: Lane, call: Call) -> dict[str, Any]:
    """Return the JSON body of a call. Raises `RecordingError` if no recording could hold it, before it is paid for."""
    body = lane.recordings.request(lane.model, call.sample)
    if any(holds_secret(str(turn["content"]), (lane.endpoint.key,)) for turn in body["messages"]):
        raise RecordingError("not asked, because the prompt holds an API key or what looks like one, which no recording may")
    return body


class Calls:
    """One for a recorder: `end` receives each call that is over, `stop` why no further one can be made."""

    def __init__(
        self,
        budget: Budget,
        tally: Tally,
        end: Callable[[Lane, Call, str | None], None],
        stop: Callable[[str], None],
    ) -> None:
        self._budget = budget
        self._tally = tally
        self._end = end
        self._stop = stop

    async def make(self, lane: Lane, call: Call, body: dict[str, Any], hold: Hold) -> None:
        """Make a call and account for it, whatever becomes of it: its test waits, and its money is held."""
        started = time.monotonic()
        with hold:
            try:
                exchange, headers = await lane.endpoint.chat(body)
            except CallFailed as failure:
                (hold.doubt if failure.may_be_billed else hold.release)()
                self._fail(lane, call, failure, started)
            except Exception as error:  # Whatever it is.
                lane.throttle.fail()
                self._end(lane, call, f"the call broke off: {lane.endpoint.shown(repr(error))}")
            else:
                lane.succeed(time.monotonic(), headers)
                self._take(lane, call, exchange, hold)

    def _fail(self, lane: Lane, call: Call, failure: CallFailed, started: float) -> None:
        now = time.monotonic()
        self._note_wait(lane, failure)
        if failure.ends_run:
            lane.throttle.fail()
            self._end(lane, call, failure.message)
            self._stop(f"{failure.message}. What was answered before is recorded; --record-missing goes on")
        elif lane.retries(call, failure, started, now):
            lane.delayed.append(call)
        else:
            tries = f" (after {call.attempts} attempts)" if call.attempts > 1 else ""
            self._end(lane, call, failure.message + tries)
            reason = lane.why_given_up(failure, now)
            if reason is not None:
                self._give_up(lane, reason)

    def _note_wait(self, lane: Lane, failure: CallFailed) -> None:
        asked_s = failure.asked_to_wait_s or 0.0
        if asked_s > LONGEST_WAIT_S and not lane.has_asked_too_long:
            lane.has_asked_too_long = True
            self._tally.notes.append(
                f"{lane.model.key}: the API asked to wait {duration(min(asked_s, 1e9))} ({failure.message}); "
                f"it is asked again after {duration(LONGEST_WAIT_S)}"
            )

    def _note(self, text: str) -> None:
        if text not in self._tally.notes:
            self._tally.notes.append(text)

    def _give_up(self, lane: Lane, reason: str) -> None:
        left = list(lane.left())
        lane.waiting.clear()
        lane.delayed.clear()
        for call in left:
            self._end(lane, call, reason)
        if left:
            self._note(f"{lane.model.key}: {counted(len(left), 'call')} {reason}")

    def _take(self, lane: Lane, call: Call, exchange: Exchange, hold: Hold) -> None:
        """Account for an answer and record it."""
        try:
            answer = read_completion(exchange.answered)
        except ValueError as error:
            hold.doubt()
            words = message_in(exchange.answered)
            said = f"{error}: {words}" if words else str(error)
            self._end(lane, call, f"HTTP {exchange.status}: the answer is {lane.endpoint.shown(said)}")
            return
        cost = self._count(lane, answer, hold)
        try:
            self._record(lane, call, replace(exchange, cost_usd=cost if lane.model.price else None))
        except RecordingError as error:
            self._end(lane, call, str(error))
        except OSError as error:
            path = shown(lane.recordings.cassette(lane.model, call.sample, call.repeat))
            self._end(lane, call, f"{path} can't be written: {error.strerror}")
            self._stop(f"{path} can't be written: {error.strerror}. What was written before is whole")
        except Exception as error:  # Whatever it is.
            self._end(lane, call, f"the call broke off: {lane.endpoint.shown(repr(error))}")
        else:
            self._end(lane, call, None)

    def _count(self, lane: Lane, answer: Answer, hold: Hold) -> float | None:
        """Return what an answer cost; None if it doesn't say how many tokens it took."""
        if not answer.usage.prompt_tokens:
            hold.settle(None)
            return None
        cost = call_usd(lane.model.price, answer.usage.prompt_tokens, answer.usage.completion_tokens)
        hold.settle(cost)
        if cost > hold.most_usd and self._budget.limit_usd is not None:
            self._note(f"{lane.model.key}: an answer cost more than its request allows; the budget may be passed by as much")
        lane.tally.tokens += answer.usage.prompt_tokens + answer.usage.completion_tokens
        return cost

    def _record(self, lane: Lane, call: Call, exchange: Exchange) -> None:
        path = lane.recordings.cassette(lane.model, call.sample, call.repeat)
        text = cassettes.as_text([exchange])
        if lane.unfinished and not lane.unfinished.is_replaced(cassette_name(call.sample, call.repeat), text):
            # The same answer in the same microseconds: a file that didn't change would count as not asked again.
            text = cassettes.as_text([replace(exchange, latency_s=(exchange.latency_s or 0.0) + 1e-6)])
        cassettes.write_text(path, text, secrets=(lane.endpoint.key,))
        promote(lane.recordings.folder)
