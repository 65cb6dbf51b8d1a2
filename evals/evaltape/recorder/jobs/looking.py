"""The steps before a job is known: LOOKING and SENT."""

import asyncio
import time
from dataclasses import replace

from evaltape.finetuning.intent import Intent, UnreadableIntent
from evaltape.recorder.failures import CallFailed
from evaltape.recorder.jobs.drive import Drive
from evaltape.recorder.jobs.remote import RemoteJob
from evaltape.recorder.jobs.search import Found, preferred
from evaltape.recorder.jobs.states import State
from evaltape.text import duration

NO_LISTING = (404, 405, 501)
SAME = "made of the same data, base and settings"


async def look(drive: Drive) -> State:
    """Decide what to do: use a job that is there, look for one that was ordered, or order one."""
    drive.recorded = drive.prepared.recorded()
    recorded = drive.recorded.job
    try:
        intent = drive.intent = drive.intents.read(drive.digest)
    except UnreadableIntent as error:
        return await _without_intents(drive, str(error))
    if intent is not None and recorded is not None and intent.job == recorded.id:
        drive.forget_intent()  # A session ended between the recording and this.
    elif intent is not None and intent.job is None:
        return State.SENT
    elif intent is not None and (state := await _use_ordered(drive, intent, intent.job or "")):
        return state
    return await _use_recorded(drive) or await _use_listed(drive)


async def _without_intents(drive: Drive, problem: str) -> State:
    """Use what is recorded if it can't be read whether a job was ordered; pay only if the user says so."""
    if drive.retrain:
        drive.intents.path.unlink(missing_ok=True)
        return await _use_listed(drive)
    if drive.recorded.job is not None:
        return drive.keep_recorded(problem)
    return drive.end(State.UNCLEAR, drive.messages.unreadable(problem))


async def find_ordered(drive: Drive) -> State:
    """Look for the job of an order that got no answer until it is listed or patience ends."""
    intent = drive.intent
    assert intent is not None
    job, problem = await _listed_job_of(drive, intent)
    if job is not None:
        how = f"started {job}" if drive.owns(job) else f"using {job}, {SAME}"
        drive.note(f"{how}. An order of {intent.sent} got no answer; the listing shows the job")
        return drive.use(job)
    if drive.retrain and intent.reported:
        return State.ORDERING
    drive.write_intent(reported=True)
    open_order = f"an order of {intent.sent} got no answer, and no job of it shows up"
    if not drive.retrain:
        older = preferred(drive.found.jobs)
        if older is not None:
            drive.note(f"using {older}, {SAME}; {open_order}")
            drive.intent = None
            return drive.use(older)
        if drive.recorded.job is not None:
            return drive.keep_recorded(open_order)
    return drive.end(State.UNCLEAR, drive.messages.no_answer(intent, drive.problem or problem))


# ---------------------------------------------------------------- an order


async def _use_ordered(drive: Drive, intent: Intent, job_id: str) -> State | None:
    """Go on with the job of an order of an earlier session; None if it has ended, or isn't the one asked for now."""
    patience_s = 0.0 if intent.reported else drive.patience.look_s
    job, failure = await _state_of(drive, job_id, patience_s)
    if job is None:
        assert failure is not None
        if drive.retrain and intent.reported:
            return None
        drive.write_intent(reported=True)
        if drive.recorded.job is not None and not drive.retrain:
            return drive.keep_recorded(f"{job_id}, which a session ordered on {intent.sent}, is gone ({failure.message})")
        return drive.end(State.GONE, drive.messages.gone(job_id, failure))
    drive.seen[job.id] = job
    if job.has_ended or (drive.retrain and job.has_succeeded and not intent.retrains):
        return None
    drive.note(f"going on with {job}, which a session ordered on {intent.sent}")
    return drive.use(job)


