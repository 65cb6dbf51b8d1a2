"""Texts of people and models, made fit for a line of a terminal or a cell of a Markdown table: always data.

GitHub reads both. A line of a job's log may be a command to the runner (`::error::`, `##[add-mask]`), and a comment's text,
once its entities are undone, may mention a person or link to an issue, a commit or an address.
"""

import re
import textwrap
import unicodedata
from collections.abc import Sequence

_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"
"""Format characters that only shape their neighbours, as in emoji and Persian."""
_ENTITIES = {ord(mark): f"&#{ord(mark)};" for mark in r"-!#$&*+.:<>@[\]^_`{|}~"}
"""Characters that mean something to Markdown or HTML in any place, with the entities that stand for them."""
_COMMANDS = re.compile(r"(?:\A|(?<=[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]))\s*::|##\[")
"""Where a runner of GitHub Actions begins to read a command: at the start of a line, or anywhere in it."""
_LIVE = re.compile(r"(?<=@)(?=[0-9A-Za-z])|(?<=#)(?=\d)|(?<=[Gg][Hh]-)(?=\d)|(?<=:)(?=//|[\w+-]+:)|(?<=[Ww]{3})(?=\.)")
"""Parts of texts that GitHub makes links and pictures of: `@name`, `#1`, `GH-1`, `https://`, `:tada:`, `www.`."""
_HASH = re.compile(r"(?<![0-9A-Za-z_])[0-9a-fA-F]{7,64}(?![0-9A-Za-z_])")
"""A word that may name a commit; GitHub takes seven digits for a commit."""
_JOINER = "\u2060"
"""Shows nothing, and breaks no line."""


def visible(text: str) -> str:
    r"""The text in a single line, with every control, escape and bidirectional character as `\n`, `\x1b`, `\u202e`.

    A command to a runner of GitHub Actions becomes plain text.
    """
    return without_commands(one_line(text))


def one_line(text: str) -> str:
    """Likewise, for a reader that takes no commands: a page, a comment."""
    if text.isprintable():
        return text
    hidden = (unicodedata.category(it) in _INVISIBLE and it not in _JOINERS for it in text)
    return "".join(it.encode("unicode-escape").decode() if hide else it for it, hide in zip(text, hidden, strict=True))


def without_commands(text: str) -> str:
    r"""Lines in which no runner reads a command: the last character of its sign is escaped.

    >>> without_commands("::error::x")
    ':\\x3aerror::x'
    """
    return _COMMANDS.sub(lambda found: f"{found[0][:-1]}\\x{ord(found[0][-1]):02x}", text)


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
    lines = textwrap.wrap(visible(text), width, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return [without_commands(line) for line in lines]


def markdown(text: str, longest: int | None = None) -> str:
    """The visible text as Markdown that shows exactly it: no mark-up, link, mention or HTML comes of it.

    Entities stop Markdown. GitHub looks for mentions and links once they are undone, so these hold a character that is unseen.
    """
    text = one_line(text)
    if longest is not None and len(text) > longest:
        text = text[: longest - 3] + "..."
    text = _HASH.sub(lambda found: _JOINER.join(textwrap.wrap(found[0], 6)), _LIVE.sub(_JOINER, text))
    return text.translate(_ENTITIES)


def counted(number: int, noun: str) -> str:
    """`1 sample`, `2 samples`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(items: Sequence[object], most: int = 3) -> str:
    """`a, b, c, ...`: the first items, in a line of visible text."""
    return ", ".join(visible(str(item)) for item in items[:most]) + (", ..." if len(items) > most else "")


def usd(amount: float) -> str:
    """An amount of money: two decimals from ten dollars, four below, and never 0 for more than nothing."""
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
