"""The step that pays: files are uploaded, the order is written to disk and sent, once, and its answer is compared with it."""

import codecs
import contextlib

import msgspec

from evaltape.finetuning.host import FileState, Order, RemoteJob, Upload
from evaltape.finetuning.intent import Intent, new_intent
from evaltape.finetuning.jobs import epochs_of
from evaltape.finetuning.training_file import TrainingFile
from evaltape.recorder.api.asking import surely_refused
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.api.shutdown_dates import ask
from evaltape.recorder.budget import OverBudget
from evaltape.recorder.tuning.hosts import processed
from evaltape.recorder.tuning.matching import cancel_untrained, differences
from evaltape.recorder.tuning.states import Drive, ForbiddenStep, Ordering, Sent, State, Step, check_payable
from evaltape.suite.cost import training_usd
from evaltape.suite.endpoint import is_local
from evaltape.text import counted, usd


async def place(drive: Drive, step: Ordering) -> Step:
    """Order a job. The only step that pays, and at most once a session."""
    check_payable(State.ORDERING)
    if drive.ordered is not None:
        raise ForbiddenStep("a session orders a job once")
    hold = await drive.budget.hold_in_turn(most_usd(drive, drive.prepared.most_tokens()))
    try:
        await _note_what_is_ahead(drive)
        tolerated = drive.intent.differences if drive.intent else ()
        drive.asking.taken()
        uploads = {"training": drive.prepared.training, "validation": drive.prepared.validation}
        files = {kind: await _uploaded(drive, file) for kind, file in uploads.items() if file is not None}
        intent = new_intent(
            address=drive.asking.base_url,
            run=1 + max((job.run for job in step.found.jobs), default=0),
            known=step.found.ids,
            files=(files["training"].id,),
            retrains=drive.retrain,
        )
        drive.intents.write(drive.digest, intent)
    except BaseException:
        hold.release()  # Nothing was ordered.
        raise
    drive.intent, drive.ordered, drive.hold = intent, intent, hold
    try:
        job = await _ordered(drive, intent, files)
    except CallFailed as failure:
        if surely_refused(failure):
            drive.intents.remove(drive.digest)
            drive.intent = drive.ordered = None
            hold.release()
            raise
        return Sent(intent, failure.message)
    drive.exchanges = drive.asking.taken()
    drive.intent = drive.ordered = msgspec.structs.replace(intent, job=job.id, created=(job.id,))
    with contextlib.suppress(OSError):  # The order without its job's id is on disk, which is enough to find the job.
        drive.intents.write(drive.digest, drive.intent)
    drive.note(f"started {job.id} on {counted(drive.prepared.training.rows, 'training row')}")
    return await _compared(drive, job, tolerated)


def most_usd(drive: Drive, tokens: int) -> float:
    """Return the most that a job of so many tokens can cost. Raises `OverBudget` if nothing bounds it."""
    most = training_usd(drive.job.price, tokens)
    if most is not None:
        return most
    if not is_local(drive.endpoint.base_url) and drive.budget.limit_usd is not None:
        raise OverBudget("the suite states no price.training of it, so --budget can't bound what it costs; not started")
    return 0.0


async def _note_what_is_ahead(drive: Drive) -> None:
    """Note that the base shuts down soon, and that the tuned model needs a deployment, before money is spent."""
    notice = await ask(drive.endpoint, drive.job.base.served)
    if notice.is_near:
        drive.note(f"{drive.job.base.served} {notice.in_short()}")
    if not drive.service.serves and drive.job.deploy is None:
        drive.note(
            f"{drive.job.service} serves no tuned model by itself: name a function in deploy, or make a deployment of the "
            "tuned model's very name (docs/hosts.md)"
        )


async def _uploaded(drive: Drive, file: TrainingFile) -> FileState:
    """Upload a file and wait until the service has processed it. Raises `CallFailed` if it can't."""
    content = (codecs.BOM_UTF8 if drive.service.byte_order_mark else b"") + file.content
    state = await drive.host.upload(Upload(file.name, content))
    return await processed(drive.host, drive.asking, state, drive.patience.file_s, drive.job.poll_seconds)


async def _ordered(drive: Drive, intent: Intent, files: dict[str, FileState]) -> RemoteJob:
    """Send the order; again only if the API surely refused it, for its pace. Raises `CallFailed`."""
    job = drive.job
    marks = {"evaltape_order": intent.order, "evaltape_run": str(intent.run)}
    order = Order(
        base=job.base.served,
        training_file=files["training"].id,
        validation_file=files["validation"].id if "validation" in files else None,
        hyperparameters=job.hyperparameters,
        seed=job.seed,
        suffix=job.suffix,
        metadata={**drive.prepared.identity.metadata(), **marks},
        extra=job.extra,
    )
    return await drive.asking.retry(
        lambda: drive.host.order(order),
        "the order of the job",
        lambda failure, _: surely_refused(failure) and failure.transient,
        drive.patience.order_s,
    )


async def _compared(drive: Drive, job: RemoteJob, tolerated: tuple[str, ...]) -> Step:
    """Tell how the API trains otherwise than asked; cancel that while it costs nothing, if it can cost more than asked."""
    differs = differences(drive.job, job)
    for difference in differs:
        drive.note(f"{job.id}: the API states {difference}")
    costs_more = tuple(str(each) for each in differs if each.may_cost_more)
    price = drive.job.price
    is_free = is_local(drive.endpoint.base_url) and (price is None or not price.training)
    if costs_more and costs_more != tolerated and not is_free:
        cancelled = await _cancelled(drive, job)
        if cancelled is not None:
            if drive.hold is not None:
                drive.hold.release()
            drive.write_intent(differences=costs_more)
            return drive.cancelled_for(cancelled, costs_more)
    hold_what_is_told(drive, job)
    return drive.wait_for(job)


async def _cancelled(drive: Drive, job: RemoteJob) -> RemoteJob | None:
    """Cancel a job of ours that isn't training yet; None if it goes on."""
    try:
        job = await cancel_untrained(drive.host, job.id)
        if job.phase.has_ended:
            return job
        problem = f"is {job.status} already"
    except CallFailed as failure:
        problem = f"couldn't be cancelled ({failure.message})"
    drive.note(f"{job.id} {problem} and goes on: cancel it at the API if you don't want it")
    return None


def hold_what_is_told(drive: Drive, job: RemoteJob) -> None:
    """Hold the job's most against the budget, by the epochs that the API states."""
    told = epochs_of(job.hyperparameters)
    if drive.hold is None or told is None or drive.hold.has_ended:
        return
    most = most_usd(drive, drive.prepared.most_tokens(told))
    if not drive.hold.change(most):
        drive.note(f"{job.id} can cost up to {usd(most)} by what the API says, which passes the budget")


def settle(drive: Drive, job: RemoteJob | None) -> None:
    """Tell the budget the cost of this session's order, or its most."""
    hold = drive.hold
    if hold is None or hold.has_ended:
        return
    is_ours = job is not None and drive.owns(job)
    if job is not None and is_ours and not job.phase.is_under_way:
        tokens = job.trained_tokens
        hold.settle(None if tokens is None else training_usd(drive.job.price, tokens) or 0.0)
    elif job is not None and not is_ours and not (drive.rivals and drive.rivals.may_cost):
        hold.release()
    else:
        hold.doubt()
