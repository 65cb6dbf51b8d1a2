"""Wrong numbers, days and times: a number in a text is replaced by another of its kind."""

import re
from random import Random

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
"""English words, each replaced by another of its line. `one` isn't here: it is mostly a pronoun."""
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
    """Return the text with one of its numbers, days or times changed, or None if it has none.

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
    if groups["hour"]:
        return _another_hour(groups["hour"], random) + groups["minutes"]
    if groups["dotted"]:
        return _another_of_its_length(groups["dotted"], random) + groups["after"]
    if groups["ordinal"]:
        ordinal = _another_number(groups["ordinal"], random)
        return ordinal + _suffix(int(ordinal))
    return _another_number(groups["number"], random) if groups["number"] else _another_word(groups["word"], random)


def _another_hour(hour: str, random: Random) -> str:
    hours = range(1, 13) if 1 <= int(hour) <= 12 else range(24)
    other = random.choice([candidate for candidate in hours if candidate != int(hour)])
    return f"{other:02d}" if hour.startswith("0") else str(other)


def _another_of_its_length(hour: str, random: Random) -> str:
    """Return another hour of as many digits: it may be an amount as well."""
    hours = (
        [str(number) for number in range(1, 24)]
        if len(hour) == 1 or int(hour) > 9
        else [f"{number:02d}" for number in range(10)]
    )
    return random.choice([candidate for candidate in hours if len(candidate) == len(hour) and candidate != hour])


def _another_number(number: str, random: Random) -> str:
    """Change the last digit that isn't 0, so that round numbers stay round."""
    place = max((i for i, digit in enumerate(number) if digit.isdigit() and int(digit)), default=len(number) - 1)
    old = int(number[place])
    new = random.choice([digit for digit in range(1, 10) if digit != old])
    return number[:place] + chr(ord(number[place]) - old + new) + number[place + 1 :]  # A digit of the same script.


def _another_word(word: str, random: Random) -> str:
    other = random.choice([candidate for candidate in _KIND_OF[word.lower()] if candidate != word.lower()])
    return other.capitalize() if word[0].isupper() else other


def _suffix(ordinal: int) -> str:
    return "th" if 10 < ordinal % 100 < 20 else _SUFFIXES.get(ordinal % 10, "th")
