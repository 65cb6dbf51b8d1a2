"""Fine-tuning jobs as the API offers them; a worker does what they ask for."""

import secrets
from typing import Literal

from evaltape.local.errors import ApiError
from evaltape.local.model.weights import Loaded
from evaltape.local.requests.job import JobRequest
from evaltape.local.state.database import Row
from evaltape.local.state.store import Store
from evaltape.local.training.records import Records, public
from evaltape.local.training.worker import Worker

ALREADY = {
    "cancelled": "it is already cancelled",
    "succeeded": "it has already succeeded",
    "failed": "it has already failed",
}


class Jobs:
    """Creates, lists and cancels jobs, and takes up what was not done when the service stopped."""

    def __init__(self, store: Store, loaded: Loaded, name: str, *, train_length: int) -> None:
        self._store, self._fingerprint = store, loaded.fingerprint
        self._records = Records(store.database)
        self._worker = Worker(store, loaded, name, train_length=train_length)

    def close(self) -> None:
        """Stop the training under way; the next start continues it."""
        self._worker.close()

    def create(self, request: JobRequest) -> Row:
        """Queue a job. Raise `ApiError` if its files don't exist."""
        request.chosen()
        self._check_file(request.training_file, "training_file")
        if request.validation_file is not None:
            self._check_file(request.validation_file, "validation_file")
        seed = secrets.randbelow(2**31) if request.seed is None else request.seed
        job = self._records.create(request, seed=seed, fingerprint=self._fingerprint)
        self._worker.validate(job["id"])
        return job

    def get(self, name: str) -> Row:
        """Return one job."""
        return public(self._records.get(name))

    def all(self, metadata: dict[str, str] | Literal["null"] | None = None) -> list[Row]:
        """Return all jobs, the newest first, or those with this metadata ("null": those without any)."""
        rows = [public(row) for row in self._store.database.rows("jobs", newest_first=True)]
        if metadata == "null":
            return [row for row in rows if row["metadata"] is None]
        wanted = (metadata or {}).items()
        return [row for row in rows if wanted <= (row["metadata"] or {}).items()]

    def events(self, name: str) -> list[Row]:
        """Return a job's events, the newest first."""
        self._records.get(name)
        return self._store.database.rows("events", name, newest_first=True)

    def checkpoints(self, name: str) -> list[Row]:
        """Return a job's checkpoints, the newest first."""
        self._records.get(name)
        return self._store.database.rows("checkpoints", name, newest_first=True)

    def cancel(self, name: str) -> Row:
        """End a job; one that is training stops within its step. Raise `ApiError` if it has ended."""
        row = self._records.cancel(name)
        if row is None:
            status = self._records.get(name)["status"]
            message = f"Job {name} can't be cancelled: {ALREADY[status]}."
            raise ApiError(message, param="fine_tuning_job_id", code="job_already_ended")
        self._worker.stop(name)
        return public(row)

    def _check_file(self, name: str, param: str) -> None:
        row = self._store.files.get(name)
        if row is None:
            raise ApiError(f"invalid {param}: {name}: no such file", param=param, code="invalid_file")
        if row["purpose"] != "fine-tune":
            message = f"invalid {param}: {name}: its purpose is '{row['purpose']}', not 'fine-tune'"
            raise ApiError(message, param=param, code="invalid_file")
