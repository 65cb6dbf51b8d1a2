"""The records of fine-tuning jobs: the objects that the API shows, and the changes that a job goes through."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from evaltape.local.errors import unknown_object
from evaltape.local.ids import new_id, now
from evaltape.local.requests.job import JobRequest
from evaltape.local.state.database import Database, Row
from evaltape.local.training.patience import Patience

T = TypeVar("T")
Level = Literal["info", "warn", "error"]
ENDED = ("succeeded", "failed", "cancelled")
UNFINISHED = ("validating_files", "queued", "running")


class Records:
    """The jobs of a state folder, with their events and checkpoints. A key that begins with "_" isn't shown.

    Without `patience`, a full disk is an error; with it, a reason to wait.
    """

    def __init__(self, database: Database, patience: Patience | None = None) -> None:
        self._database, self._patience = database, patience

    def write(self, action: Callable[[], T], *, essential: bool = False) -> T:
        """Run `action` as one transaction (see `Database.write`). Inside another there is no waiting: it would block all."""
        if self._patience is None or self._database.is_writing:
            return self._database.write(action, essential=essential)
        return self._patience(lambda: self._database.write(action, essential=essential))

    def create(self, request: JobRequest, *, seed: int, fingerprint: str) -> Row:
        """Store a new job, whose files are yet to be validated."""
        hyperparameters = request.chosen().model_dump()
        row: Row = {"id": new_id("ftjob-"), "object": "fine_tuning.job", "created_at": now(), "finished_at": None}
        row |= {"model": request.model, "fine_tuned_model": None, "organization_id": "org-local", "result_files": []}
        row |= {"status": "validating_files", "training_file": request.training_file}
        row |= {"validation_file": request.validation_file, "hyperparameters": hyperparameters, "trained_tokens": None}
        row |= {"error": None, "user_provided_suffix": request.suffix, "seed": seed, "estimated_finish": None}
        row |= {"integrations": [], "metadata": request.metadata, "_fingerprint": fingerprint}
        row["method"] = {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}

        def store() -> None:
            self._database.add("jobs", row)
            self.event(row["id"], f"Created fine-tuning job: {row['id']}")
            self.event(row["id"], f"Validating training file: {request.training_file}")
            if request.validation_file:
                self.event(row["id"], f"Validating validation file: {request.validation_file}")

        self.write(store)
        return public(row)

    def get(self, name: str) -> Row:
        """Return the whole row of a job. Raise `ApiError` if there is none."""
        row = self._database.get("jobs", name)
        if row is None:
            raise unknown_object("FineTuningJob", name, "fine_tuning_job_id")
        return row

    def event(self, job: str, message: str, level: Level = "info", data: Row | None = None, *, essential: bool = False) -> None:
        """Add an event; one with data is a metric."""
        row: Row = {"id": new_id("ftevent-"), "object": "fine_tuning.job.event", "created_at": now(), "level": level}
        row |= {"message": message, "type": "metrics" if data else "message", "data": data or {}}
        self.write(lambda: self._database.add("events", row, job), essential=essential)

    def move(self, name: str, status: str, *, since: tuple[str, ...], **changes: Any) -> Row | None:
        """Move a job to a status if it is in one of `since`; return it, or None if it isn't."""

        def change(row: Row) -> bool:
            if row["status"] not in since:
                return False
            ended = {"finished_at": now(), "estimated_finish": None} if status in ENDED else {}
            row.update({"status": status, **ended, **changes})
            return True

        return self.write(lambda: self._database.update("jobs", name, change))

    def resolve(self, name: str, plan: Row) -> None:
        """Replace "auto" by what was chosen."""

        def change(row: Row) -> bool:
            row["hyperparameters"] = plan
            row["method"] = {"type": "supervised", "supervised": {"hyperparameters": plan}}
            return True

        self.write(lambda: self._database.update("jobs", name, change))

    def estimate(self, name: str, finish: int) -> None:
        """Store when the job will be done, in seconds since 1970."""
        self.move(name, "running", since=("running",), estimated_finish=finish)

    def cancel(self, name: str) -> Row | None:
        """End a job at a user's request, on a full disk too; return it, or None if it has ended already."""
        return self._end(name, "cancelled", "The job was cancelled", "warn", essential=True)

    def fail(self, name: str, code: str, message: str, param: str | None = None) -> None:
        """End a job that can't go on."""
        self._end(name, "failed", message, "error", error={"code": code, "message": message, "param": param})

    def checkpoint(self, job: str, model: str, step: int, metrics: Row) -> None:
        """Add a checkpoint."""
        row: Row = {"id": new_id("ftckpt_"), "object": "fine_tuning.job.checkpoint", "created_at": now()}
        row |= {"fine_tuned_model_checkpoint": model, "fine_tuning_job_id": job, "step_number": step}
        row["metrics"] = {"step": step, **metrics}
        self.write(lambda: self._database.add("checkpoints", row, job))

    def _end(
        self, name: str, status: str, message: str, level: Level, *, essential: bool = False, **changes: Any
    ) -> Row | None:
        def end() -> Row | None:
            row = self.move(name, status, since=UNFINISHED, **changes)
            if row is not None:
                self.event(name, message, level)
            return row

        return self.write(end, essential=essential)


def public(row: Row) -> Row:
    """Return a job as the API shows it."""
    return {key: value for key, value in row.items() if not key.startswith("_")}
