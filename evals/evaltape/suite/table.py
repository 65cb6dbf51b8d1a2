"""One table of a suite file, read by its keys: every error names the file, the key, the value found and what is valid."""

import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from evaltape.errors import UserError
from evaltape.names import nearest, shown
from evaltape.suite.kinds import Either, Kind
from evaltape.suite.tables import Open, Section
from evaltape.text import cut, visible

LONGEST_VALUE = 80
"""How many columns of a value a message shows."""


class Table:
    """A table whose keys are known: made, it holds no other; `take` returns their values, checked.

    >>> Table(file, "dataset", {"samples": 0}, DATASET).take("samples")
    UserError: evals/suites/chats.toml: [dataset] samples = 0: it takes a whole number from 1
    """

    def __init__(self, file: Path, place: str, values: Mapping[str, Any], section: Section) -> None:
        self.file = file
        self.place = place
        self.values = values
        self.section = section
        self._refuse_unknown_keys()
        self._refuse_wrong_combinations()

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def take(self, key: str) -> Any:
        """Return the value under `key` as its kind reads it; the kind's default if the key is absent."""
        kind = self.section.keys[key]
        if key not in self.values:
            if kind.required:
                raise self.error(key, f"is missing; it takes {kind.takes}")
            return kind.default
        return self._checked(key, kind, self.values[key])

    def table(self, key: str) -> "Table | None":
        """Return the table under `key`; None if it is absent."""
        section, values = self.section.keys[key], self.take(key)
        if isinstance(section, Either):
            section = next(kind for kind in section.kinds if isinstance(kind, Section))
        assert isinstance(section, Section)
        return None if values is None else Table(self.file, self._inside(key), values, section)

    def tables(self, key: str) -> dict[str, "Table"]:
        """Return the tables that the user named under `key`."""
        open_table, entries = self.section.keys[key], self.entries(key)
        assert isinstance(open_table, Open)
        sections = {name: open_table.kind_of(name) for name in entries}
        return {
            name: Table(self.file, self._inside(f"{key}.{name}"), entries[name], section)
            for name, section in sections.items()
            if isinstance(section, Section)
        }

    def listed(self, key: str, each: Section) -> list["Table"]:
        """Return the tables of the list under `key`."""
        values = self.take(key) or ()
        return [Table(self.file, self._inside(f"{key}[{number}]"), item, each) for number, item in enumerate(values)]

    def entries(self, key: str) -> dict[str, Any]:
        """Return the entries of a table whose keys the user chooses, each checked by its kind."""
        kind, values = self.section.keys[key], self.take(key) or {}
        assert isinstance(kind, Open)
        inside = Table(self.file, self._inside(key), {}, Section(keys={}))
        for name in values:
            if name in kind.refused:
                raise inside.error(name, f"= {value_shown(values[name])}: Evaltape sends this one itself; leave it out")
        if kind.filled and not values:
            raise UserError(f"{shown(self.file)}: [{inside.place}] is empty; name at least one")
        return {name: inside._checked(name, kind.kind_of(name), value) for name, value in values.items()}

    def entries_by(self, key: str, kinds: Mapping[str, Kind]) -> dict[str, Any]:
        """Return the entries of a table under `key`, which may hold these keys alone."""
        inside = Table(self.file, self._inside(key), self.values.get(key, {}), Section(keys=kinds))
        return {name: inside.take(name) for name in kinds if name in inside}

    def error(self, key: str, what: str) -> UserError:
        """Return an error at `key` of this table."""
        place = f"[{self.place}] " if self.place else ""
        return UserError(f"{shown(self.file)}: {place}{visible(key)} {what}")

    def error_in(self, key: str, name: str, what: str) -> UserError:
        """Return an error at an entry that the user named, of the table under `key`."""
        return UserError(f"{shown(self.file)}: [{self._inside(key)}] {visible(name)} {what}")

    def _checked(self, key: str, kind: Kind, value: Any) -> Any:
        fault = kind.fault(value)
        if fault is not None:
            raise self.error(key, f"= {value_shown(value)}: {fault}")
        return kind.read(value)

    def _inside(self, key: str) -> str:
        return visible(f"{self.place}.{key}" if self.place else key)

    def _refuse_unknown_keys(self) -> None:
        for key in self.values:
            if key not in self.section.keys:
                valid = ", ".join(self.section.keys) or "no key"
                hint = nearest(key, self.section.keys)
                raise self.error(key, f"is not a key Evaltape knows.{hint} Valid here: {valid}")

    def _refuse_wrong_combinations(self) -> None:
        section, there = self.section, [key for key in self.section.one_of if key in self.values]
        if len(there) > 1:
            raise self.error(there[0], f"and {there[1]} exclude each other: keep one of {listed(section.one_of, 'and')}")
        if section.one_of and not there:
            raise self.error(listed(section.one_of, "or"), "is missing")
        if section.any_of and not any(key in self.values for key in section.any_of):
            raise self.error(listed(section.any_of, "or"), "is missing")
        for key, others in section.without.items():
            wrong = next((other for other in others if key in self.values and other in self.values), None)
            if wrong is not None:
                raise self.error(wrong, f"has no meaning beside {key}: leave one of them out")
        for key, other in section.needs.items():
            if key in self.values and other not in self.values:
                raise self.error(key, f"has no meaning without {other}")


def value_shown(value: Any) -> str:
    """Return a value of a TOML file as a message shows it: in one line, as TOML writes it, cut if it is long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return cut(repr(value), LONGEST_VALUE)


def listed(words: Iterable[str], last: str) -> str:
    """Return `a, b or c`."""
    *first, final = words
    return f"{', '.join(first)} {last} {final}" if first else final
