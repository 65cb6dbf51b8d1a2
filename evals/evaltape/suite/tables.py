"""The kinds of tables in a suite file, made of the kinds of values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evaltape.suite.kinds import Kind, Schema


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Open(Kind):
    """A table whose keys the user chooses."""

    other: Kind
    """What they take."""
    known: Mapping[str, Kind] = field(default_factory=dict)
    """What certain keys take instead."""
    refused: tuple[str, ...] = ()
    """Keys that are never valid."""
    filled: bool = False
    """Whether it has to hold something."""

    @property
    def takes(self) -> str:
        """What is valid."""
        return "a table"

    def accepts(self, value: Any) -> bool:
        """Whether it is a table; its values are checked one by one."""
        return isinstance(value, dict)

    def kind_of(self, key: str) -> Kind:
        """Return what a key takes."""
        return self.known.get(key, self.other)

    def shape(self) -> Schema:
        """Return the schema of such a table."""
        known = {key: kind.schema() for key, kind in self.known.items()}
        refused: Schema = {key: {"not": {}} for key in self.refused}
        schema: Schema = {"type": "object", "additionalProperties": self.other.schema()}
        schema |= {"properties": known | refused} if known or refused else {}
        return schema | ({"minProperties": 1} if self.filled else {})


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Section(Kind):
    """A table with these keys and no others."""

    keys: Mapping[str, Kind]
    one_of: tuple[str, ...] = ()
    """Exactly one of these keys has to be there."""
    any_of: tuple[str, ...] = ()
    """At least one of these keys has to be there."""
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For a key those that can't stand beside it."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """For a key the one that it has no meaning without."""

    @property
    def takes(self) -> str:
        """What is valid."""
        return "a table"

    def accepts(self, value: Any) -> bool:
        """Whether it is a table; its values are checked one by one."""
        return isinstance(value, dict)

    def shape(self) -> Schema:
        """Return the schema of such a table."""
        schema: Schema = {"type": "object", "additionalProperties": False}
        schema["properties"] = {key: kind.schema() for key, kind in self.keys.items()}
        required = [key for key, kind in self.keys.items() if kind.required]
        schema |= {"required": required} if required else {}
        schema |= {"oneOf": [{"required": [key]} for key in self.one_of]} if self.one_of else {}
        schema |= {"anyOf": [{"required": [key]} for key in self.any_of]} if self.any_of else {}
        apart = [{"not": {"required": [key, other]}} for key, others in self.without.items() for other in others]
        schema |= {"dependencies": {key: [other] for key, other in self.needs.items()}} if self.needs else {}
        return schema | ({"allOf": apart} if apart else {})


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Sections(Kind):
    """A list of tables."""

    each: Section

    @property
    def takes(self) -> str:
        """What is valid."""
        return "a list of tables"

    def accepts(self, value: Any) -> bool:
        """Whether it is such a list, with something in it."""
        return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)

    def shape(self) -> Schema:
        """Return the schema of such a list."""
        return {"type": "array", "items": self.each.schema(), "minItems": 1}
