"""The state folder: one service's files, jobs and tuned models."""

import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from evaltape.errors import UserError
from evaltape.local.state.database import Database
from evaltape.local.state.disk import Reserve, remove
from evaltape.local.state.files import Files

FOLDERS = ("files", "jobs", "batches", "models", "weights")


class Store:
    """An open state folder: `database`, `files`, and folders for jobs, tuned models and converted weights.

    A second process on the same folder is refused. What no row names is removed from the folders when it is opened.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.clock = folder, clock
        try:
            self._check_ownership()
            for name in FOLDERS:
                (folder / name).mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._lock = FileLock(folder / "lock", blocking=False, thread_local=False)
            self._lock.acquire()
        except Timeout:
            message = f"--state {folder}: another service is using it. Stop that one, or choose another folder"
            raise UserError(message) from None
        except OSError as error:
            raise UserError(f"--state {folder}: can't be used ({error.strerror or error})") from None
        try:
            self.database = Database(folder / "state.db", Reserve(folder / "reserve"))
        except BaseException:
            self._lock.release()
            raise
        self.files = Files(folder / "files", self.database, clock)
        self._remove_unknown_models()

    def close(self) -> None:
        """Let go of the folder."""
        self.database.close()
        self._lock.release()

    def model_folder(self, name: str) -> Path:
        """Return the folder of a tuned model's adapter, by the name its row gives."""
        return self.folder / "models" / name

    def job_folder(self, job: str) -> Path:
        """Return the folder in which a job works until it has ended."""
        return self.folder / "jobs" / job

    def batch_folder(self, batch: str) -> Path:
        """Return the folder in which a batch works until it has ended."""
        return self.folder / "batches" / batch

    def _check_ownership(self) -> None:
        """Refuse a folder of something else: what isn't known here would be removed from it."""
        if (self.folder / "state.db").exists():
            return
        for name in FOLDERS:
            if (self.folder / name).exists() and (not (self.folder / name).is_dir() or any((self.folder / name).iterdir())):
                raise UserError(
                    f"--state {self.folder}: not a state folder of this service: it has '{name}', but no state.db. "
                    "Choose a new or an empty folder"
                )

    def _remove_unknown_models(self) -> None:
        known = {row["folder"] for row in self.database.rows("models")}
        for path in (self.folder / "models").iterdir():
            if path.name not in known:
                remove(path)
