"""Verdicts: the score in a judge's answer, found in a JSON object or by a regular expression.

A judge may think aloud, put its JSON in a code fence, and say `true` or `"yes"`; the last JSON object that has the key counts.
A verdict that can't be read is no score: the sample stays unscored, with the reason.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from evaltape.text import cut

THINKING_ENDS = "</think>"
_YES_OR_NO = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_LONGEST = 60
"""Characters of a judge's answer that a reason quotes."""


class VerdictForm(msgspec.Struct, frozen=True):
    """How a suite says that a judge answers: by a key of a JSON object, or by what a regular expression finds."""

    json: str | None = None
    """The key of the verdict."""
    regex: str | None = None
    """The verdict is its first group, or the whole match if it has none."""
    scale: tuple[float, float] | None = None
    """The least and the greatest number of a verdict; None: it is true or false."""


class Unread(Exception):
    """An answer without a verdict; the message is the reason, fit to be shown."""


def read_verdict(answer: str, form: VerdictForm) -> float:
    """Return the verdict in a judge's answer, in 0..1: 1 for true, and for the greatest number of a scale.

    >>> read_verdict('Nobody says so. {"faithful": false}', VerdictForm(json="faithful"))
    0.0

    Raises `Unread`.
    """
    said = answer.rpartition(THINKING_ENDS)[2]
    value = _by_key(said, form.json) if form.json is not None else _by_regex(said, form.regex or "")
    return _as_score(value, form.scale)


def as_score(value: Any, scale: tuple[float, float] | None) -> float:
    """Return a person's label in 0..1: true or false, or a number of the scale. Raises `ValueError` with what is valid."""
    if scale is None and isinstance(value, bool):
        return float(value)
    if scale is not None and isinstance(value, int | float) and not isinstance(value, bool) and _is_on(value, scale):
        return (value - scale[0]) / (scale[1] - scale[0])
    raise ValueError("true or false" if scale is None else f"a number from {scale[0]:g} to {scale[1]:g}")


def _as_score(value: Any, scale: tuple[float, float] | None) -> float:
    if isinstance(value, str):
        value = _parsed(value)
    if scale is None and value in (0, 1):
        return float(value)
    try:
        return as_score(value, scale)
    except ValueError as valid:
        raise Unread(f"its verdict is {_quoted(value)}, not {valid}") from None


def _parsed(text: str) -> Any:
    """Return a verdict that is written as a text: `Yes` as true, `4` and `4.5` as numbers; else the text."""
    bare = text.strip().strip("*_.\"'`").strip()
    truth = _YES_OR_NO.get(bare.casefold())
    if truth is not None:
        return bool(truth)
    return float(bare) if re.fullmatch(r"[-+]?\d{1,15}(\.\d{1,15})?", bare) else text


def _is_on(value: float, scale: tuple[float, float]) -> bool:
    return math.isfinite(value) and scale[0] <= value <= scale[1]


def _by_key(answer: str, key: str) -> Any:
    found = [each for each in objects(answer) if key in each]
    if not found:
        raise Unread(f"no JSON object with the key {key!r} in {_quoted(answer)}")
    return found[-1][key]


def _by_regex(answer: str, regex: str) -> str:
    match = re.search(regex, answer)
    if match is None:
        raise Unread(f"{regex!r} doesn't match {_quoted(answer)}")
    return (match[1] if match.re.groups else match[0]) or ""


def objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in a text, in order, with no object that stands inside another one.

    An object with one key twice says two things, and is left out.
    """
    decoder, place = json.JSONDecoder(object_pairs_hook=_unambiguous, parse_constant=_refused), text.find("{")
    while place >= 0:
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
        else:
            if isinstance(value, dict):
                yield value
        place = text.find("{", place)


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _quoted(value: Any) -> str:
    return cut(repr(value) if isinstance(value, str) else json.dumps(value, default=str), _LONGEST)
