"""The lock on a suite's recordings: one session at a time writes them, and nothing outside of their folder."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from evaltape.errors import UserError
from evaltape.files import remove_unfinished
from evaltape.names import shown
from evaltape.samples.frozen import check_owner

NAME = ".recording.lock"


@contextlib.contextmanager
def locked(folder: Path, root: Path, models: Iterable[str], suite_file: Path) -> Iterator[None]:
    """Hold the `folder` of a suite's recordings, which lies in `root`, while they are written.

    Raises `UserError` if it can't be held, is another suite file's, or leads out of `root`.
    """
    from filelock import FileLock, Timeout  # Only the recorder needs it, and every replay imports this module.

    _refuse_links([folder, *(folder / key for key in models)], root)
    check_owner(folder, suite_file)
    lock = FileLock(folder / NAME)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        remove_unfinished(folder)
    except Timeout:
        raise UserError(
            f"{shown(folder)}: another session is recording this suite. Wait for its end, or give this one "
            "another folder with --cassettes"
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        yield
    finally:
        # Removed while it is held: another session that opened this file then finds it gone, and makes one of its own.
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def unwritable(folder: Path, error: OSError) -> UserError:
    """Return the error of a folder that can't be written."""
    why = error.strerror or error
    return UserError(f"{shown(folder)}: recordings can't be written here: {why}. Name another folder with --cassettes")


def _refuse_links(folders: Iterable[Path], root: Path) -> None:
    """Refuse links that lead out of `root`: a recording replaces and removes files, and a repository may bring links."""
    inside = root.resolve()
    for folder in folders:
        if not folder.resolve().is_relative_to(inside):
            raise UserError(
                f"{shown(folder)} leads out of {shown(root)}, to {folder.resolve()}. Recordings are "
                "written only inside it: remove the link, or name another folder with --cassettes"
            )
