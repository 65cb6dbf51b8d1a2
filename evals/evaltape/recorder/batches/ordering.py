"""The step that pays: requests are uploaded, the order is written to disk and sent, once."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from evaltape.errors import UserError
from evaltape.finetuning.host import Upload
from evaltape.names import shown
from evaltape.recorder.api.asking import surely_refused
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.batches.host import DIGEST, MODEL, SUITE, RemoteBatch
from evaltape.recorder.batches.lines import request_line
from evaltape.recorder.budget import Hold
from evaltape.recorder.lane import Call, Lane
from evaltape.recorder.tuning.ordering import processed
from evaltape.recording.submissions import Submission
from evaltape.suite.cost import most_usd
from evaltape.text import counted

if TYPE_CHECKING:
    from evaltape.recorder.batches.drive import Drive

MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
FILE_POLL_S = 2.0


class Chunk(msgspec.Struct, frozen=True):
    """The requests of one batch."""

    names: tuple[str, ...]
    """Their `custom_id`s."""
    content: bytes
    most_usd: float

    @property
    def digest(self) -> str:
        """The identity of the batch: of its requests, by their names."""
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()[:32]


def chunks(lane: Lane, calls: Mapping[str, Call]) -> Iterator[Chunk]:
    """Yield the requests of calls in as many batches as they take, in their order."""
    names, lines, size, usd = list[str](), list[bytes](), 0, 0.0
    for name, call in calls.items():
        body = call.ask.body()
        line = request_line(name, body)
        if names and (len(names) >= MOST_REQUESTS or size + len(line) > MOST_BYTES):
            yield Chunk(tuple(names), b"".join(lines), usd)
            names, lines, size, usd = [], [], 0, 0.0
        names.append(name)
        lines.append(line)
        size, usd = size + len(line), usd + most_usd(lane.model, body)
    if names:
        yield Chunk(tuple(names), b"".join(lines), usd)


async def submit(drive: "Drive", chunk: Chunk, hold: Hold) -> tuple[Submission, RemoteBatch]:
    """Submit a batch. Raises `CallFailed` if the API refuses it, or nobody knows whether it has received it."""
    model = drive.lane.model
    submission = Submission(model.key, chunk.digest, len(chunk.names), int(time.time()))
    try:
        sha256 = hashlib.sha256(chunk.content).hexdigest()
        file = await drive.host.upload(Upload(f"evaltape-{sha256[:16]}.jsonl", chunk.content, sha256))
        file = await processed(drive.host, drive.asking, file, drive.patience.file_s, FILE_POLL_S)
        _write(drive, submission)
    except BaseException:
        hold.release()  # Nothing was ordered.
        raise
    try:
        batch = await drive.host.create(file.id, {SUITE: model.suite, MODEL: model.key, DIGEST: chunk.digest})
    except CallFailed as failure:
        if surely_refused(failure):
            drive.submissions.remove(submission)
            hold.release()
            raise CallFailed(f"the API refused the batch: {failure.message}") from None
        try:
            found = await drive.lost(submission)
        except BaseException:
            hold.doubt()
            raise
        if found is None:
            raise
        batch = found
    except BaseException:
        hold.doubt()
        raise
    submission = msgspec.structs.replace(submission, id=batch.id)
    _write(drive, submission)
    drive.note(f"{batch.id} with {counted(len(chunk.names), 'call')} is submitted")
    return await _oldest(drive, submission, batch, hold)


async def _oldest(drive: "Drive", submission: Submission, batch: RemoteBatch, hold: Hold) -> tuple[Submission, RemoteBatch]:
    """Return the batch, or an older batch of the same requests by a session at the same time; ours is then cancelled."""
    listed = await drive.host.batches(drive.lane.model.suite, drive.lane.model.key)
    first = min(_rivals(listed, submission.digest, batch), key=lambda one: one.age)
    if first.id == batch.id:
        return submission, batch
    await drive.host.give_up(batch.id)
    hold.doubt()
    drive.note(f"{first.id} has the same requests, of another session: it is used, and {batch.id} is cancelled")
    submission = msgspec.structs.replace(submission, id=first.id)
    _write(drive, submission)
    return submission, first


def _rivals(listed: Iterable[RemoteBatch], digest: str, ours: RemoteBatch) -> Iterator[RemoteBatch]:
    yield ours
    yield from (one for one in listed if one.metadata.get(DIGEST) == digest and one.is_under_way and one.id != ours.id)


def _write(drive: "Drive", submission: Submission) -> None:
    try:
        drive.submissions.write(submission)
    except OSError as error:
        raise UserError(f"{shown(drive.submissions.path)} can't be written: {error.strerror}") from None
