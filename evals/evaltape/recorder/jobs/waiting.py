"""The steps from an order to a recording: ORDERING, WAITING and SUCCEEDED."""

import asyncio
import contextlib
import time

from evaltape.errors import RecordingError
from evaltape.finetuning.recorded_job import orders_of, write_job, write_origin
from evaltape.recorder.budget import OverBudget
from evaltape.recorder.failures import CallFailed
from evaltape.recorder.jobs.drive import Drive
from evaltape.recorder.jobs.order import Ordering
from evaltape.recorder.jobs.remote import DOCUMENTED, PAUSED, RemoteJob
from evaltape.recorder.jobs.states import ForbiddenStep, State, check_payable
from evaltape.recorder.shutdown_dates import ask
from evaltape.recording.cassettes import Exchange
from evaltape.suite.address import is_local
from evaltape.suite.pricing import training_usd
from evaltape.text import counted, duration


async def order(drive: Drive, state: State) -> State:
    """Order a job. The only step that pays, and at most once a session."""
    check_payable(state)
    if drive.ordered is not None:
        raise ForbiddenStep("a session orders a job once")
    prepared = drive.prepared
    drive.hold = await drive.assignment.budget.hold_in_turn(most_usd(drive))
    await _note_retirement(drive)
    drive.intent = None
    placed = await Ordering(prepared, drive.api, drive.intents, drive.patience).place(drive.found, drive.retrain)
    drive.intent = drive.ordered = placed.intent
    drive.order_exchanges, drive.problem = placed.exchanges, placed.problem
    if placed.job is None:
        return State.SENT
    drive.note(f"started {placed.job.id} on {counted(prepared.training.rows, 'training row')}")
    return drive.use(placed.job)


def most_usd(drive: Drive) -> float:
    """Return the most that the job can cost. Raises `OverBudget` if a limit is set and nobody can say."""
    amount_usd = training_usd(drive.prepared.job.price, drive.prepared.most_tokens)
    is_free = amount_usd is None and is_local(drive.assignment.endpoint.base_url)
    if amount_usd is None and not is_free and drive.assignment.budget.limit_usd is not None:
        raise OverBudget("the suite states no price.training of it, so --budget can't bound what it costs; not started")
    return amount_usd or 0.0


async def _note_retirement(drive: Drive) -> None:
    """Note that the base shuts down soon, before money is spent on it."""
    base = drive.prepared.job.base.served
    notice = await ask(drive.assignment.endpoint, base)
    if notice.is_near:
        drive.note(f"{base} {notice.in_short()}")


# ---------------------------------------------------------------- waiting


async def wait(drive: Drive) -> State:
    """Ask for the job's state once, after a look at the jobs of other sessions."""
    job = await _oldest(drive)
    try:
        drive.poll(*await drive.api.job(job.id, drive.patience.poll_s))
    except CallFailed as failure:
        if failure.status != 404:
            raise
        return await _miss(drive, job, failure)
    polled = drive.job or job
    drive.show(await _progress(drive, polled))
    state = _state_after(drive, polled)
    if state is State.WAITING:
        await asyncio.sleep(_pause_s(drive, polled))
    return state


async def _oldest(drive: Drive) -> RemoteJob:
    """Return the job to wait for: an older one of another session takes the place of one that isn't training yet."""
    job = drive.job
    assert job is not None
    if drive.rivals is not None and drive.rivals.matter_to(job):
        winner = await drive.rivals.winner(job)
        if winner.id != job.id:
            drive.use(winner)
            return winner
    return job


async def _miss(drive: Drive, job: RemoteJob, failure: CallFailed) -> State:
    """Wait for a job that the API doesn't know yet, or end with one that it doesn't know any more."""
    waited_s = time.monotonic() - drive.started_s
    if drive.state_exchange is None and waited_s < drive.patience.look_s:
        drive.show(f"looking for {job.id}, which the API doesn't know yet, for {duration(drive.patience.look_s)} at most")
        await asyncio.sleep(drive.patience.look_every_s)
        return State.WAITING
    if drive.intent is not None:
        drive.write_intent(reported=True)
    return drive.end(State.GONE, drive.messages.gone(job.id, failure))


