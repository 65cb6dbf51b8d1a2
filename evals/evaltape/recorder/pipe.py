"""A pipe between two processes of one session on one machine. Messages are builtins, and travel as JSON.

It has the shape of an execnet channel, which stands between the main process and an xdist worker.
"""

import contextlib
import json
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

from evaltape.recorder.outcomes import Message


class Pipe:
    """One end of the pipe. The end of either process is the end of the pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._listener: threading.Thread | None = None

    def send(self, message: Message) -> None:
        """Send a message. Raises `OSError` where the other end is closed."""
        with self._sending:
            self._connection.send_bytes(json.dumps(message).encode())

    def receive(self) -> Message | None:
        """Wait for the next message; None at the end."""
        with contextlib.suppress(EOFError, OSError):
            return dict(json.loads(self._connection.recv_bytes()))
        return None

    def listen(self, hear: Callable[[Message], None], end: Callable[[], None]) -> None:
        """From now on let `hear` have every message, in a thread of its own; `end` is called at the end."""

        def receive_all() -> None:
            while (message := self.receive()) is not None:
                hear(message)
            end()

        self._listener = threading.Thread(target=receive_all, name="evaltape-pipe", daemon=True)
        self._listener.start()

    def join(self, timeout_s: float | None) -> None:
        """Wait until everything has been heard."""
        if self._listener is not None:
            self._listener.join(timeout_s)
