"""The kinds of values in a suite file: how each is checked, named in messages, and written as JSON Schema.

The schemas keep to what drafts 4 to 7 have in common: editors of TOML differ in the draft they read.
"""

import json
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Kind(ABC):
    """What one key takes."""

    about: str = ""
    """What the key is for: a line that editors show."""
    required: bool = False
    """Whether the key has to be there."""
    default: Any = None
    """The value if it isn't."""

    @property
    @abstractmethod
    def takes(self) -> str:
        """What is valid, in words that follow `it takes`."""

    @abstractmethod
    def accepts(self, value: Any) -> bool:
        """Whether a value read from TOML is valid."""

    @abstractmethod
    def shape(self) -> Schema:
        """Return the JSON Schema of a valid value."""

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a value, or None."""
        return None if self.accepts(value) else f"it takes {self.takes}"

    def read(self, value: Any) -> Any:
        """Return a valid value in the form that the suite's dataclasses hold it."""
        return value

    def schema(self) -> Schema:
        """Return the JSON Schema with what editors show beside it."""
        about: Schema = {"description": self.about} if self.about else {}
        default: Schema = {} if self.default in (None, ()) else {"default": self.default}
        return {**about, **self.shape(), **default}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Text(Kind):
    """A text that isn't blank; one of `choices`, or of the form `pattern`, if these are given."""

    choices: tuple[str, ...] = ()
    pattern: str = ""
    words: str = "a text"
    """What it takes, in words; made of the choices if there are some."""

    @property
    def takes(self) -> str:
        """What is valid."""
        return " or ".join(map(repr, self.choices)) if self.choices else self.words

    def accepts(self, value: Any) -> bool:
        """Whether it is such a text."""
        if not isinstance(value, str) or not value.strip():
            return False
        return (not self.choices or value in self.choices) and (not self.pattern or bool(re.fullmatch(self.pattern, value)))

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a value, or None."""
        is_blank = isinstance(value, str) and not value.strip()
        return "it takes a text that is not empty" if is_blank and not self.choices else super().fault(value)

    def shape(self) -> Schema:
        """Return the schema of a text."""
        if self.choices:
            return {"type": "string", "enum": list(self.choices)}
        return {"type": "string", "pattern": f"^(?:{self.pattern})$" if self.pattern else r"\S"}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Number(Kind):
    """A finite number, a `whole` one perhaps, within bounds: at `least`, `over`, at `most`, `under`."""

    whole: bool = False
    least: float | None = None
    over: float | None = None
    most: float | None = None
    under: float | None = None

    @property
    def takes(self) -> str:
        """What is valid."""
        low = f" from {self.least:g}" if self.least is not None else f" over {self.over:g}" if self.over is not None else ""
        high = f" to {self.most:g}" if self.most is not None else f" to under {self.under:g}" if self.under is not None else ""
        return ("a whole number" if self.whole else "a number" if low or high else "a finite number") + low + high

    def accepts(self, value: Any) -> bool:
        """Whether it is such a number; a whole number will do for any."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return _is_finite(value) and not (
            (self.least is not None and value < self.least)
            or (self.over is not None and value <= self.over)
            or (self.most is not None and value > self.most)
            or (self.under is not None and value >= self.under)
        )

    def read(self, value: Any) -> Any:
        """Return the number: a float unless it is whole by its kind."""
        return value if self.whole else float(value)

    def shape(self) -> Schema:
        """Return the schema of a number. A bound that is itself not valid is one that is excluded by name."""
        schema: Schema = {"type": "integer" if self.whole else "number"}
        low, high = self.over if self.least is None else self.least, self.under if self.most is None else self.most
        schema |= {} if low is None else {"minimum": low}
        schema |= {} if high is None else {"maximum": high}
        excluded = [bound for bound in (self.over, self.under) if bound is not None]
        return schema | ({"not": {"enum": excluded}} if excluded else {})


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number beyond every float.
        return False


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Flag(Kind):
    """True or false."""

    @property
    def takes(self) -> str:
        """What is valid."""
        return "true or false"

    def accepts(self, value: Any) -> bool:
        """Whether it is one of them."""
        return isinstance(value, bool)

    def shape(self) -> Schema:
        """Return the schema of a truth value."""
        return {"type": "boolean"}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Texts(Kind):
    """A list of texts, each once."""

    default: Any = ()
    empty: bool = False

    @property
    def takes(self) -> str:
        """What is valid."""
        return "a list of texts, each once"

    def accepts(self, value: Any) -> bool:
        """Whether it is such a list, with something in it."""
        is_list = (
            isinstance(value, list) and (value or self.empty) and all(isinstance(item, str) and item.strip() for item in value)
        )
        return bool(is_list) and len(set(value)) == len(value)

    def read(self, value: Any) -> tuple[str, ...]:
        """Return them as a tuple."""
        return tuple(value)

    def shape(self) -> Schema:
        """Return the schema of such a list."""
        least: Schema = {} if self.empty else {"minItems": 1}
        return {"type": "array", "items": {"type": "string", "pattern": r"\S"}, **least, "uniqueItems": True}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Pair(Kind):
    """Two numbers."""

    @property
    def takes(self) -> str:
        """What is valid."""
        return "two numbers, the lower one first"

    def accepts(self, value: Any) -> bool:
        """Whether it is such a pair."""
        return isinstance(value, list) and len(value) == 2 and all(map(Number().accepts, value)) and value[0] < value[1]

    def read(self, value: Any) -> tuple[float, float]:
        """Return them as a tuple."""
        return float(value[0]), float(value[1])

    def shape(self) -> Schema:
        """Return the schema of such a pair."""
        return {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2, "uniqueItems": True}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Either(Kind):
    """A value of one of several kinds."""

    kinds: tuple[Kind, ...]

    @property
    def takes(self) -> str:
        """What is valid."""
        return ", or ".join(kind.takes for kind in self.kinds)

    def accepts(self, value: Any) -> bool:
        """Whether one of the kinds takes it."""
        return any(kind.accepts(value) for kind in self.kinds)

    def read(self, value: Any) -> Any:
        """Return it as the first kind that takes it does."""
        return next(kind.read(value) for kind in self.kinds if kind.accepts(value))

    def shape(self) -> Schema:
        """Return the schema of any of them."""
        return {"anyOf": [kind.shape() for kind in self.kinds]}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Json(Kind):
    """Any value that JSON has."""

    @property
    def takes(self) -> str:
        """What is valid."""
        return "what JSON has: a text, a finite number, true or false, a list or a table"

    def accepts(self, value: Any) -> bool:
        """Whether JSON can hold it."""
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            return False
        return True

    def shape(self) -> Schema:
        """Return the schema of anything."""
        return {}
