"""The step that records: the tuned model gets its name, and `job.yaml` everything about its job."""

import contextlib
import math
from collections.abc import Awaitable
from typing import Any, TypeVar

import msgspec

from evaltape.errors import RecordingError
from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.jobs import epochs_of
from evaltape.finetuning.recorded_job import Job, orders_of, write_job, write_origin
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.tuning.drive import Drive, End, Step, Succeeded
from evaltape.recorder.tuning.hosts import Served, deploy
from evaltape.recorder.tuning.states import State
from evaltape.recorder.tuning.told import differences, told_settings
from evaltape.recording.cassettes import Exchange

T = TypeVar("T")


async def record(drive: Drive, step: Succeeded) -> Step:
    """Record the job. Its events and metrics may be missing: it counts all the same."""
    job = step.job
    recorded = drive.recorded.job if drive.recorded.job is not None and drive.recorded.job.id == job.id else None
    described = _described(drive, job)
    served = await _served(drive, job, described, recorded)
    if served is None and recorded is not None:
        return drive.keep_recorded(recorded, "the API doesn't name its tuned model any more")
    if served is None:
        return End(State.NAMELESS, drive.messages.nameless(job), job)
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
        _write(drive, whole, [*_orders(drive, job), *step.exchanges], problems)
    if drive.intent is not None:
        with contextlib.suppress(OSError):  # The next session sees that its job is recorded.
            drive.forget_intent()
    return End(State.RECORDED, None, job, served)


def _described(drive: Drive, job: RemoteJob) -> Job:
    """Return a job's summary, before its tuned model has a name."""
    told = epochs_of(job.hyperparameters) or drive.prepared.most_epochs
    return Job(
        id=job.id,
        status="succeeded",
        base=job.base or drive.job.base.served,
        tuned_model=job.tuned_model or "",
        trained_tokens=job.trained_tokens,
        most_tokens=math.ceil(drive.prepared.tokens_per_epoch * told),
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
    cassette, secrets = drive.prepared.cassette, (drive.assignment.endpoint.key,)
    try:
        write_job(cassette, job, calls, secrets)
    except RecordingError as error:
        bare: Any = msgspec.structs.replace(job, metrics=(), events=())
        write_job(cassette, bare, calls, secrets)
        problems = [f"events and metrics: {error}"]
    for problem in problems:
        drive.note(f"{job.id} is recorded without {problem}")


def _orders(drive: Drive, job: RemoteJob) -> list[Exchange]:
    """Return the upload and the order of a job: as this session sent them, else as they are recorded."""
    if drive.order is not None and job.id in drive.order.intent.created:
        return list(drive.order.exchanges)
    return orders_of(drive.prepared.cassette, job.id)
