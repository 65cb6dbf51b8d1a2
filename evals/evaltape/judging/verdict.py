"""Verdicts: the score in a judge's answer, found in a JSON object or by a regular expression.

A judge may think aloud, put its JSON in a code fence, and say `true` or `"yes"`; the last JSON object that has the key counts.
A verdict that can't be read is no score: the sample stays unscored, with the reason.
"""

import json
import math
import re
from typing import Any

from evaltape.metrics.extraction import objects
from evaltape.suite.definition import Verdict
from evaltape.text import cut

THINKING_ENDS = "</think>"
_YES_OR_NO = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_LONGEST = 60
"""Characters of a judge's answer that a reason quotes."""


class Unread(Exception):
    """An answer without a verdict; the message is the reason, fit to be shown."""


def read_verdict(answer: str, form: Verdict) -> float:
    """Return the verdict in a judge's answer, in 0..1: 1 for true, and for the greatest number of a scale.

    >>> read_verdict('Nobody says so. {"faithful": false}', Verdict(json="faithful"))
    0.0

    Raises `Unread`.
    """
    said = answer.rpartition(THINKING_ENDS)[2]
    value = _by_key(said, form.json) if form.json is not None else _by_regex(said, form.regex or "")
    return _as_score(value, form.scale)


def as_score(value: Any, scale: tuple[float, float] | None) -> float:
    """Return a person's label in 0..1: true or false, or a number of the scale. Raises `ValueError` with the valid values."""
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


def _quoted(value: Any) -> str:
    return cut(repr(value) if isinstance(value, str) else json.dumps(value, default=str), _LONGEST)
