"""Orders a job: files are uploaded, the order is written to disk, then it is sent, once."""

import contextlib
import time
from dataclasses import dataclass, replace
from typing import Any

from evaltape.finetuning.intent import Intent, Intents, new_intent
from evaltape.finetuning.jobs import PreparedJob
from evaltape.recorder.failures import CallFailed
from evaltape.recorder.jobs.api import JobApi, surely_refused
from evaltape.recorder.jobs.patience import Patience
from evaltape.recorder.jobs.remote import RemoteJob, remote_job
from evaltape.recorder.jobs.search import Found
from evaltape.recording.cassettes import Exchange


@dataclass(frozen=True)
class Placed:
    """An order that went out."""

    intent: Intent
    exchanges: tuple[Exchange, ...]
    """The uploads, and the order if it was answered."""
    job: RemoteJob | None
    """The new job; None if no answer named one. It may be there all the same."""
    problem: str = ""
    """What came in place of an answer."""


class Ordering:
    """Orders the job that is prepared."""

    def __init__(self, prepared: PreparedJob, api: JobApi, intents: Intents, patience: Patience) -> None:
        self._prepared = prepared
        self._api = api
        self._intents = intents
        self._patience = patience

    async def place(self, found: Found, retrains: bool) -> Placed:
        """Upload, write the order down, send it. `found` are the same jobs that are there already.

        Raises `CallFailed` if the API refuses it, and `OSError` if it can't be written down: then no job was created.
        """
        files = {"training_file": self._prepared.training, "validation_file": self._prepared.validation}
        uploads = {key: await self._api.upload(file) for key, file in files.items() if file is not None}
        ids = {key: upload.answered["id"] for key, upload in uploads.items()}
        intent = new_intent(
            address=self._api.address,
            run=1 + max((job.run for job in found.jobs), default=0),
            known=tuple(job.id for job in found.jobs),
            files=(ids["training_file"],),
            retrains=retrains,
        )
        self._intents.write(self._prepared.identity.digest, intent)
        answer = await self._answer(self._body(intent, ids))
        return self._placed(intent, tuple(uploads.values()), answer)

    def _body(self, intent: Intent, files: dict[str, str]) -> dict[str, Any]:
        job = self._prepared.job
        optional = {"seed": job.seed, "suffix": job.suffix}
        marks = {"evaltape_order": intent.order, "evaltape_run": str(intent.run)}
        return {
            "model": job.base.served,
            "method": {"type": "supervised", "supervised": {"hyperparameters": job.hyperparameters}},
            "metadata": {**self._prepared.identity.metadata(), **marks},
            **files,
            **{key: value for key, value in optional.items() if value is not None},
        }

    async def _answer(self, body: dict[str, Any]) -> Exchange | str:
        """Send the order until it is answered or it is unclear whether it took effect; then return what came instead.

        Only an order that the API surely refused, for its pace, is sent again. Raises `CallFailed` for other refusals.
        """
        started, attempt = time.monotonic(), 0
        while True:
            try:
                return await self._api.order(body)
            except CallFailed as failure:
                if not surely_refused(failure):
                    return failure.message
                attempt += 1
                left_s = self._patience.order_s - (time.monotonic() - started)
                if not failure.transient or left_s <= 0:
                    self._intents.remove(self._prepared.identity.digest)
                    raise
                await self._api.pause("the order of the job", attempt, failure, left_s)

    def _placed(self, intent: Intent, uploads: tuple[Exchange, ...], answer: Exchange | str) -> Placed:
        if isinstance(answer, str):
            return Placed(intent, uploads, None, answer)
        try:
            job = remote_job(answer.answered)
        except ValueError as error:
            return Placed(intent, uploads, None, f"the answer is not of the fine-tuning API: {error}")
        intent = replace(intent, job=job.id, created=(job.id,))
        with contextlib.suppress(OSError):  # The order without its job's id is on disk, which is enough to find the job.
            self._intents.write(self._prepared.identity.digest, intent)
        return Placed(intent, (*uploads, answer), job)
