"""The state folder, which outlives the process. Rows of JSON in SQLite, and the content of files and models beside them."""

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import sqlite3
import string
import threading
import time
from collections.abc import Callable, Container, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from filelock import FileLock, Timeout

from evaltape.errors import UserError

Row = dict[str, Any]
Table = Literal["files", "jobs", "events", "checkpoints", "models", "batches", "outputs", "errors"]
T = TypeVar("T")
FOLDERS = ("files", "jobs", "batches", "models", "weights")
RESERVE_BYTES = 2**20
_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# SQLite reports a quota and a file that may not grow as write errors.
_SQLITE_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
_LETTERS = string.ascii_letters + string.digits


class State:
    """An open state folder. Safe to use from several threads; a second process on the folder is refused.

    A row is a dict with an `id`, and may belong to another row (`of`). Rows keep the order in which they were added.
    `clock` returns the seconds since 1970.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder, self._clock, self._lock, self._is_writing = folder, clock, threading.RLock(), False
        try:
            self._check_ownership()
            for name in FOLDERS:
                (folder / name).mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._owner = FileLock(folder / "lock", blocking=False, thread_local=False)
            self._owner.acquire()
        except Timeout:
            message = f"--state {folder}: another service is using it. Stop that one, or choose another folder"
            raise UserError(message) from None
        except OSError as error:
            raise UserError(f"--state {folder}: can't be used ({error.strerror or error})") from None
        try:
            self._with_room(self._connect)
        except sqlite3.DatabaseError as error:
            self._owner.release()
            raise self._unusable(error) from None
        self._restore_reserve()
        self.keep("models", {row["folder"] for row in self.rows("models")})
        self.files = Files(self)

    def close(self) -> None:
        """Let go of the folder."""
        with self._lock:
            self._db.close()
        self._owner.release()

    def now(self) -> int:
        """Return the time in whole seconds since 1970."""
        return int(self._clock())

    def path(self, folder: Literal["files", "jobs", "batches", "models"], name: str) -> Path:
        """Return the place of a file, of a job's or a batch's work, or of a tuned model's adapter."""
        return self.folder / folder / name

    def keep(self, folder: Literal["files", "jobs", "batches", "models"], names: Container[str]) -> None:
        """Remove everything else from a folder: it is left from work that was killed."""
        for path in (self.folder / folder).iterdir():
            if path.name not in names:
                remove(path)

    # ------------------------------------------------------------ rows

    def get(self, table: Table, name: str) -> Row | None:
        """Return the row with this id, or None."""
        return next(iter(self._read(f"SELECT body FROM {table} WHERE id = ?", name)), None)

    def rows(self, table: Table, of: str | None = None, *, newest_first: bool = False) -> list[Row]:
        """Return all rows, or the rows that belong to another."""
        order = f"ORDER BY seq {'DESC' if newest_first else 'ASC'}"
        if of is None:
            return self._read(f"SELECT body FROM {table} {order}")
        return self._read(f"SELECT body FROM {table} WHERE job = ? {order}", of)

    def count(self, table: Table, of: str) -> int:
        """Return how many rows belong to another."""
        with self._lock:
            return int(self._db.execute(f"SELECT count(*) FROM {table} WHERE job = ?", (of,)).fetchone()[0])

    def add(self, table: Table, row: Row, of: str | None = None) -> Row:
        """Store a row. Raise `ValueError` for values that JSON can't carry."""
        values = (row["id"], of, encoded(row))
        self.write(lambda: self._db.execute(f"INSERT INTO {table} (id, job, body) VALUES (?, ?, ?)", values))
        return row

    def change(self, table: Table, name: str, since: Container[str], **changes: Any) -> Row | None:
        """Change a row if its `status` is one of `since`; return it, or None if it isn't."""

        def changed() -> Row | None:
            row = self.get(table, name)
            if row is None or row["status"] not in since:
                return None
            row |= changes
            self._db.execute(f"UPDATE {table} SET body = ? WHERE id = ?", (encoded(row), name))
            return row

        return self.write(changed)

    def delete(self, table: Table, name: str) -> bool:
        """Remove a row, on a full disk too; return whether it was there."""
        delete = f"DELETE FROM {table} WHERE id = ?"
        return self.write(lambda: self._db.execute(delete, (name,)).rowcount > 0, essential=True)

    def clear(self, table: Table, of: str) -> None:
        """Remove the rows that belong to another."""
        self.write(lambda: self._db.execute(f"DELETE FROM {table} WHERE job = ?", (of,)), essential=True)

    def write(self, action: Callable[[], T], *, essential: bool = False) -> T:
        """Run `action` as one transaction: all of its changes are stored together, or nothing. Transactions may be nested.

        An `essential` write frees space in the end, so it may use the reserve on a full disk.
        """
        with self._lock:
            if self._is_writing:
                return action()
            return self._with_room(lambda: self._transaction(action)) if essential else self._transaction(action)

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
            if self._db.in_transaction:  # a full disk makes SQLite roll back on its own
                self._db.execute("ROLLBACK")
            raise
        finally:
            self._is_writing = False
        return result

    # ------------------------------------------------------------ a full disk

    def _with_room(self, action: Callable[[], T]) -> T:
        """Run `action`; on a full disk give it the room of the reserve and of SQLite's log."""
        try:
            return action()
        except sqlite3.Error as error:
            if not is_full(error):
                raise
        (self.folder / "reserve").unlink(missing_ok=True)
        try:
            result = action()
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            return result
        finally:
            self._restore_reserve()

    def _restore_reserve(self) -> None:
        reserve = self.folder / "reserve"
        if not reserve.exists():
            try:
                reserve.write_bytes(os.urandom(RESERVE_BYTES))  # random: no file system can compress it
            except OSError:
                with contextlib.suppress(OSError):
                    reserve.unlink(missing_ok=True)

    # ------------------------------------------------------------ opening

    def _check_ownership(self) -> None:
        """Refuse a folder of something else: unknown files would be removed from it."""
        if (self.folder / "state.db").exists():
            return
        for name in FOLDERS:
            if (self.folder / name).exists() and (not (self.folder / name).is_dir() or any((self.folder / name).iterdir())):
                raise UserError(
                    f"--state {self.folder}: not a state folder of this service: it has '{name}', but no state.db. "
                    "Choose a new or an empty folder"
                )

    def _connect(self) -> None:
        self._db = sqlite3.connect(self.folder / "state.db", check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            for table in get_args(Table):
                columns = "(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, job TEXT, body TEXT NOT NULL)"
                self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} {columns}")
                self._db.execute(f"CREATE INDEX IF NOT EXISTS {table}_job ON {table} (job)")
            self._check_rows()
        except BaseException:
            self._db.close()
            raise

    def _check_rows(self) -> None:
        """Read everything once: SQLite finds damage only in the pages that it reads."""
        problem = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        for table in get_args(Table):
            for name, body in self._db.execute(f"SELECT id, body FROM {table}").fetchall():
                try:
                    is_row = json.loads(body)["id"] == name
                except (ValueError, TypeError, KeyError, RecursionError):
                    is_row = False
                if not is_row:
                    raise sqlite3.DatabaseError(f"table {table}, row {name}: not what was stored")

    def _unusable(self, error: sqlite3.DatabaseError) -> UserError:
        reason, folder = (str(error).strip().splitlines() or ["unknown"])[-1], self.folder
        if is_full(error):
            return UserError(f"--state {folder}: its disk is full ({reason}). Free some space and start again")
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return UserError(f"--state {folder}: can't be used ({reason})")
        return UserError(
            f"{folder / 'state.db'}: not a database of this service, or damaged ({reason}). Start with another --state folder; "
            f"uploaded files stay in {folder / 'files'}, tuned models in {folder / 'models'}"
        )


