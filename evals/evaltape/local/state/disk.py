"""A full disk: how it shows in errors, and a reserve of space with which deleting still works."""

import contextlib
import errno
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# SQLite reports a quota and a file that may not grow as write errors.
_SQLITE_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
RESERVE_BYTES = 2**20


def is_full(error: BaseException) -> bool:
    """Return whether an error says that there is no room: on the disk, in a quota, or in a file of limited size."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in _SQLITE_CODES
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _ERRNOS
    # safetensors passes the number on in the text only, and torch.save doesn't name it.
    number = re.search(r"\(os error (\d+)\)", str(error))
    return (number is not None and int(number[1]) in _ERRNOS) or re.search(
        "file write failed|unexpected pos", str(error)
    ) is not None


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


class Reserve:
    """A file that keeps some space, to be lent to writes that lead to more: deleting a row needs space first."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def restore(self) -> None:
        """Take the space, if it isn't taken and there is some."""
        if self._path.exists():
            return
        try:
            # Random, so that no file system saves it in less.
            self._path.write_bytes(os.urandom(RESERVE_BYTES))
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Give the space up for a while."""
        self._path.unlink(missing_ok=True)
        try:
            yield
        finally:
            self.restore()
