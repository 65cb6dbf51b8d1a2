"""What is known of fine-tuning jobs: the objects the API shows, and the changes a job goes through."""

from typing import Any, Literal

from evaltape.local.errors import unknown_object
from evaltape.local.requests import JobRequest
from evaltape.local.store import Row, Store, new_id, now, remove

Level = Literal["info", "warn", "error"]
ENDED = ("succeeded", "failed", "cancelled")


class Records:
    """The jobs of a state folder, with their events and checkpoints. A key that begins with "_" is not shown."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def create(self, request: JobRequest, *, seed: int, fingerprint: str) -> Row:
        """A new job, its files yet to be validated."""
        asked = request.chosen().model_dump()
        row: Row = {"id": new_id("ftjob-"), "object": "fine_tuning.job", "created_at": now(), "finished_at": None}
        row |= {"model": request.model, "fine_tuned_model": None, "organization_id": "org-local", "result_files": []}
        row |= {"status": "validating_files", "training_file": request.training_file}
        row |= {"validation_file": request.validation_file, "hyperparameters": asked, "trained_tokens": None}
        row |= {"error": None, "user_provided_suffix": request.suffix, "seed": seed, "estimated_finish": None}
        row |= {"integrations": [], "metadata": request.metadata, "_fingerprint": fingerprint}
        row["method"] = {"type": "supervised", "supervised": {"hyperparameters": asked}}
        self.store.add("jobs", row)
        self.event(row["id"], f"Created fine-tuning job: {row['id']}")
        self.event(row["id"], f"Validating training file: {request.training_file}")
        if request.validation_file:
            self.event(row["id"], f"Validating validation file: {request.validation_file}")
        return shown(row)

    def get(self, name: str) -> Row:
        """The whole row of a job. Raises `ApiError` where there is none."""
        row = self.store.get("jobs", name)
        if row is None:
            raise unknown_object("FineTuningJob", name, "fine_tuning_job_id")
        return row

    def event(self, job: str, message: str, level: Level = "info", data: Row | None = None) -> None:
        """Adds an event; one with data is a metric."""
        row: Row = {"id": new_id("ftevent-"), "object": "fine_tuning.job.event", "created_at": now(), "level": level}
        row |= {"message": message, "type": "metrics" if data else "message", "data": data or {}}
        self.store.add("events", row, job)

    def move(self, name: str, status: str, *, since: tuple[str, ...], **changes: Any) -> Row | None:
        """Moves a job to a status, if it is still in one of `since`; None where it isn't."""

        def change(row: Row) -> bool:
            if row["status"] not in since:
                return False
            ended = {"finished_at": now(), "estimated_finish": None} if status in ENDED else {}
            row.update({"status": status, **ended, **changes})
            return True

        return self.store.update("jobs", name, change)

    def resolve(self, name: str, plan: Row) -> None:
        """Replaces "auto" by what was chosen."""

        def change(row: Row) -> bool:
            row["hyperparameters"] = plan
            row["method"] = {"type": "supervised", "supervised": {"hyperparameters": plan}}
            return True

        self.store.update("jobs", name, change)

    def estimate(self, name: str, finish: int) -> None:
        """Notes when the job will be done, in seconds since 1970."""
        self.move(name, "running", since=("running",), estimated_finish=finish)

    def fail(self, name: str, code: str, message: str, param: str | None = None) -> None:
        """Ends a job that can't go on."""
        error = {"code": code, "message": message, "param": param}
        if self.move(name, "failed", since=("validating_files", "queued", "running"), error=error):
            self.event(name, message, "error")

    def forget_results(self, job: str) -> None:
        """Removes the checkpoints and models of a job that didn't come to its end."""
        for table in ("checkpoints", "models"):
            for row in self.store.rows(table, job):
                self.store.delete(table, row["id"])
                if table == "models":
                    remove(self.store.folder / "models" / row["folder"])

    def checkpoint(self, job: str, model: str, step: int, metrics: Row) -> None:
        """Adds a checkpoint."""
        row: Row = {"id": new_id("ftckpt_"), "object": "fine_tuning.job.checkpoint", "created_at": now()}
        row |= {"fine_tuned_model_checkpoint": model, "fine_tuning_job_id": job, "step_number": step}
        self.store.add("checkpoints", {**row, "metrics": {"step": step, **metrics}}, job)


def shown(row: Row) -> Row:
    """A job as the API shows it."""
    return {key: value for key, value in row.items() if not key.startswith("_")}