class Files:
    """Files that clients upload or that jobs and batches produce. Expired files are gone; the next listing removes them.

    A row is written after its content and removed before it. A kill in between leaves content without a row, which the
    next start removes. Ids are made here: a name from outside is never part of a path.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        state.keep("files", {row["id"] for row in self.all()})

    def add(self, filename: str, purpose: str, content: Iterable[bytes], *, expires_after_s: int | None = None) -> Row:
        """Store a file's content, then its row."""
        self.all()
        row = self.store_content(filename, purpose, content, expires_after_s=expires_after_s)
        try:
            return self._state.add("files", row)
        except BaseException:
            remove(self.path(row["id"]))
            raise

    def store_content(
        self, filename: str, purpose: str, content: Iterable[bytes], *, expires_after_s: int | None = None
    ) -> Row:
        """Store a file's content; return its row, which is yet to be added."""
        name, created = new_id("file-"), self._state.now()
        try:
            with self.path(name).open("wb") as target:
                target.writelines(content)
        except BaseException:
            remove(self.path(name))
            raise
        row: Row = {"id": name, "object": "file", "bytes": self.path(name).stat().st_size, "created_at": created}
        row |= {"filename": filename, "purpose": purpose, "status": "processed", "status_details": None}
        return row | {"expires_at": created + expires_after_s if expires_after_s else None}

    def get(self, name: str) -> Row | None:
        """Return a file's row, or None."""
        row = self._state.get("files", name)
        return None if row is None or self._has_expired(row) else row

    def all(self, *, newest_first: bool = False) -> list[Row]:
        """Return the rows of all files; remove the files that have expired."""
        rows = self._state.rows("files", newest_first=newest_first)
        for row in filter(self._has_expired, rows):
            self._remove(row["id"])
        return [row for row in rows if not self._has_expired(row)]

    def path(self, name: str) -> Path:
        """Return the place of a file's content."""
        return self._state.path("files", name)

    def delete(self, name: str) -> bool:
        """Remove a file, on a full disk too; return whether it was there."""
        return self.get(name) is not None and self._remove(name)

    def _remove(self, name: str) -> bool:
        existed = self._state.delete("files", name)
        remove(self.path(name))
        return existed

    def _has_expired(self, row: Row) -> bool:
        return row["expires_at"] is not None and bool(row["expires_at"] <= self._state.now())


def new_id(prefix: str, length: int = 24) -> str:
    """Return an id in OpenAI's shape: `file-`, `ftjob-` and the like, and random letters."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))


def now() -> int:
    """Return the time in whole seconds since 1970."""
    return int(time.time())


def public(row: Row) -> Row:
    """Return a row as the API shows it: without the keys that begin with "_"."""
    return {key: value for key, value in row.items() if not key.startswith("_")}


def encoded(row: Row) -> str:
    """Return a row as JSON. Raise `ValueError` for NaN and for half of a surrogate pair: no answer could carry them."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    text.encode()
    return text


def is_full(error: BaseException) -> bool:
    """Return whether an error says that there is no room: on the disk, in a quota, or in a file of limited size."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in _SQLITE_CODES
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _ERRNOS
    # safetensors gives the number in its text only; torch.save gives none.
    number = re.search(r"\(os error (\d+)\)", str(error))
    return (number is not None and int(number[1]) in _ERRNOS) or bool(re.search("file write failed|unexpected pos", str(error)))


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it on a file system without links. Raise `OSError` where there is no room."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
