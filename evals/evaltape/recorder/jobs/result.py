"""How a drive ended, and the messages about it."""

from dataclasses import dataclass

from evaltape.finetuning.intent import Intent
from evaltape.finetuning.jobs import PreparedJob
from evaltape.recorder.failures import CallFailed
from evaltape.recorder.jobs.remote import RemoteJob
from evaltape.recorder.jobs.states import State
from evaltape.suite.definition import Model
from evaltape.text import duration


@dataclass(frozen=True)
class Result:
    """The state a drive ended in."""

    state: State
    error: str | None = None
    """Why there is no tuned model to ask, with what to do next; None if there is one."""
    job: str | None = None
    """The job's id, if one is known."""


class Messages:
    """Writes the errors of one job's drive."""

    def __init__(self, prepared: PreparedJob) -> None:
        self._prepared = prepared
        self._go_on, self._retrain = prepared.how_to_go_on, prepared.how_to_retrain

    def ended(self, job: RemoteJob) -> str:
        """Say that a job failed or was cancelled."""
        return f"{job.reason}. To pay for another: {self._retrain}"

    def paused(self, job: RemoteJob) -> str:
        """Say that a job is paused."""
        return f"{job.id} is paused at the API. Resume it there; this goes on with it: {self._go_on}"

    def unknown(self, job: RemoteJob, seconds: float) -> str:
        """Say that a job's status has long been an undocumented one."""
        return (
            f"{job.id} has been {job.status!r} for {duration(seconds)}, a status that the fine-tuning API doesn't document. "
            f"Look at the API what it means; this goes on with the job: {self._go_on}"
        )

    def gone(self, job_id: str, failure: CallFailed) -> str:
        """Say that the API has lost a job that it had."""
        return (
            f"{job_id} is gone: {failure.message}. It was deleted, or this key is of another project. Nothing more is paid; to "
            f"pay for another job: {self._retrain}"
        )

    def nameless(self, job: RemoteJob) -> str:
        """Say that a job yields nothing that can be asked."""
        return (
            f"{job.id} succeeded, but this API names no tuned model that could be asked. Deploy what it made, and name that "
            "under [models]"
        )

    def no_answer(self, intent: Intent, problem: str) -> str:
        """Say that a job may have been created that doesn't show up."""
        why = f" ({problem})" if problem else ""
        return (
            f"a job was ordered on {intent.sent} at {intent.address}, no answer came{why}, and the API's listing doesn't show "
            f"it. It may have been created, so nothing more is paid. {self._check()} If there is one, this looks again: "
            f"{self._go_on}. If there is none, this pays for another: {self._retrain}"
        )

    def unreadable(self, problem: str) -> str:
        """Say that something that may tell of a paid job can't be read."""
        return (
            f"{problem}. There may be a job that was paid for, so none is started. {self._check()} When that can be read, this "
            f"goes on: {self._go_on}. To pay for a job all the same: {self._retrain}"
        )

    def other_data(self, mismatch: str) -> str:
        """Say that a part of the samples doesn't pay for another job."""
        return (
            f"{mismatch}. A run of some of the samples doesn't pay for another job: run all of them, or pay for it on purpose: "
            f"{self._retrain}"
        )

    def goes_on(self, job: RemoteJob) -> str:
        """Say how to go on with a job that this session no longer waits for, or couldn't record."""
        if job.has_succeeded:
            return f"{job.id} itself has succeeded, and this records it: {self._go_on}"
        return f"{job.id} goes on at the API, and this goes on with it: {self._go_on}"

    def may_go_on(self) -> str:
        """Say how to go on after an order whose answer this session did not wait for."""
        return f"a job may have been ordered just now; this looks for it and goes on with it: {self._go_on}"

    def _check(self) -> str:
        base = self._prepared.job.base.served
        return f"Look there for a job on {self._prepared.training.name} (base {base})."


def advice(failure: CallFailed, base: Model) -> str:
    """Return what to do about a refusal of an order."""
    if failure.status == 403:
        return (
            ". This API lets the organisation start no fine-tuning job (OpenAI takes none after 6 January 2027). Name "
            f"another service in base_url of [models.{base.key}], or serve one: evaltape serve --help"
        )
    if failure.code in ("model_not_found", "model_not_available"):
        return f". [models.{base.key}] model = {base.served!r}: name a model that this API can fine-tune"
    if failure.status in (404, 405, 501):
        return f". The service of [models.{base.key}] seems to have no fine-tuning API"
    return ""
