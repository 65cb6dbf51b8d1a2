"""Together's fine-tuning API, as its documentation shows it: other paths, other keys, no metadata, times as texts."""

import datetime
from dataclasses import dataclass
from typing import Any

from tests.support.server.http import Asked
from tests.support.server.jobs import Job, Tuning
from tests.support.server.replies import Reply, error

WORDS = {
    "validating_files": "pending",
    "queued": "queued",
    "running": "running",
    "succeeded": "completed",
    "failed": "user_error",
}


@dataclass
class TogetherTuning(Tuning):
    """The same files and jobs, in Together's words."""

    def answer(self, asked: Asked, parts: list[str]) -> Reply:
        """The answer to a call; `parts` is the path behind /v1."""
        if parts[0] == "files":
            return self._together_files(asked, parts[1:])
        return self._fine_tunes(asked, parts[1:]) if parts[0] == "fine-tunes" else error(404, "Not found")

    def _together_files(self, asked: Asked, parts: list[str]) -> Reply:
        if asked.method == "POST" and parts == ["upload"]:
            name, content = asked.fields["file"]
            assert asked.fields["file_type"][1] == b"jsonl"
            file = self.add_file(name or "upload", content, asked.fields["purpose"][1].decode())
            return Reply(self._file(file["id"]))
        if not parts:
            return Reply({"data": [self._file(key) for key in self.files]})
        self.file_looks[parts[0]] = self.file_looks.get(parts[0], 0) + 1
        return Reply(self._file(parts[0]))

    def _file(self, file_id: str) -> dict[str, Any]:
        described, _ = self.files[file_id]
        processed = self.file_looks.get(file_id, 0) >= 2
        return {"id": file_id, "filename": described["filename"], "bytes": described["bytes"], "Processed": processed}

    def _fine_tunes(self, asked: Asked, parts: list[str]) -> Reply:
        if not parts and asked.method == "POST":
            order = asked.json
            if not self._file(order["training_file"])["Processed"]:
                return error(400, "the file is not processed")
            if "training_type" not in order:
                return error(422, "training_type is required")
            body = self._create({**order, "hyperparameters": {"n_epochs": order["n_epochs"]}}, asked.headers).body
            return Reply(self._told(self.jobs[body["id"]]))
        if not parts:
            return Reply({"data": [self._told(job) for job in self.jobs.values()]})
        job = self.jobs.get(parts[0])
        if job is None:
            return error(404, "no such job")
        if parts[1:] == ["events"]:
            return Reply({"data": [{"message": "Job started", "level": None, "created_at": _text(job.body["created_at"])}]})
        self._advance(job, "cancelled" if parts[1:] == ["cancel"] else None)
        return Reply(self._told(job))

    def _told(self, job: Job) -> dict[str, Any]:
        body = job.body
        return {
            "id": body["id"], "status": WORDS.get(job.status, job.status), "created_at": _text(body["created_at"]),
            "model": body["model"], "model_output_name": f"acme/{body['model']}-{body['suffix']}-{body['id'][-4:]}",
            "training_file": body["training_file"], "suffix": body["suffix"], "token_count": body["trained_tokens"],
            "n_epochs": body["hyperparameters"]["n_epochs"], "batch_size": "max", "learning_rate": 1e-05,
        }  # fmt: skip

    @property
    def tuned_models(self) -> list[str]:
        """The names that models which jobs have made can be asked by."""
        return [self._told(job)["model_output_name"] for job in self.jobs.values() if job.status == "succeeded"]


def _text(unix: int) -> str:
    return datetime.datetime.fromtimestamp(unix, datetime.UTC).isoformat().replace("+00:00", "Z")
