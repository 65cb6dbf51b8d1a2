"""Makes samples of a data set's rows: texts stay as written, even if they look like numbers."""

import datetime
import decimal
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Suite
from evaltape.suite.prompt import messages_of, turns_as_text
from evaltape.text import cut, visible


class Literal(float):
    """A number with a fraction or an exponent, as written in JSON: an id of 1.10 is `1.10`."""

    def __new__(cls, text: str) -> "Literal":
        """Keep the text beside the number."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str


def is_missing(value: Any) -> bool:
    """Whether a value stands for a missing value: null, a blank text, or the NaN of tables of numbers."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_written(value: Any) -> str:
    """Return an id, an input or a reference as text: numbers as written.

    Raises `ValueError`, naming the type, for a value that is neither a text nor a number.
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
    """Return a value as JSON has it; NaN is null. Raises `ValueError`, naming the type, for a value that JSON can't hold."""
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


Row = dict[str, Any]
ID_DIGITS = 12
"""Of the SHA-256 of the input, for rows without an id."""


def columns_of(suite: Suite, kept: Iterable[str]) -> list[str]:
    """Return the columns of a row that a suite uses, with the further ones that samples carry; each once."""
    fields = suite.dataset.fields
    named = (fields.id, fields.input, suite.conversation, *fields.reference, *kept)
    return list(dict.fromkeys(column for column in named if column is not None))


def as_sample(suite: Suite, kept: Iterable[str], row: Row, number: int) -> Sample:
    """Return row `number`, counted from 1, as a sample with the further columns that are `kept`.

    Raises `UserError` for a row without id, input or reference.
    """
    fields = suite.dataset.fields
    name = number if fields.id is None or is_missing(row[fields.id]) else cut(repr(row[fields.id]), 60)
    place = f"{shown(suite.file)}: row {name} of {suite.dataset.path!r}"

    def read(column: str, as_kind: Callable[[Any], Any]) -> Any:
        try:
            return as_kind(row[column])
        except ValueError as error:
            raise UserError(f"{place}: column {column!r} {error}") from None

    def text(column: str) -> str:
        if is_missing(row[column]):
            raise UserError(f"{place} has no {visible(column)}")
        return str(read(column, as_written))

    asked = text(fields.input) if fields.input else turns_as_text(read(suite.conversation or "", _messages))
    sample_id = text(fields.id) if fields.id else hashlib.sha256(asked.encode()).hexdigest()[:ID_DIGITS]
    carried = {column: read(column, as_json) for column in kept}
    references = tuple(reference for column in fields.reference for reference in read(column, _texts))
    if not references:
        empty = "an empty list of references in" if isinstance(row[fields.reference[0]], list) else "no"
        raise UserError(f"{place} has {empty} {visible(' and no '.join(fields.reference))}")
    return Sample(sample_id, asked, references, carried)


def _messages(value: Any) -> list[dict[str, str]]:
    return messages_of(as_json(value))


def _texts(value: Any) -> list[str]:
    """Return a reference, or a list of them, as texts; empty ones are left out."""
    items = value if isinstance(value, list) else [value]
    return [as_written(item) for item in items if not is_missing(item)]
