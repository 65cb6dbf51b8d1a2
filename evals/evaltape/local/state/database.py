"""Rows of JSON in SQLite: files, jobs, events, checkpoints, tuned models and batches."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
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
        self._path, self._reserve = path, reserve
        self._lock = threading.RLock()
        self._writer: int | None = None
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        """Close the database; further use is an error."""
        with self._lock:
            self._db.close()

    # ------------------------------------------------------------ reading

    def get(self, table: Table, name: str) -> Row | None:
        """Return the row with this id, or None."""
        for body in self._bodies(f"SELECT body FROM {table} WHERE id = ?", (name,)):
            row: Row = json.loads(body)
            return row
        return None

    def rows(self, table: Table, job: str | None = None, *, newest_first: bool = False) -> list[Row]:
        """Return all rows, or those of a job, in the order they were stored."""
        condition, values = ("WHERE job = ?", (job,)) if job else ("", ())
        query = f"SELECT body FROM {table} {condition} ORDER BY seq {'DESC' if newest_first else 'ASC'}"
        return [json.loads(body) for body in self._bodies(query, values)]

    def _bodies(self, query: str, values: tuple[str, ...]) -> Iterator[str]:
        with self._lock, closing(self._db.execute(query, values)) as cursor:
            bodies = [str(row[0]) for row in cursor.fetchall()]
        return iter(bodies)

    # ------------------------------------------------------------ writing

    @property
    def is_writing(self) -> bool:
        """Whether the current thread is inside a transaction."""
        return self._writer == threading.get_ident()

    def write(self, action: Callable[[], T], *, essential: bool = False) -> T:
        """Run `action` as one transaction: all of its changes are stored, or none. Transactions may be nested.

        On a full disk the log of changes is merged first, which may free some space; an `essential` write, one that
        leads to more space, may then use the reserve.
        """
        with self._lock:
            if self.is_writing:
                return action()
            try:
                return self._transaction(action)
            except sqlite3.Error as error:
                if not is_full(error):
                    raise
            self._merge_log()
            if not essential:
                return self._transaction(action)
            with self._reserve.lent():
                result = self._transaction(action)
                self._merge_log()
            return result

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

        def deleted() -> bool:
            with closing(self._db.execute(f"DELETE FROM {table} WHERE id = ?", (name,))) as cursor:
                return cursor.rowcount > 0

        return self.write(deleted, essential=True)

    def _transaction(self, action: Callable[[], T]) -> T:
        self._db.execute("BEGIN IMMEDIATE")
        self._writer = threading.get_ident()
        try:
            result = action()
            self._db.execute("COMMIT")
        except BaseException:
            # A full disk makes SQLite roll back on its own.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        finally:
            self._writer = None
        return result

    def _merge_log(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    # ------------------------------------------------------------ opening

    def _open(self) -> None:
        try:
            self._connect()
        except sqlite3.Error as error:
            if not is_full(error):
                raise
            with self._reserve.lent():
                self._connect()
        self._reserve.restore()

    def _connect(self) -> None:
        self._db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            for table in _TABLES:
                self._db.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} "
                    "(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, job TEXT, body TEXT NOT NULL)"
                )
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
                if not _is_row(body, name):
                    raise sqlite3.DatabaseError(f"table {table}, row {name}: not what was stored")

    def _unusable(self, error: sqlite3.DatabaseError) -> UserError:
        reason = (str(error).strip().splitlines() or ["unknown"])[-1]
        folder = self._path.parent
        if is_full(error):
            return UserError(f"--state {folder}: its disk is full ({reason}). Free some space and start again")
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return UserError(f"--state {folder}: can't be used ({reason})")
        return UserError(
            f"{self._path}: not a database of this service, or damaged ({reason}). Start with another --state folder; "
            f"uploaded files stay in {folder / 'files'}, tuned models in {folder / 'models'}"
        )


def _encoded(row: Row) -> str:
    """Return the row as JSON. Raise `ValueError` for what no answer could carry: NaN, half of a surrogate pair."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    text.encode()
    return text


def _is_row(body: Any, name: Any) -> bool:
    try:
        row = json.loads(body)
    except (ValueError, TypeError, RecursionError):
        return False
    return isinstance(row, dict) and row.get("id") == name
