"""Makes a sample of a data set's row."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.samples.sample import Sample
from evaltape.samples.values import as_json, as_written, is_missing
from evaltape.suite.definition import Suite
from evaltape.suite.prompt import messages_of, turns_as_text
from evaltape.text import cut, visible

Row = dict[str, Any]
ID_DIGITS = 12
"""Of the SHA-256 of the input, for rows without an id."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a row a suite uses."""

    id: str | None
    input: str | None
    references: tuple[str, ...]
    conversation: str | None
    """The column whose turns are the input, if no column holds it."""
    kept: tuple[str, ...]
    """Those that the sample carries."""

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
    """Reads the values of one row; errors name the row."""

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
