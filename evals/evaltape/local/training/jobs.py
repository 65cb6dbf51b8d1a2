"""Fine-tuning jobs as the API offers them; a worker does the rest."""

import importlib.util
import secrets
from typing import Literal

from evaltape.local.errors import ApiError
from evaltape.local.requests.job import JobRequest
from evaltape.local.state.database import Row
from evaltape.local.state.store import Store
from evaltape.local.training.records import Records, public
from evaltape.local.training.worker import Worker


class Jobs:
    """Creates, lists, cancels and resumes the jobs of a state folder."""

    def __init__(self, store: Store, records: Records, worker: Worker, fingerprint: str) -> None:
        self._store, self._records, self._worker, self._fingerprint = store, records, worker, fingerprint

    def create(self, request: JobRequest) -> Row:
        """Queue a job. Raise `ApiError` if its files don't exist."""
        request.chosen()
        if importlib.util.find_spec("trl") is None:
            message = "Fine-tuning needs the extra: pip install 'evaltape[train]', then start the service again"
            raise ApiError(message, status=501, kind="server_error", code="not_installed")
        self._check_file(request.training_file, "training_file")
        if request.validation_file is not None:
            self._check_file(request.validation_file, "validation_file")
        seed = secrets.randbelow(2**31) if request.seed is None else request.seed
        job = self._records.create(request, seed=seed, fingerprint=self._fingerprint)
        self._worker.submit(job["id"])
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

    def parts(self, table: Literal["events", "checkpoints"], name: str) -> list[Row]:
        """Return a job's events or checkpoints, the newest first."""
        self._records.get(name)
        return self._store.database.rows(table, name, newest_first=True)

    def cancel(self, name: str) -> Row:
        """End a job; one that is training stops within its step. Raise `ApiError` if it has ended."""
        row = self._records.cancel(name)
        if row is None:
            status = self._records.get(name)["status"]
            reason = "it is already cancelled" if status == "cancelled" else f"it has already {status}"
            raise ApiError(f"Job {name} can't be cancelled: {reason}.", param="fine_tuning_job_id", code="job_already_ended")
        self._worker.stop(name)
        return public(row)

    def resume(self, name: str) -> Row:
        """Continue a job that failed because the disk was full. Raise `ApiError` for any other."""
        status = self._records.get(name)["status"]
        row = self._records.resume(name)
        if row is None:
            message = f"Job {name} can't be resumed: it is {status}. Jobs that failed because the disk was full can be."
            raise ApiError(message, param="fine_tuning_job_id", code="job_not_resumable")
        self._worker.submit(name)
        return public(row)

    def _check_file(self, name: str, param: str) -> None:
        row = self._store.files.get(name)
        if row is None or row["purpose"] != "fine-tune":
            reason = "no such file" if row is None else f"its purpose is '{row['purpose']}', not 'fine-tune'"
            raise ApiError(f"invalid {param}: {name}: {reason}", param=param, code="invalid_file")
