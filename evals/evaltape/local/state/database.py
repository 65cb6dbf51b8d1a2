"""Rows of JSON in SQLite: files, jobs, events, checkpoints, tuned models and batches."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, TypeVar

from evaltape.errors import UserError
from evaltape.local.state.disk import Reserve, is_full

Row = dict[str, Any]
Table = Literal["files", "jobs", "events", "checkpoints", "models", "batches"]
T = TypeVar("T")
_TABLES: tuple[Table, ...] = ("files", "jobs", "events", "checkpoints", "models", "batches")


class Database:
    """The rows of a state folder. Safe to use from several threads."""

    def __init__(self, path: Path, reserve: Reserve) -> None:
        self._path, self._reserve, self._lock, self._is_writing = path, reserve, threading.RLock(), False
        try:
            self._with_room(self._connect)
            reserve.restore()
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        """Close the database; further use is an error."""
        with self._lock:
            self._db.close()

    def get(self, table: Table, name: str) -> Row | None:
        """Return the row with this id, or None."""
        return next(iter(self._read(f"SELECT body FROM {table} WHERE id = ?", name)), None)

    def rows(self, table: Table, job: str | None = None, *, newest_first: bool = False) -> list[Row]:
        """Return all rows, or those of a job, in the order they were stored."""
        order = f"ORDER BY seq {'DESC' if newest_first else 'ASC'}"
        if job is None:
            return self._read(f"SELECT body FROM {table} {order}")
        return self._read(f"SELECT body FROM {table} WHERE job = ? {order}", job)

    def add(self, table: Table, row: Row, job: str | None = None) -> Row:
        """Store a row under its `id`, as belonging to a job or to none."""
        values = (row["id"], job, _encoded(row))
        self.write(lambda: self._db.execute(f"INSERT INTO {table} (id, job, body) VALUES (?, ?, ?)", values))
        return row

    def update(self, table: Table, name: str, change: Callable[[Row], bool]) -> Row | None:
        """Change a row in place if `change` returns True; return it, or None if it wasn't changed or isn't there."""

        def changed() -> Row | None:
            row = self.get(table, name)
            if row is None or not change(row):
                return None
            self._db.execute(f"UPDATE {table} SET body = ? WHERE id = ?", (_encoded(row), name))
            return row

        return self.write(changed)

    def delete(self, table: Table, name: str) -> bool:
        """Remove a row, on a full disk too; return whether there was one."""
        delete = f"DELETE FROM {table} WHERE id = ?"
        return self.write(lambda: self._db.execute(delete, (name,)).rowcount > 0, essential=True)

    def write(self, action: Callable[[], T], *, essential: bool = False) -> T:
        """Run `action` as one transaction: all of its changes are stored, or none. Transactions may be nested.

        An `essential` write, one that leads to more space, may use the reserve on a full disk.
        """
        with self._lock:
            if self._is_writing:
                return action()
            if essential:
                return self._with_room(lambda: self._transaction(action))
            return self._transaction(action)

    def _read(self, query: str, *values: str) -> list[Row]:
        with self._lock, closing(self._db.execute(query, values)) as cursor:
            return [json.loads(body) for (body,) in cursor.fetchall()]

    def _transaction(self, action: Callable[[], T]) -> T:
        self._db.execute("BEGIN IMMEDIATE")
        self._is_writing = True
        try:
            result = action()
            self._db.execute("COMMIT")
        except BaseException:
            # A full disk makes SQLite roll back on its own.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        finally:
            self._is_writing = False
        return result

    def _with_room(self, action: Callable[[], T]) -> T:
        """Do something, on a full disk with the room of the reserve and of the log of changes, which is merged."""
        try:
            return action()
        except sqlite3.Error as error:
            if not is_full(error):
                raise
        with self._reserve.lent():
            result = action()
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        return result

    def _connect(self) -> None:
        self._db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            for table in _TABLES:
                columns = "(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, job TEXT, body TEXT NOT NULL)"
                self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} {columns}")
                self._db.execute(f"CREATE INDEX IF NOT EXISTS {table}_job ON {table} (job)")
            self._check()
        except BaseException:
            self._db.close()
            raise

    def _check(self) -> None:
        """Read everything once: SQLite notices damage only where it reads, and not inside a text."""
        problem = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        for table in _TABLES:
            for name, body in self._db.execute(f"SELECT id, body FROM {table}").fetchall():
                try:
                    is_row = json.loads(body)["id"] == name
                except (ValueError, TypeError, KeyError, RecursionError):
                    is_row = False
                if not is_row:
                    raise sqlite3.DatabaseError(f"table {table}, row {name}: not what was stored")

    def _unusable(self, error: sqlite3.DatabaseError) -> UserError:
        reason, folder = (str(error).strip().splitlines() or ["unknown"])[-1], self._path.parent
        if is_full(error):
            return UserError(f"--state {folder}: its disk is full ({reason}). Free some space and start again")
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return UserError(f"--state {folder}: can't be used ({reason})")
        return UserError(
            f"{self._path}: not a database of this service, or damaged ({reason}). Start with another --state folder; "
            f"uploaded files stay in {folder / 'files'}, tuned models in {folder / 'models'}"
        )


def _encoded(row: Row) -> str:
    """Return the row as JSON. Raise `ValueError` for anything that no answer could carry: NaN, half of a surrogate pair."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    text.encode()
    return text
