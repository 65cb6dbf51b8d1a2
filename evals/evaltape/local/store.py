"""What outlives the process: files, jobs, events, checkpoints and tuned models, in SQLite and a folder beside it.

A row is written after the file it speaks of and removed before it, so a process killed at any moment leaves at worst a
file nobody names, which the next start sweeps away. Ids come from here; a name from outside is never part of a path.
"""

import fcntl
import json
import secrets
import shutil
import sqlite3
import string
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from evaltape.local.errors import ApiError, UserError

Row = dict[str, Any]
Table = Literal["files", "jobs", "events", "checkpoints", "models"]
_TABLES: tuple[Table, ...] = ("files", "jobs", "events", "checkpoints", "models")
_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """An id in OpenAI's shape: `file-`, `ftjob-` and the like, and random letters."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def now() -> int:
    """The time as the API tells it: whole seconds since 1970."""
    return int(time.time())


class Store:
    """The state folder. Safe to use from several threads; a second process on the same folder is refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        try:
            for name in ("files", "jobs", "models", "weights"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._claim()
        except OSError as error:
            raise UserError(f"--state {folder}: can't be used ({error.strerror})") from None
        try:
            self._connect()
        except sqlite3.DatabaseError as error:
            raise UserError(f"{folder / 'state.db'}: not a database of this service ({error})") from None
        self._sweep()

    def _claim(self) -> None:
        self._claimed = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._claimed, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"--state {self.folder}: another service is using it. Stop that one, or choose another folder"
            raise UserError(message) from None

    def _connect(self) -> None:
        self._db = sqlite3.connect(self.folder / "state.db", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        for table in _TABLES:
            self._db.execute(
                f"CREATE TABLE IF NOT EXISTS {table} "
                "(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, job TEXT, body TEXT NOT NULL)"
            )
            self._db.execute(f"CREATE INDEX IF NOT EXISTS {table}_job ON {table} (job)")

    def _sweep(self) -> None:
        for table in ("files", "models"):
            known = {row["id"] for row in self.rows(table)} if table == "files" else self._model_folders()
            for path in (self.folder / table).iterdir():
                if path.name not in known:
                    remove(path)

    def _model_folders(self) -> set[str]:
        return {row["folder"] for row in self.rows("models")}

    def close(self) -> None:
        """Lets go of the folder."""
        with self._lock:
            self._db.close()
            self._claimed.close()

    # ------------------------------------------------------------ rows

    def add(self, table: Table, row: Row, job: str | None = None) -> Row:
        """Stores a row under its `id`, belonging to a job or to none."""
        with self._lock:
            values = (row["id"], job, json.dumps(row))
            self._db.execute(f"INSERT INTO {table} (id, job, body) VALUES (?, ?, ?)", values)
        return row

    def get(self, table: Table, name: str) -> Row | None:
        """The row with this id, or None."""
        with self._lock, closing(self._db.execute(f"SELECT body FROM {table} WHERE id = ?", (name,))) as found:
            row = found.fetchone()
        return json.loads(row[0]) if row else None

    def rows(self, table: Table, job: str | None = None, *, newest_first: bool = False) -> list[Row]:
        """All rows, or those of a job, in the order they were stored."""
        where, values = ("WHERE job = ?", (job,)) if job else ("", ())
        query = f"SELECT body FROM {table} {where} ORDER BY seq {'DESC' if newest_first else 'ASC'}"
        with self._lock, closing(self._db.execute(query, values)) as found:
            return [json.loads(row[0]) for row in found.fetchall()]

    def update(self, table: Table, name: str, change: Callable[[Row], bool]) -> Row | None:
        """Changes a row in place where `change` says True; None where it says False or there is no such row."""
        with self._lock:
            row = self.get(table, name)
            if row is None or not change(row):
                return None
            self._db.execute(f"UPDATE {table} SET body = ? WHERE id = ?", (json.dumps(row), name))
        return row

    def delete(self, table: Table, name: str) -> bool:
        """Removes a row; False where there was none."""
        with self._lock, closing(self._db.execute(f"DELETE FROM {table} WHERE id = ?", (name,))) as done:
            return done.rowcount > 0

    # ------------------------------------------------------------ files

    def file_path(self, name: str) -> Path:
        """Where the content of a stored file is."""
        return self.folder / "files" / name

    def add_file(self, filename: str, purpose: str, content: Iterable[bytes]) -> Row:
        """Stores a file whole, then its row."""
        name = new_id("file-")
        partial = self.folder / "files" / f"{name}.partial"
        try:
            with partial.open("wb") as target:
                for piece in content:
                    target.write(piece)
            size = partial.stat().st_size
            partial.rename(self.file_path(name))
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        row = {"id": name, "object": "file", "bytes": size, "created_at": now(), "filename": filename}
        row |= {"purpose": purpose, "status": "processed", "status_details": None, "expires_at": None}
        return self.add("files", row)

    def delete_file(self, name: str) -> bool:
        """Removes a file; False where there was none."""
        deleted = self.delete("files", name)
        if deleted:
            remove(self.file_path(name))
        return deleted


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def page(rows: list[Row], after: str | None, limit: int) -> Row:
    """One page of a list, as the API gives it: what follows the row with the id `after`. Raises `ApiError`."""
    if after:
        position = next((index for index, row in enumerate(rows) if row["id"] == after), None)
        if position is None:
            raise ApiError(f"No such object to continue after: {after}", param="after")
        rows = rows[position + 1 :]
    shown = rows[:limit]
    ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {"first_id": None, "last_id": None}
    return {"object": "list", "data": shown, **ends, "has_more": len(rows) > limit}
