"""What became of each call of a recording, known to every process of the session.

The recorder's process makes the calls; whoever runs a sample's test waits here for its outcome. The main process hears of
outcomes over a pipe and passes them on to xdist's workers, over a channel each, as plain dicts:
`{"ended": [[model, sample, error], ...]}` and `{"stopped": reason}`. What was answered is not in the message: it is read from
the cassette, as a replay would.
"""

import threading
from collections.abc import Iterable
from typing import Any, Protocol

Message = dict[str, Any]
Ended = tuple[str, str, str | None]
"""A call that has ended: its model, its sample, and None for what was recorded or the error."""
MAIN_ENDED = "the main process has ended"
GRACE_S = 60.0
"""How long calls in flight are waited for when a recording is stopped: they are paid for."""


class Sender(Protocol):
    """The way to another process."""

    def send(self, message: Message) -> None:
        """Send a message."""


class Stopped(Exception):
    """The recording ended before this call was made; the text says why."""


class Outcomes:
    """Outcomes as they come in."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, str], str | None] = {}
        self._senders: list[Sender] = []
        self._stopped: str | None = None
        self._awaited: tuple[str, str] | None = None
        self._changed = threading.Condition()

    def end(self, calls: Iterable[Ended]) -> None:
        """Calls have ended."""
        self.hear({"ended": list(map(list, calls))})

    def stop(self, reason: str) -> None:
        """No further call will be made."""
        self.hear({"stopped": reason})

    @property
    def stopped(self) -> str | None:
        """Why the recording ended early, if it did."""
        return self._stopped

    def wait_sample(self, model: str, sample: str) -> str | None:
        """Wait until a sample's call has ended; its error. Raises `Stopped`."""
        key = (model, sample)
        with self._changed:
            self._awaited = key
            self._changed.wait_for(lambda: key in self._errors or self._stopped is not None)
            if key not in self._errors:
                raise Stopped(self._stopped)
            return self._errors[key]

    def attach(self, sender: Sender) -> None:
        """Tell another process everything so far, and from now on."""
        with self._changed:
            self._senders.append(sender)
            _send(sender, {"ended": [[*key, error] for key, error in self._errors.items()]})
            if self._stopped is not None:
                _send(sender, {"stopped": self._stopped})

    def hear(self, message: Message) -> None:
        """Take in what became of calls, or that the recording ended, and pass it on."""
        with self._changed:
            if "stopped" in message:
                self._stopped = self._stopped or message["stopped"]
            for model, sample, error in message.get("ended", ()):
                self._errors[model, sample] = error
            for sender in self._senders:
                _send(sender, message)
            # A test is woken by its own outcome alone: to be woken by each would slow down both threads.
            if self._stopped is not None or self._awaited in self._errors:
                self._changed.notify_all()


def _send(sender: Sender, message: Message) -> None:
    try:
        sender.send(message)
    except OSError:
        pass  # That process is gone: xdist says so of a worker, whose replacement is told everything anew.
