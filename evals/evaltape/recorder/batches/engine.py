"""`--batch`: calls are answered through the Batch API. Each model or judge has a drive, which submits, waits and collects.

| known | then |
| --- | --- |
| a batch with some of the calls, from `batches.json` or the API's listing | nothing is submitted for these: it is waited for |
| an order in `batches.json` without an answer | the listing is looked through; nothing is submitted for its calls meanwhile |
| calls in no batch | the budget is asked, their requests are uploaded, the order is written to disk, and sent once |
| a batch that has ended | its answers are recorded, its other calls end with the API's reason; it leaves `batches.json` |
| `eval_batch_wait` is over, or the session ends | the batch goes on; `--record-missing --batch` collects it |

Verdicts need answers: a judge's calls come as its models' batches are collected, and are submitted once that is done.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping
from functools import partial

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning.services import Phase
from evaltape.recorder.api.asking import Asking, Patience
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.batches.host import BatchHost, RemoteBatch, names_in, still_of_use
from evaltape.recorder.batches.lines import custom_id
from evaltape.recorder.batches.ordering import Chunk, chunks, collect, submit
from evaltape.recorder.budget import Hold, OverBudget
from evaltape.recorder.lane import Call, Lane, failure_of
from evaltape.recorder.loop import Recorder
from evaltape.recording.unfinished import Submission
from evaltape.samples.sample import Failure
from evaltape.settings import Settings
from evaltape.text import counted, duration
from evaltape.workspace import Workspace

FIRST_POLL_S, LONGEST_POLL_S = 1.0, 30.0
USED_FOR_S = 30 * 86400.0
"""Older batches at the API aren't looked into: it keeps their files so long."""
PATIENCE = Patience(read_s=300.0)
SETTLED_S = 0.2
"""How long no call has come for a lane when it is submitted."""
LOST_AFTER_S = 600.0
"""An order without an answer that the API doesn't list after so long was never received."""


class Awaited(msgspec.Struct):
    """A batch that is waited for."""

    batch: RemoteBatch
    calls: dict[str, Call]
    """By `custom_id`."""
    others: int = 0
    """How many of its requests are for a later session."""
    submission: Submission | None = None
    """Its entry in `batches.json`."""
    hold: Hold | None = None
    """Of this session's own order."""


