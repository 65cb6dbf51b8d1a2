"""The messages at the end of a drive: the outcome, and the free way on."""

from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.intent import Intent
from evaltape.finetuning.jobs import PreparedJob, service_of
from evaltape.recorder.api.failures import CallFailed
from evaltape.text import listed


class Messages:
    """Writes the errors of a job's drive."""

    def __init__(self, prepared: PreparedJob) -> None:
        self._prepared = prepared
        self._go_on, self._retrain = prepared.how_to_go_on, prepared.how_to_retrain

    def ended(self, job: RemoteJob) -> str:
        """Say that a job failed or was cancelled."""
        return f"{job.why_ended}. To pay for another: {self._retrain}"

    def cancelled_for(self, job: RemoteJob, differences: tuple[str, ...]) -> str:
        """Say that our own job was cancelled because it would have cost more than asked."""
        return (
            f"{job.id} was cancelled before its training, nothing is paid: the API would train otherwise than asked "
            f"({'; '.join(differences)}), which can cost more. Ask for it in the suite, or pay for a job with these "
            f"differences: {self._retrain}"
        )

    def paused(self, job: RemoteJob) -> str:
        """Say that a job is paused."""
        return f"{job.id} is paused at the API. Resume it there; this goes on with it: {self._go_on}"

    def gone(self, job_id: str, failure: CallFailed) -> str:
        """Say that the API has lost a job that it had."""
        return (
            f"{job_id} is gone: {failure.message}. It was deleted, or this key is of another project. Nothing more is paid. If "
            f"it comes back, this goes on with it: {self._go_on}. To pay for another job: {self._retrain}"
        )

    def nameless(self, job: RemoteJob) -> str:
        """Say that a job yields nothing that can be asked."""
        return (
            f"{job.id} succeeded, but this API names no tuned model that could be asked. Name a function that deploys it in "
            f"deploy under [finetune.{self._prepared.job.key}]; this then records the job, without paying again: {self._go_on}"
        )

    def no_answer(self, intent: Intent, problem: str) -> str:
        """Say that a job may have been created that doesn't show up."""
        why = f" ({problem})" if problem else ""
        return (
            f"a job was ordered on {intent.sent} at {intent.address}, no answer came{why}, and the API's listing doesn't show "
            f"it. It may have been created, so nothing more is paid. {self._check()} If there is one, this looks again: "
            f"{self._go_on}. If there is none, this pays for another: {self._retrain}"
        )

    def perhaps_ours(self, jobs: tuple[tuple[RemoteJob, tuple[str, ...]], ...]) -> str:
        """Say that there is a job on our training file that the API describes otherwise than it would be ordered."""
        named = listed([f"{job} with {'; '.join(differences)}" for job, differences in jobs])
        return (
            f"there is {named}, on this very training file. It may be the job that is asked for, so nothing more is paid. To "
            f"use it, name in the suite what the API states, and run this: {self._go_on}. To pay for another: {self._retrain}"
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
        if job.phase.is_under_way:
            return f"{job.id} goes on at the API, and this goes on with it: {self._go_on}"
        return f"{job.id} itself has succeeded, and this records it, without paying again: {self._go_on}"

    def may_go_on(self) -> str:
        """Say how to go on after an interrupt during an order."""
        return f"a job may have been ordered just now; this looks for it and goes on with it: {self._go_on}"

    def mended(self) -> str:
        """Say how to go on after a refusal that left nothing behind."""
        return f"Nothing was ordered. Once that is mended, this goes on: {self._go_on}"

    def covered(self) -> str:
        """Say how to go on after a job that the budget doesn't cover."""
        return f"With a larger --budget, or fewer n_epochs, this goes on: {self._go_on}"

    def _check(self) -> str:
        base = self._prepared.job.base.served
        return f"Look there for a job on {self._prepared.training.name} (base {base})."


def advice(failure: CallFailed, prepared: PreparedJob) -> str:
    """Return advice about a refused order."""
    job, base = prepared.job, prepared.job.base
    if failure.status == 403:
        return (
            ". This API lets the organisation start no fine-tuning job (OpenAI takes none after 6 January 2027). Name "
            f"another service in base_url of [models.{base.key}] (docs/hosts.md), or serve one: evaltape serve --help"
        )
    hint = service_of(job).advice
    if hint and failure.status in (400, 404, 422):
        return f". [finetune.{job.key}] service = {job.service!r}: {hint}"
    if failure.code in ("model_not_found", "model_not_available"):
        return f". [models.{base.key}] model = {base.served!r}: name a model that this API can fine-tune"
    if failure.status in (404, 405, 501):
        return f". The service of [models.{base.key}] seems to have no fine-tuning API (docs/hosts.md has those that do)"
    return ""
