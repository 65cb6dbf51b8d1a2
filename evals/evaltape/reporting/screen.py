"""The place beneath pytest's own output where a recording shows how it gets on.

In a terminal that is a few live lines under the line that pytest is writing: they are erased before pytest writes and
drawn again after, with the cursor put back, so that its dots stay as they are. Elsewhere, as in the log of a CI job, it
is whole lines now and then. Both go out by a descriptor of their own, for pytest captures the standard one while a test
waits; neither is ever written by a worker.
"""

import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from evaltape.text import columns, cut

if TYPE_CHECKING:
    import pytest

    Write = Callable[..., None]

_ESCAPES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[A-Za-z]")
PATCHED = ("write", "write_raw")
ERASE_BELOW = "\x1b[J"


class Screen:
    """The output of pytest's terminal writer, and the lines beneath it."""

    def __init__(self, writer: Any, descriptor: int, encoding: str, live: bool) -> None:
        self.live = live
        self._writer = writer
        self._descriptor = descriptor
        self._encoding = encoding
        self._column = writer.width_of_current_line
        self._lines: list[str] = []
        self._drawn = False
        self._inside = False
        self._lock = threading.RLock()
        self._before = {name: vars(writer).get(name) for name in PATCHED}
        for name in PATCHED:
            setattr(writer, name, self._around(getattr(writer, name)))

    def show(self, lines: Sequence[str]) -> None:
        """Let these lines stand beneath pytest's."""
        with self._lock:
            self._erase()
            self._lines = list(lines)
            self._draw()

    def say(self, line: str) -> None:
        """Write a line of its own; pytest's line goes on under it."""
        with self._lock:
            self._put(("\n" if self._column else "") + cut(line, 500) + "\n")
            self._column = 0

    def close(self) -> None:
        """Leave the terminal as it would be without all this."""
        with self._lock:
            self.show([])
            for name, before in self._before.items():
                delattr(self._writer, name)
                if before is not None:
                    setattr(self._writer, name, before)
            os.close(self._descriptor)

    def _around(self, write: "Write") -> "Write":
        def written(message: str, *, flush: bool = False, **markup: bool) -> None:
            with self._lock:
                if self._inside:  # `write` writes through `write_raw`
                    write(message, flush=flush, **markup)
                    return
                self._inside = True
                try:
                    self._erase()
                    write(message, flush=True, **markup)
                finally:
                    self._inside = False
                self._follow(message)
                self._draw()

        return written

    def _follow(self, message: str) -> None:
        """Know the cursor's column after `message`."""
        text = _ESCAPES.sub("", message).replace("\r", "\n")
        _, newline, last = text.rpartition("\n")
        self._column = columns(last) if newline else self._column + columns(last)

    def _draw(self) -> None:
        size = os.get_terminal_size(self._descriptor) if self.live else os.terminal_size((80, 24))
        column = self._column % max(size.columns, 1)
        on_edge = self._column > 0 and column == 0
        lines = [cut(line, size.columns - 1) for line in self._lines[: size.lines // 2]]
        if lines and not on_edge:
            back = f"\x1b[{len(lines)}A\r" + (f"\x1b[{column}C" if column else "")
            self._put("".join(f"\n\r{line}" for line in lines) + back)
            self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._put(ERASE_BELOW)
            self._drawn = False

    def _put(self, text: str) -> None:
        data = text.encode(self._encoding, "backslashreplace")
        while data:
            data = data[os.write(self._descriptor, data) :]


def open_screen(config: "pytest.Config") -> Screen | None:
    """The screen of a session; None where it shall be silent, has no terminal reporter, or nowhere to write."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    option: Any = config.option
    if reporter is None or option.verbose < 0 or option.usepdb:
        return None
    try:
        descriptor = os.dup(sys.stdout.fileno())
    except (OSError, AttributeError, ValueError):
        return None
    live = os.isatty(descriptor) and option.capture != "no" and os.name != "nt"
    live = live and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("CI")
    return Screen(config.get_terminal_writer(), descriptor, getattr(sys.stdout, "encoding", None) or "utf-8", live)
