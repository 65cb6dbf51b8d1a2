"""Tables of a suite file, and the kinds of values that several of their keys take."""

import datetime
import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from evaltape.names import is_safe_key
from evaltape.text import cut

FUNCTION = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
"""`module:function`."""
MOST_USD = 1_000_000
"""The greatest price: a dollar a token."""
MOST = 1e15
"""The greatest number anywhere: no rounding, and no sum over samples that is infinite."""
LONGEST_VALUE = 80
"""How many columns of a value a message shows."""


def key(about: str) -> Meta:
    """Describe a key, for editors and for the tables of keys."""
    return Meta(description=about)


def text(takes: str, pattern: str = r"\S") -> Meta:
    """Bound a text: `takes` are the words that follow `it takes`, `pattern` is searched."""
    return Meta(pattern=pattern, extra={"takes": takes})


def checked(problem: Callable[[Any], str | None]) -> Meta:
    """Let a function find what is wrong with a value, in words that follow its key; None for a valid value."""
    return Meta(extra={"check": problem})


def reads(kind: Any, make: Callable[[Any], Any] = lambda value: value, **extra: Any) -> Meta:
    """Let a key take other values than its record holds: values of a `kind`, of which `make` makes the record's."""
    return Meta(extra={"reads": kind, "make": make, **extra})


def value_shown(value: Any) -> str:
    """Return a value of a TOML file as a message shows it: in a single line, as TOML writes it, cut if it is long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    try:
        return cut(repr(value), LONGEST_VALUE)
    except (RecursionError, ValueError):  # Nested too deeply, or a number of too many digits.
        return "..."


def key_problem(name: str, _: Any = None) -> str | None:
    """Return why a key of the user's can't be part of a test id and name a folder; None if it can."""
    return None if is_safe_key(name) else "can't be a test id and a folder's name; use letters, digits, _, - and ."


def _regex_problem(pattern: str) -> str | None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"= {value_shown(pattern)}: not a regular expression: {error}"
    return None


class Rules(msgspec.Struct, frozen=True):
    """Which keys of a table go together."""

    one_of: tuple[str, ...] = ()
    """Exactly one of these keys is required."""
    any_of: tuple[str, ...] = ()
    """Any of these keys is required; several are allowed."""
    apart: tuple[tuple[str, str], ...] = ()
    """Pairs of keys of which the second has no meaning beside the first."""
    needs: tuple[tuple[str, str], ...] = ()
    """Pairs of keys of which the first has no meaning without the second."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the suite file: its fields with a `key(...)` are the keys, and no others are valid."""

    rules: ClassVar[Rules] = Rules()


class Named(Table, frozen=True, kw_only=False):
    """A table under a key of the user's own."""

    key: str = ""
    """Its key in the suite: part of test ids, and of models, jobs and judges the name of a folder."""
    suite: str = ""
    """The name of its suite."""


Text = Annotated[str, text("a text")]
Column = Annotated[str, text("a column's name")]
Function = Annotated[str, text("'module:function'", f"^(?:{FUNCTION})$")]
Regex = Annotated[Text, checked(_regex_problem)]
Texts = Annotated[tuple[Text, ...], Meta(min_length=1)]
Number = Annotated[float, Meta(ge=-MOST, le=MOST)]
Positive = Annotated[float, Meta(gt=0, le=MOST)]
Drop = Annotated[float, Meta(ge=0, le=MOST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=int(MOST))]
Whole = Annotated[int, Meta(ge=0, le=int(MOST))]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Usd = Annotated[float, Meta(ge=0, le=MOST_USD)]
Limit = Annotated[float, reads(Number | Literal["omit"])]
Setting = bool | Integer | Number | Text
Json = dict[str, Any]
"""A table of any JSON values."""
SAFE = Meta(extra={"entry": key_problem})
"""The keys of a table are the user's own, and have to be safe."""
