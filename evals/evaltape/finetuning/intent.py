"""Orders on disk: what a session writes down before it pays for a job, so that whoever comes next knows that it may have.

`job-intent.json` lies beside `job.yaml` and holds, by the digest of training file, base and settings, the order that was
about to be sent. It gets the job's id once that is known, and goes when the job is recorded or surely wasn't created. It is
written whole, so a session killed at any moment leaves the old file or the new one.
"""

import datetime
import json
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from evaltape.files import write_whole
from evaltape.names import shown

NAME = "job-intent.json"
VERSION = 1


class UnreadableIntent(Exception):
    """The file is there and can't be read, so an order may be open that nobody knows of."""


@dataclass(frozen=True)
class Intent:
    """An order for one job."""

    order: str
    """A random text that the job carries in its metadata as `evaltape_order`."""
    sent: str
    """When it was about to be sent, UTC."""
    address: str
    """The API's base URL."""
    run: int = 1
    """As in the job's metadata: 1, and one more for each retraining."""
    known: tuple[str, ...] = ()
    """The jobs of the same data, base and settings that were there before."""
    files: tuple[str, ...] = ()
    """The id of the training file it names."""
    retrains: bool = False
    """Whether `--retrain` asked for it."""
    job: str | None = None
    """The job that is waited for, once its id is known."""
    created: tuple[str, ...] = ()
    """The jobs that an answer to this order named: these are ours."""
    reported: bool = False
    """Whether the user has been told that a job may have been created that doesn't show up."""


def new_intent(address: str, run: int, known: tuple[str, ...], files: tuple[str, ...], retrains: bool) -> Intent:
    """Return an order that is about to be sent."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Intent(secrets.token_hex(8), now, address, run, known, files, retrains)


class Intents:
    """The file of one job's orders."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, digest: str) -> Intent | None:
        """Return the open order for a digest, if there is one. Raise `UnreadableIntent`."""
        order = self._orders().get(digest)
        try:
            return None if order is None else _intent(order)
        except (TypeError, ValueError, AttributeError) as error:
            raise self._unreadable(error) from None

    def write(self, digest: str, intent: Intent) -> None:
        """Write an order down. Raise `OSError` or `UnreadableIntent`; then nothing may be paid."""
        orders = self._orders()
        orders[digest] = asdict(intent)
        self._write(orders)

    def remove(self, digest: str) -> None:
        """Forget an order."""
        orders = self._orders()
        if orders.pop(digest, None) is not None:
            self._write(orders)

    def _orders(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["version"] != VERSION or not isinstance(content["orders"], dict):
                raise ValueError(f"version {content['version']}")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise self._unreadable(error) from None
        orders: dict[str, Any] = content["orders"]
        return orders

    def _write(self, orders: dict[str, Any]) -> None:
        if orders:
            write_whole(self.path, json.dumps({"version": VERSION, "orders": orders}, indent=1) + "\n")
        else:
            self.path.unlink(missing_ok=True)

    def _unreadable(self, error: Exception) -> UnreadableIntent:
        return UnreadableIntent(f"{shown(self.path)} can't be read ({type(error).__name__}: {error})")


def _intent(value: dict[str, Any]) -> Intent:
    kept: dict[str, Any] = {field.name: value[field.name] for field in fields(Intent) if field.name in value}
    for name in ("known", "files", "created"):
        kept[name] = tuple(map(str, kept.get(name, ())))
    intent = Intent(**kept)
    if not all(isinstance(text, str) for text in (intent.order, intent.sent, intent.address)):
        raise TypeError("an order is made of texts")
    return intent
