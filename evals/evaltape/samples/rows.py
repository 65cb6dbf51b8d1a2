"""Makes samples of a data set's rows: texts stay as written, even if they look like numbers."""

import datetime
import decimal
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

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


# ---------------------------------------------------------------- samples


Row = dict[str, Any]
ID_DIGITS = 12
"""Of the SHA-256 of the input, for rows without an id."""


class Columns(msgspec.Struct, frozen=True):
    """The columns of a row that a suite uses."""

    id: str | None
    input: str | None
    references: tuple[str, ...]
    conversation: str | None
    """The column of messages that stands in for an input column."""
    kept: tuple[str, ...]
    """The columns that the sample carries."""

    @classmethod
    def of(cls, suite: Suite, kept: Iterable[str]) -> "Columns":
        """Return the columns that a suite uses, and the further ones that are `kept`."""
        fields = suite.dataset.fields
        return cls(fields.id, fields.input, fields.reference, suite.conversation, tuple(sorted(kept)))

    @property
    def all(self) -> tuple[str, ...]:
        """Every column, each once."""
        named = (self.id, self.input, self.conversation, *self.references, *self.kept)
        return tuple(dict.fromkeys(column for column in named if column is not None))


def as_sample(suite: Suite, columns: Columns, row: Row, number: int) -> Sample:
    """Return row `number`, counted from 1, as a sample. Raises `UserError` for a row without id, input or reference."""
    reader = _RowReader(suite, row, number)
    text = reader.text(columns.input) if columns.input else turns_as_text(reader.messages(columns.conversation or ""))
    sample_id = reader.text(columns.id) if columns.id else hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]
    kept = {column: reader.read(column, as_json) for column in columns.kept}
    return Sample(sample_id, text, reader.references(columns.references), kept)


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
        texts: list[str] = []
        for column in columns:
            texts += self.read(column, _texts)
        if not texts:
            empty = "an empty list of references in" if isinstance(self.row[columns[0]], list) else "no"
            raise UserError(f"{self.place} has {empty} {visible(' and no '.join(columns))}")
        return tuple(texts)


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [as_written(item) for item in items if not is_missing(item)]
