"""Files that clients upload or jobs yield: content in a folder, a row for each in the database."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from evaltape.local.ids import new_id
from evaltape.local.state.database import Database, Row
from evaltape.local.state.disk import remove


class Files:
    """The stored files. One that has expired is not there, and is removed when files are next listed or added.

    A row is written after its content and removed before it, so a process killed at any moment leaves at worst content
    without a row, which the next start removes. Ids come from here: a name from outside is never part of a path.
    """

    def __init__(self, folder: Path, database: Database, clock: Callable[[], float]) -> None:
        self._folder, self._database, self._clock = folder, database, clock
        known = {row["id"] for row in self.all()}
        for path in folder.iterdir():
            if path.name not in known:
                remove(path)

    def add(self, filename: str, purpose: str, content: Iterable[bytes], *, expires_after_s: int | None = None) -> Row:
        """Store a file whole, then its row."""
        self.all()
        row = self.store_content(filename, purpose, content, expires_after_s=expires_after_s)
        try:
            return self._database.add("files", row)
        except BaseException:
            remove(self.path(row["id"]))
            raise

    def store_content(
        self, filename: str, purpose: str, content: Iterable[bytes], *, expires_after_s: int | None = None
    ) -> Row:
        """Store a file's content, and return the row that is yet to be added."""
        name, created = new_id("file-"), int(self._clock())
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
        row = self._database.get("files", name)
        return None if row is None or self._has_expired(row) else row

    def all(self, *, newest_first: bool = False) -> list[Row]:
        """Return the rows of all files, in the order they were stored; remove those that have expired."""
        rows = self._database.rows("files", newest_first=newest_first)
        for row in filter(self._has_expired, rows):
            self._remove(row["id"])
        return [row for row in rows if not self._has_expired(row)]

    def path(self, name: str) -> Path:
        """Return the place of a stored file's content."""
        return self._folder / name

    def open(self, name: str) -> BinaryIO | None:
        """Open a file's content, or return None if there is no such file."""
        row = self.get(name)
        try:
            return self.path(row["id"]).open("rb") if row else None
        except FileNotFoundError:  # deleted just now
            return None

    def delete(self, name: str) -> bool:
        """Remove a file, on a full disk too; return whether there was one."""
        return self.get(name) is not None and self._remove(name)

    def _remove(self, name: str) -> bool:
        existed = self._database.delete("files", name)
        remove(self.path(name))
        return existed

    def _has_expired(self, row: Row) -> bool:
        return row["expires_at"] is not None and bool(row["expires_at"] <= self._clock())
