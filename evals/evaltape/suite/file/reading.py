"""Reads tables of a suite file into their records: every error names the file, the key, the value found and the valid ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from evaltape.errors import UserError
from evaltape.names import nearest, shown
from evaltape.suite.file.kinds import Kind, kind_of_table, listed
from evaltape.suite.file.values import Named, Rules, Table, value_shown
from evaltape.text import visible


class Place(msgspec.Struct, frozen=True):
    """A table of a suite file.

    >>> Place(file, "dataset").error("samples", "= 0: it takes a whole number from 1")
    UserError: evals/suites/chats.toml: [dataset] samples = 0: it takes a whole number from 1
    """

    file: Path
    """The suite file."""
    table: str = ""
    """The table's dotted name; empty for the file itself."""
    key: str = ""
    """The last part of the name."""

    def inside(self, *keys: str) -> "Place":
        """Return the place of a table under these keys."""
        return Place(self.file, visible(".".join([self.table, *keys] if self.table else keys)), keys[-1])

    def error(self, key: str, what: str) -> UserError:
        """Return an error at a key of this table."""
        table = f"[{self.table}] " if self.table else ""
        return UserError(f"{shown(self.file)}: {table}{visible(key)} {what}")


AnyTable = TypeVar("AnyTable", bound=Table)


def read_table(table: type[AnyTable], values: Mapping[str, Any], place: Place) -> AnyTable:
    """Return the record of a table. Raises `UserError` for the first thing that is wrong with it."""
    keys = kind_of_table(table).keys
    for name in values:
        if name not in keys:
            hint = nearest(name, keys)
            raise place.error(name, f"is not a key Evaltape knows.{hint} Valid here: {', '.join(keys) or 'no key'}")
    _check_rules(table.rules, values, place)
    read: dict[str, Any] = {"key": place.key, "suite": place.file.stem} if issubclass(table, Named) else {}
    read |= {"written": tuple(values)} if "written" in table.__struct_fields__ else {}
    for name, key in keys.items():
        if name in values:
            read[key.name] = read_value(key, name, values[name], place)
        elif key.required:
            raise place.error(name, f"is missing; it takes {key.takes}")
    return table(**read)


def read_value(kind: Kind, key: str, value: Any, place: Place) -> Any:
    """Return the value under a key of the table at a place, in the form that records hold it."""
    fault = kind.fault(value)
    if fault is not None:
        raise place.error(key, f"= {value_shown(value)}: {fault}")
    read = _read(kind, key, value, place)
    problem = kind.extra["check"](read) if "check" in kind.extra else None
    if problem is not None:
        raise place.error(key, problem)
    return kind.extra["make"](read) if "make" in kind.extra else read


def _read(kind: Kind, key: str, value: Any, place: Place) -> Any:
    if kind.table is not None:
        return read_table(kind.table, value, place.inside(key))
    match kind.declared:
        case inspect.UnionType():
            return read_value(next(member for member in kind.members if member.accepts(value)), key, value, place)
        case inspect.DictType(min_length=least):
            return _entries(kind, value, place.inside(key), is_filled=bool(least))
        case inspect.VarTupleType() if kind.item.table:
            return tuple(read_value(kind.item, f"{key}[{number}]", item, place) for number, item in enumerate(value))
        case inspect.VarTupleType():
            return tuple(value)
        case inspect.TupleType():
            return tuple(map(float, value))
        case inspect.FloatType():
            return float(value)
        case inspect.CustomType():
            return place.file.parent / value
    return value


def _entries(kind: Kind, values: Mapping[str, Any], place: Place, is_filled: bool) -> dict[str, Any]:
    """Return the entries of a table with the user's own keys."""
    problem_of = kind.extra.get("entry", lambda name, value: None)
    for name, value in values.items():
        if name in kind.extra.get("refused", ()):
            raise place.error(name, f"= {value_shown(value)}: Evaltape sends this one itself; leave it out")
        problem = problem_of(name, value)
        if problem is not None:
            raise place.error(name, problem)
    if is_filled and not values:
        raise UserError(f"{shown(place.file)}: [{place.table}] is empty; name at least one")
    return {name: read_value(kind.value_of(name), name, value, place) for name, value in values.items()}


def _check_rules(rules: Rules, values: Mapping[str, Any], place: Place) -> None:
    there = [name for name in rules.one_of if name in values]
    if len(there) > 1:
        raise place.error(there[0], f"and {there[1]} exclude each other: keep one of {listed(rules.one_of, 'and')}")
    for names in (rules.one_of, rules.any_of):
        if names and not any(name in values for name in names):
            raise place.error(listed(names, "or"), "is missing")
    for name, other in rules.apart:
        if name in values and other in values:
            raise place.error(other, f"has no meaning beside {name}: leave one of them out")
    for name, other in rules.needs:
        if name in values and other not in values:
            raise place.error(name, f"has no meaning without {other}")
