"""Drives one fine-tuning job: finds it or starts it, waits for it, records it. Never pays for the same one twice.

Whatever ends a session midway, the next finds the job by the digest in its metadata and goes on with it.
"""

import asyncio
import datetime
import time
from typing import Any

from evaltape.errors import RecordingError
from evaltape.finetuning.jobs import Prepared
from evaltape.finetuning.recorded_job import write_job
from evaltape.names import shown
from evaltape.recorder.client import CallFailed, Endpoint
from evaltape.recorder.job_api import JobApi
from evaltape.recorder.loop import Recorder
from evaltape.recording.cassettes import Exchange
from evaltape.suite.definition import Model
from evaltape.suite.pricing import training_usd
from evaltape.text import counted

RETIRING_DAYS = 30
NO_MODEL = ("failed", "cancelled")


class JobEnded(Exception):
    """The job yields no tuned model; the text says why, in the API's words."""


class JobDriver:
    """One job at one endpoint, in the recorder's loop."""

    def __init__(self, prepared: Prepared, endpoint: Endpoint, recorder: Recorder, retrain: bool) -> None:
        self.prepared = prepared
        self.job = prepared.job
        self.endpoint = endpoint
        self.recorder = recorder
        self.retrain = retrain
        self.api = JobApi(endpoint, self._show)
        self._exchanges: list[Exchange] = []
        self._started_here = False
        self._held_usd = self._cost_usd = 0.0
        self._holds = False
        self._job_id = ""

    async def drive(self) -> str | None:
        """Bring the job to its end and record it; the error, or None."""
        try:
            await self._note_retirement(self.job.base.served)
            job = await self._find_or_start()
            await self._wait(job["id"])
            write_job(self.prepared.cassette, self._exchanges, self.prepared.identity, secrets=(self.endpoint.key,))
        except (JobEnded, RecordingError) as error:
            return f"[finetune.{self.job.key}] {error}"
        except CallFailed as failure:
            return f"[finetune.{self.job.key}] {failure.message}{_advice(failure, self.job.base)}"
        except (KeyError, TypeError, AttributeError) as error:
            return f"[finetune.{self.job.key}] the API's answer is not of the fine-tuning API ({error!r})"
        except asyncio.CancelledError:
            if self._job_id:
                self._note(f"{self._job_id} goes on at the API, and a later recording goes on with it")
            raise
        except OSError as error:
            return f"{shown(self.prepared.cassette)} can't be written: {error.strerror}; the job itself has succeeded"
        finally:
            if self._holds:
                self.recorder.budget.settle(self._held_usd, self._cost_usd)
        return None

    # ------------------------------------------------------------ find or start

    async def _find_or_start(self) -> Any:
        known = await self.api.jobs(self.prepared.identity.digest)
        usable = [job for job in known if job["status"] not in NO_MODEL]
        unfinished = [job for job in usable if job["status"] != "succeeded"]
        if self.retrain and unfinished:
            # A retraining that was interrupted, most likely: the same command again must not pay for a third job.
            self._note(f"using {_described(unfinished[0])}: --retrain starts no job while one of the same data is under way")
            return unfinished[0]
        if self.retrain and known:
            self._note(f"training anew; there is {_described(known[0])}, made of the same data, base and settings")
        elif usable:
            self._note(f"using {_described(usable[0])}, made of the same data, base and settings")
            return usable[0]
        elif known:
            raise JobEnded(f"{_reason(known[0])}. To pay for another: {self.prepared.how_to_retrain}")
        return await self._start({job["id"] for job in known})

    async def _start(self, known: set[str]) -> Any:
        self._hold_budget()
        files = {"training_file": self.prepared.training, "validation_file": self.prepared.validation}
        uploads = {key: await self.api.upload(file) for key, file in files.items() if file is not None}
        optional = {"seed": self.job.seed, "suffix": self.job.suffix}
        order: dict[str, Any] = {
            "model": self.job.base.served,
            "method": {"type": "supervised", "supervised": {"hyperparameters": self.job.hyperparameters}},
            "metadata": self.prepared.identity.metadata(),
            **{key: upload.answered["id"] for key, upload in uploads.items()},
            **{key: value for key, value in optional.items() if value is not None},
        }
        job, exchanges = await self.api.create(order, self.prepared.identity.digest, known)
        self._exchanges += [*uploads.values(), *exchanges]
        self._started_here = True
        self._note(f"started {job['id']} on {self.prepared.training.rows} training rows")
        return job

    def _hold_budget(self) -> None:
        """Keep what the job can cost at most out of the other calls' reach until it has ended."""
        budget, most = self.recorder.budget, training_usd(self.job.price, self.prepared.most_tokens) or 0.0
        if not budget.hold(most):
            raise JobEnded(f"it can cost up to ${most:.2f}, more than the budget of ${budget.limit_usd:g} bears; not started")
        self._held_usd, self._holds = most, True

    # ------------------------------------------------------------ wait and record

    async def _wait(self, job_id: str) -> None:
        started, self._job_id = time.monotonic(), job_id
        while True:
            exchange = await self.api.job(job_id)
            job = exchange.answered
            self._show(await self._progress(job, time.monotonic() - started))
            if job["status"] == "succeeded":
                return await self._succeed(exchange)
            if job["status"] in NO_MODEL:
                raise JobEnded(f"{_reason(job)}. To pay for another: {self.prepared.how_to_retrain}")
            if job["status"] == "paused":
                raise JobEnded(f"{job_id} is paused at the API. Resume it there; a later recording goes on with it")
            await asyncio.sleep(self.job.poll_seconds)

    async def _progress(self, job: Any, elapsed_s: float) -> str:
        """Status, elapsed time, trained tokens and the API's latest word, which while it trains is the loss."""
        parts = [job["status"], f"{int(elapsed_s) // 60} min {int(elapsed_s) % 60:02d} s"]
        if job.get("trained_tokens"):
            parts.append(f"{job['trained_tokens']:,} trained tokens")
        message = await self.api.latest_message(job["id"]) if job["status"] == "running" else ""
        return ", ".join([*parts, *([message] if message else [])])

    async def _succeed(self, exchange: Exchange) -> None:
        """Record the job with its events and metrics, and count what it cost."""
        job = exchange.answered
        if not job.get("fine_tuned_model"):
            raise JobEnded(f"{job['id']} succeeded, but this API names no tuned model that could be asked")
        self._exchanges += [exchange, *await self.api.events(job["id"])]
        self._exchanges += [await self.api.content(file) for file in job.get("result_files") or []]
        if self._started_here:
            self._cost_usd = training_usd(self.job.price, int(job.get("trained_tokens") or 0)) or 0.0
            self.recorder.tally.job_cost_usd += self._cost_usd
        await self._note_retirement(job["fine_tuned_model"])

    async def _note_retirement(self, model: str) -> None:
        """Note a shutdown within 30 days, of the base before money is spent on it. Not every API can tell."""
        raw = self.endpoint.client.models.with_raw_response.retrieve
        try:
            answered = (await self.endpoint.call(lambda: raw(model)))[0].answered
            date = datetime.date.fromisoformat(str(answered["shutdown_date"])[:10])
        except (CallFailed, KeyError, TypeError, ValueError):
            return
        days = (date - datetime.date.today()).days
        if days <= RETIRING_DAYS:
            when = f"in {counted(days, 'day')}" if days > 0 else "which is past"
            self._note(f"{model} shuts down on {date}, {when}")

    def _note(self, text: str) -> None:
        self.recorder.tally.notes.append(f"{self.job.key}: {text}")

    def _show(self, text: str) -> None:
        self.recorder.tally.statuses[self.job.key] = text


def _described(job: Any) -> str:
    return f"{job['id']} ({job['status']}" + (f", {job['fine_tuned_model']})" if job.get("fine_tuned_model") else ")")


def _reason(job: Any) -> str:
    words = (job.get("error") or {}).get("message")
    return f"{job['id']} {'failed' if job['status'] == 'failed' else 'was cancelled'}{f': {words}' if words else ''}"


def _advice(failure: CallFailed, base: Model) -> str:
    if failure.status == 403:
        return (
            ". This API lets the organisation start no fine-tuning job (OpenAI takes none after 6 January 2027). Name "
            f"another service in base_url of [models.{base.key}], or serve one: evaltape serve --help"
        )
    if failure.code in ("model_not_found", "model_not_available"):
        return f". [models.{base.key}] model = {base.served!r}: name a model that this API can fine-tune"
    return ""
