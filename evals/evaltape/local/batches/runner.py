"""The thread that works batches off, one after another."""

import asyncio
import contextlib
import json
import logging
import secrets
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from evaltape.local.batches.batches import UNFINISHED, Batches, counts
from evaltape.local.batches.journal import Journal
from evaltape.local.ids import new_id
from evaltape.local.requests.batch import Input
from evaltape.local.state.database import Row
from evaltape.local.state.disk import is_full, link, remove

LOG = logging.getLogger("evaltape.local")
T = TypeVar("T")
Answer = Callable[[bytes], Awaitable[tuple[int, dict[str, Any]]]]
"""Answers the JSON body of a request with a status and a body, errors included."""
CHECK_S = 0.5
"""How often a batch under way looks for its end: cancelled, expired, the service closing."""
BUSY = (429, 502, 503)
"""Statuses that mean: ask again later."""
EXPIRED = {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}


class Closing(Exception):
    """The service is closing; the next start goes on."""


class Runner:
    """Answers the requests of batches with `answers`, a function for each endpoint, at most `in_flight` at once.

    Each answer is appended to a journal, so a restart asks only for the rest. While the disk is full a batch waits.
    """

    def __init__(self, batches: Batches, answers: Mapping[str, Answer], *, in_flight: int) -> None:
        self._batches, self._answers, self._in_flight, self._store = batches, answers, in_flight, batches.store
        self._loop = asyncio.new_event_loop()
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._closing = False
        unfinished = [row["id"] for row in self._store.database.rows("batches") if row["status"] in UNFINISHED]
        for path in (self._store.folder / "batches").iterdir():
            if path.name not in unfinished:
                remove(path)
        for name in unfinished:
            self._waiting.put_nowait(name)
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._thread.start()

    def submit(self, name: str) -> None:
        """Queue a new batch."""
        self._loop.call_soon_threadsafe(self._waiting.put_nowait, name)

    def close(self) -> None:
        """Stop; the next start goes on with what was not answered."""
        self._closing = True
        self._loop.call_soon_threadsafe(self._waiting.put_nowait, None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._work())

    async def _work(self) -> None:
        while (name := await self._waiting.get()) and not self._closing:
            try:
                await self._process(name)
            except Closing:
                return
            except Exception as error:  # it must not end the thread that serves all batches
                LOG.exception("batch %s failed", name)
                with contextlib.suppress(sqlite3.Error):
                    self._batches.fail(name, "server_error", f"The service failed: {error!r}")
            self._batches.journals.pop(name, None)
            remove(self._store.batch_folder(name))

    async def _process(self, name: str) -> None:
        if self._row(name)["status"] == "validating":
            await self._patiently(partial(self._validate, name))
        if self._row(name)["status"] in UNFINISHED:
            journal = Journal(self._store.batch_folder(name) / "answers.jsonl")
            self._batches.journals[name] = journal
            await self._answer_all(name, journal)
            await self._patiently(partial(self._end, name, journal))

    def _validate(self, name: str) -> None:
        """Keep the input, which may be deleted or expire, and check it."""
        row, folder = self._row(name), self._store.batch_folder(name)
        remove(folder)
        folder.mkdir()
        try:
            link(self._store.files.path(row["input_file_id"]), folder / "input.jsonl")
        except FileNotFoundError:
            message = f"The input file {row['input_file_id']} was deleted or has expired."
            return self._batches.fail(name, "file_not_found", message, "input_file_id")
        read = Input(row["endpoint"]).read(_lines(folder))
        if read.findings:
            return self._batches.refuse(name, read.findings)
        found = {"request_counts": counts(len(read.custom_ids)), "model": read.model}
        self._batches.move(name, "in_progress", since=("validating",), **found)

    # ------------------------------------------------------------ answering

    async def _answer_all(self, name: str, journal: Journal) -> None:
        """Ask for anything that isn't in the journal, until all is answered or the batch has to stop."""
        pending: set[asyncio.Task[None]] = set()
        answer = self._answers[self._row(name)["endpoint"]]
        try:
            for line in _lines(self._store.batch_folder(name)):
                if self._must_stop(name):
                    return
                request = json.loads(line)
                if request["custom_id"] in journal.answered:
                    continue
                pending.add(asyncio.create_task(self._answer_one(request, answer, journal)))
                pending = await self._wait(name, pending, self._in_flight - 1)
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
        return self._closing or row["status"] != "in_progress" or self._batches.has_expired(row)

    async def _answer_one(self, request: dict[str, Any], answer: Answer, journal: Journal) -> None:
        body, pause_s = json.dumps(request["body"]).encode(), CHECK_S
        while (found := await answer(body))[0] in BUSY:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 30)
        response = {"status_code": found[0], "request_id": f"req_{secrets.token_hex(16)}", "body": found[1]}
        await self._patiently(partial(journal.add, _line(request["custom_id"], response, None)))

    # ------------------------------------------------------------ the end

    def _end(self, name: str, journal: Journal) -> None:
        """Make the output and the error file, and call the batch done: all of it or nothing."""
        if self._closing:
            raise Closing
        row = self._batches.move(name, "finalizing", since=("in_progress",)) or self._row(name)
        total = row["request_counts"]["total"]
        status = "cancelled" if row["status"] == "cancelling" else "completed"
        if status == "completed" and len(journal.answered) < total:
            status = "expired"
            for line in _lines(self._store.batch_folder(name)):
                if (custom_id := json.loads(line)["custom_id"]) not in journal.answered:
                    journal.add(_line(custom_id, None, EXPIRED))
        files = {key: self._file(row, journal, failed=key == "error_file_id") for key in ("output_file_id", "error_file_id")}

        def store() -> None:
            for file in filter(None, files.values()):
                self._store.database.add("files", file)
            ids = {key: file and file["id"] for key, file in files.items()}
            self._batches.move(name, status, since=UNFINISHED, request_counts=counts(total, journal), **ids)

        self._store.database.write(store)

    def _file(self, row: Row, journal: Journal, *, failed: bool) -> Row | None:
        """Store one kind of the journal's lines; return the file's row, or None where there is no such line."""
        if not (journal.failed if failed else len(journal.answered) - journal.failed):
            return None
        filename = f"{row['id']}_{'error' if failed else 'output'}.jsonl"
        lines = journal.lines(failed=failed)
        return self._store.files.store_content(filename, "batch_output", lines, expires_after_s=row["_keep_s"])

    async def _patiently(self, action: Callable[[], T]) -> T:
        """Return what `action` returns once the disk has room for it. Raise `Closing` if the service closes before."""
        warned = False
        while not self._closing:
            try:
                return action()
            except Exception as error:
                if not is_full(error):
                    raise
                if not warned:
                    LOG.warning("the disk of %s is full: a batch goes on when there is room", self._store.folder)
                warned = True
            await asyncio.sleep(CHECK_S)
        raise Closing

    def _row(self, name: str) -> Row:
        row = self._store.database.get("batches", name)
        assert row is not None
        return row


def _lines(folder: Path) -> Iterator[bytes]:
    """Yield a batch's requests; a batch that was cancelled before it was read has none."""
    path = folder / "input.jsonl"
    if path.exists():
        with path.open("rb") as file:
            yield from (line for line in file if line.strip())


def _line(custom_id: str, response: dict[str, Any] | None, error: dict[str, Any] | None) -> dict[str, Any]:
    return {"id": new_id("batch_req_", 32), "custom_id": custom_id, "response": response, "error": error}
