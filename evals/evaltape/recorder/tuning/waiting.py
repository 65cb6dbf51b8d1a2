"""The step that waits: for a job's training, and beside it for the jobs of other sessions."""

import asyncio
import time

import msgspec

from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.services import Phase
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.tuning.drive import Drive, End, Looking, Step, Succeeded, Waiting
from evaltape.recorder.tuning.ordering import hold_what_is_told
from evaltape.recorder.tuning.states import State
from evaltape.text import duration


async def wait(drive: Drive, step: Waiting) -> Step:
    """Ask for the job's state once, after a look at the jobs of other sessions."""
    if drive.rivals is not None and drive.rivals.matter_to(step.job):
        winner = await drive.rivals.winner(step.job)
        if winner.id != step.job.id:
            return drive.wait_for(winner)
    drive.asking.taken()
    try:
        job = await _state_of(drive, step.job.id)
    except CallFailed as failure:
        if failure.status != 404:
            raise
        return await _miss(drive, step, failure)
    drive.show(await _progress(drive, step, job))
    hold_what_is_told(drive, job)
    following = _after(drive, job)
    if following is not None:
        return following
    await asyncio.sleep(_pause_s(drive, job))
    return msgspec.structs.replace(step, job=job, was_known=True, missing_since_s=None)


async def _state_of(drive: Drive, job_id: str) -> RemoteJob:
    """Ask for a job's state until there is an answer, through failures that pass."""
    started, attempt = time.monotonic(), 0
    while True:
        try:
            with drive.asking.patient(drive.patience.poll_s):
                return await drive.host.look(job_id)
        except CallFailed as failure:
            attempt += 1
            left_s = drive.patience.poll_s - (time.monotonic() - started)
            if not failure.transient or left_s <= 0:
                raise
            await drive.asking.pause(f"the state of {job_id}", attempt, failure, left_s)


async def _miss(drive: Drive, step: Waiting, failure: CallFailed) -> Step:
    """Wait for a job that the API doesn't know for a while; end if it stays unknown."""
    now = time.monotonic()
    since_s = step.missing_since_s or now
    if now - since_s < drive.patience.look_s:
        known = "no longer knows" if step.was_known else "doesn't know yet"
        drive.show(f"looking for {step.job.id}, which the API {known}, for {duration(drive.patience.look_s)} at most")
        await asyncio.sleep(drive.patience.look_every_s)
        return msgspec.structs.replace(step, missing_since_s=since_s)
    if drive.intent is not None:
        drive.write_intent(reported=True)
    return End(State.GONE, drive.messages.gone(step.job.id, failure), step.job)


def _after(drive: Drive, job: RemoteJob) -> Step | None:
    """Return the step that a job's state leads to; None while it is under way."""
    if job.phase is Phase.SUCCEEDED:
        return Succeeded(job, drive.asking.taken("GET"))
    if job.phase is Phase.CANCELLED and not drive.retrain and drive.assignment.same is None:
        return Looking((job,))  # A session on another machine may have ordered a job at the same time.
    if job.phase.has_ended:
        return End(State.ENDED, drive.messages.ended(job), job)
    if job.phase is Phase.PAUSED:
        return End(State.PAUSED, drive.messages.paused(job), job)
    return None


def _pause_s(drive: Drive, job: RemoteJob) -> float:
    poll_s = drive.job.poll_seconds
    looks = drive.rivals is not None and drive.rivals.matter_to(job)
    return min(poll_s, drive.patience.look_every_s) if looks else poll_s


async def _progress(drive: Drive, step: Waiting, job: RemoteJob) -> str:
    """Return status, elapsed time, trained tokens and the API's latest message, which during training is the loss."""
    elapsed_s = int(time.monotonic() - step.since_s)
    parts = [job.status, f"{elapsed_s // 60} min {elapsed_s % 60:02d} s"]
    if job.trained_tokens:
        parts.append(f"{job.trained_tokens:,} trained tokens")
    message = await _latest_message(drive, job.id) if job.phase is Phase.TRAINING else ""
    return ", ".join([*parts, *([message] if message else [])])


async def _latest_message(drive: Drive, job_id: str) -> str:
    """Return the newest event's message; empty if it can't be had."""
    try:
        async with asyncio.timeout(drive.patience.extra_s):
            with drive.asking.patient(0.0):
                events = await drive.host.events(job_id, newest=True)
    except (CallFailed, TimeoutError):
        return ""
    return events[-1].message if events else ""
