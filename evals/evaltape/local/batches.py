"""Batches: files of requests that are answered in the background, batch by batch."""

import asyncio
import json
import logging
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from evaltape.local.errors import ApiError, unknown_object
from evaltape.local.requests import BatchLine, BatchRequest, parse, shortened
from evaltape.local.state import Row, State, encoded, is_full, link, new_id, public, remove

LOG = logging.getLogger("evaltape.local")
T = TypeVar("T")
Answer = Callable[[bytes], Awaitable[tuple[int, dict[str, Any]]]]
"""Answers the JSON body of a request with a status and a body, errors included."""
WINDOW_S = 24 * 3600
UNFINISHED = ("validating", "in_progress", "finalizing", "cancelling")
TIMES = ("in_progress", "expires", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
MOST_LINES = 50_000
MOST_FINDINGS = 20
"""A failed batch lists so many."""
CHECK_S = 0.5
"""How often a batch under way looks whether it was cancelled or has expired."""
BUSY = (429, 502, 503)
"""Statuses that mean: ask again later."""
EXPIRED = {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}


class Batches:
    """The batches of a state folder. `answers` has a function for each endpoint; at most `in_flight` requests run at once.

    Each answer is stored as a row when it arrives, so a restart asks only for the rest. A batch waits while the disk is full.
    """

    def __init__(self, state: State, answers: Mapping[str, Answer], *, in_flight: int) -> None:
        self._state, self._answers, self._in_flight, self._new = state, answers, in_flight, asyncio.Event()

    def create(self, request: BatchRequest) -> Row:
        """Store and queue a batch. Raise `ApiError` if its file doesn't exist or is for something else."""
        if request.endpoint not in self._answers:
            message = (
                f"Invalid value: {shortened(request.endpoint)}. Batches here are answered by {' or '.join(self._answers)}."
            )
            raise ApiError(message, param="endpoint", code="invalid_value")
        file = self._state.files.get(request.input_file_id)
        if file is None or file["purpose"] != "batch":
            reason = "no such file" if file is None else f"its purpose is '{file['purpose']}', not 'batch'"
            message = f"Invalid input_file_id: {request.input_file_id}: {reason}."
            raise ApiError(message, param="input_file_id", code="invalid_file")
        now, keep = self._state.now(), request.output_expires_after
        row: Row = {"id": new_id("batch_", 32), "object": "batch", "endpoint": request.endpoint, "model": None, "errors": None}
        row |= {"input_file_id": request.input_file_id, "completion_window": "24h", "status": "validating", "created_at": now}
        row |= {"output_file_id": None, "error_file_id": None, **{f"{name}_at": None for name in TIMES}}
        row |= {"expires_at": now + WINDOW_S, "request_counts": {"total": 0, "completed": 0, "failed": 0}}
        self._state.add("batches", {**row, "metadata": request.metadata, "_keep_s": keep.seconds if keep else None})
        self._new.set()
        return self.get(row["id"])

    def get(self, name: str) -> Row:
        """Return a batch with its counts of this moment. Raise `ApiError` for an unknown id."""
        return self._public(self._row(name))

    def all(self) -> list[Row]:
        """Return all batches, the newest first."""
        return [self._public(row) for row in self._state.rows("batches", newest_first=True)]

    def cancel(self, name: str) -> Row:
        """Stop a batch; it ends with the answers that it has. Raise `ApiError` if it has ended."""
        row = self._row(name)
        moved = self._move(name, "cancelling", since=("validating", "in_progress"))
        if moved is None and row["status"] != "cancelling":
            raise ApiError(f"Cannot cancel a batch with status '{row['status']}'.", status=409, code="batch_already_ended")
        return self._public(moved or row)

    def _public(self, row: Row) -> Row:
        if row["status"] in UNFINISHED:
            row["request_counts"] |= self._counts(row["id"])
        return public(row)

    def _counts(self, name: str) -> Row:
        return {"completed": self._state.count("outputs", name), "failed": self._state.count("errors", name)}

    def _row(self, name: str) -> Row:
        row = self._state.get("batches", name)
        if row is None:
            raise unknown_object("Batch", name, "batch_id")
        return row

    def _move(self, name: str, status: str, *, since: Container[str], **changes: Any) -> Row | None:
        return self._state.change("batches", name, since, status=status, **{f"{status}_at": self._state.now()}, **changes)

    # ------------------------------------------------------------ the work

    async def run(self) -> None:
        """Work batches off until cancelled; the next start goes on with the unanswered requests."""
        self._state.keep("batches", self._unfinished())
        while True:
            self._new.clear()
            for name in self._unfinished():
                await self._process(name)
            await self._new.wait()

    def _unfinished(self) -> list[str]:
        return [row["id"] for row in self._state.rows("batches") if row["status"] in UNFINISHED]

    async def _process(self, name: str) -> None:
        try:
            await self._patiently(partial(self._validate, name))
            if self._row(name)["status"] in UNFINISHED:
                await self._answer_all(name)
                await self._patiently(partial(self._end, name))
        except Exception as error:  # the other batches go on
            LOG.exception("batch %s failed", name)
            with suppress(sqlite3.Error):
                message = f"The service failed: {error!r}"
                self._fail(name, [{"code": "server_error", "line": None, "message": message, "param": None}])
        remove(self._state.path("batches", name))

    def _validate(self, name: str) -> None:
        """Keep the input, which may be deleted or expire, and check it."""
        row, kept = self._row(name), self._state.path("batches", name)
        if row["status"] != "validating":
            return
        remove(kept)
        try:
            link(self._state.files.path(row["input_file_id"]), kept)
        except FileNotFoundError:
            message = f"The input file {row['input_file_id']} was deleted or has expired."
            return self._fail(name, [{"code": "file_not_found", "line": None, "message": message, "param": "input_file_id"}])
        total, model, findings = check_input(self._lines(name), row["endpoint"])
        if findings:
            return self._fail(name, findings)
        counts = {"total": total, "completed": 0, "failed": 0}
        self._move(name, "in_progress", since=("validating",), request_counts=counts, model=model)

    async def _answer_all(self, name: str) -> None:
        """Ask for everything that has no answer yet, until the batch is answered, is cancelled or expires."""
        pending: set[asyncio.Task[None]] = set()
        answered, row = self._answered(name), self._row(name)
        try:
            for request in map(json.loads, self._lines(name)):
                if request["custom_id"] not in answered:
                    pending = await self._wait(name, pending, self._in_flight - 1)
                    if self._must_stop(name):
                        return
                    pending.add(asyncio.create_task(self._answer_one(row, request)))
            await self._wait(name, pending, 0)
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _wait(self, name: str, pending: set[asyncio.Task[None]], most: int) -> set[asyncio.Task[None]]:
        """Wait until at most so many requests are under way; return these."""
        while len(pending) > most and not self._must_stop(name):
            done, pending = await asyncio.wait(pending, timeout=CHECK_S, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        return pending

    def _must_stop(self, name: str) -> bool:
        row = self._row(name)
        return bool(row["status"] != "in_progress" or row["expires_at"] <= self._state.now())

    async def _answer_one(self, batch: Row, request: Row) -> None:
        body, pause_s = json.dumps(request["body"]).encode(), CHECK_S
        while (found := await self._answers[batch["endpoint"]](body))[0] in BUSY:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 30)
        response = {"status_code": found[0], "request_id": f"req_{secrets.token_hex(16)}", "body": found[1]}
        await self._patiently(partial(self._store, batch["id"], request["custom_id"], response, None))

    def _store(self, name: str, custom_id: str, response: Row | None, error: Row | None) -> None:
        line = {"id": new_id("batch_req_", 32), "custom_id": custom_id, "response": response, "error": error}
        self._state.add("outputs" if response and response["status_code"] == 200 else "errors", line, name)

    def _end(self, name: str) -> None:
        """Make the output and the error file, and call the batch done: all of it or nothing."""
        row = self._move(name, "finalizing", since=("in_progress",)) or self._row(name)
        status, answered = "cancelled" if row["status"] == "cancelling" else "completed", self._answered(name)
        if status == "completed" and len(answered) < row["request_counts"]["total"]:
            status = "expired"
            for request in map(json.loads, self._lines(name)):
                if request["custom_id"] not in answered:
                    self._store(name, request["custom_id"], None, EXPIRED)
        counts = row["request_counts"] | self._counts(name)
        output, errors = self._file(row, "outputs", "output"), self._file(row, "errors", "error")

        def store() -> None:
            for file in filter(None, (output, errors)):
                self._state.add("files", file)
            ids = {"output_file_id": output and output["id"], "error_file_id": errors and errors["id"]}
            self._finish(name, status, request_counts=counts, **ids)

        self._state.write(store)

    def _file(self, batch: Row, table: Any, kind: str) -> Row | None:
        """Store the lines of a table as a file; return its row, or None if there are no lines."""
        lines = [encoded(row).encode() + b"\n" for row in self._state.rows(table, batch["id"])]
        filename = f"{batch['id']}_{kind}.jsonl"
        store = self._state.files.store_content
        return store(filename, "batch_output", lines, expires_after_s=batch["_keep_s"]) if lines else None

    def _finish(self, name: str, status: str, **changes: Any) -> None:
        def finish() -> None:
            self._move(name, status, since=UNFINISHED, **changes)
            self._state.clear("outputs", name)
            self._state.clear("errors", name)

        self._state.write(finish)

    def _fail(self, name: str, findings: list[Row]) -> None:
        self._finish(name, "failed", errors={"object": "list", "data": findings})

    def _answered(self, name: str) -> set[str]:
        return {row["custom_id"] for table in ("outputs", "errors") for row in self._state.rows(table, name)}

    def _lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a batch's input; nothing if it was cancelled before it was read."""
        path = self._state.path("batches", name)
        if path.exists():
            with path.open("rb") as file:
                yield from (line for line in file if line.strip())

    async def _patiently(self, action: Callable[[], T]) -> T:
        """Run `action` in a thread; while the disk is full, try again."""
        warned = False
        while True:
            try:
                return await asyncio.to_thread(action)
            except Exception as error:
                if not is_full(error):
                    raise
                if not warned:
                    LOG.warning("the disk of %s is full: a batch goes on when there is room", self._state.folder)
                warned = True
            await asyncio.sleep(CHECK_S)


def check_input(lines: Iterable[bytes], endpoint: str) -> tuple[int, str | None, list[Row]]:
    """Return the number of requests, the model that all of them ask, and the findings: OpenAI's, at most twenty."""
    ids: set[str] = set()
    model, findings = None, []
    for number, line in enumerate(lines, 1):
        try:
            request = parse(line, BatchLine)
            if request.url != endpoint:
                message = f"url is {shortened(request.url)}; valid: the batch's endpoint '{endpoint}'."
                raise ApiError(message, param="url", code="invalid_url")
            if request.custom_id in ids:
                message = f"The custom_id {shortened(request.custom_id)} stands in an earlier line: each must be unique."
                raise ApiError(message, param="custom_id", code="duplicate_custom_id")
            if model not in (None, request.body.model):
                message = f"model is {shortened(request.body.model)}, before it was {shortened(model)}: a batch asks one model."
                raise ApiError(message, param="body.model", code="mismatched_model")
            ids.add(request.custom_id)
            model = request.body.model
        except ApiError as error:
            code = {None: "invalid_json_line", "method": "invalid_method"}.get(error.param, error.code)
            findings.append({"code": code, "line": number, "message": str(error), "param": error.param})
        if len(findings) == MOST_FINDINGS:
            return len(ids), model, findings
    if not ids and not findings:
        findings.append({"code": "empty_file", "line": None, "message": "The input file has no requests.", "param": None})
    if len(ids) > MOST_LINES:
        message = f"The file has more than {MOST_LINES:,} requests."
        findings.append({"code": "too_many_requests", "line": None, "message": message, "param": None})
    return len(ids), model, findings
