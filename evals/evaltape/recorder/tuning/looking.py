"""The steps before a job is known: the search for an existing job, and for the job of an unanswered order."""

import asyncio
import time

import msgspec

from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.intent import Intent, UnreadableIntent
from evaltape.finetuning.services import Phase
from evaltape.recorder.api.failures import NO_ROUTE, CallFailed
from evaltape.recorder.tuning.matching import Found, preferred
from evaltape.recorder.tuning.states import Drive, End, Looking, Ordering, Sent, State, Step
from evaltape.text import duration, listed

SAME = "made of the same data, base and settings"


async def look(drive: Drive, step: Looking) -> Step:
    """Use an existing job, look for an ordered job, or order a job."""
    if drive.same is not None:
        return drive.wait_for(await drive.host.look(drive.same))
    recorded = drive.recorded.job
    try:
        intent = drive.intent = drive.intents.read(drive.digest)
    except UnreadableIntent as error:
        return await _without_intents(drive, step, str(error))
    seen = step.seen
    if intent is not None and recorded is not None and intent.job == recorded.id:
        drive.forget_intent()  # A session ended between the recording and this.
    elif intent is not None and intent.job is None:
        return Sent(intent)
    elif intent is not None and intent.job is not None:
        following, job = await _use_ordered(drive, intent, intent.job)
        if following is not None:
            return following
        seen = (*seen, job) if job else seen
    return await _use_recorded(drive) or await _use_listed(drive, seen)


async def _without_intents(drive: Drive, step: Looking, problem: str) -> Step:
    """Use the recorded job if `job-intent.json` can't be read; pay only if the user says so."""
    if drive.retrain:
        drive.intents.path.unlink(missing_ok=True)
        return await _use_listed(drive, step.seen)
    if drive.recorded.job is not None:
        return drive.keep_recorded(drive.recorded.job, problem)
    return _unreadable(drive, problem)


async def find_ordered(drive: Drive, step: Sent) -> Step:
    """Look for the job of an order that got no answer until it is listed or patience ends."""
    drive.intent = intent = step.intent
    found, job, problem = await _listed_job_of(drive, intent)
    if job is not None:
        how = f"started {job}" if drive.owns(job) else f"using {job}, {SAME}"
        drive.note(f"{how}. An order of {intent.sent} got no answer; the listing shows the job")
        return drive.wait_for(job)
    if drive.retrain and intent.reported:
        return Ordering(found)
    drive.write_intent(reported=True)
    open_order = f"an order of {intent.sent} got no answer, and no job of it shows up"
    if not drive.retrain:
        older = preferred(found.jobs)
        if older is not None:
            drive.note(f"using {older}, {SAME}; {open_order}")
            drive.intent = None
            return drive.wait_for(older)
        if drive.recorded.job is not None:
            return drive.keep_recorded(drive.recorded.job, open_order)
    why = f" ({step.problem or problem})" if step.problem or problem else ""
    reason = (
        f"a job was ordered on {intent.sent} at {intent.address}, no answer came{why}, and the API's listing doesn't show "
        f"it. It may have been created, so nothing more is paid. {_check(drive)} If there is one, this looks again: "
        f"{drive.prepared.how_to_go_on}"
    )
    return End(State.UNCLEAR, drive.then_retrain(reason, "If there is none, this pays for another"))


async def _use_ordered(drive: Drive, intent: Intent, job_id: str) -> tuple[Step | None, RemoteJob | None]:
    """Go on with the job of an order of an earlier session; no step if it has ended, or isn't wanted now."""
    job = await _state_of(drive, job_id, 0.0 if intent.reported else drive.patience.look_s)
    if isinstance(job, CallFailed):
        if drive.retrain and intent.reported:
            return None, None
        drive.write_intent(reported=True)
        if drive.recorded.job is not None and not drive.retrain:
            gone = f"{job_id}, which a session ordered on {intent.sent}, is gone ({job.message})"
            return drive.keep_recorded(drive.recorded.job, gone), None
        return drive.gone(job_id, job), None
    if job.phase.has_ended and intent.differences and not drive.retrain:
        return drive.cancelled_for(job, intent.differences), job
    is_done = job.phase is Phase.PAUSED or (job.phase is Phase.SUCCEEDED and not intent.retrains)
    if job.phase.has_ended or (drive.retrain and is_done):
        return None, job
    drive.note(f"going on with {job}, which a session ordered on {intent.sent}")
    return drive.wait_for(job), job


async def _state_of(drive: Drive, job_id: str, patience_s: float) -> RemoteJob | CallFailed:
    """Return a job, or the 404 about it, which a job has to survive for a while: not every listing is up to date."""
    started = time.monotonic()
    while True:
        try:
            return await drive.host.look(job_id)
        except CallFailed as failure:
            if failure.status != 404:
                raise
            if time.monotonic() - started >= patience_s:
                return failure
        drive.show(f"looking for {job_id}, which the API doesn't know (yet), for {duration(patience_s)} at most")
        await asyncio.sleep(drive.patience.look_every_s)


