"""The recorder's process as the controller knows it: started, given its work, listened to, and waited for.

A process of its own for three reasons: its imports are done while the controller loads the samples, its calls and the
tests that score their answers don't share an interpreter lock, and killing the controller doesn't lose answers
that are paid for. It is Python running `boot.py` on every platform; `wire` has their messages.
"""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from evaltape.errors import UserError
from evaltape.recorder import boot, wire
from evaltape.settings import Settings

LOST = "the recorder has ended before its work was done"
STOP_S = 5.0
"""How long the recorder may take to learn that it shall stop; its loop turns many times a second."""


class RecorderProcess:
    """A handle on the recorder."""

    def __init__(self, settings: Settings, outcomes: wire.Outcomes) -> None:
        """Start it, and wait until it holds the folders of the recordings. Raises `UserError` if it can't."""
        self.tally = wire.Tally()
        self.started = time.monotonic()
        self.is_running = False
        self._outcomes = outcomes
        self._has_stopped = threading.Event()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # Closed by `end`.
        folders = [str(Path(folder).absolute()) for folder in sys.path]  # Those it imports from, as the child can find them.
        with _ignoring_interrupts():
            self._process = subprocess.Popen(
                [sys.executable, "-P", boot.__file__, json.dumps(folders)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
        self._pipe = wire.Pipe(cast(BinaryIO, self._process.stdout), cast(BinaryIO, self._process.stdin))
        self._pipe.send(wire.Open(settings.as_json()))
        self._expect_ready()

    def begin(self, selection: wire.Selection) -> None:
        """Let it record these samples; if there are none, let it move the samples into place that wait for no answer."""
        self.started = time.monotonic()
        self._pipe.send(wire.Begin(selection))

    def listen(self) -> None:
        """Wait until it has begun, and take in its messages from then on. Raises `UserError` if it can't begin."""
        self._expect_ready()
        self.is_running = True
        self._pipe.listen(self._receive, self._end)

    @property
    def stopped(self) -> bool:
        """Whether it starts no further call."""
        return self._outcomes.stopped is not None

    def stop(self, reason: str) -> None:
        """Let it start no further call, and wait until it knows."""
        self._pipe.send(wire.Stopped(reason))
        self._outcomes.stop(reason)
        if self.is_running:
            self._has_stopped.wait(STOP_S)

    def join(self) -> None:
        """Wait for its end. Once stopped, it waits a minute for calls in flight, for they are paid for.

        An interrupt ends the wait alone: whether the recorder goes on is for the caller to decide.
        """
        timeout_s = wire.GRACE_S + 1 if self.stopped else None
        self._pipe.join(timeout_s)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self.end()

    def end(self) -> None:
        """End it at once if it still runs, also with calls in flight."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):
                cast(IO[bytes], stream).close()

    def _expect_ready(self) -> None:
        message = self._pipe.receive()
        if not isinstance(message, wire.Ready):
            raise UserError(message.reason if isinstance(message, wire.Stopped) else self._why_lost())

    def _receive(self, message: wire.Message) -> None:
        if isinstance(message, wire.Tally):
            self.tally = message
        elif isinstance(message, wire.Ended | wire.Stopped):
            self._outcomes.receive(message)
            if isinstance(message, wire.Stopped):
                self._has_stopped.set()

    def _end(self) -> None:
        if self._outcomes.stopped is None:
            reason = self._why_lost()
            self.tally.stopped = reason
            self._outcomes.stop(reason)
        self.is_running = False
        self._has_stopped.set()

    def _why_lost(self) -> str:
        """Say that it ended, with the last line that Python wrote about it."""
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            self._process.wait(5)
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
            return f"{LOST}: {lines[-1]}" if lines else LOST
        return LOST


@contextlib.contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Start a child that ignores Ctrl-C from its first moment on: the controller decides the consequence."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
