"""The pipe between the controller and the recorder: messages as JSON lines, both ways."""

import contextlib
import threading
from collections.abc import Callable
from typing import BinaryIO

from evaltape.recorder.wire import Message, decoded, encoded


class Pipe:
    """One end of two streams, one to read from and one to write to. When either process ends, so does the pipe."""

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