async def _state_of(drive: Drive, job_id: str, patience_s: float) -> tuple[RemoteJob | None, CallFailed | None]:
    """Return a job, or the 404 about it, which a job has to survive for a while: not every listing is up to date."""
    started = time.monotonic()
    while True:
        try:
            return (await drive.api.job(job_id))[0], None
        except CallFailed as failure:
            if failure.status != 404:
                raise
            if time.monotonic() - started >= patience_s:
                return None, failure
        drive.show(f"looking for {job_id}, which the API doesn't know (yet), for {duration(patience_s)} at most")
        await asyncio.sleep(drive.patience.look_every_s)


async def _listed_job_of(drive: Drive, intent: Intent) -> tuple[RemoteJob | None, str]:
    """Return the job of an order, or why the listing can't tell. A user who knows already waits for one look only."""
    started = time.monotonic()
    patience_s = 0.0 if intent.reported else drive.patience.look_s
    while True:
        problem = ""
        try:
            drive.found = await drive.search.find(intent.files)
        except CallFailed as failure:
            problem = failure.message
            if not failure.transient:
                return None, problem
        candidates = drive.found.beside(intent.known)
        own = [job for job in candidates if job.order == intent.order]
        job = preferred(candidates) or next(reversed(own or candidates), None)
        passed_s = time.monotonic() - started
        if job is not None or passed_s >= patience_s:
            return job, problem
        drive.show(f"looking for the job whose order got no answer, {duration(passed_s)} of {duration(patience_s)}")
        await asyncio.sleep(drive.patience.look_every_s)


# ---------------------------------------------------------------- job.yaml and the listing


async def _use_recorded(drive: Drive) -> State | None:
    """Use the job of job.yaml if the API still has it."""
    recorded = drive.recorded.job
    if recorded is None or drive.retrain:
        return None
    try:
        job, _ = await drive.api.job(recorded.id)
    except CallFailed as failure:
        if failure.transient or failure.mend == "account":
            raise
        return None
    if job.has_ended:
        return None
    drive.note(f"using {job}, {SAME}")
    return drive.use(job)


async def _use_listed(drive: Drive) -> State:
    """Use a listed job, or order one if there surely is none or another one is asked for."""
    try:
        found = await drive.search.find(drive.intent.files if drive.intent else ())
    except CallFailed as failure:
        if drive.recorded.job is not None and not drive.retrain and not failure.transient:
            return drive.keep_recorded(failure.message)
        if not drive.retrain or failure.status not in NO_LISTING:
            raise
        found = Found(())
    jobs = {**{job.id: job for job in found.jobs}, **drive.seen}
    drive.found = replace(found, jobs=tuple(sorted(jobs.values(), key=lambda job: job.age)))
    return _retrain(drive) if drive.retrain else _use_or_order(drive)


def _retrain(drive: Drive) -> State:
    """Order another job, unless one is under way: most likely the same command was interrupted."""
    jobs = drive.found.jobs
    job = preferred([job for job in jobs if job.is_under_way])
    if job is not None:
        drive.note(f"using {job}: --retrain starts no job while one of the same data is under way")
        return drive.use(job)
    if jobs:
        drive.note(f"training again; there is {preferred(jobs) or jobs[-1]}, {SAME}")
    return State.ORDERING


def _use_or_order(drive: Drive) -> State:
    jobs, recorded = drive.found.jobs, drive.recorded
    job = preferred(jobs)
    if job is not None:
        drive.note(f"using {job}, {SAME}")
        return drive.use(job)
    if recorded.job is not None:
        return drive.keep_recorded("the API doesn't have it")
    if jobs:
        return drive.end(State.ENDED, drive.messages.ended(jobs[-1]))
    problem = drive.found.unfinished or recorded.problem
    if problem:
        return drive.end(State.UNCLEAR, drive.messages.unreadable(problem))
    if recorded.mismatch and not drive.assignment.may_replace:
        return drive.end(State.STOPPED, drive.messages.other_data(recorded.mismatch))
    return State.ORDERING
