"""Fine-tuning jobs: the objects that the API shows, and the changes that they go through."""

import importlib.util
import secrets
from typing import Any, Literal

from evaltape.local.errors import ApiError, unknown_object
from evaltape.local.requests import JobRequest
from evaltape.local.state import Row, State, new_id, public

UNFINISHED = ("validating_files", "queued", "running")
NO_ROOM = "insufficient_storage"
"""The code of a job that found no room on the disk, and may go on once there is some."""
CHOSEN = {"batch_size": 8, "learning_rate_multiplier": 1.0, "beta": 0.1}
"""The meaning of "auto", where the file doesn't matter."""
# OpenAI's rule for "auto" (from their cookbook): three epochs, more for small files, one for huge ones.
EPOCHS, LEAST_SEEN, MOST_SEEN, MOST_EPOCHS = 3, 100, 25_000, 25


class Jobs:
    """The jobs of a state folder, with their events and checkpoints. `fingerprint` names the weights that they tune."""

    def __init__(self, state: State, fingerprint: str) -> None:
        self._state, self._fingerprint = state, fingerprint

    # ------------------------------------------------------------ the API

    def create(self, request: JobRequest) -> Row:
        """Store a new job; its files are yet to be validated. Raise `ApiError` if they don't exist."""
        method, hyperparameters = request.chosen()
        if importlib.util.find_spec("trl") is None:
            message = "Fine-tuning needs the extra: pip install 'evaltape[train]', then start the service again"
            raise ApiError(message, status=501, kind="server_error", code="not_installed")
        self._check_file(request.training_file, "training_file")
        if request.validation_file is not None:
            self._check_file(request.validation_file, "validation_file")
        row: Row = {"id": new_id("ftjob-"), "object": "fine_tuning.job", "created_at": self._state.now(), "finished_at": None}
        row |= {"model": request.model, "fine_tuned_model": None, "organization_id": "org-local", "result_files": []}
        row |= {"status": "validating_files", "training_file": request.training_file, "trained_tokens": None}
        row |= {"validation_file": request.validation_file, "error": None, "user_provided_suffix": request.suffix}
        row |= {"seed": secrets.randbelow(2**31) if request.seed is None else request.seed, "estimated_finish": None}
        row |= {"integrations": [], "metadata": request.metadata, "_fingerprint": self._fingerprint}
        row |= _method(method, hyperparameters.model_dump())

        def store() -> None:
            self._state.add("jobs", row)
            self.event(row["id"], f"Created fine-tuning job: {row['id']}")
            self.event(row["id"], f"Validating training file: {request.training_file}")
            if request.validation_file:
                self.event(row["id"], f"Validating validation file: {request.validation_file}")

        self._state.write(store)
        return public(row)

    def get(self, name: str) -> Row:
        """Return the whole row of a job. Raise `ApiError` for an unknown id."""
        row = self._state.get("jobs", name)
        if row is None:
            raise unknown_object("FineTuningJob", name, "fine_tuning_job_id")
        return row

    def all(self, metadata: dict[str, str] | Literal["null"] | None = None) -> list[Row]:
        """Return all jobs, the newest first, or the jobs with this metadata ("null": without any)."""
        rows = [public(row) for row in self._state.rows("jobs", newest_first=True)]
        if metadata == "null":
            return [row for row in rows if row["metadata"] is None]
        wanted = (metadata or {}).items()
        return [row for row in rows if wanted <= (row["metadata"] or {}).items()]

    def unfinished(self) -> list[Row]:
        """Return the rows of all jobs under way, the training job first."""
        rows = [row for row in self._state.rows("jobs") if row["status"] in UNFINISHED]
        return sorted(rows, key=lambda row: bool(row["status"] != "running"))

    def parts(self, table: Literal["events", "checkpoints"], name: str) -> list[Row]:
        """Return a job's events or checkpoints, the newest first."""
        self.get(name)
        return self._state.rows(table, name, newest_first=True)

    def cancel(self, name: str) -> Row:
        """End a job, on a full disk too. Raise `ApiError` if it has ended."""
        row = self._end(name, "cancelled", "The job was cancelled", "warn")
        if row is None:
            status = self.get(name)["status"]
            reason = "it is already cancelled" if status == "cancelled" else f"it has already {status}"
            raise ApiError(f"Job {name} can't be cancelled: {reason}.", param="fine_tuning_job_id", code="job_already_ended")
        return public(row)

    def resume(self, name: str) -> Row:
        """Queue a job again that failed because the disk was full. Raise `ApiError` for any other."""
        row = self.get(name)
        if not found_no_room(row):
            message = f"Job {name} can't be resumed: it is {row['status']}. Jobs that failed because the disk was full can be."
            raise ApiError(message, param="fine_tuning_job_id", code="job_not_resumable")
        self.event(name, "The job was resumed")
        resumed = self.move(name, "queued", since=("failed",), finished_at=None, error=None, _resumed=True)
        return public(resumed or self.get(name))

    def _check_file(self, name: str, param: str) -> None:
        row = self._state.files.get(name)
        if row is None or row["purpose"] != "fine-tune":
            reason = "no such file" if row is None else f"its purpose is '{row['purpose']}', not 'fine-tune'"
            raise ApiError(f"invalid {param}: {name}: {reason}", param=param, code="invalid_file")

    # ------------------------------------------------------------ on the way

    def event(self, job: str, message: str, level: Literal["info", "warn", "error"] = "info", data: Row | None = None) -> None:
        """Add an event; with data it is a metric."""
        row: Row = {"id": new_id("ftevent-"), "object": "fine_tuning.job.event", "created_at": self._state.now()}
        row |= {"level": level, "message": message, "type": "metrics" if data else "message", "data": data or {}}
        self._state.add("events", row, job)

    def checkpoint(self, job: str, model: str, step: int, metrics: Row) -> None:
        """Add a checkpoint."""
        row: Row = {"id": new_id("ftckpt_"), "object": "fine_tuning.job.checkpoint", "created_at": self._state.now()}
        row |= {"fine_tuned_model_checkpoint": model, "fine_tuning_job_id": job, "step_number": step}
        self._state.add("checkpoints", {**row, "metrics": {"step": step, **metrics}}, job)

    def move(self, name: str, status: str, *, since: tuple[str, ...], **changes: Any) -> Row | None:
        """Move a job to a status if it is in one of `since`; return it, or None if it isn't."""
        return self._state.change("jobs", name, since, status=status, **{"estimated_finish": None, **changes})

    def queue(self, name: str, plan: Row, tokens: int) -> bool:
        """Queue a validated job, with a number in place of each "auto"; return False if it was cancelled."""
        method = self.get(name)["method"]["type"]
        if not self.move(name, "queued", since=("validating_files",), _tokens=tokens, **_method(method, plan)):
            return False
        self.event(name, "Files validated, moving job to queued state")
        return True

    def fail(self, name: str, code: str, message: str, param: str | None = None) -> None:
        """End a job that can't go on, on a full disk too."""
        self._end(name, "failed", message, "error", error={"code": code, "message": message, "param": param})

    def _end(self, name: str, status: str, message: str, level: Literal["warn", "error"], **changes: Any) -> Row | None:
        def end() -> Row | None:
            row = self.move(name, status, since=UNFINISHED, finished_at=self._state.now(), **changes)
            if row is not None:
                self.event(name, message, level)
            return row

        return self._state.write(end, essential=True)


def resolve(hyperparameters: Row, examples: int) -> Row:
    """Replace "auto" by a number that suits so many examples."""
    epochs = EPOCHS
    if examples * EPOCHS < LEAST_SEEN:
        epochs = min(MOST_EPOCHS, LEAST_SEEN // examples)
    elif examples * EPOCHS > MOST_SEEN:
        epochs = max(1, MOST_SEEN // examples)
    chosen = {**CHOSEN, "n_epochs": epochs}
    return {name: chosen[name] if value == "auto" else value for name, value in hyperparameters.items()}


def found_no_room(job: Row) -> bool:
    """Return whether a job failed because the disk was full, and so may be resumed."""
    return bool(job["status"] == "failed" and job["error"]["code"] == NO_ROOM)


def _method(method: str, hyperparameters: Row) -> Row:
    return {"hyperparameters": hyperparameters, "method": {"type": method, method: {"hyperparameters": hyperparameters}}}
