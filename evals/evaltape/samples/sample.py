"""A sample: one input with its references."""

from collections.abc import Mapping
from typing import Any

import msgspec

from evaltape.names import file_name
from evaltape.suite.prompt import as_text


class Sample(msgspec.Struct, frozen=True):
    """One input with its references.

    >>> Sample("13829853", "Ann: hi\\nBob: hello", ("Ann greets Bob.",), {"topic": "small talk"})
    """

    id: str
    """Unique in its suite."""
    input: str
    """The text that models are asked about."""
    references: tuple[str, ...]
    """The texts that answers are compared with; at least one."""
    columns: Mapping[str, Any] = {}
    """The further columns of its row that the suite names: values as JSON has them."""

    @property
    def name(self) -> str:
        """The id as it stands in file names and test ids."""
        return file_name(self.id)

    def slice_of(self, column: str) -> str | None:
        """Return the name of the slice it belongs to by a column; None if its row has no value there."""
        value = self.columns[column]
        return None if value is None else as_text(value).strip() or None