def _state_after(drive: Drive, job: RemoteJob) -> State:
    if job.has_succeeded:
        return State.SUCCEEDED
    if job.status == "cancelled" and not drive.retrain:
        return State.LOOKING  # A session on another machine may have ordered a job at the same time.
    if job.has_ended:
        return drive.end(State.ENDED, drive.messages.ended(job))
    if job.status == PAUSED:
        return drive.end(State.PAUSED, drive.messages.paused(job))
    unknown_s = drive.unknown_for_s(job.status not in DOCUMENTED)
    if unknown_s > drive.patience.unknown_s:
        return drive.end(State.UNKNOWN, drive.messages.unknown(job, unknown_s))
    return State.WAITING


def _pause_s(drive: Drive, job: RemoteJob) -> float:
    poll_s = drive.prepared.job.poll_seconds
    looks = drive.rivals is not None and drive.rivals.matter_to(job)
    return min(poll_s, drive.patience.look_every_s) if looks else poll_s


async def _progress(drive: Drive, job: RemoteJob) -> str:
    """Return status, elapsed time, trained tokens and the API's latest message, which during training is the loss."""
    elapsed_s = int(time.monotonic() - drive.started_s)
    parts = [job.status, f"{elapsed_s // 60} min {elapsed_s % 60:02d} s"]
    if job.trained_tokens:
        parts.append(f"{job.trained_tokens:,} trained tokens")
    message = await drive.api.latest_message(job.id) if job.status == "running" else ""
    return ", ".join([*parts, *([message] if message else [])])


# ---------------------------------------------------------------- recording


async def record(drive: Drive) -> State:
    """Record the job. Its events and metrics may be missing: it counts all the same."""
    job, exchange, recorded = drive.job, drive.state_exchange, drive.recorded.job
    assert job is not None
    assert exchange is not None
    is_recorded = recorded is not None and recorded.id == job.id
    if not job.tuned_model and is_recorded:
        return drive.keep_recorded("the API doesn't name its tuned model any more")
    if not job.tuned_model:
        return drive.end(State.NAMELESS, drive.messages.nameless(job))
    extras, problems = await _extras(drive, job)
    if problems and is_recorded:
        write_origin(drive.prepared.cassette, job.id, drive.prepared.identity)
    else:
        _write(drive, job, [*_orders(drive, job), exchange], extras, problems)
    if drive.intent is not None:
        with contextlib.suppress(OSError):  # The next session sees that its job is recorded.
            drive.forget_intent()
    return State.RECORDED


def _write(drive: Drive, job: RemoteJob, bare: list[Exchange], extras: list[Exchange], problems: list[str]) -> None:
    """Write the job; without its extras if they hold something that must not be written."""
    prepared, key = drive.prepared, drive.assignment.endpoint.key
    try:
        write_job(prepared.cassette, job.id, [*bare, *extras], prepared.identity, secrets=(key,))
    except RecordingError as error:
        write_job(prepared.cassette, job.id, bare, prepared.identity, secrets=(key,))
        problems = [f"events and metrics: {error}"]
    for problem in problems:
        drive.note(f"{job.id} is recorded without {problem}")


def _orders(drive: Drive, job: RemoteJob) -> list[Exchange]:
    """Return the upload and the order of a job: as this session sent them, else as they are recorded."""
    uploads = [one for one in drive.order_exchanges if one.path.endswith("/files")]
    if any(upload.answered["id"] == job.training_file for upload in uploads):
        orders = [one for one in drive.order_exchanges if one not in uploads and one.answered["id"] == job.id]
        return [*uploads, *orders]
    return orders_of(drive.prepared.cassette, job.id)


async def _extras(drive: Drive, job: RemoteJob) -> tuple[list[Exchange], list[str]]:
    """Return a job's events and result files, as far as they can be had, and what can't be."""
    exchanges, problems = list[Exchange](), list[str]()
    try:
        exchanges += await drive.api.events(job.id)
    except CallFailed as failure:
        problems.append(f"its events: {failure.message}")
    for file in job.result_files:
        try:
            exchanges.append(await drive.api.content(file))
        except CallFailed as failure:
            problems.append(f"its metrics in {file}: {failure.message}")
    return exchanges, problems
