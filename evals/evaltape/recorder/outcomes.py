"""Which calls of a recording have finished, and with what error. Every process of the session keeps a copy.

The recorder makes the calls; whoever runs a sample's test waits here for its outcome. The controller receives outcomes
over a pipe and passes them on to xdist's workers, over a channel each, as plain dicts:
`{"ended": [[suite, model, sample, error], ...]}` and `{"stopped": reason}`. The answer is not in the message: it is read
from the cassette, as a replay would.
"""

import threading
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

Message = dict[str, Any]
CallKey = tuple[str, str, str]
"""A call by its suite, model and sample; a fine-tuning job has no sample: its third part is empty."""
Ended = tuple[str, str, str, str | None]
"""A call that has ended: suite, model, sample, and None if it was recorded, else the error."""
Selection = Sequence[tuple[str, str, Sequence[str]]]
"""What to record: suite, model and samples; the job of a tuned model is recorded with it."""
CONTROLLER_ENDED = "the controller has ended"
GRACE_S = 60.0
"""How long a recording that is stopped waits for calls in flight: they are paid for."""


class Sender(Protocol):
    """The way to another process."""

    def send(self, message: Message) -> None:
        """Send a message."""


class Stopped(Exception):
    """The recording ended before this call was made; the text says why."""


class Outcomes:
    """Outcomes as they come in."""

    def __init__(self) -> None:
        self._errors: dict[CallKey, str | None] = {}
        self._senders: list[Sender] = []
        self._stopped: str | None = None
        self._awaited: CallKey | None = None
        self._changed = threading.Condition()

    def end(self, calls: Iterable[Ended]) -> None:
        """Note calls that have ended."""
        self.receive({"ended": list(map(list, calls))})

    def stop(self, reason: str) -> None:
        """Note that no further call will be made."""
        self.receive({"stopped": reason})

    @property
    def stopped(self) -> str | None:
        """Why the recording ended early, if it did."""
        return self._stopped

    def error_of(self, call: CallKey) -> str | None:
        """Return the error of a call that has ended without being recorded; None for any other."""
        with self._changed:
            return self._errors.get(call)

    def wait(self, call: CallKey) -> str | None:
        """Wait until a call has ended; return its error. Raises `Stopped`."""
        with self._changed:
            self._awaited = call
            self._changed.wait_for(lambda: call in self._errors or self._stopped is not None)
            if call not in self._errors:
                raise Stopped(self._stopped)
            return self._errors[call]

    def attach(self, sender: Sender) -> None:
        """Send another process everything so far, and from now on."""
        with self._changed:
            self._senders.append(sender)
            _send(sender, {"ended": [[*call, error] for call, error in self._errors.items()]})
            if self._stopped is not None:
                _send(sender, {"stopped": self._stopped})

    def receive(self, message: Message) -> None:
        """Take in which calls have ended, or that the recording has, and pass it on."""
        with self._changed:
            if "stopped" in message:
                self._stopped = self._stopped or message["stopped"]
            for suite, model, sample, error in message.get("ended", ()):
                self._errors[suite, model, sample] = error
            for sender in self._senders:
                _send(sender, message)
            # A test is woken by its own outcome alone: waking it for each would slow down both threads.
            if self._stopped is not None or self._awaited in self._errors:
                self._changed.notify_all()


def _send(sender: Sender, message: Message) -> None:
    try:
        sender.send(message)
    except OSError:
        pass  # That process is gone: xdist reports it if it's a worker, and its replacement gets everything again.
