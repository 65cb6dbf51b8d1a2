"""The steps once a job is known: it is waited for, its tuned model gets a name, and `job.yaml` records it."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning.host import Event, RemoteJob
from evaltape.finetuning.jobs import epochs_of
from evaltape.finetuning.recorded_job import Job, orders_of, write_job, write_origin
from evaltape.finetuning.services import Phase
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.tuning.hosts import loaded, shown_error
from evaltape.recorder.tuning.matching import differences, told_settings
from evaltape.recorder.tuning.ordering import hold_what_is_told
from evaltape.recorder.tuning.states import Drive, End, Looking, Served, State, Step, Succeeded, Waiting
from evaltape.recording.cassettes import Exchange
from evaltape.suite.definition import Finetune
from evaltape.text import cut, duration, visible

SHOWN_EVERY_S = 5.0
T = TypeVar("T")


async def wait(drive: Drive, step: Waiting) -> Step:
    """Ask for the job's state once, after a look at the jobs of other sessions."""
    if drive.rivals is not None and drive.rivals.is_look_due(step.job):
        winner = await drive.rivals.winner(step.job)
        if winner.id != step.job.id:
            return drive.wait_for(winner)
    drive.asking.taken()
    job_id, poll_s = step.job.id, drive.patience.poll_s
    try:
        with drive.asking.patient(poll_s):
            name = f"the state of {job_id}"
            job = await drive.asking.retry(lambda: drive.host.look(job_id), name, lambda failure, _: failure.transient)
    except CallFailed as failure:
        if failure.status != 404:
            raise
        return await _miss(drive, step, failure)
    drive.show(await _progress(drive, step, job))
    hold_what_is_told(drive, job)
    following = _after(drive, job)
    if following is not None:
        return following
    is_look_due = drive.rivals is not None and drive.rivals.is_look_due(job)
    pause_s = min(drive.job.poll_seconds, drive.patience.look_every_s) if is_look_due else drive.job.poll_seconds
    await asyncio.sleep(pause_s)
    return msgspec.structs.replace(step, job=job, was_known=True, missing_since_s=None)


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
    return drive.gone(step.job.id, failure)


def _after(drive: Drive, job: RemoteJob) -> Step | None:
    """Return the step that a job's state leads to; None while it is under way."""
    if job.phase is Phase.SUCCEEDED:
        return Succeeded(job, drive.asking.taken("GET"))
    if job.phase is Phase.CANCELLED and not drive.retrain and drive.same is None:
        return Looking((job,))  # A session on another machine may have ordered a job at the same time.
    if job.phase.has_ended:
        return End(State.ENDED, drive.then_retrain(job.why_ended), job)
    if job.phase is Phase.PAUSED:
        return End(
            State.PAUSED, drive.then_go_on(f"{job.id} is paused at the API", "Resume it there; this goes on with it"), job
        )
    return None


async def _progress(drive: Drive, step: Waiting, job: RemoteJob) -> str:
    """Return status, elapsed time, trained tokens and the API's latest message, which during training is the loss."""
    elapsed_s = int(time.monotonic() - step.since_s)
    tokens = f"{job.trained_tokens:,} trained tokens" if job.trained_tokens else ""
    events = list[Event]()
    if job.phase is Phase.TRAINING:
        with contextlib.suppress(CallFailed, TimeoutError):
            async with asyncio.timeout(drive.patience.extra_s):
                with drive.asking.patient(0.0):
                    events = await drive.host.events(job.id, newest=True)
    message = events[-1].message if events else ""
    return ", ".join([job.status, f"{elapsed_s // 60} min {elapsed_s % 60:02d} s", *filter(None, (tokens, message))])


async def record(drive: Drive, step: Succeeded) -> Step:
    """Record the job. Its events and metrics may be missing: it counts all the same."""
    job = step.job
    recorded = drive.recorded.job if drive.recorded.job is not None and drive.recorded.job.id == job.id else None
    described = _described(drive, job)
    served = await _served(drive, job, described, recorded)
    if served is None and recorded is not None:
        return drive.keep_recorded(recorded, "the API doesn't name its tuned model any more")
    if served is None:
        reason = f"{job.id} succeeded, but this API names no tuned model that could be asked"
        way = f"Name a function that deploys it in deploy under [finetune.{drive.job.key}]; this then records the job, "
        return End(State.NAMELESS, drive.then_go_on(reason, f"{way}without paying again"), job)
    problems: list[str] = []
    events = await _extra(drive, drive.host.events(job.id), "its events", problems)
    metrics = await _extra(drive, drive.host.metrics(job), "its metrics", problems)
    is_same = recorded is not None and (recorded.tuned_model, recorded.base_url) == (served.name, served.base_url)
    if problems and is_same:
        write_origin(drive.prepared.cassette, job.id, drive.prepared.identity)
    else:
        whole = msgspec.structs.replace(
            described,
            tuned_model=served.name,
            base_url=served.base_url,
            is_undeployed=served.undeploy is not None,
            metrics=tuple(metrics or ()),
            events=tuple({"created_at": it.created_at, "level": it.level, "message": it.message} for it in events or ()),
        )
        is_own = drive.ordered is not None and job.id in drive.ordered.created
        orders = drive.exchanges if is_own else orders_of(drive.prepared.cassette, job.id)
        _write(drive, whole, [*orders, *step.exchanges], problems)
    if drive.intent is not None:
        with contextlib.suppress(OSError):  # The next session sees that its job is recorded.
            drive.forget_intent()
    return End(State.RECORDED, None, job, served)


