"""Parts of texts that operators change: names of speakers in any script; numbers, days, times and statements in English."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from random import Random

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
    """Yield each place where the text mentions a name as a whole word; the longest name counts."""
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
    """Return whether the place between two characters lies inside a word; `Ann-Marie` is a word."""
    before, after = text[max(0, place - 2) : place], text[place : place + 2]
    if before[-1:] == "-":
        before = before[:-1]
    elif after[:1] == "-":
        after = after[1:]
    left, right = before[-1:], after[:1]
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


_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_KINDS = (
    _WEEKDAYS,
    ("yesterday", "today", "tonight", "tomorrow"),
    ("morning", "afternoon", "evening"),
    ("noon", "midnight"),
    ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
    ("hundred", "thousand", "million"),
)
"""English words, each replaced by another of its line. `one` is left out, as it is mostly a pronoun."""
_KIND_OF = {word: kind for kind in _KINDS for word in kind}
_QUANTITY = re.compile(
    rf"""
    (?<![A-Za-zÀ-ɏ\d_])(?:
      (?P<hour>\d{{1,2}})(?P<minutes> :\d\d(?!\d) | (?:[:.]\d\d)?(?=\ ?[ap]\.?m\b) )
    | (?P<dotted>[01]?\d|2[0-3])(?P<after>\.[0-5]\d)(?![\d.,]*\d)
    | (?P<ordinal>\d+)(?:st|nd|rd|th)\b
    | (?P<number>\d+(?:[.,]\d+)*) )
    | \b(?P<word>(?i:{"|".join(_KIND_OF)}))(?=s?\b)
    """,
    re.VERBOSE,
)
_SUFFIXES = {1: "st", 2: "nd", 3: "rd"}


def with_wrong_number(text: str, random: Random) -> str | None:
    """Return the text with another number, day or time, or None if it has nothing of the kind.

    Digits of any script; words in English. Hours stay hours, and a number keeps its length: `17:30` may become `15:30`,
    `11.30` may become `9.30` and never `11.70`, `2019` may become `2016`, `the 3rd` may become `the 8th`, `Friday` may become
    `Monday`.
    """
    matches = list(_QUANTITY.finditer(text))
    if not matches:
        return None
    match = random.choice(matches)
    return text[: match.start()] + _another(match, random) + text[match.end() :]


def _another(match: re.Match[str], random: Random) -> str:
    groups = match.groupdict()
    if hour := groups["hour"]:
        hours = range(1, 13) if 1 <= int(hour) <= 12 else range(24)
        other = random.choice([candidate for candidate in hours if candidate != int(hour)])
        return (f"{other:02d}" if hour.startswith("0") else str(other)) + groups["minutes"]
    if hour := groups["dotted"]:  # It may be an amount as well, so it keeps its number of digits.
        is_padded = len(hour) > 1 and int(hour) < 10
        others = [f"{number:02d}" for number in range(10)] if is_padded else [str(number) for number in range(1, 24)]
        return random.choice([each for each in others if len(each) == len(hour) and each != hour]) + groups["after"]
    if groups["ordinal"]:
        ordinal = _another_number(groups["ordinal"], random)
        return ordinal + ("th" if 10 < int(ordinal) % 100 < 20 else _SUFFIXES.get(int(ordinal) % 10, "th"))
    if groups["number"]:
        return _another_number(groups["number"], random)
    word = groups["word"].lower()
    other_word = random.choice([candidate for candidate in _KIND_OF[word] if candidate != word])
    return other_word.capitalize() if groups["word"][0].isupper() else other_word


def _another_number(number: str, random: Random) -> str:
    """Change the last digit that isn't 0, so that round numbers stay round."""
    place = max((i for i, digit in enumerate(number) if digit.isdigit() and int(digit)), default=len(number) - 1)
    old = int(number[place])
    new = random.choice([digit for digit in range(1, 10) if digit != old])
    return number[:place] + chr(ord(number[place]) - old + new) + number[place + 1 :]  # A digit of the same script.


_BE_AND_MODALS = "is|are|was|were|am|will|would|can|could|should|must|shall|might|may"
_IRREGULAR = {"won": "will", "can": "can", "shan": "shall"}
_PARTICIPLE = r"(?:been|gone|got|had|left|lost|made|met|done|told|\w+ed|\w+en)"
_AUXILIARY = re.compile(
    rf"""
    \b(?P<irregular>(?i:won|can|shan))['’]t\b | \b(?P<cannot>[Cc]an)not\b
    | \b(?P<contracted>(?i:{_BE_AND_MODALS}|do|does|did|have|has|had|need))n['’]t\b
    | \b(?P<denied>{_BE_AND_MODALS}|do|does|did|have|has|had)\s+(?:not|never|no\ longer|no)\b
    | \b(?P<plain>{_BE_AND_MODALS}|(?:have|has|had)(?=\s+{_PARTICIPLE}\b))\b(?!['’])
    | \bnever\s+
    """,
    re.VERBOSE,
)
_SUBJECTS = ("He", "She", "They", "It", "We", "You", "I")
_BEFORE_SUBJECT = re.compile(r"(?:^|[.!?\n]\s*|\band\s+)$")
_VERB = re.compile(r"\s+(?=[a-z]+\b)(?!(?:and|or|with|from|to|in|on|at|of|for|about|as|but|who|whose|that|because|so|if|when"
                   r"|while|after|before|today|tonight|tomorrow|yesterday|again|too)\b)")  # fmt: skip


def negated(text: str, speakers: Sequence[str]) -> str | None:
    """Return the text with its first statement negated, or None if the rules find nothing to negate.

    `will call` becomes `will not call`, `doesn't call` becomes `does call`; without an auxiliary the first subject (a
    speaker or a pronoun) gets a `never`: `Ann calls` becomes `Ann never calls`.
    """
    match = _AUXILIARY.search(text)
    if match is not None:
        return text[: match.start()] + _opposite(match) + text[match.end() :]
    for subject in mentions(text, {*speakers, *_SUBJECTS}):
        verb = _VERB.match(text, subject.end())
        if verb and _BEFORE_SUBJECT.search(text, 0, subject.start()):
            return f"{text[: subject.end()]} never {text[verb.end() :]}"
    return None


def _opposite(match: re.Match[str]) -> str:
    groups = match.groupdict()
    if groups["plain"]:
        return f"{groups['plain']} not"
    if groups["irregular"]:
        positive = _IRREGULAR[groups["irregular"].lower()]
        return positive.capitalize() if groups["irregular"][0].isupper() else positive
    return groups["cannot"] or groups["contracted"] or groups["denied"] or ""
