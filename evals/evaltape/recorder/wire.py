"""What the processes of a session tell each other, as JSON lines.

controller to recorder   Open, Begin or Settle, then perhaps Stop
recorder to controller   Ready once it holds the folders, Begun once all is planned, or Refused in place of either;
                         then Ended and Progress as they come, and Stopped at the end
controller to workers    Ended and Stopped
"""

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import msgspec

from evaltape.recorder.tally import Tally

Selection = Sequence[tuple[str, str, Sequence[str]]]
"""What to record: suite, model and samples; the job of a tuned model is recorded with it."""
CallEnd = tuple[str, str, str, str | None]
"""A call that has ended: suite, model, sample, and None if it was recorded, else the error. A job has no sample."""


def verdicts_key(model: str, judge: str) -> str:
    """Return the key in a `CallEnd` for the model, where it is a judge's verdict on one of its answers that ended.

    Only errors are told: a verdict that leaves its answer unscored. The exam of a judge is told by its key, without a sample.
    """
    return f"{model}/{judge}"


class Open(msgspec.Struct, tag=True):
    """Hold the folders of the session's suites."""

    settings: dict[str, Any]
    """As `Settings.as_json` gives them."""


class Begin(msgspec.Struct, tag=True):
    """Record this."""

    selection: Selection


class Settle(msgspec.Struct, tag=True):
    """Move the samples into place that wait for no answer: there is nothing to record."""


class Stop(msgspec.Struct, tag=True):
    """Start no further call."""

    reason: str


class Ready(msgspec.Struct, tag=True):
    """The folders are held."""


class Begun(msgspec.Struct, tag=True):
    """All is planned, and the calls begin."""


class Refused(msgspec.Struct, tag=True):
    """It can't be done; nothing was asked."""

    error: str


class Ended(msgspec.Struct, tag=True):
    """These calls and jobs have ended. The answers are not in it: they are read from the cassettes, as a replay would."""

    calls: list[CallEnd]


class Stopped(msgspec.Struct, tag=True):
    """No further call will be made."""

    reason: str


class Progress(msgspec.Struct, tag=True):
    """How far the recording has come."""

    tally: Tally


Message = Open | Begin | Settle | Stop | Ready | Begun | Refused | Ended | Stopped | Progress


def encoded(message: Message) -> str:
    """Return a message in one line of ASCII. Half a character in an API's words survives."""
    return json.dumps(msgspec.to_builtins(message))


def decoded(line: str | bytes) -> Message:
    """Return the message that `encoded` made this line of. Raises `ValueError` for another."""
    return msgspec.convert(json.loads(line), Message)  # type: ignore[no-any-return,unused-ignore]


# ---------------------------------------------------------------- the pipe between controller and recorder


class Pipe:
    """An end of two streams: it reads from the first and writes to the second. When either process ends, so does the pipe."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()
        self._listener: threading.Thread | None = None

    def send(self, message: Message) -> None:
        """Send a message. Raises `OSError` if the other end is closed."""
        with self._sending:
            try:
                self._outgoing.write(encoded(message).encode() + b"\n")
                self._outgoing.flush()
            except ValueError as error:  # This end is closed.
                raise OSError(str(error)) from None

    def receive(self) -> Message | None:
        """Wait for the next message; return None at the end."""
        with contextlib.suppress(OSError, ValueError):
            line = self._incoming.readline()
            return decoded(line) if line.endswith(b"\n") else None
        return None

    def listen(self, receive: Callable[[Message], None], end: Callable[[], None]) -> None:
        """From now on pass every message to `receive`, in a thread of its own; call `end` at the end."""

        def receive_all() -> None:
            while (message := self.receive()) is not None:
                receive(message)
            end()

        self._listener = threading.Thread(target=receive_all, name="evaltape-pipe", daemon=True)
        self._listener.start()

    def join(self, timeout_s: float | None) -> None:
        """Wait until every message has been received."""
        if self._listener is not None:
            self._listener.join(timeout_s)
