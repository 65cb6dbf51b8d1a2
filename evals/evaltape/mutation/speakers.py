"""The speakers of a dialogue, and their names in an answer, in any script."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

_TURN = re.compile(r"^[ \t]*([#@]?[^\W\d_][^\n,;:：!?\"()<>/]{0,39}?)[ \t]*(?::(?=\s|$)|：)", re.MULTILINE)
"""A line that begins with a name and a colon. `#Person1#` is a name; `http://` and `12:30` aren't."""
_MOST_WORDS = 4
"""More words before a colon are a clause, not a name."""
_NO_SPACES = ("CJK ", "HIRAGANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ", "HANGUL ")
"""Unicode names of letters that other words follow without a space, as Korean particles do."""
_AND = r"(?:\s*[,、]\s*(?:and\s+)?|\s+(?:and|or|und|oder|et|ou|y|e|o|i|og|och|en|и|или|&)\s+|[和と])"


@lru_cache(maxsize=4096)
def speakers(dialogue: str) -> tuple[str, ...]:
    """Return the names that stand before a colon at the beginning of a line, in order of appearance."""
    names = (" ".join(match[1].split()) for match in _TURN.finditer(dialogue))
    return tuple(dict.fromkeys(name for name in names if name.count(" ") < _MOST_WORDS))


def mentioned(text: str, names: Collection[str]) -> list[str]:
    """Return the names that the text mentions as whole words, in order of their first mention."""
    return list(dict.fromkeys(match[0] for match in mentions(text, names)))


def mentions(text: str, names: Collection[str]) -> Iterator[re.Match[str]]:
    """Yield each place where the text mentions one of the names as a whole word; the longest name counts."""
    if names:
        longest_first = sorted(names, key=len, reverse=True)
        for match in re.finditer("|".join(map(re.escape, longest_first)), text):
            if not _inside_word(text, match.start()) and not _inside_word(text, match.end()):
                yield match


def renamed(text: str, new_names: Mapping[str, str]) -> str:
    """Return the text with each name replaced wherever it stands as a whole word.

    The names in `Ann's` and `James'` are replaced (by `Tom's`), not the name in `Anna`.
    """
    parts, end = [], 0
    for match in mentions(text, new_names):
        new_name = new_names[match[0]]
        parts += [text[end : match.start()], new_name]
        end = match.end()
        if _is_bare_possessive(text, match) and not new_name.endswith("s"):
            parts += [text[end], "s"]
            end += 1
    return "".join(parts) + text[end:]


def same_in_any_order(text: str, other: str, names: Collection[str]) -> bool:
    """Return whether two texts differ at most in the order of names that are listed: `Ann and Bob`, `Bob and Ann`."""
    name = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    listed = re.compile(rf"(?:{name})(?:{_AND}(?:{name}))+")

    def sorted_names(match: re.Match[str]) -> str:
        return " ".join(sorted(re.findall(name, match[0])))

    return listed.sub(sorted_names, text) == listed.sub(sorted_names, other)


def _is_bare_possessive(text: str, name: re.Match[str]) -> bool:
    """Return whether a name is followed by an apostrophe alone, as in `James' car`, and isn't just in quotes."""
    start, end = name.span()
    apostrophe = text[end : end + 1] in ("'", "’") and name[0].endswith("s") and not text[end + 1 : end + 2].isalpha()
    return apostrophe and text[:start][-1:] not in ("'", "‘")


def _inside_word(text: str, place: int) -> bool:
    """Return whether the place between two characters lies inside a word, or inside one with a hyphen as `Ann-Marie`."""
    before, after = text[max(0, place - 2) : place], text[place : place + 2]
    if before[-1:] == "-":
        return _one_word(before[:-1], after[:1])
    if after[:1] == "-":
        return _one_word(before[-1:], after[1:])
    return _one_word(before[-1:], after[:1])


def _one_word(left: str, right: str) -> bool:
    if not left or not right:
        return False
    if unicodedata.category(right).startswith("M"):  # A combining mark is part of the letter before it.
        return True
    return _in_words(left) and _in_words(right) and not (without_spaces(left) or without_spaces(right))


def _in_words(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def without_spaces(character: str) -> bool:
    """Return whether a letter belongs to a script that doesn't set every word apart by spaces."""
    return unicodedata.name(character, "").startswith(_NO_SPACES)
