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
    reader, fields = _RowReader(suite, row, number), suite.dataset.fields
    text = reader.text(fields.input) if fields.input else turns_as_text(reader.messages(suite.conversation or ""))
    sample_id = reader.text(fields.id) if fields.id else hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]
    carried = {column: reader.read(column, as_json) for column in kept}
    return Sample(sample_id, text, reader.references(fields.reference), carried)


class _RowReader:
    """Reads the values of a row; errors name the row."""

    def __init__(self, suite: Suite, row: Row, number: int) -> None:
        self.row = row
        column = suite.dataset.fields.id
        name = number if column is None or is_missing(row[column]) else cut(repr(row[column]), 60)
        self.place = f"{shown(suite.file)}: row {name} of {suite.dataset.path!r}"

    def read(self, column: str, read: Callable[[Any], Any]) -> Any:
        """Return a value as `read` reads it."""
        try:
            return read(self.row[column])
        except ValueError as error:
            raise UserError(f"{self.place}: column {column!r} {error}") from None

    def text(self, column: str) -> str:
        """Return a value that has to be a text."""
        if is_missing(self.row[column]):
            raise UserError(f"{self.place} has no {visible(column)}")
        return str(self.read(column, as_written))

    def messages(self, column: str) -> list[dict[str, str]]:
        """Return the messages of a conversation column."""
        messages: list[dict[str, str]] = self.read(column, lambda value: messages_of(as_json(value)))
        return messages

    def references(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return the references: the texts of these columns, or in the lists of these; empty ones are left out."""
        texts = tuple(text for column in columns for text in self.read(column, _texts))
        if not texts:
            empty = "an empty list of references in" if isinstance(self.row[columns[0]], list) else "no"
            raise UserError(f"{self.place} has {empty} {visible(' and no '.join(columns))}")
        return texts


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [as_written(item) for item in items if not is_missing(item)]
