"""Drives a fine-tuning job through the states of `states.TABLE`: it is found or ordered, waited for and recorded.

Wherever a session ends, the next goes on: an order is on disk before it is sent, and its job is found by the order's id, by
the digest in its metadata or by its training file.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.intent import Intent, UnreadableIntent
from evaltape.finetuning.jobs import PreparedJob, service_of
from evaltape.finetuning.recorded_job import Job, Recorded, copy_job
from evaltape.names import shown
from evaltape.recorder.api.asking import Asking, Patience
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.budget import Budget, OverBudget
from evaltape.recorder.tuning.hosts import host_for
from evaltape.recorder.tuning.looking import find_ordered, look
from evaltape.recorder.tuning.matching import Rivals, Search
from evaltape.recorder.tuning.ordering import OwnOrder, place, settle
from evaltape.recorder.tuning.states import End, Looking, Messages, Ordering, Sent, State, Step, Succeeded, Waiting, advance
from evaltape.recorder.tuning.waiting import deploy, record, wait
from evaltape.samples.sample import Failure
from evaltape.text import visible


class Assignment(msgspec.Struct, frozen=True):
    """The job to drive, and how."""

    prepared: PreparedJob
    endpoint: Endpoint
    budget: Budget
    note: Callable[[str], None]
    """Receives notes to the user, a line each."""
    show: Callable[[str], None]
    """Receives the job's state while it is waited for."""
    retrain: bool = False
    """Pay for a job although the same data, base and settings have a job."""
    may_replace: bool = True
    """Pay for a job although `job.yaml` holds a job of other data, base or settings."""
    patience: Patience = Patience()
    same: str | None = None
    """The id of the same job, which another table or suite of this session has driven."""


class Drive:
    """The tools and the state that all steps of a job share."""

    def __init__(self, assignment: Assignment) -> None:
        prepared = assignment.prepared
        self.assignment = assignment
        self.prepared = prepared
        self.digest = prepared.identity.digest
        self.job = prepared.job
        self.service = service_of(prepared.job)
        self.patience = assignment.patience
        self.retrain = assignment.retrain
        self.asking = Asking(assignment.endpoint, self.patience, self.show, prepared.job.extra, self.service.asked_with)
        self.host = host_for(prepared.job, self.asking, prepared.root)
        self.search = Search(prepared, self.host, self.service.stale_listing)
        self.intents = prepared.intents
        self.messages = Messages(prepared)
        self.recorded: Recorded = prepared.recorded()
        self.intent: Intent | None = None
        """The order on disk that is gone on with."""
        self.order: OwnOrder | None = None
        self.rivals: Rivals | None = None

    def note(self, text: str) -> None:
        """Tell the user something about the job."""
        self.assignment.note(f"{self.job.key}: {visible(text)}")

    def show(self, text: str) -> None:
        """Show the reason of a wait."""
        self.assignment.show(visible(text))

    def wait_for(self, job: RemoteJob) -> Waiting:
        """Write down this job as the open order's; return the step that waits for it."""
        if self.intent is not None and self.intent.job != job.id:
            self.write_intent(job=job.id)
        if self.intent is not None and self.rivals is None:
            self.rivals = Rivals(self.intent, self.search, self.host, self.patience, self.note)
        return Waiting(job, time.monotonic())

    def keep_recorded(self, job: Job, why: str) -> End:
        """End with the job that is recorded already."""
        self.note(f"using {job.id} as it is recorded: {why}. To pay for another: {self.prepared.how_to_retrain}")
        return End(State.KEPT)

    def write_intent(self, **changes: object) -> None:
        """Change the order on disk."""
        assert self.intent is not None
        self.intent = msgspec.structs.replace(self.intent, **changes)
        self.intents.write(self.digest, self.intent)

    def forget_intent(self) -> None:
        """Remove the order: its job is recorded."""
        self.intents.remove(self.digest)
        self.intent = None


TAKE: dict[type[Step], Callable[[Drive, Any], Awaitable[Step]]] = {
    Looking: look,
    Ordering: place,
    Sent: find_ordered,
    Waiting: wait,
    Succeeded: record,
}
"""The function that takes each step."""
STOPPING = (CallFailed, OverBudget, RecordingError, UnreadableIntent, UserError, OSError)