class BatchDrive:
    """Takes the calls of a lane through the Batch API."""

    def __init__(self, engine: "BatchEngine", lane: Lane) -> None:
        workspace = engine.workspaces[lane.model.suite]
        model = workspace.suite.models.get(lane.model.key)
        self.lane = lane
        self.recorder = engine.recorder
        self.submissions = workspace.submissions
        self.patience = PATIENCE
        self.asking = Asking(lane.endpoint, PATIENCE, self.show, {})
        self.host = BatchHost(self.asking)
        self.engine = engine
        self._workspace = workspace
        self._asked: tuple[str, ...] = ()
        self._command = workspace.commands.record_missing(model.kind if model else None)
        """Collects batches that go on at the API."""
        self._calls: dict[str, Call] = {}
        """The calls that are in no batch yet."""
        self._awaited: list[Awaited] = []
        self._holds = contextlib.ExitStack()
        """Of this session's own orders."""

    async def run(self, calls: list[Call]) -> None:
        """Bring the calls to their end. Raises `CallFailed` and `UserError` if the API or the disk doesn't let it."""
        self._name(calls)
        with self._holds:
            try:
                await self._find()
                for chunk in chunks(self.lane, dict(self._calls)):
                    await self._submit(chunk)
                await self._wait()
            except asyncio.CancelledError:
                for awaited in self._awaited:
                    self.note(f"{_told(awaited)} goes on at the API. Collect it: {self._command}")
                    for call in awaited.calls.values():
                        self.lane.away.pop(call, None)
                raise

    def end_all(self, failure: Failure) -> None:
        """End all calls that have no end yet."""
        for calls in (self._calls, *(awaited.calls for awaited in self._awaited)):
            self.end(calls, failure)

    def end(self, calls: dict[str, Call], failure: Failure) -> None:
        """End calls without an answer."""
        for call in calls.values():
            self.recorder.calls.end(self.lane, call, failure)
        calls.clear()

    def failure(self, error: CallFailed, before: str = "") -> Failure:
        """Return the failure of calls after an error of the API; `before` stands before its words."""
        return Failure("call", self.lane.endpoint.shown(before + error.message), command=error.command, remedy=error.remedy)

    def note(self, text: str) -> None:
        """Tell the user a note."""
        self.recorder.tally.notes.append(f"{self.lane.model.key}: {text}")

    def show(self, text: str) -> None:
        """Show the batches that are waited for."""
        self.recorder.tally.statuses[f"batch of {self.lane.model.key}"] = text

    def _name(self, calls: Iterable[Call]) -> None:
        for call in calls:
            try:
                self._calls[custom_id(self.lane, call, call.body())] = call
            except RecordingError as error:
                self.recorder.calls.end(self.lane, call, failure_of(error))
        self._asked = tuple(self._calls)

    def _take(self, names: Iterable[str]) -> dict[str, Call]:
        """Take the calls of these names from the calls that are in no batch yet."""
        return {name: self._calls.pop(name) for name in names if name in self._calls}

    async def _find(self) -> None:
        listed = {batch.id: batch for batch in await self.host.batches(self.lane.model)}
        for submission in self.submissions.of(self.lane.model.key):
            batch = await self._of_submission(submission, listed)
            if batch is not None:
                listed.pop(batch.id, None)
                await self._look_into(batch, submission)
        newest = max((batch.created for batch in listed.values()), default=0.0)
        for batch in listed.values():
            was_refused = batch.phase is Phase.FAILED and batch.status.lower() != "expired"
            if batch.created > newest - USED_FOR_S and not was_refused and self._calls:
                await self._look_into(batch, None)

    async def _of_submission(self, submission: Submission, listed: dict[str, RemoteBatch]) -> RemoteBatch | None:
        """Return the batch of an entry; None if the API surely has no such batch, and the entry is removed."""
        if submission.id is not None:
            try:
                return listed.get(submission.id) or await self.host.look_at(submission.id)
            except CallFailed as failure:
                if failure.status != 404:
                    raise
                self.note(f"{submission.id}: the API doesn't have it any more")
        else:
            batch = await self.lost(submission)
            if batch is not None:
                return batch
        self.submissions.remove(submission)
        return None

    async def lost(self, submission: Submission) -> RemoteBatch | None:
        """Look for the batch of an order that got no answer; None once it was surely not received."""
        started = time.monotonic()
        while True:
            found = [one for one in await self.host.batches(self.lane.model) if one.digest == submission.digest]
            if found:
                return found[-1]
            left_s = submission.sent_at + LOST_AFTER_S - time.time()
            if left_s <= 0:
                return None
            if time.monotonic() - started > self.patience.look_s:
                raise CallFailed(
                    "the order of a batch got no answer, and the API lists none: nobody knows whether it is paid for. "
                    f"In {duration(left_s)} it counts as never received",
                    command=self._command,
                    remedy="Then",
                )
            await self.asking.wait("looking for a batch whose order got no answer", self.patience.look_every_s)

    async def _look_into(self, batch: RemoteBatch, submission: Submission | None) -> None:
        """Wait for a batch if it holds some of the calls."""
        requests = await names_in(self.asking, batch.input_file)
        names: set[str] | None = requests
        if submission is None and not batch.phase.is_under_way:
            # Without its requests it has been collected. Requests that it failed to answer are asked anew.
            names = set() if requests is None else await names_in(self.asking, batch.output_file) or set()
        elif requests is None and not batch.phase.is_under_way:
            answered = await names_in(self.asking, batch.output_file) or set()
            names = answered | (await names_in(self.asking, batch.error_file) or set())
        calls = self._take(list(self._calls) if names is None else names)
        others = still_of_use(self._workspace, names or (), self._asked)
        if calls:
            self._awaited.append(Awaited(batch, calls, others, submission))
            self.note(f"{batch.id} with {counted(len(calls), 'call')} was submitted before: nothing is submitted for these")
        elif submission is not None and not others:
            self.note(f"{batch.id} holds no request that is missing today, and isn't waited for")
            self.submissions.remove(submission)

    async def _submit(self, chunk: Chunk) -> None:
        try:
            hold = self._holds.enter_context(await self.recorder.budget.hold_in_turn(chunk.most_usd))
            submission, batch = await submit(self, chunk, hold)
            self._awaited.append(Awaited(batch, self._take(chunk.names), 0, submission, hold))
        except (CallFailed, OverBudget) as error:
            failed = error if isinstance(error, CallFailed) else CallFailed(str(error))
            self.end(self._take(chunk.names), self.failure(failed, "not in a batch: "))

    async def _wait(self) -> None:
        """Collect each batch once it has ended, until the session's wait is over."""
        pause_s = FIRST_POLL_S
        while self._awaited:
            for awaited in list(self._awaited):
                try:
                    if awaited.batch.phase.is_under_way:
                        awaited.batch = await self.host.look_at(awaited.batch.id)
                    if not awaited.batch.phase.is_under_way:
                        await collect(self, awaited)
                        self._awaited.remove(awaited)
                except CallFailed as failure:
                    self._leave(awaited, f": {failure.message}")
            left_s = self.engine.until - time.monotonic()
            if left_s <= 0:
                why = f" after {duration(self.engine.wait_s)} (eval_batch_wait)" if self.engine.wait_s else ""
                for awaited in list(self._awaited):
                    self._leave(awaited, why)
                return
            if self._awaited:
                await self.asking.wait("; ".join(map(_told, self._awaited)), min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, LONGEST_POLL_S)

    def _leave(self, awaited: Awaited, why: str) -> None:
        """Wait for a batch no longer: it goes on at the API."""
        self._awaited.remove(awaited)
        self.end(awaited.calls, Failure("call", _told(awaited) + why, command=self._command, remedy="Collect it"))


