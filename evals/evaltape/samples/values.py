"""Values of a data set's rows: texts stay as they are written, whatever type they look like."""

import datetime
import decimal
import math
from collections.abc import Mapping
from typing import Any


class Literal(float):
    """A number with a fraction or an exponent, as it is written in JSON: an id of 1.10 is `1.10`."""

    def __new__(cls, text: str) -> "Literal":
        """Keep the text beside the number."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str


def is_missing(value: Any) -> bool:
    """Whether a value says that there is none: null, a blank text, or NaN, by which tables of numbers say it."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_written(value: Any) -> str:
    """Return an id, an input or a reference as text: numbers as they are written.

    Raises `ValueError`, saying what it is, for a value that is neither a text nor a number.
    """
    if isinstance(value, str):
        return _whole_characters(value)
    if isinstance(value, Literal):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | decimal.Decimal):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        raise ValueError("was read as a date, and how it was written is lost: store it as text")
    raise ValueError(f"holds a {type(value).__name__} and not a text")


def as_json(value: Any) -> Any:
    """Return a value as JSON has it; NaN is null. Raises `ValueError`, saying what it is, for what JSON can't hold."""
    if isinstance(value, str):
        return _whole_characters(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError("holds a number without end")
        return None if math.isnan(value) else float(value)
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, Mapping):
        return {as_written(key): as_json(item) for key, item in value.items()}
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise ValueError(f"holds a {type(value).__name__}, which JSON doesn't have")


def _whole_characters(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half a character (a lone surrogate), which no file can") from None
    return text
