"""The records of fine-tuning jobs: the objects that the API shows, and the changes that a job goes through."""

from typing import Any, Literal

from evaltape.local.errors import unknown_object
from evaltape.local.ids import new_id, now
from evaltape.local.requests.job import JobRequest
from evaltape.local.state.database import Database, Row

Level = Literal["info", "warn", "error"]
ENDED = ("succeeded", "failed", "cancelled")
UNFINISHED = ("validating_files", "queued", "running")
NO_ROOM = "insufficient_storage"
"""The code of a job that found no room on the disk, and may go on once there is some."""


class Records:
    """The jobs of a state folder, with their events and checkpoints. A key that begins with "_" isn't shown."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def create(self, request: JobRequest, *, seed: int, fingerprint: str) -> Row:
        """Store a new job, whose files are yet to be validated."""
        method, hyperparameters = request.chosen()
        row: Row = {"id": new_id("ftjob-"), "object": "fine_tuning.job", "created_at": now(), "finished_at": None}
        row |= {"model": request.model, "fine_tuned_model": None, "organization_id": "org-local", "result_files": []}
        row |= {"status": "validating_files", "training_file": request.training_file, "trained_tokens": None}
        row |= {"validation_file": request.validation_file, "error": None, "user_provided_suffix": request.suffix}
        row |= {"seed": seed, "estimated_finish": None, "integrations": [], "metadata": request.metadata}
        row |= {"_fingerprint": fingerprint, **_method(method, hyperparameters.model_dump())}

        def store() -> None:
            self.database.add("jobs", row)
            self.event(row["id"], f"Created fine-tuning job: {row['id']}")
            self.event(row["id"], f"Validating training file: {request.training_file}")
            if request.validation_file:
                self.event(row["id"], f"Validating validation file: {request.validation_file}")

        self.database.write(store)
        return public(row)

    def get(self, name: str) -> Row:
        """Return the whole row of a job. Raise `ApiError` if there is none."""
        row = self.database.get("jobs", name)
        if row is None:
            raise unknown_object("FineTuningJob", name, "fine_tuning_job_id")
        return row

    def event(self, job: str, message: str, level: Level = "info", data: Row | None = None) -> None:
        """Add an event; one with data is a metric."""
        row: Row = {"id": new_id("ftevent-"), "object": "fine_tuning.job.event", "created_at": now(), "level": level}
        row |= {"message": message, "type": "metrics" if data else "message", "data": data or {}}
        self.database.add("events", row, job)

    def move(self, name: str, status: str, *, since: tuple[str, ...], **changes: Any) -> Row | None:
        """Move a job to a status if it is in one of `since`; return it, or None if it isn't."""

        def change(row: Row) -> bool:
            if row["status"] not in since:
                return False
            row.update(
                {"status": status, "finished_at": now() if status in ENDED else None, "estimated_finish": None, **changes}
            )
            return True

        return self.database.update("jobs", name, change)

    def queue(self, name: str, plan: Row, tokens: int) -> bool:
        """Queue a job whose files are valid, with a number in place of each "auto"; return whether it still wants that."""
        method = self.get(name)["method"]["type"]
        if not self.move(name, "queued", since=("validating_files",), _tokens=tokens, **_method(method, plan)):
            return False
        self.event(name, "Files validated, moving job to queued state")
        return True

    def cancel(self, name: str) -> Row | None:
        """End a job at a user's request, on a full disk too; return it, or None if it has ended already."""
        return self._end(name, "cancelled", "The job was cancelled", "warn")

    def fail(self, name: str, code: str, message: str, param: str | None = None) -> None:
        """End a job that can't go on, on a full disk too."""
        self._end(name, "failed", message, "error", error={"code": code, "message": message, "param": param})

    def resume(self, name: str) -> Row | None:
        """Queue a job again that found no room; return it, or None if it is another."""

        def resume() -> Row | None:
            if (self.get(name)["error"] or {}).get("code") != NO_ROOM:
                return None
            self.event(name, "The job was resumed")
            return self.move(name, "queued", since=("failed",), error=None, _resumed=True)

        return self.database.write(resume)

    def checkpoint(self, job: str, model: str, step: int, metrics: Row) -> None:
        """Add a checkpoint."""
        row: Row = {"id": new_id("ftckpt_"), "object": "fine_tuning.job.checkpoint", "created_at": now()}
        row |= {"fine_tuned_model_checkpoint": model, "fine_tuning_job_id": job, "step_number": step}
        self.database.add("checkpoints", {**row, "metrics": {"step": step, **metrics}}, job)

    def _end(self, name: str, status: str, message: str, level: Level, **changes: Any) -> Row | None:
        def end() -> Row | None:
            row = self.move(name, status, since=UNFINISHED, **changes)
            if row is not None:
                self.event(name, message, level)
            return row

        return self.database.write(end, essential=True)


def _method(method: str, hyperparameters: Row) -> Row:
    return {"hyperparameters": hyperparameters, "method": {"type": method, method: {"hyperparameters": hyperparameters}}}


def public(row: Row) -> Row:
    """Return a job as the API shows it."""
    return {key: value for key, value in row.items() if not key.startswith("_")}