def _described(drive: Drive, job: RemoteJob) -> Job:
    """Return a job's summary, before its tuned model has a name."""
    return Job(
        id=job.id,
        status="succeeded",
        base=job.base or drive.job.base.served,
        tuned_model=job.tuned_model or "",
        trained_tokens=job.trained_tokens,
        most_tokens=drive.prepared.most_tokens(epochs_of(job.hyperparameters)),
        identity=drive.prepared.identity,
        trained=told_settings(job),
        differences=tuple(map(str, differences(drive.job, job))),
    )


async def _served(drive: Drive, job: RemoteJob, described: Job, recorded: Job | None) -> Served | None:
    """Return the tuned model's name: as it was recorded, of a deployment that is made now, or the host's own."""
    if recorded is not None and not recorded.is_undeployed and (drive.job.deploy or not job.tuned_model):
        return Served(recorded.tuned_model, recorded.base_url)
    if drive.job.deploy is not None:
        return await deploy(drive.job, described, drive.prepared.root, drive.show)
    with drive.asking.patient(drive.patience.serve_s):
        name = await drive.host.serve(job)
    return Served(name) if name else None


async def _extra(drive: Drive, asking: Awaitable[T], what: str, problems: list[str]) -> T | None:
    """Return events or metrics; None if they can't be had, with the reason among the problems."""
    try:
        with drive.asking.patient(drive.patience.extra_s):
            return await asking
    except CallFailed as failure:
        problems.append(f"{what}: {failure.message}")
        return None


def _write(drive: Drive, job: Job, calls: list[Exchange], problems: list[str]) -> None:
    """Write the job; without its extras if they hold something that must not be written."""
    cassette, secrets = drive.prepared.cassette, (drive.endpoint.key,)
    try:
        write_job(cassette, job, calls, secrets)
    except RecordingError as error:
        bare: Any = msgspec.structs.replace(job, metrics=(), events=())
        write_job(cassette, bare, calls, secrets)
        problems = [f"events and metrics: {error}"]
    for problem in problems:
        drive.note(f"{job.id} is recorded without {problem}")


async def deploy(job: Finetune, finished: Any, root: Path, show: Callable[[str], None]) -> Served:
    """Call the suite's `deploy` with the finished job, and show that it is waited for. Raises `RecordingError`."""
    assert job.deploy is not None
    place = f"deploy = {job.deploy!r}"
    try:
        function = loaded(job.deploy, "deploy", root)
        answer = await _called(function, finished, show=lambda text: show(f"{job.deploy}: {text}"))
    except UserError as error:
        raise RecordingError(str(error)) from None
    except Exception as error:
        raise RecordingError(f"{place} raised {shown_error(error)}") from None
    return _read_served(answer, place)


async def undeploy(served: Served) -> str | None:
    """End a deployment; return why that failed, if it did."""
    assert served.undeploy is not None
    try:
        await _called(served.undeploy)
    except Exception as error:
        return f"undeploy of {visible(served.name)} raised {shown_error(error)}; end it yourself, it may go on costing"
    return None


async def _called(function: Callable[..., Any], *args: Any, show: Callable[[str], object] = lambda text: None) -> Any:
    """Call a function, or a coroutine function, without holding up the loop; `show` receives for how long it is waited for."""
    started = time.monotonic()
    work = asyncio.ensure_future(
        function(*args) if inspect.iscoroutinefunction(function) else asyncio.to_thread(function, *args)
    )
    try:
        while True:
            show(f"waiting for {duration(time.monotonic() - started)}")
            done, _ = await asyncio.wait([work], timeout=SHOWN_EVERY_S)
            if done:
                return work.result()
    finally:
        work.cancel()


def _read_served(answer: Any, place: str) -> Served:
    if isinstance(answer, str):
        answer = {"name": answer}
    keys = ("name", "base_url", "undeploy")
    name, base_url, ends = (answer.get(key) if isinstance(answer, dict) else getattr(answer, key, None) for key in keys)
    if not isinstance(name, str) or not name or not isinstance(base_url, str | None) or not (ends is None or callable(ends)):
        raise RecordingError(
            f"{place} returned {cut(visible(repr(answer)), 200)}: it takes the name to ask the tuned model by, or an object or "
            "a dict with name, and base_url and undeploy if there are any"
        )
    return Served(name, base_url, ends)
