"""The kinds of values that the declared types stand for: valid values, the words of messages, and the JSON Schema.

The schemas keep to the common part of drafts 4 to 7: editors of TOML differ in the draft they read.
"""

import json
import math
import re
from collections.abc import Iterable
from functools import cache, cached_property
from operator import ge, gt, le, lt
from typing import Any

import msgspec
from msgspec import inspect

from evaltape.suite.file.values import MOST, Table

Schema = dict[str, Any]
MOST_LEVELS = 64
"""How deep values of the user's own may be nested: all that read JSON read this."""


class Kind(msgspec.Struct, frozen=True, dict=True):
    """A declared type."""

    declared: inspect.Type
    """Without None, which stands for an absent key."""
    about: str = ""
    """The description of the key."""
    extra: dict[str, Any] = {}
    """Rules that msgspec has no word for: `takes`, `check`, `make`, `known`, `refused`, `entry`."""
    name: str = ""
    """Of a key: the field of the record that holds its value."""
    required: bool = False
    default: str | int | float | None = None
    """The value where the key is absent, if it can be shown."""

    @property
    def takes(self) -> str:
        """The valid values, in words that follow `it takes`."""
        if "takes" in self.extra:
            return str(self.extra["takes"])
        match self.declared:
            case inspect.LiteralType(values=values):
                return listed(map(repr, values), "or")
            case inspect.BoolType():
                return "true or false"
            case inspect.IntType() | inspect.FloatType() as number:
                return range_of(number)
            case inspect.VarTupleType():
                return "a list of tables" if self.item.table else "a list of texts, each once"
            case inspect.DictType() | inspect.StructType():
                return "a table"
            case inspect.UnionType():
                return ", or ".join(kind.takes for kind in self.members)
            case inspect.AnyType():
                return f"what JSON has, at most {MOST_LEVELS} levels deep: texts, finite numbers, true or false, lists, tables"
            case inspect.CustomType():
                return "a file's path"
        return "a text"

    @cached_property
    def members(self) -> "list[Kind]":
        """The kinds that a value may have; itself if it is the only kind."""
        return [kind_of(member) for member in self.declared.types] if isinstance(self.declared, inspect.UnionType) else [self]

    @cached_property
    def item(self) -> "Kind":
        """The kind of each value of a list, or of a table with the user's own keys."""
        assert isinstance(self.declared, inspect.VarTupleType | inspect.DictType)
        return kind_of(self.declared.item_type if isinstance(self.declared, inspect.VarTupleType) else self.declared.value_type)

    @property
    def table(self) -> type[Table] | None:
        """The class of a table with keys of ours."""
        if isinstance(self.declared, inspect.StructType) and issubclass(self.declared.cls, Table):
            return self.declared.cls
        return None

    @cached_property
    def keys(self) -> "dict[str, Kind]":
        """The keys of such a table by name, required keys first."""
        assert isinstance(self.declared, inspect.StructType)
        fields = [field for field in self.declared.fields if isinstance(field.type, inspect.Metadata)]
        fields.sort(key=lambda field: not field.required)
        return {field.encode_name: _of_key(field) for field in fields}

    def value_of(self, name: str) -> "Kind":
        """Return the kind of the value under a key of the user's own."""
        known = self.extra.get("known", {})
        return kind_of_table(known[name]) if name in known else self.item

    def fault(self, value: Any) -> str | None:
        """Return the fault of a value, or None; the reader checks the values inside a table."""
        if self.accepts(value):
            return None
        if isinstance(value, str) and not value.strip() and isinstance(self.declared, inspect.StrType):
            return "it takes a text that is not empty"
        is_huge = isinstance(value, int | float) and MOST < abs(value) < math.inf
        return f"it takes {self.takes}" + (f"; the largest number anywhere is {MOST:,.0f}" if is_huge else "")

    def accepts(self, value: Any) -> bool:
        """Whether a value read from TOML is valid."""
        match self.declared:
            case inspect.StrType(pattern=pattern):
                return isinstance(value, str) and bool(value.strip()) and re.search(pattern or "", value) is not None
            case inspect.CustomType():  # A path.
                return isinstance(value, str) and bool(value.strip())
            case inspect.LiteralType(values=values):
                return isinstance(value, str) and value in values
            case inspect.BoolType():
                return isinstance(value, bool)
            case inspect.IntType() | inspect.FloatType() as number:
                return is_number(number, value)
            case inspect.VarTupleType(min_length=least):
                if not isinstance(value, list) or len(value) < (least or 0) or not all(map(self.item.accepts, value)):
                    return False
                return self.item.table is not None or len(set(value)) == len(value)
            case inspect.TupleType(item_types=types):
                if not isinstance(value, list) or len(value) != len(types):
                    return False
                return all(kind_of(each).accepts(it) for each, it in zip(types, value, strict=True)) and value[0] < value[1]
            case inspect.DictType() | inspect.StructType():
                return isinstance(value, dict)
            case inspect.UnionType():
                return any(kind.accepts(value) for kind in self.members)
        return _is_json(value)

    def schema(self) -> Schema:
        """Return the JSON Schema of a valid value, with the description that editors show."""
        about: Schema = {"description": self.about} if self.about else {}
        return about | self._shape() | ({} if self.default is None else {"default": self.default})

    def _shape(self) -> Schema:
        match self.declared:
            case inspect.StrType(pattern=pattern):
                return {"type": "string", "pattern": pattern}
            case inspect.CustomType():
                return {"type": "string", "pattern": r"\S"}
            case inspect.LiteralType(values=values):
                return {"type": "string", "enum": list(values)}
            case inspect.BoolType():
                return {"type": "boolean"}
            case inspect.IntType() | inspect.FloatType() as number:
                return number_shape(number)
            case inspect.VarTupleType(min_length=least):
                many: Schema = {"type": "array", "items": self.item.schema(), **({"minItems": least} if least else {})}
                return many if self.item.table else many | {"uniqueItems": True}
            case inspect.TupleType(item_types=types):
                return {"type": "array", "items": kind_of(types[0]).schema(), "minItems": len(types), "maxItems": len(types)}
            case inspect.DictType(min_length=least):
                known = {name: self.value_of(name).schema() for name in self.extra.get("known", {})}
                known |= {name: {"not": {}} for name in self.extra.get("refused", ())}
                shape: Schema = {"type": "object", "additionalProperties": self.item.schema()}
                return shape | ({"properties": known} if known else {}) | ({"minProperties": least} if least else {})
            case inspect.StructType():
                return self._table_shape(self.table or Table)
            case inspect.UnionType():
                return {"anyOf": [kind.schema() for kind in self.members]}
        return {}

    def _table_shape(self, table: type[Table]) -> Schema:
        rules = table.rules
        shape: Schema = {"type": "object", "additionalProperties": False}
        shape["properties"] = {name: key.schema() for name, key in self.keys.items()}
        required = [name for name, key in self.keys.items() if key.required]
        shape |= {"required": required} if required else {}
        shape |= {"oneOf": [{"required": [name]} for name in rules.one_of]} if rules.one_of else {}
        shape |= {"anyOf": [{"required": [name]} for name in rules.any_of]} if rules.any_of else {}
        shape |= {"dependencies": {name: [other] for name, other in rules.needs}} if rules.needs else {}
        return shape | ({"allOf": [{"not": {"required": list(pair)}} for pair in rules.apart]} if rules.apart else {})


