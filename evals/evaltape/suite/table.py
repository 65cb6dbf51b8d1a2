"""Reads one TOML table key by key, so that every mistake is told with its file, key, value and what is valid."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaltape.errors import UserError
from evaltape.names import nearest, shown

_REQUIRED = object()
_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "a table", list: "a list"}


class Table:
    """A table of the suite file: `take` its keys, then `close` it, which refuses what nobody took."""

    def __init__(self, file: Path, key: str, values: Mapping[str, Any]) -> None:
        self.file = file
        self.key = key
        self.values = values
        self._taken: dict[str, None] = {}

    def take(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        """The value under `key`, of type `kind` (an int will do for a float); `default` where the key is absent."""
        self._taken[key] = None
        if key not in self.values:
            if default is _REQUIRED:
                raise self.error(key, "is missing; it takes " + _NAMES[kind])
            return default
        value = self.values[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(key, f"= {value!r}: it takes {_NAMES[kind]}")
        if isinstance(value, str) and not value.strip():
            raise self.error(key, "= '': it takes a text that is not empty")
        return value

    def table(self, key: str, required: bool = False) -> "Table":
        """The table under `key`; an empty one where it is absent and not `required`."""
        values = self.take(key, dict, _REQUIRED if required else {})
        return Table(self.file, f"{self.key}.{key}" if self.key else key, values)

    def close(self) -> None:
        """Refuse keys that nobody took, naming the nearest valid one."""
        for key in self.values:
            if key not in self._taken:
                valid = ", ".join(self._taken)
                raise self.error(key, f"is not a key Evaltape knows.{nearest(key, self._taken)} Valid here: {valid}")

    def error(self, key: str, what: str) -> UserError:
        """A mistake at `key` of this table."""
        place = f"[{self.key}] " if self.key else ""
        return UserError(f"{shown(self.file)}: {place}{key} {what}")