async def _listed_job_of(drive: Drive, intent: Intent) -> tuple[Found, RemoteJob | None, str]:
    """Return all that is found, the job of an order, and the reason if the listing can't tell.

    Any job on our own upload that wasn't there before the order counts, however it is described. For a user who knows already
    it looks once.
    """
    started, found = time.monotonic(), Found()
    patience_s = 0.0 if intent.reported else drive.patience.look_s
    while True:
        problem = ""
        try:
            found = await drive.search.find(intent.files)
        except CallFailed as failure:
            problem = failure.message
            if not failure.transient:
                return found, None, problem
        files = (*intent.files, drive.prepared.training.name)
        jobs = [*found.jobs, *(doubtful for doubtful, _ in found.perhaps if doubtful.training_file in files)]
        candidates = sorted((one for one in jobs if one.id not in intent.known), key=lambda one: one.age)
        own = [job for job in candidates if job.order == intent.order]
        job = preferred(candidates) or next(reversed(own or candidates), None)
        passed_s = time.monotonic() - started
        if job is not None or passed_s >= patience_s:
            return found, job, problem
        drive.show(f"looking for the job whose order got no answer, {duration(passed_s)} of {duration(patience_s)}")
        await asyncio.sleep(drive.patience.look_every_s)


async def _use_recorded(drive: Drive) -> Step | None:
    recorded = drive.recorded.job
    if recorded is None or drive.retrain:
        return None
    try:
        job = await drive.host.look(recorded.id)
    except CallFailed as failure:
        if failure.transient or failure.mend == "account":
            raise
        return None
    if job.phase.has_ended:
        return None
    drive.note(f"using {job}, {SAME}")
    return drive.wait_for(job)


async def _use_listed(drive: Drive, seen: tuple[RemoteJob, ...]) -> Step:
    """Use a listed job, or order a job if there surely is no such job, or a new job is asked for."""
    try:
        found = await drive.search.find(drive.intent.files if drive.intent else ())
    except CallFailed as failure:
        if drive.recorded.job is not None and not drive.retrain and not failure.transient:
            return drive.keep_recorded(drive.recorded.job, failure.message)
        if not drive.retrain or failure.status not in NO_ROUTE:
            raise
        found = Found()
    jobs = {**{job.id: job for job in found.jobs}, **{job.id: job for job in seen}}
    found = msgspec.structs.replace(found, jobs=tuple(sorted(jobs.values(), key=lambda job: job.age)))
    return _retrain(drive, found) if drive.retrain else _use_or_order(drive, found)


def _retrain(drive: Drive, found: Found) -> Step:
    """Order another job, unless a job is under way: most likely the same command was interrupted."""
    job = preferred([job for job in found.jobs if job.phase.is_under_way and job.phase is not Phase.PAUSED])
    if job is not None:
        drive.note(
            f"using {job}: --retrain starts no job while one of the same data is under way. To train another, cancel it there"
        )
        return drive.wait_for(job)
    for doubtful, differs in found.perhaps:
        drive.note(f"training though there is {doubtful} on the same training file, with {'; '.join(differs)}")
    if found.jobs:
        drive.note(f"training again; there is {preferred(found.jobs) or found.jobs[-1]}, {SAME}")
    return Ordering(found)


def _use_or_order(drive: Drive, found: Found) -> Step:
    recorded = drive.recorded
    job = preferred(found.jobs)
    if job is not None:
        drive.note(f"using {job}, {SAME}")
        return drive.wait_for(job)
    if recorded.job is not None:
        return drive.keep_recorded(recorded.job, "the API doesn't have it")
    if found.perhaps:
        named = listed([f"{doubtful} with {'; '.join(differs)}" for doubtful, differs in found.perhaps])
        reason = (
            f"there is {named}, on this very training file. It may be the job that is asked for, so nothing more is paid. To "
            f"use it, name in the suite what the API states, and run this: {drive.prepared.how_to_go_on}"
        )
        return End(State.UNCLEAR, drive.then_retrain(reason))
    if found.jobs:
        return End(State.ENDED, drive.then_retrain(found.jobs[-1].why_ended), found.jobs[-1])
    problem = found.unfinished or recorded.problem
    if problem:
        return _unreadable(drive, problem)
    if recorded.mismatch and not drive.may_replace:
        some = "A run of some of the samples doesn't pay for another job: run all of them, or pay for it on purpose"
        return End(State.STOPPED, drive.then_retrain(recorded.mismatch, some))
    return Ordering(found)


def _unreadable(drive: Drive, problem: str) -> End:
    """End because something that may tell of a paid job can't be read."""
    reason = (
        f"{problem}. There may be a job that was paid for, so none is started. {_check(drive)} When that can be read, this "
        f"goes on: {drive.prepared.how_to_go_on}"
    )
    return End(State.UNCLEAR, drive.then_retrain(reason, "To pay for a job all the same"))


def _check(drive: Drive) -> str:
    return f"Look there for a job on {drive.prepared.training.name} (base {drive.job.base.served})."
