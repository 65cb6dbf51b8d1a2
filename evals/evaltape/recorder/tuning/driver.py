"""Drives a fine-tuning job through the states of `states.TABLE`: it is found or ordered, waited for and recorded.

Wherever a session ends, the next goes on: an order is on disk before it is sent, and its job is found by the order's id, by
the digest in its metadata or by its training file.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.intent import UnreadableIntent
from evaltape.finetuning.jobs import PreparedJob
from evaltape.finetuning.recorded_job import copy_job
from evaltape.names import shown
from evaltape.recorder.api.failures import NO_ROUTE, CallFailed
from evaltape.recorder.budget import OverBudget
from evaltape.recorder.tuning.looking import find_ordered, look
from evaltape.recorder.tuning.ordering import place, settle
from evaltape.recorder.tuning.states import Drive, End, Looking, State, Step, advance
from evaltape.recorder.tuning.waiting import deploy, record, wait
from evaltape.samples.sample import Failure
from evaltape.text import visible

TAKE: dict[State, Callable[[Drive, Any], Awaitable[Step]]] = {
    State.LOOKING: look,
    State.ORDERING: place,
    State.SENT: find_ordered,
    State.WAITING: wait,
    State.SUCCEEDED: record,
}
"""The function that takes the step from each state."""
STOPPING = (CallFailed, OverBudget, RecordingError, UnreadableIntent, UserError, OSError)


class Drives:
    """A single drive for each identity and endpoint, for all tables and suites of a session."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str, str], asyncio.Lock] = {}
        self._first: dict[tuple[str, str, str], tuple[PreparedJob, End]] = {}

    async def drive(self, drive: Drive) -> End:
        """Drive a job; the second drive of a job in a session is recorded from the first, and fails with it."""
        prepared = drive.prepared
        key = (prepared.identity.digest, drive.endpoint.base_url, drive.endpoint.key)
        lock = self._locks.setdefault(key, asyncio.Lock())
        if lock.locked():
            drive.show("waiting for the same job of another table")
        async with lock:
            if key not in self._first:
                result = await drive_job(drive)
                self._first[key] = (prepared, result)
                return result
            first, result = self._first[key]
            place = f"{first.job.suite}: [finetune.{first.job.key}]"
            if result.failure is not None:
                reason = f"[finetune.{prepared.job.key}] is the same job as {place}: {result.failure.reason}"
                return End(result.state, msgspec.structs.replace(result.failure, reason=reason), result.job)
            drive.note(f"the same data, base and settings as {place}; one job serves both")
            if result.job is not None:
                return await drive_job(msgspec.structs.replace(drive, same=result.job.id, retrain=False))
            if prepared.recorded().job is None:
                copy_job(first.cassette, prepared.cassette)
            return result


async def drive_job(drive: Drive) -> End:
    """Bring a job to its end and record it, or return why that can't be."""
    try:
        drive.open()
    except UserError as error:
        return End(State.STOPPED, Failure("job", visible(str(error))))
    step: Step = Looking()
    job: RemoteJob | None = None
    try:
        while not isinstance(step, End):
            job = step.job or job
            following = await TAKE[step.state](drive, step)
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
            step = End(State.STOPPED, drive.failed(str(error)))
    return End(step.state, step.failure, job, step.served)


def _stopped(drive: Drive, step: Step, job: RemoteJob | None, error: Exception) -> Failure:
    """Return the failure for an error outside the table, and say if a job goes on at the API."""
    if isinstance(error, OverBudget):
        return drive.then_go_on(str(error), "With a larger --budget, or fewer n_epochs, this goes on")
    text = str(error)
    if isinstance(error, CallFailed):
        text = error.message + (_advice(drive, error) if step.state in (State.LOOKING, State.ORDERING) else "")
    elif isinstance(error, OSError):
        text = f"{shown(drive.prepared.cassette.parent)} can't be written: {error.strerror or error}"
    if job is None:
        return drive.then_go_on(f"{text}. Nothing was ordered", "Once that is mended, this goes on")
    return drive.then_go_on(text, _goes_on(job))


def _advice(drive: Drive, failure: CallFailed) -> str:
    """Return advice about a refused order, to follow its reason."""
    job, base = drive.job, drive.job.base
    if failure.status == 403:
        return (
            ". This API lets the organisation start no fine-tuning job (OpenAI takes none after 6 January 2027). Name "
            f"another service in base_url of [models.{base.key}] (docs/hosts.md), or serve one: evaltape serve --help"
        )
    if drive.service.advice and failure.status in (400, 404, 422):
        return f". [finetune.{job.key}] service = {job.service!r}: {drive.service.advice}"
    if failure.code in ("model_not_found", "model_not_available"):
        return f". [models.{base.key}] model = {base.served!r}: name a model that this API can fine-tune"
    if failure.status in NO_ROUTE:
        return f". The service of [models.{base.key}] seems to have no fine-tuning API (docs/hosts.md has those that do)"
    return ""


def _goes_on(job: RemoteJob) -> str:
    if job.phase.is_under_way:
        return f"{job.id} goes on at the API, and this goes on with it"
    return f"{job.id} itself has succeeded, and this records it, without paying again"


def _say_what_goes_on(drive: Drive, job: RemoteJob | None) -> None:
    with contextlib.suppress(UnreadableIntent):
        if job is not None and not job.phase.has_ended:
            drive.note(f"{_goes_on(job)}: {drive.prepared.how_to_go_on}")
        elif drive.intents.read(drive.digest) is not None:
            left = "a job may have been ordered just now; this looks for it and goes on with it"
            drive.note(f"{left}: {drive.prepared.how_to_go_on}")
