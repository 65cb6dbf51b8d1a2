"""Batches as the API offers them: created, listed, cancelled."""

from collections.abc import Iterable
from typing import Any

from evaltape.local.batches.journal import Journal
from evaltape.local.errors import ApiError, unknown_object
from evaltape.local.ids import new_id
from evaltape.local.requests.batch import BatchRequest
from evaltape.local.state.database import Row
from evaltape.local.state.store import Store

WINDOW_S = 24 * 3600
UNFINISHED = ("validating", "in_progress", "finalizing", "cancelling")
TIMES = ("in_progress", "expires", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


class Batches:
    """The batches of a state folder. A key that begins with "_" isn't shown."""

    def __init__(self, store: Store, endpoints: Iterable[str]) -> None:
        self.store, self._endpoints = store, endpoints
        self.journals: dict[str, Journal] = {}
        """The answers of the batch under way, by its id."""

    def create(self, request: BatchRequest) -> Row:
        """Store a batch. Raise `ApiError` if its file doesn't exist or is for something else."""
        request.check(self._endpoints)
        file = self.store.files.get(request.input_file_id)
        if file is None or file["purpose"] != "batch":
            reason = "no such file" if file is None else f"its purpose is '{file['purpose']}', not 'batch'"
            message = f"Invalid input_file_id: {request.input_file_id}: {reason}."
            raise ApiError(message, param="input_file_id", code="invalid_file")
        now, keep = self._now(), request.output_expires_after
        row: Row = {"id": new_id("batch_", 32), "object": "batch", "endpoint": request.endpoint, "model": None, "errors": None}
        row |= {"input_file_id": request.input_file_id, "completion_window": "24h", "status": "validating", "created_at": now}
        row |= {"output_file_id": None, "error_file_id": None, **{f"{name}_at": None for name in TIMES}}
        row |= {"expires_at": now + WINDOW_S, "request_counts": counts(0), "metadata": request.metadata}
        self.store.database.add("batches", {**row, "_keep_s": keep.seconds if keep else None})
        return row

    def get(self, name: str) -> Row:
        """Return a batch with its counts of this moment. Raise `ApiError` if there is none."""
        row = self.store.database.get("batches", name)
        if row is None:
            raise unknown_object("Batch", name, "batch_id")
        return self._public(row)

    def all(self) -> list[Row]:
        """Return all batches, the newest first."""
        return [self._public(row) for row in self.store.database.rows("batches", newest_first=True)]

    def cancel(self, name: str) -> Row:
        """Stop a batch; it ends with the answers that it has. Raise `ApiError` if it has ended."""
        if self.move(name, "cancelling", since=("validating", "in_progress", "cancelling")) is None:
            status = self.get(name)["status"]
            raise ApiError(f"Cannot cancel a batch with status '{status}'.", status=409, code="batch_already_ended")
        return self.get(name)

    def fail(self, name: str, code: str, message: str, param: str | None = None) -> None:
        """End a batch that can't be answered."""
        self.refuse(name, [{"code": code, "line": None, "message": message, "param": param}])

    def refuse(self, name: str, findings: list[dict[str, Any]]) -> None:
        """End a batch for what was found in its input."""
        self.move(name, "failed", since=UNFINISHED, errors={"object": "list", "data": findings})

    def move(self, name: str, status: str, *, since: tuple[str, ...], **changes: Any) -> Row | None:
        """Move a batch to a status if it is in one of `since`; return it, or None if it isn't."""

        def change(row: Row) -> bool:
            if row["status"] not in since:
                return False
            row.update({"status": status, f"{status}_at": row[f"{status}_at"] or self._now(), **changes})
            return True

        return self.store.database.update("batches", name, change)

    def has_expired(self, row: Row) -> bool:
        """Return whether a batch's time is over."""
        return bool(row["expires_at"] <= self._now())

    def _public(self, row: Row) -> Row:
        journal = self.journals.get(row["id"])
        if journal is not None:
            row["request_counts"] = counts(row["request_counts"]["total"], journal)
        return {key: value for key, value in row.items() if not key.startswith("_")}

    def _now(self) -> int:
        return int(self.store.clock())


def counts(total: int, journal: Journal | None = None) -> Row:
    """Return the `request_counts` of a batch of `total` requests."""
    failed = journal.failed if journal else 0
    return {"total": total, "completed": len(journal.answered) - failed if journal else 0, "failed": failed}
