"""Orders on disk: a session writes an order down before it sends it, so that the next session knows of it.

`job-intent.json` lies beside `job.yaml` and holds orders by the digest of training file, base and settings. An order gets
its job's id once that is known, and goes when the job is recorded or surely wasn't created. The file is written whole, so a
session killed at any moment leaves the old file or the new file.
"""

import datetime
import secrets
from pathlib import Path

import msgspec

from evaltape.files import write_whole
from evaltape.names import shown

NAME = "job-intent.json"
VERSION = 1


class UnreadableIntent(Exception):
    """The file is there and can't be read, so an order may be open that nobody knows of."""


class Intent(msgspec.Struct, frozen=True):
    """An order for a job."""

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
    differences: tuple[str, ...] = ()
    """How the API would have trained otherwise than asked, for which its job was cancelled; the user was told."""


class _Orders(msgspec.Struct):
    """The file: open orders by digest."""

    version: int
    orders: dict[str, Intent]


def new_intent(address: str, run: int, known: tuple[str, ...], files: tuple[str, ...], retrains: bool) -> Intent:
    """Return an order that is about to be sent."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Intent(secrets.token_hex(8), now, address, run, known, files, retrains)


class Intents:
    """The file of a job's orders."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, digest: str) -> Intent | None:
        """Return the open order for a digest, if any. Raise `UnreadableIntent`."""
        return self._orders().get(digest)

    def of_others(self, digest: str) -> set[str]:
        """Return the jobs of orders for other digests. Raise `UnreadableIntent`."""
        others = [intent for key, intent in self._orders().items() if key != digest]
        return {job for intent in others for job in (*intent.created, intent.job) if job}

    def write(self, digest: str, intent: Intent) -> None:
        """Write an order down. Raise `OSError` or `UnreadableIntent`; then nothing may be paid."""
        self._write({**self._orders(), digest: intent})

    def remove(self, digest: str) -> None:
        """Forget an order."""
        orders = self._orders()
        if orders.pop(digest, None) is not None:
            self._write(orders)

    def _orders(self) -> dict[str, Intent]:
        try:
            content = msgspec.json.decode(self.path.read_bytes(), type=_Orders)
            if content.version != VERSION:
                raise ValueError(f"version {content.version}")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise UnreadableIntent(f"{shown(self.path)} can't be read ({type(error).__name__}: {error})") from None
        return content.orders

    def _write(self, orders: dict[str, Intent]) -> None:
        if orders:
            content = msgspec.json.encode(_Orders(VERSION, orders))
            write_whole(self.path, msgspec.json.format(content, indent=1).decode() + "\n")
        else:
            self.path.unlink(missing_ok=True)