def _told(awaited: Awaited) -> str:
    batch = awaited.batch
    of = batch.total or len(awaited.calls)
    return f"{batch.id} is {batch.status}, {batch.done:,} of {of:,} done"


class BatchEngine:
    """Answers the calls of a recorder's lanes through the Batch API."""

    def __init__(self, settings: Settings, workspaces: Mapping[str, Workspace], recorder: Recorder) -> None:
        self.workspaces = workspaces
        self.recorder = recorder
        self.wait_s = settings.batch_wait_s
        self.until = time.monotonic() + settings.batch_wait_s
        """When no batch is waited for any more, by the monotonic clock."""
        self.collecting = asyncio.Semaphore(1)
        self._waiting: dict[Lane, list[Call]] = {}
        """A lane that has a drive is in it."""

    def take_up(self, lane: Lane, calls: list[Call]) -> None:
        """Let these calls be in the lane's next batch."""
        if lane in self._waiting:
            self._waiting[lane] += calls
        else:
            self._waiting[lane] = calls
            self.recorder.add_work(partial(self._drive, lane), is_job=True)

    async def _drive(self, lane: Lane) -> None:
        while calls := await self._settled(lane):
            drive = BatchDrive(self, lane)
            try:
                await drive.run(calls)
            except CallFailed as failure:
                drive.end_all(drive.failure(failure))
            except UserError as error:
                drive.end_all(Failure("call", str(error)))
            finally:
                self.recorder.tally.statuses.pop(f"batch of {lane.model.key}", None)
        del self._waiting[lane]

    async def _settled(self, lane: Lane) -> list[Call]:
        """Return the calls that have come, once no more come."""
        while True:
            number = len(self._waiting[lane])
            async with self.collecting:  # Answers that are collected bring calls for judges.
                pass
            await asyncio.sleep(SETTLED_S)
            if number == len(self._waiting[lane]):
                break
        calls, self._waiting[lane] = self._waiting[lane], []
        return calls