class Drives:
    """A single drive for each identity and endpoint, for all tables and suites of a session."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str, str], asyncio.Lock] = {}
        self._first: dict[tuple[str, str, str], tuple[PreparedJob, End]] = {}

    async def drive(self, assignment: Assignment) -> End:
        """Drive a job; the second drive of a job in a session is recorded from the first, and fails with it."""
        prepared, endpoint = assignment.prepared, assignment.endpoint
        key = (prepared.identity.digest, endpoint.base_url, endpoint.key)
        lock = self._locks.setdefault(key, asyncio.Lock())
        if lock.locked():
            assignment.show("waiting for the same job of another table")
        async with lock:
            if key not in self._first:
                result = await drive_job(assignment)
                self._first[key] = (prepared, result)
                return result
            first, result = self._first[key]
            place = f"{first.job.suite}: [finetune.{first.job.key}]"
            if result.failure is not None:
                reason = f"[finetune.{prepared.job.key}] is the same job as {place}: {result.failure.reason}"
                return End(result.state, msgspec.structs.replace(result.failure, reason=reason), result.job)
            assignment.note(f"{prepared.job.key}: the same data, base and settings as {place}; one job serves both")
            if result.job is not None:
                return await drive_job(msgspec.structs.replace(assignment, same=result.job.id, retrain=False))
            if prepared.recorded().job is None:
                copy_job(first.cassette, prepared.cassette)
            return result


async def drive_job(assignment: Assignment) -> End:
    """Bring a job to its end and record it, or return why that can't be."""
    key = assignment.prepared.job.key
    try:
        drive = Drive(assignment)
    except UserError as error:
        return End(State.STOPPED, Failure("job", visible(str(error))))
    step: Step = Looking()
    job: RemoteJob | None = None
    try:
        while not isinstance(step, End):
            if isinstance(step, Waiting | Succeeded):
                job = step.job
            following = await TAKE[type(step)](drive, step)
            advance(step.state, following.state)
            step = following
        job = step.job or job
    except STOPPING as error:
        advance(step.state, State.STOPPED)
        step = End(State.STOPPED, _stopped(drive, step, job, error))
    except asyncio.CancelledError:
        _say_what_goes_on(drive, job)
        raise
    finally:
        settle(drive, job)
    if step.state is State.KEPT and (kept := drive.recorded.job) is not None and kept.is_undeployed and drive.job.deploy:
        try:
            step = End(step.state, None, None, await deploy(drive.job, kept, drive.prepared.root, drive.show))
        except RecordingError as error:
            step = End(State.STOPPED, Failure("job", str(error)))
    return End(step.state, _named(step.failure, key), job, step.served)


def _named(failure: Failure | None, key: str) -> Failure | None:
    """Return a failure with its table, fit for a terminal."""
    if failure is None:
        return None
    reason, remedy = visible(f"[finetune.{key}] {failure.reason}"), visible(failure.remedy)
    return msgspec.structs.replace(failure, reason=reason, remedy=remedy)


def _stopped(drive: Drive, step: Step, job: RemoteJob | None, error: Exception) -> Failure:
    """Return the failure for an error outside the table, and say if a job goes on at the API."""
    if isinstance(error, OverBudget):
        return drive.messages.over_budget(error)
    text = str(error)
    if isinstance(error, CallFailed):
        text = error.message + (drive.messages.advice(error) if isinstance(step, Looking | Ordering) else "")
    elif isinstance(error, OSError):
        text = f"{shown(drive.prepared.cassette.parent)} can't be written: {error.strerror or error}"
    return drive.messages.stopped(text, job)


def _say_what_goes_on(drive: Drive, job: RemoteJob | None) -> None:
    with contextlib.suppress(UnreadableIntent):
        job = None if job is not None and job.phase.has_ended else job
        if job is not None or drive.intents.read(drive.digest) is not None:
            drive.note(drive.messages.interrupted(job))
