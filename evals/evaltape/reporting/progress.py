"""How a recording gets on, shown while it does: calls and jobs, failures, tokens, money, and the time that is left.

In a terminal that is a few live lines under the line that pytest is writing: they are erased before pytest writes and
drawn again after, with the cursor put back, so that its dots stay in place. Elsewhere, as in the log of a CI job, it is whole
lines now and then. Both go out by a descriptor of their own, for pytest captures the standard output while a test waits. A
worker writes neither.
"""

import contextlib
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from evaltape.recorder.wire import GRACE_S, LaneTally, Tally
from evaltape.text import columns, counted, cut, duration, usd

if TYPE_CHECKING:
    import pytest

    from evaltape.recorder.process import RecorderProcess

    Write = Callable[..., None]

LIVE_EVERY_S = 0.2
SAY_EVERY_S = 10.0
SAY_IDLE_EVERY_S = 60.0
"""A log gets a line that often where only a job is waited for, which can take hours."""
RATE_WINDOW_S = 30.0


@contextlib.contextmanager
def shown(config: "pytest.Config", recorder: "RecorderProcess | None") -> Iterator[None]:
    """Show a recording's progress meanwhile. At its end a log gets a last line, and a terminal is left clean."""
    screen = open_screen(config) if recorder is not None else None
    if recorder is None or screen is None:
        yield
        return
    over = threading.Event()
    watching = threading.Thread(target=_watch, args=(recorder, screen, over), name="evaltape-progress", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        with contextlib.suppress(OSError):
            if not screen.live:
                screen.say_notes(recorder.tally.notes)
                if recorder.tally.calls.total:
                    screen.say(last_line(recorder.tally, time.monotonic() - recorder.started))
            screen.close()


def announce_wait(config: "pytest.Config", recorder: "RecorderProcess | None") -> None:
    """Name the calls that a session waits for after its early end."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if recorder is not None and recorder.is_running and recorder.tally.calls.in_flight and reporter and reporter.verbosity >= 0:
        calls = counted(recorder.tally.calls.in_flight, "call")
        if config.get_terminal_writer().width_of_current_line:
            reporter.line("")
        reporter.write_line(f"Waiting for {calls} in flight, {GRACE_S:g} s at most: their answers are paid for.")


def _watch(recorder: "RecorderProcess", screen: "Screen", over: threading.Event) -> None:
    """Watch a recorder from a thread of its own: tests and their workers wait in theirs."""
    rate, said, said_done = Rate(recorder.started), time.monotonic(), 0
    with contextlib.suppress(OSError):  # The terminal is gone; the recording goes on without it.
        while not over.wait(LIVE_EVERY_S):
            now, tally = time.monotonic(), recorder.tally
            done = tally.calls.done
            rate.note(now, done)
            if screen.live:
                screen.show(live_lines(tally, rate, recorder.stopped) if recorder.is_running else [])
            elif recorder.is_running:
                screen.say_notes(tally.notes)
                if now - said >= (SAY_EVERY_S if done != said_done else SAY_IDLE_EVERY_S):
                    said, said_done = now, done
                    for line in log_lines(tally, rate, recorder.stopped):
                        screen.say(line)


class Rate:
    """How many calls have ended per second recently."""

    def __init__(self, started: float) -> None:
        self._seen: deque[tuple[float, int]] = deque([(started, 0)])

    def note(self, now: float, done: int) -> None:
        """So many calls have ended by now."""
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] < now - RATE_WINDOW_S:
            self._seen.popleft()

    def left_s(self, calls: int) -> float | None:
        """Seconds that so many further calls take; None if no call has ended of late."""
        (start, before), (now, done) = self._seen[0], self._seen[-1]
        return calls * (now - start) / (done - before) if done > before else None


def live_lines(tally: Tally, rate: Rate, stopping: bool) -> list[str]:
    """The recording in a line; a line more per model where there are several, and per job."""
    lanes = _lanes(tally)
    lines = [f"  {lane}" for lane in lanes if len(lanes) > 1]
    return [*([_summary(tally, rate, stopping)] if lanes else []), *lines, *_jobs(tally)]


def log_lines(tally: Tally, rate: Rate, stopping: bool) -> list[str]:
    """The same for a log: a line for all calls, and a line per job."""
    lanes = _lanes(tally)
    models = f": {'; '.join(lanes)}" if len(lanes) > 1 else ""
    return [*([_summary(tally, rate, stopping) + models] if lanes else []), *_jobs(tally)]


def last_line(tally: Tally, took_s: float) -> str:
    """The number of recorded calls, and how long they took."""
    calls = tally.calls
    failures = [f"{calls.failed:,} failed"] if calls.failed else []
    recorded = f"recorded {calls.done - calls.failed:,} of {calls.total:,} calls"
    return ", ".join([recorded, *failures, *_spent(tally), f"in {duration(took_s)}"])


def _summary(tally: Tally, rate: Rate, stopping: bool) -> str:
    asked = [lane.model for lane in tally.lanes if lane.total]
    name = f"{asked[0]} " if len(asked) == 1 else ""
    parts = [f"recording {name}{_counts(tally.calls)}"]
    left = tally.calls.total - tally.calls.done
    left_s = rate.left_s(left)
    if stopping:
        parts.append("stopping")
    elif left_s is not None and left:  # As exact as a forecast can be.
        rounded = duration(left_s if left_s < 60 else 60 * round(left_s / 60)).replace(" 00 s", "")
        parts.append(f"{rounded} left")
    return ", ".join([*parts, *_spent(tally)])


def _lanes(tally: Tally) -> list[str]:
    return [f"{lane.model} {_counts(lane)}" for lane in tally.lanes if lane.total]


def _counts(lane: LaneTally) -> str:
    failed = f", {lane.failed:,} failed" if lane.failed else ""
    return f"{lane.done:,}/{lane.total:,}, {lane.in_flight} in flight{failed}"


def _jobs(tally: Tally) -> list[str]:
    waits = [f"  {key}: {text}" for key, text in tally.waits.items()]
    return [*waits, *(f"{what}: {status}" for what, status in tally.statuses.items())]


def _spent(tally: Tally) -> list[str]:
    priced = any(lane.has_price for lane in tally.lanes) or tally.spend.usd
    tokens = tally.calls.tokens
    return ([f"{tokens:,} tokens"] if tokens else []) + ([usd(tally.spend.usd)] if priced else [])


# ---------------------------------------------------------------- the screen


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
        self._noted = 0
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

    def say_notes(self, notes: Sequence[str]) -> None:
        """Write the notes that aren't written yet."""
        for note in notes[self._noted :]:
            self.say(f"evaltape: {note}")
        self._noted = len(notes)

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
                _, newline, last = _ESCAPES.sub("", message).replace("\r", "\n").rpartition("\n")
                self._column = columns(last) if newline else self._column + columns(last)
                self._draw()

        return written

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
