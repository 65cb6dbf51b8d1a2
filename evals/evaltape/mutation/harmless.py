"""Operators that do no harm: the answer says the same, and a good gate leaves it alone.

They have the signature of `harmful`'s.
"""

import re
import unicodedata
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaltape.samples.sample import Sample

PREAMBLE = "Here is a summary:"
_QUOTES = ("“”", '""', "„“", "«»", "「」")


def preamble(sample: "Sample", answer: str, random: Random) -> str | None:
    """Begin with "Here is a summary:"."""
    return f"{PREAMBLE}\n\n{answer}"


def whitespace(sample: "Sample", answer: str, random: Random) -> str | None:
    """Set words apart by two spaces, and end with a line break; lines stay lines."""
    return re.sub(r"[ \t]+", "  ", answer.rstrip()) + "\n"


def quotes(sample: "Sample", answer: str, random: Random) -> str | None:
    """Put the whole answer in quotation marks, or take them away if they are around all of it.

    `“Yes,” said Ann. “No.”` begins and ends with a mark, but not around the whole.
    """
    text = answer.strip()
    if len(text) > 1 and text[0] + text[-1] in _QUOTES:
        inside = text[1:-1]
        return f"«{text}»" if text[0] in inside or text[-1] in inside else inside
    return f"“{text}”"


def final_stop(sample: "Sample", answer: str, random: Random) -> str | None:
    """Drop the full stop at the end, or add a missing one; `!`, `?` and `...` are left as they are."""
    text = answer.rstrip()
    if text[-1:] in (".", "。", "।"):
        return None if text.endswith("..") else text[:-1]
    if unicodedata.category(text[-1:] or " ")[0] in "LMN":
        return text + _stop_after(text[-1])
    return None


def _stop_after(letter: str) -> str:
    name = unicodedata.name(letter, "")
    if name.startswith(("CJK ", "HIRAGANA ", "KATAKANA ")):
        return "。"
    return "।" if name.startswith(("DEVANAGARI ", "BENGALI ")) else "."
