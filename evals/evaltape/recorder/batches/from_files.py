"""`--answers-from`: calls are answered by an engine's output files. What isn't among them stays to be recorded."""

import asyncio
from functools import partial

from evaltape.errors import RecordingError
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.batches.lines import custom_id
from evaltape.recorder.batches.outputs import Outputs
from evaltape.recorder.lane import Call, Lane
from evaltape.recorder.loop import Recorder
from evaltape.recording.cassettes import ANSWERS_FROM
from evaltape.text import counted


class FromFiles:
    """Answers the calls of a recorder's lanes from files."""

    def __init__(self, outputs: Outputs, recorder: Recorder) -> None:
        self._outputs = outputs
        self._recorder = recorder
        self._used = 0
        recorder.tally.notes += outputs.notes
        recorder.at_end.append(self._tell_unused)

    def take_up(self, lane: Lane, calls: list[Call]) -> None:
        """Answer these calls."""
        self._recorder.add_question(partial(self._answer, lane, calls))

    async def _answer(self, lane: Lane, calls: list[Call], recorder: Recorder) -> None:
        for call in calls:
            if recorder.outcomes.stopped:
                return
            await self._answer_one(lane, call, recorder)
            await asyncio.sleep(0)  # Others, who publish and report, have their turn.

    async def _answer_one(self, lane: Lane, call: Call, recorder: Recorder) -> None:
        try:
            body = call.ask.body()
            name = custom_id(lane, call.ask, body)
            reply = self._outputs.find(name)
            if reply is None:
                recorder.calls.end(lane, call, self._why_none(name))
                return
            self._used += 1
            await recorder.calls.receive(lane, call, reply.exchange(body, lane.endpoint.base_url, ANSWERS_FROM))
        except RecordingError as error:
            recorder.calls.end(lane, call, str(error))
        except CallFailed as failure:
            recorder.calls.end(lane, call, lane.endpoint.shown(failure.message))

    def _why_none(self, name: str) -> str:
        other = self._outputs.place_of(name.rpartition("@")[0])
        if other is None:
            return "no answer to it is among those of --answers-from"
        return f"{other}: an answer to another request than today's, which --requests-to writes"

    async def _tell_unused(self) -> None:
        left = len(self._outputs) - self._used
        if left and not self._recorder.outcomes.stopped:
            self._recorder.tally.notes.append(
                f"--answers-from: {counted(left, 'answer')} not taken: recorded already, not selected, or to other requests"
            )