def kind_of(declared: inspect.Type) -> Kind:
    """Return the kind of a declared type; of several descriptions the outermost counts."""
    about, extra = "", dict[str, Any]()
    while isinstance(declared, inspect.Metadata | inspect.UnionType):
        if isinstance(declared, inspect.Metadata):
            about = about or (declared.extra_json_schema or {}).get("description", "")
            extra = {**(declared.extra or {}), **extra}
            declared = declared.type
            continue
        left = tuple(member for member in declared.types if not isinstance(member, inspect.NoneType))
        if len(left) > 1:
            declared = inspect.UnionType(left)
            break
        declared = left[0]
    if "reads" in extra:
        read = kind_of(inspect.type_info(extra.pop("reads")))
        return Kind(read.declared, about, {**read.extra, **extra})
    if not about and isinstance(declared, inspect.StructType):
        about = (declared.cls.__doc__ or "").split("\n")[0]
    return Kind(declared, about, extra)


def _of_key(field: inspect.Field) -> Kind:
    default = field.default if isinstance(field.default, str | int | float) and field.default != "" else None
    return msgspec.structs.replace(kind_of(field.type), name=field.name, required=field.required, default=default)


@cache
def kind_of_table(table: type[Table]) -> Kind:
    """Return the kind of a table. It is made once, with the kinds of all that is inside it: they take milliseconds."""
    return kind_of(inspect.type_info(table))


def keys_of(table: type[Table]) -> dict[str, Kind]:
    """Return the keys of a table by name, required keys first."""
    return kind_of_table(table).keys


def listed(words: Iterable[str], last: str) -> str:
    """Return `a, b or c`."""
    *first, final = words
    return f"{', '.join(first)} {last} {final}" if first else final


def _is_json(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_LEVELS):
        lists = [it.values() if isinstance(it, dict) else it for it in level if isinstance(it, dict | list)]
        level = [inner for values in lists for inner in values]
    if level:
        return False
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


Numeric = inspect.IntType | inspect.FloatType


def range_of(number: Numeric) -> str:
    """Return `a whole number from 1`; a limit that only keeps sums finite isn't told."""
    low = "" if number.ge is None or number.ge <= -MOST else f" from {number.ge:,}"
    low = low if number.gt is None else f" over {number.gt:,}"
    high = "" if number.le is None or number.le >= MOST else f" to {number.le:,}"
    high = high if number.lt is None else f" to under {number.lt:,}"
    name = "a whole number" if isinstance(number, inspect.IntType) else "a number" if low or high else "a finite number"
    return name + low + high


def is_number(number: Numeric, value: Any) -> bool:
    """Whether it is such a number; a whole number will do for any. Each kind has a least number, which NaN isn't."""
    if isinstance(value, bool) or not isinstance(value, int if isinstance(number, inspect.IntType) else int | float):
        return False
    limits = ((ge, number.ge), (gt, number.gt), (le, number.le), (lt, number.lt))
    return all(limit is None or holds(value, limit) for holds, limit in limits)


def number_shape(number: Numeric) -> dict[str, Any]:
    """Return the schema of a number. A limit that is itself not valid is excluded by name."""
    schema: dict[str, Any] = {"type": "integer" if isinstance(number, inspect.IntType) else "number"}
    low, high = number.gt if number.ge is None else number.ge, number.lt if number.le is None else number.le
    schema |= {} if low is None else {"minimum": low}
    schema |= {} if high is None else {"maximum": high}
    excluded = [limit for limit in (number.gt, number.lt) if limit is not None]
    return schema | ({"not": {"enum": excluded}} if excluded else {})
