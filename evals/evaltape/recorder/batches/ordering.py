"""The two ends of a batch: the order, which pays, and the collection of its answers."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

import msgspec

from evaltape.finetuning.host import Upload
from evaltape.recorder.api.asking import surely_refused
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.batches.host import BATCHES, DIGEST, MODEL, SUITE, RemoteBatch
from evaltape.recorder.batches.lines import Reply, read_reply, request_line
from evaltape.recorder.budget import Hold
from evaltape.recorder.lane import Call, Lane
from evaltape.recorder.tuning.hosts import processed
from evaltape.recording.cassettes import BATCH
from evaltape.recording.unfinished import Submission
from evaltape.samples.sample import Failure
from evaltape.suite.cost import most_usd
from evaltape.text import counted

if TYPE_CHECKING:
    from evaltape.recorder.batches.engine import Awaited, BatchDrive


MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
FILE_POLL_S = 2.0


class Chunk(msgspec.Struct):
    """The requests of a batch."""

    names: list[str] = []
    """Their `custom_id`s."""
    content: bytearray = msgspec.field(default_factory=bytearray)
    most_usd: float = 0.0


def chunks(lane: Lane, calls: Mapping[str, Call]) -> Iterator[Chunk]:
    """Yield the requests of calls in as many batches as they take, in their order."""
    chunk = Chunk()
    for name, call in calls.items():
        body = call.body()
        line = request_line(name, body)
        if len(chunk.names) >= MOST_REQUESTS or (chunk.names and len(chunk.content) + len(line) > MOST_BYTES):
            yield chunk
            chunk = Chunk()
        chunk.names.append(name)
        chunk.content += line
        chunk.most_usd += most_usd(lane.model, body)
    if chunk.names:
        yield chunk


async def submit(drive: "BatchDrive", chunk: Chunk, hold: Hold) -> tuple[Submission, RemoteBatch]:
    """Submit a batch. Raises `CallFailed` if the API refuses it, or nobody knows whether it has received it."""
    model = drive.lane.model
    digest = hashlib.sha256("\n".join(chunk.names).encode()).hexdigest()[:32]
    submission = Submission(model.key, digest, len(chunk.names), int(time.time()))
    try:
        sha256 = hashlib.sha256(chunk.content).hexdigest()
        file = await drive.host.upload(Upload(f"evaltape-{sha256[:16]}.jsonl", bytes(chunk.content)))
        file = await processed(drive.host, drive.asking, file, drive.patience.file_s, FILE_POLL_S)
        drive.submissions.write(submission)
    except BaseException:
        hold.release()  # Nothing was ordered.
        raise
    try:
        batch = await drive.host.create(file.id, {SUITE: model.suite, MODEL: model.key, DIGEST: digest})
    except CallFailed as failure:
        if surely_refused(failure):
            drive.submissions.remove(submission)
            hold.release()
            raise CallFailed(f"the API refused the batch: {failure.message}") from None
        found = await drive.lost(submission)
        if found is None:
            raise
        batch = found
    submission = msgspec.structs.replace(submission, id=batch.id)
    drive.submissions.write(submission)
    drive.note(f"{batch.id} with {counted(len(chunk.names), 'call')} is submitted")
    return await _oldest(drive, submission, batch, hold)


async def _oldest(
    drive: "BatchDrive", submission: Submission, batch: RemoteBatch, hold: Hold
) -> tuple[Submission, RemoteBatch]:
    """Return the batch, or an older batch of the same requests by a session at the same time; ours is then cancelled."""
    same = [one for one in await drive.host.batches(drive.lane.model) if one.digest == submission.digest]
    rivals = [one for one in same if one.phase.is_under_way and one.id != batch.id]
    first = min([batch, *rivals], key=lambda one: one.age)
    if first.id == batch.id:
        return submission, batch
    await drive.asking.post(f"{BATCHES}/{batch.id}/cancel", again=True)  # Again does no harm.
    hold.doubt()
    drive.note(f"{first.id} has the same requests, of another session: it is used, and {batch.id} is cancelled")
    submission = msgspec.structs.replace(submission, id=first.id)
    drive.submissions.write(submission)
    return submission, first


async def collect(drive: "BatchDrive", awaited: "Awaited") -> None:
    """Record the answers of a batch that has ended; end its other calls with the API's reason."""
    batch, cost_usd = awaited.batch, 0.0
    async with drive.engine.collecting:
        with TemporaryFile() as file:
            for answers in filter(None, (batch.output_file, batch.error_file)):
                drive.show(f"collecting {batch.id}")
                await drive.asking.download(answers, file)
                cost_usd += await _record(drive, awaited, file)
        if drive.recorder.outcomes.stopped:
            return  # It stays to be collected.
        if awaited.hold is not None and not awaited.hold.has_ended:
            awaited.hold.settle(cost_usd)
        why = f": {batch.reason}" if batch.reason else ""
        drive.end(awaited.calls, Failure("call", f"{batch.id} is {batch.status} and has no answer to it{why}"))
    if awaited.others:
        drive.note(f"{batch.id} holds {counted(awaited.others, 'answer')} to other samples, which stay to be collected")
        return
    if awaited.submission is not None:
        drive.submissions.remove(awaited.submission)
    if batch.input_file is not None:
        # A batch without its requests counts as collected: no fresh recording takes its answers again.
        with contextlib.suppress(CallFailed):
            await drive.asking.delete(f"/files/{batch.input_file}")


async def _record(drive: "BatchDrive", awaited: "Awaited", file: IO[bytes]) -> float:
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


async def _record_one(drive: "BatchDrive", call: Call, reply: Reply) -> float:
    lane, calls, body = drive.lane, drive.recorder.calls, call.body()
    try:
        cost_usd = await calls.receive(lane, call, reply.exchange(body, lane.endpoint.base_url, BATCH))
    except CallFailed as failure:
        calls.end(lane, call, drive.failure(failure))
        return 0.0
    return most_usd(lane.model, body) if cost_usd is None else cost_usd
