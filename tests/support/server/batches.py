"""Batches, in memory: a status advances with each poll, and the last brings the answers."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.server.http import Asked
from tests.support.server.jobs import CREATED, Tuning
from tests.support.server.replies import ORGANISATION, Reply, error

ENDED = ("completed", "failed", "expired", "cancelled")


@dataclass
class Batches:
    """The batches of a server, whose files are its `Tuning`'s."""

    files: Tuning
    chat: Callable[[dict[str, Any]], Reply]
    exists: bool = True
    """Whether the API has batches at all."""
    states: tuple[str, ...] = ("validating", "in_progress", "completed")
    """One a poll; the last stays."""
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By a text in the `custom_id` the response and the error of a line that isn't answered."""
    answers_at_most: float = math.inf
    """So many lines are answered before a batch ends otherwise."""
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The batches by id."""
    asked: list[str] = field(default_factory=list)
    """The `custom_id` of every line that was answered, and is paid for."""
    _polls: dict[str, int] = field(default_factory=dict)

    def answer(self, asked: Asked, parts: list[str]) -> Reply:
        """The answer to a call under /v1/batches; `parts` is the path behind it."""
        if not self.exists:
            return error(404, f"Invalid URL ({asked.path})")
        if not parts:
            newest_first = list(reversed(self.made.values()))
            return self._create(asked.json) if asked.method == "POST" else self.files._page(asked, newest_first)
        batch = self.made.get(parts[0])
        if batch is None:
            return error(404, f"No such Batch object: {parts[0]}")
        if parts[1:] == ["cancel"]:
            batch["status"] = "cancelled"  # Before anything was answered.
        elif batch["status"] not in ENDED:
            self._polls[batch["id"]] += 1
            self._enter(batch, self.states[min(self._polls[batch["id"]], len(self.states) - 1)])
        return Reply(dict(batch))

    def _create(self, order: dict[str, Any]) -> Reply:
        if order["input_file_id"] not in self.files.files:
            return error(400, "no such file", "invalid_file")
        if self.files._described(order["input_file_id"])["status"] != "processed":
            return error(400, "The file is still pending", "invalid_file")
        number = len(self.made) + 1
        batch = {
            "id": f"batch_{number:04d}", "object": "batch", "endpoint": order["endpoint"], "errors": None,
            "input_file_id": order["input_file_id"], "completion_window": order["completion_window"],
            "status": self.states[0], "output_file_id": None, "error_file_id": None, "created_at": CREATED + number,
            "request_counts": {"total": 0, "completed": 0, "failed": 0}, "metadata": order.get("metadata"),
            "organization_id": ORGANISATION,
        }  # fmt: skip
        self.made[batch["id"]] = batch
        self._polls[batch["id"]] = 0
        self._enter(batch, self.states[0])
        return Reply(dict(batch))

    def lines(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        """The requests of a batch."""
        return [json.loads(line) for line in self.files.files[batch["input_file_id"]][1].splitlines()]

    def _enter(self, batch: dict[str, Any], status: str) -> None:
        batch["status"] = status
        if status == "failed":
            found = {"code": "invalid_json_line", "message": "This line is not valid.", "line": 3, "param": None}
            batch["errors"] = {"object": "list", "data": [found]}
        elif status in ENDED:
            self._end(batch)

    def _end(self, batch: dict[str, Any]) -> None:
        answers, errors = list[Any](), list[Any]()
        for line in self.lines(batch):
            name = line["custom_id"]
            fault = next((fault for text, fault in self.faults.items() if text in name), None)
            if fault is None and len(answers) >= self.answers_at_most:
                fault = {"error": {"code": "batch_expired", "message": "This request could not be executed in time."}}
            if fault is not None:
                errors.append({"id": f"r-{name}", "custom_id": name, "response": None, "error": None, **fault})
                continue
            body = self.chat(line["body"]).body
            self.asked.append(name)
            response = {"status_code": 200, "request_id": "req_1", "body": body}
            answers.append({"id": f"r-{name}", "custom_id": name, "response": response, "error": None})
        for key, rows in (("output_file_id", answers), ("error_file_id", errors)):
            content = "".join(json.dumps(row) + "\n" for row in reversed(rows)).encode()
            batch[key] = self.files.add_file(f"{batch['id']}.jsonl", content, "batch_output")["id"] if rows else None
        batch["request_counts"] = {"total": len(answers) + len(errors), "completed": len(answers), "failed": len(errors)}
