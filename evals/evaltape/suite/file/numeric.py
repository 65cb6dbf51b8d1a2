"""Numbers and their limits: the check, the words, and the JSON Schema."""

import math
from typing import Any

from msgspec import inspect

from evaltape.suite.file.values import MOST

Numeric = inspect.IntType | inspect.FloatType


def range_of(number: Numeric) -> str:
    """Return `a whole number from 1`; a limit that only keeps sums finite isn't told."""
    low = "" if number.ge is None or number.ge <= -MOST else f" from {number.ge:,}"
    low = low if number.gt is None else f" over {number.gt:,}"
    high = "" if number.le is None or number.le >= MOST else f" to {number.le:,}"
    high = high if number.lt is None else f" to under {number.lt:,}"
    name = "a whole number" if isinstance(number, inspect.IntType) else "a number" if low or high else "a finite number"
    return name + low + high


def is_number(number: Numeric, value: Any) -> bool:
    """Whether it is such a number; a whole number will do for any."""
    if isinstance(value, bool) or not isinstance(value, int if isinstance(number, inspect.IntType) else int | float):
        return False
    return (
        not (isinstance(value, float) and math.isnan(value))
        and (number.ge is None or value >= number.ge)
        and (number.gt is None or value > number.gt)
        and (number.le is None or value <= number.le)
        and (number.lt is None or value < number.lt)
    )


def number_shape(number: Numeric) -> dict[str, Any]:
    """Return the schema of a number. A limit that is itself not valid is excluded by name."""
    schema: dict[str, Any] = {"type": "integer" if isinstance(number, inspect.IntType) else "number"}
    low, high = number.gt if number.ge is None else number.ge, number.lt if number.le is None else number.le
    schema |= {} if low is None else {"minimum": low}
    schema |= {} if high is None else {"maximum": high}
    excluded = [limit for limit in (number.gt, number.lt) if limit is not None]
    return schema | ({"not": {"enum": excluded}} if excluded else {})
