"""Which calls of a recording have finished, and with which error. Every process of the session keeps a copy.

The recorder makes the calls; the process that runs a sample's test waits here for its outcome. The controller receives
outcomes over a pipe and passes them on to xdist's workers, over a channel each (see `wire`).
"""

import threading
from collections.abc import Iterable
from typing import Protocol

from evaltape.recorder.wire import CallEnd, Ended, Stopped

CallKey = tuple[str, str, str]
"""A call by its suite, model and sample; a fine-tuning job has no sample: its third part is empty."""
CONTROLLER_ENDED = "the controller has ended"
GRACE_S = 60.0
"""How long a recording that is stopped waits for calls in flight: they are paid for."""


class Sender(Protocol):
    """The way to another process."""

    def send(self, message: Ended | Stopped) -> None:
        """Send a message. Raises `OSError` if the process is gone."""


class RecordingStopped(Exception):
    """The recording ended before this call was made; the text says why."""


class Outcomes:
    """Outcomes as they come in."""

    def __init__(self) -> None:
        self._errors: dict[CallKey, str | None] = {}
        self._senders: list[Sender] = []
        self._stopped: str | None = None
        self._awaited: CallKey | None = None
        self._changed = threading.Condition()

    def end(self, calls: Iterable[CallEnd]) -> None:
        """Note calls that have ended."""
        self.receive(Ended(list(calls)))

    def stop(self, reason: str) -> None:
        """Note that no further call will be made."""
        self.receive(Stopped(reason))

    @property
    def stopped(self) -> str | None:
        """Why the recording ended early, if it did."""
        return self._stopped

    def error_of(self, call: CallKey) -> str | None:
        """Return the error of a call that has ended without being recorded; None for any other."""
        with self._changed:
            return self._errors.get(call)

    def wait(self, call: CallKey) -> str | None:
        """Wait until a call has ended; return its error. Raises `RecordingStopped`."""
        with self._changed:
            self._awaited = call
            self._changed.wait_for(lambda: call in self._errors or self._stopped is not None)
            if call not in self._errors:
                raise RecordingStopped(self._stopped)
            return self._errors[call]

    def attach(self, sender: Sender) -> None:
        """Send another process everything so far, and from now on."""
        with self._changed:
            self._senders.append(sender)
            _send(sender, Ended([(*call, error) for call, error in self._errors.items()]))
            if self._stopped is not None:
                _send(sender, Stopped(self._stopped))

    def receive(self, message: Ended | Stopped) -> None:
        """Take in which calls have ended, or that the recording has, and pass it on."""
        with self._changed:
            if isinstance(message, Stopped):
                self._stopped = self._stopped or message.reason
            else:
                self._errors.update({(suite, model, sample): error for suite, model, sample, error in message.calls})
            for sender in self._senders:
                _send(sender, message)
            # A test is woken by its own outcome alone: waking it for each would slow down both threads.
            if self._stopped is not None or self._awaited in self._errors:
                self._changed.notify_all()


def _send(sender: Sender, message: Ended | Stopped) -> None:
    try:
        sender.send(message)
    except OSError:
        pass  # That process is gone: xdist reports it if it's a worker, and its replacement gets everything again.
