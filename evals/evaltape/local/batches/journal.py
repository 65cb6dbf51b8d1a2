"""The answers of a batch under way, a line each, as its output file will hold them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Journal:
    """An append-only file. A process that is killed leaves at worst half a line, which the next start cuts off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.answered: set[str] = set()
        """The `custom_id` of every line."""
        self.failed = 0
        """How many of them are errors."""
        self._end = 0
        if path.exists():
            self._read()

    def add(self, line: Line) -> None:
        """Append a line, whole or not at all."""
        text = json.dumps(line).encode() + b"\n"
        with self._path.open("ab") as file:
            file.truncate(self._end)
            file.write(text)
        self._end += len(text)
        self._count(line)

    def lines(self, *, failed: bool) -> Iterator[bytes]:
        """Yield the answers, or the errors."""
        if self._path.exists():
            with self._path.open("rb") as file:
                yield from (line for line in file if is_failed(json.loads(line)) == failed)

    def _read(self) -> None:
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._end += len(line)
                self._count(json.loads(line))

    def _count(self, line: Line) -> None:
        self.answered.add(line["custom_id"])
        self.failed += is_failed(line)


def is_failed(line: Line) -> bool:
    """Return whether a line belongs into the error file."""
    return line["error"] is not None or line["response"]["status_code"] != 200
