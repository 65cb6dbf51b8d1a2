"""Places in a suite file, and the errors that name them."""

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.text import cut, visible

LONGEST_VALUE = 80
"""How many columns of a value a message shows."""


class Place(msgspec.Struct, frozen=True):
    """A table of a suite file.

    >>> Place(file, "dataset").error("samples", "= 0: it takes a whole number from 1")
    UserError: evals/suites/chats.toml: [dataset] samples = 0: it takes a whole number from 1
    """

    file: Path
    """The suite file."""
    table: str = ""
    """The table's dotted name; empty for the file itself."""

    def inside(self, *keys: str) -> "Place":
        """Return the place of a table under these keys."""
        return Place(self.file, visible(".".join([self.table, *keys] if self.table else keys)))

    def error(self, key: str, what: str) -> UserError:
        """Return an error at a key of this table."""
        table = f"[{self.table}] " if self.table else ""
        return UserError(f"{shown(self.file)}: {table}{visible(key)} {what}")

    def empty(self) -> UserError:
        """Return the error of a table that names nothing."""
        return UserError(f"{shown(self.file)}: [{self.table}] is empty; name at least one")


def value_shown(value: Any) -> str:
    """Return a value of a TOML file as a message shows it: in one line, as TOML writes it, cut if it is long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    try:
        return cut(repr(value), LONGEST_VALUE)
    except (RecursionError, ValueError):  # Nested too deeply, or a number of too many digits.
        return "..."


def listed(words: Iterable[str], last: str) -> str:
    """Return `a, b or c`."""
    *first, final = words
    return f"{', '.join(first)} {last} {final}" if first else final
