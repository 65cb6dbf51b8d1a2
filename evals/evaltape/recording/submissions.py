"""`batches.json`: the batches of a suite that are submitted and not yet collected.

An entry is written before the order is sent, so a session that is killed leaves the truth behind, and removed once every answer
is in a cassette.
"""

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

import msgspec

from evaltape.errors import UserError
from evaltape.files import conflict_in, write_whole
from evaltape.names import shown

BATCHES = "batches.json"


class Submission(msgspec.Struct, frozen=True):
    """One batch."""

    model: str
    """The key of the model or judge."""
    digest: str
    """Of its requests; it stands in the batch's metadata, too."""
    calls: int
    sent_at: int
    """When the order was sent, in seconds of Unix time."""
    id: str | None = None
    """The API's; None while the order has no answer."""


class Submissions:
    """The batches of a suite, in its folder of recordings."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / BATCHES

    def exist(self) -> bool:
        """Return whether there are any."""
        return self.path.exists()

    def calls(self, model: str) -> int:
        """Return how many calls to a model or judge are in batches; 0 for a file that can't be read."""
        with contextlib.suppress(UserError):
            return sum(one.calls for one in self.of(model)) if self.exist() else 0
        return 0

    def of(self, model: str) -> list[Submission]:
        """Return the batches of a model or judge. Raises `UserError` for a file that can't be read."""
        return [one for one in self._read() if one.model == model]

    def write(self, submission: Submission) -> None:
        """Add an entry, or replace that of the same requests. Raises `OSError`."""
        self._write([*(one for one in self._read() if not _is_same(one, submission)), submission])

    def remove(self, submission: Submission) -> None:
        """Remove an entry, and the file with the last. Raises `OSError`."""
        self._write(one for one in self._read() if not _is_same(one, submission))

    def _read(self) -> list[Submission]:
        try:
            content = self.path.read_bytes()
            return msgspec.json.decode(content, type=list[Submission])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            problem = conflict_in(self.path) or f"{shown(self.path)}: can't be read: {error}"
            raise UserError(f"{problem}. Without the file --batch finds the batches by their metadata at the API") from None

    def _write(self, submissions: Iterable[Submission]) -> None:
        values = [msgspec.to_builtins(one) for one in submissions]
        if values:
            write_whole(self.path, json.dumps(values, indent=1) + "\n")
        else:
            self.path.unlink(missing_ok=True)


def _is_same(one: Submission, other: Submission) -> bool:
    return (one.model, one.digest) == (other.model, other.digest)
