"""Drives a fine-tuning job through the states of `states.TABLE`: it is found or ordered, waited for and recorded.

Wherever a session ends, the next goes on: an order is on disk before it is sent, and its job is found by the order's id, by
the digest in its metadata or by its training file.
"""

import asyncio
import contextlib

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.intent import UnreadableIntent
from evaltape.finetuning.jobs import PreparedJob
from evaltape.finetuning.recorded_job import copy_job
from evaltape.names import shown
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.budget import OverBudget
from evaltape.recorder.tuning.drive import (
    Assignment,
    Drive,
    End,
    Looking,
    Ordering,
    Result,
    Sent,
    Step,
    Succeeded,
    Waiting,
    state_of,
)
from evaltape.recorder.tuning.hosts import deploy
from evaltape.recorder.tuning.looking import find_ordered, look
from evaltape.recorder.tuning.messages import advice
from evaltape.recorder.tuning.ordering import place, settle
from evaltape.recorder.tuning.recording import record
from evaltape.recorder.tuning.states import State, advance
from evaltape.recorder.tuning.waiting import wait
from evaltape.text import visible

Failure = (CallFailed, OverBudget, RecordingError, UnreadableIntent, UserError, OSError)


class Drives:
    """One drive for one identity and endpoint, however many tables and suites of a session name it."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str, str], asyncio.Lock] = {}
        self._first: dict[tuple[str, str, str], tuple[PreparedJob, Result]] = {}

    async def drive(self, assignment: Assignment) -> Result:
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
            if result.error is not None:
                return Result(
                    result.state, f"[finetune.{prepared.job.key}] is the same job as {place}: {result.error}", result.job
                )
            assignment.note(f"{prepared.job.key}: the same data, base and settings as {place}; one job serves both")
            if result.job is not None:
                return await drive_job(msgspec.structs.replace(assignment, same=result.job, retrain=False))
            if prepared.recorded().job is None:
                copy_job(first.cassette, prepared.cassette)
            return result


async def drive_job(assignment: Assignment) -> Result:
    """Bring a job to its end and record it, or return why that can't be."""
    key = assignment.prepared.job.key
    try:
        drive = Drive(assignment)
    except UserError as error:
        return Result(State.STOPPED, visible(str(error)))
    step: Step = Looking()
    job: RemoteJob | None = None
    try:
        while not isinstance(step, End):
            job = _job_of(step) or job
            following = await _after(drive, step)
            advance(state_of(step), state_of(following))
            step = following
        job = step.job or job
    except Failure as failure:
        advance(state_of(step), State.STOPPED)
        step = End(State.STOPPED, _stopped(drive, step, job, failure))
    except asyncio.CancelledError:
        _say_what_goes_on(drive, job)
        raise
    finally:
        settle(drive, job)
    if step.state is State.KEPT and (kept := drive.recorded.job) is not None and kept.is_undeployed and drive.job.deploy:
        try:
            step = End(step.state, None, None, await deploy(drive.job, kept, drive.prepared.root, drive.show))
        except RecordingError as error:
            step = End(State.STOPPED, str(error))
    text = None if step.error is None else visible(f"[finetune.{key}] {step.error}")
    return Result(step.state, text, job.id if job else None, step.served)


async def _after(drive: Drive, step: Step) -> Step:
    match step:
        case Looking():
            return await look(drive, step)
        case Ordering():
            return await place(drive, step)
        case Sent():
            return await find_ordered(drive, step)
        case Waiting():
            return await wait(drive, step)
        case Succeeded():
            return await record(drive, step)
        case End():
            return step


def _job_of(step: Step) -> RemoteJob | None:
    return step.job if isinstance(step, Waiting | Succeeded | End) else None


def _stopped(drive: Drive, step: Step, job: RemoteJob | None, failure: Exception) -> str:
    """Return the message for a failure outside the table, and say if a job goes on at the API."""
    if isinstance(failure, CallFailed):
        is_refusal = isinstance(step, Looking | Ordering)
        text = failure.message + (advice(failure, drive.prepared) if is_refusal else "")
    elif isinstance(failure, OverBudget):
        return f"{failure}. {drive.messages.covered()}"
    elif isinstance(failure, OSError):
        text = f"{shown(drive.prepared.cassette.parent)} can't be written: {failure.strerror or failure}"
    else:
        text = str(failure)
    return f"{text}. {drive.messages.goes_on(job) if job else drive.messages.mended()}"


def _say_what_goes_on(drive: Drive, job: RemoteJob | None) -> None:
    """Say that a job, or an order, is left at the API after an interrupt."""
    with contextlib.suppress(UnreadableIntent):
        if job is not None and not job.phase.has_ended:
            drive.note(drive.messages.goes_on(job))
        elif drive.intents.read(drive.digest) is not None:
            drive.note(drive.messages.may_go_on())
