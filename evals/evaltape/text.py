"""Texts of people and models, made fit for a line of a terminal or a cell of a Markdown table: always data."""

import re
import textwrap
import unicodedata
from collections.abc import Sequence

_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"
"""Format characters that only shape what stands beside them, as in emoji and Persian."""
_MARKS = re.compile(r"[-!#$&*+.:<>@\[\\\]^_`{|}~]")
"""Whatever means something to Markdown, HTML or GitHub, in any place."""


def visible(text: str) -> str:
    r"""The text in one line, with every control, escape and bidirectional character as `\n`, `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in _INVISIBLE and character not in _JOINERS
    return character.encode("unicode-escape").decode() if hidden else character


def columns(text: str) -> int:
    """How many columns of a terminal a visible text takes."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """The visible text, cut to `width` columns; `...` says so."""
    text = visible(text)
    if columns(text) <= width:
        return text
    kept, left = [], max(0, width - 3)
    for character in text:
        left -= _columns(character)
        if left < 0:
            break
        kept.append(character)
    return ("".join(kept).rstrip() + "...")[: max(width, 0)]


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """The visible text in lines of at most `width` columns where its words allow; all but the first are indented."""
    return textwrap.wrap(visible(text), width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def markdown(text: str, longest: int | None = None) -> str:
    """The visible text as Markdown that shows exactly it: no mark-up, link, mention or HTML comes of it."""
    text = visible(text)
    if longest is not None and len(text) > longest:
        text = text[: longest - 3] + "..."
    return _MARKS.sub(lambda found: f"&#{ord(found[0])};", text)


def split_command(text: str) -> tuple[str, str | None]:
    """Return a message without the command that it ends with, and the command; None if it ends with none.

    >>> split_command("t2.yaml: there is no such recording. Record it: pytest evals --record-missing")
    ('t2.yaml: there is no such recording', 'pytest evals --record-missing')
    """
    before, colon, command = text.partition(" (costs ")[0].rpartition(": pytest ")
    return (before.rpartition(". ")[0] or before, f"pytest {command}") if colon else (text, None)


def counted(number: int, noun: str) -> str:
    """`1 sample`, `2 samples`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(items: Sequence[object], most: int = 3) -> str:
    """`a, b, c, ...`: the first items, in one line of visible text."""
    return ", ".join(visible(str(item)) for item in items[:most]) + (", ..." if len(items) > most else "")


def usd(amount: float) -> str:
    """An amount of money: two decimals from ten dollars, four below, and never 0 for what is not."""
    if amount >= 10 or amount == 0:
        return f"${amount:,.2f}"
    return f"${amount:.4f}" if amount >= 0.0001 else "under $0.0001"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min {whole % 60:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
