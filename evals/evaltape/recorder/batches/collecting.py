"""The end of a batch: its answers become recordings, once, and its money is accounted for."""

import asyncio
import contextlib
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.batches.lines import Reply, read_reply
from evaltape.recorder.lane import Call
from evaltape.recording.cassettes import BATCH
from evaltape.suite.cost import most_usd
from evaltape.text import counted

if TYPE_CHECKING:
    from evaltape.recorder.batches.drive import Awaited, Drive


async def collect(drive: "Drive", awaited: "Awaited") -> None:
    """Record the answers of a batch that has ended; end its other calls with the API's reason."""
    batch, cost_usd = awaited.batch, 0.0
    async with drive.collecting:
        with TemporaryFile() as file:
            for answers in filter(None, (batch.output_file, batch.error_file)):
                drive.show(f"collecting {batch.id}")
                await drive.asking.download(answers, file)
                cost_usd += await _record(drive, awaited, file)
        if drive.recorder.outcomes.stopped:
            return  # It stays to be collected.
        if awaited.hold is not None and not awaited.hold.has_ended:
            awaited.hold.settle(cost_usd)
        drive.end(awaited.calls, _why_none(awaited))
    if awaited.others:
        drive.note(f"{batch.id} holds {counted(awaited.others, 'answer')} to other samples, which stay to be collected")
        return
    if awaited.submission is not None:
        drive.submissions.remove(awaited.submission)
    if batch.input_file is not None:
        # A batch whose requests are gone has been collected: no fresh recording takes its answers again.
        with contextlib.suppress(CallFailed):
            await drive.asking.delete(f"/files/{batch.input_file}")


async def _record(drive: "Drive", awaited: "Awaited", file: IO[bytes]) -> float:
    """Record the answers of a file; return the cost."""
    cost_usd = 0.0
    file.seek(0)
    for line in file:
        if drive.recorder.outcomes.stopped:
            break
        try:
            reply = read_reply(line)
        except ValueError:
            continue  # Its call ends without an answer.
        call = awaited.calls.pop(reply.custom_id, None)
        if call is not None:
            cost_usd += await _record_one(drive, call, reply)
            await asyncio.sleep(0)  # Others, who publish and report, have their turn.
    return cost_usd


async def _record_one(drive: "Drive", call: Call, reply: Reply) -> float:
    lane, calls, body = drive.lane, drive.recorder.calls, call.ask.body()
    try:
        cost = await calls.receive(lane, call, reply.exchange(body, lane.endpoint.base_url, BATCH))
    except CallFailed as failure:
        calls.end(lane, call, lane.endpoint.shown(failure.message))
        return 0.0
    return cost.usd if cost.is_whole else most_usd(lane.model, body)


def _why_none(awaited: "Awaited") -> str:
    batch = awaited.batch
    why = f": {batch.why}" if batch.why else ""
    return f"{batch.id} is {batch.status} and has no answer to it{why}"
