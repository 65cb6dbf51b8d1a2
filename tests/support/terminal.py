"""A terminal for tests: runs a command in a pseudo-terminal and knows what its screen shows."""

import codecs
import fcntl
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.support.forked import start_forked

TOKEN = re.compile(r"\x1b\[(\d*(?:;\d+)*)([A-Za-z])|\x1b\].*?(?:\x07|\x1b\\)|([^\x1b])", re.DOTALL)
LONGEST_ESCAPE = 40


class Screen:
    """The screen and all that scrolled off it, as far as pytest and Evaltape use one: no other escape is allowed."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.row = self.column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Take in output."""
        self._rest += text
        while found := TOKEN.match(self._rest) or self._broken_escape():
            self._rest = self._rest[found.end() :]
            number, letter, character = found.groups()
            if letter:
                self._escape(number, letter)
            elif character:
                self._put(character)

    @property
    def text(self) -> str:
        """All lines, without trailing space."""
        return "\n".join(line.rstrip() for line in self.lines)

    def _broken_escape(self) -> re.Match[str] | None:
        """An escape without an end, as is left where pytest cuts a coloured text."""
        return re.match("()()(\x1b)", self._rest) if len(self._rest) > LONGEST_ESCAPE else None

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._down()
        else:
            if self.column == self.columns:
                self.column = 0
                self._down()
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _escape(self, number: str, letter: str) -> None:
        if letter == "A":
            self.row -= int(number or 1)
            assert self.row >= 0
        elif letter == "C":
            self.column = min(self.columns - 1, self.column + int(number or 1))
        elif letter == "J":
            del self.lines[self.row + 1 :]
            self.lines[self.row] = self.lines[self.row][: self.column]
        else:
            assert letter == "m", letter


@dataclass(frozen=True)
class Shown:
    """What a terminal has shown: after each piece of output, and in the end."""

    exit_code: int
    raw: str
    states: list[str]

    @property
    def text(self) -> str:
        """What it shows in the end."""
        return self.states[-1]


def run_in_terminal(
    args: list[str],
    folder: Path,
    environment: dict[str, str],
    columns: int = 80,
    watch: Callable[[str], None] = lambda text: None,
) -> Shown:
    """Run `pytest ARGS` in a terminal of so many columns; `watch` receives what it shows, after each piece of output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = start_forked(args, folder, {**environment, "TERM": "xterm"}, Path(os.ttyname(theirs)))
    closing = threading.Thread(target=_close_at_end, args=(process, theirs))
    closing.start()
    screen, raw, states = Screen(columns), "", []
    decoder = codecs.getincrementaldecoder("utf-8")()
    while data := _read(ours):
        raw += (text := decoder.decode(data))
        screen.feed(text)
        states.append(screen.text)
        watch(screen.text)
    os.close(ours)
    closing.join()
    assert process.exitcode is not None
    return Shown(process.exitcode, raw, states)


def _close_at_end(process: ForkServerProcess, terminal: int) -> None:
    process.join(240)
    if process.is_alive():
        process.kill()
        process.join()
    os.close(terminal)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # How Linux tells the end of a pseudo-terminal.
        return b""
