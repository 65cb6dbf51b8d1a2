"""The kinds of values that several keys take, and the words that messages have for them."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

FUNCTION = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
"""`module:function`."""
MOST_USD = 1_000_000
"""The greatest price: a dollar a token."""
MOST = 1e15
"""The greatest number anywhere: no rounding, and no sum over samples that is infinite."""


def key(about: str) -> Meta:
    """Describe a key, for editors and for the tables of keys."""
    return Meta(description=about)


def text(takes: str, pattern: str = r"\S") -> Meta:
    """Bound a text: `takes` are the words that follow `it takes`, `pattern` is searched."""
    return Meta(pattern=pattern, extra={"takes": takes})


class Rules(msgspec.Struct, frozen=True):
    """Which keys of a table go together."""

    one_of: tuple[str, ...] = ()
    """Exactly one of these keys has to be there."""
    any_of: tuple[str, ...] = ()
    """At least one of these keys has to be there."""
    apart: tuple[tuple[str, str], ...] = ()
    """Pairs of keys of which the second has no meaning beside the first."""
    needs: tuple[tuple[str, str], ...] = ()
    """Pairs of keys of which the first has no meaning without the second."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the suite file: its fields are the keys, and no others are valid."""

    rules: ClassVar[Rules] = Rules()


Text = Annotated[str, text("a text")]
Column = Annotated[str, text("a column's name")]
Function = Annotated[str, text("'module:function'", f"^(?:{FUNCTION})$")]
Texts = Annotated[tuple[Text, ...], Meta(min_length=1)]
Number = Annotated[float, Meta(ge=-MOST, le=MOST)]
Positive = Annotated[float, Meta(gt=0, le=MOST)]
Drop = Annotated[float, Meta(ge=0, le=MOST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=int(MOST))]
Whole = Annotated[int, Meta(ge=0, le=int(MOST))]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Usd = Annotated[float, Meta(ge=0, le=MOST_USD)]
Gates = dict[str, Number | Literal["omit"]]
Setting = bool | Integer | Number | Text
Json = dict[str, Any]
"""A table of any JSON values."""
