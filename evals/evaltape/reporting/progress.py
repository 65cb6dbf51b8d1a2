"""How a recording gets on, shown while it does: calls and jobs, failures, tokens, money, and the time that is left."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evaltape.recorder.wire import GRACE_S, LaneTally, Tally
from evaltape.reporting.screen import Screen, open_screen
from evaltape.text import counted, duration, usd

if TYPE_CHECKING:
    import pytest

    from evaltape.recorder.process import RecorderProcess

LIVE_EVERY_S = 0.2
SAY_EVERY_S = 10.0
SAY_IDLE_EVERY_S = 60.0
"""A log gets a line that often where only a job is waited for, which can take hours."""
RATE_WINDOW_S = 30.0


@contextlib.contextmanager
def shown(config: "pytest.Config", recorder: "RecorderProcess | None") -> Iterator[None]:
    """Show a recording's progress meanwhile."""
    screen = open_screen(config) if recorder is not None else None
    if recorder is None or screen is None:
        yield
        return
    progress = Progress(recorder, screen)
    progress.start()
    try:
        yield
    finally:
        progress.stop()


def announce_wait(config: "pytest.Config", recorder: "RecorderProcess | None") -> None:
    """Name the calls that a session waits for after its early end."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if recorder is not None and recorder.is_running and recorder.tally.in_flight and reporter and reporter.verbosity >= 0:
        calls = counted(recorder.tally.in_flight, "call")
        if config.get_terminal_writer().width_of_current_line:
            reporter.line("")
        reporter.write_line(f"Waiting for {calls} in flight, {GRACE_S:g} s at most: what is answered is paid for.")


class Progress:
    """Watches a recorder from a thread of its own: tests and their workers wait in theirs."""

    def __init__(self, recorder: "RecorderProcess", screen: Screen) -> None:
        self.recorder = recorder
        self.screen = screen
        self._rate = Rate(recorder.started)
        self._notes = 0
        self._said = time.monotonic()
        self._said_done = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evaltape-progress", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a log gets a last line, a terminal is left clean."""
        self._over.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if not self.screen.live:
                self._say_notes()
                if self.recorder.tally.total:
                    self.screen.say(last_line(self.recorder.tally, time.monotonic() - self.recorder.started))
            self.screen.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # The terminal is gone; the recording goes on without it.
            while not self._over.wait(LIVE_EVERY_S):
                now = time.monotonic()
                self._rate.note(now, self.recorder.tally.done)
                if self.screen.live:
                    self.screen.show(live_lines(*self._state()) if self.recorder.is_running else [])
                elif self.recorder.is_running:
                    self._say(now)

    def _state(self) -> "tuple[Tally, Rate, bool]":
        return self.recorder.tally, self._rate, self.recorder.stopped

    def _say(self, now: float) -> None:
        self._say_notes()
        done = self.recorder.tally.done
        if now - self._said >= (SAY_EVERY_S if done != self._said_done else SAY_IDLE_EVERY_S):
            self._said, self._said_done = now, done
            for line in log_lines(*self._state()):
                self.screen.say(line)

    def _say_notes(self) -> None:
        notes = self.recorder.tally.notes[self._notes :]
        self._notes += len(notes)
        for note in notes:
            self.screen.say(f"evaltape: {note}")


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
    lanes = _asked(tally)
    lines = [f"  {_lane(lane)}" for lane in lanes if len(lanes) > 1]
    return [*([_summary(tally, rate, stopping)] if lanes else []), *lines, *_jobs(tally)]


def log_lines(tally: Tally, rate: Rate, stopping: bool) -> list[str]:
    """The same for a log: a line for all calls, and a line per job."""
    lanes = _asked(tally)
    models = ": " + "; ".join(map(_lane, lanes)) if len(lanes) > 1 else ""
    return [*([_summary(tally, rate, stopping) + models] if lanes else []), *_jobs(tally)]


def last_line(tally: Tally, took_s: float) -> str:
    """The number of recorded calls, and how long they took."""
    failures = [f"{tally.failed:,} failed"] if tally.failed else []
    recorded = f"recorded {tally.done - tally.failed:,} of {tally.total:,} calls"
    return ", ".join([recorded, *failures, *_spent(tally), f"in {duration(took_s)}"])


def _summary(tally: Tally, rate: Rate, stopping: bool) -> str:
    lanes = _asked(tally)
    name = f"{lanes[0].model} " if len(lanes) == 1 else ""
    parts = [f"recording {name}{tally.done:,}/{tally.total:,}", f"{tally.in_flight} in flight"]
    parts += [f"{tally.failed:,} failed"] if tally.failed else []
    left_s = rate.left_s(tally.total - tally.done)
    if stopping:
        parts.append("stopping")
    elif left_s is not None and tally.total > tally.done:
        parts.append(f"{_about(left_s)} left")
    return ", ".join([*parts, *_spent(tally)])


def _about(seconds: float) -> str:
    """A duration as exact as a forecast can be."""
    return duration(seconds if seconds < 60 else 60 * round(seconds / 60)).replace(" 00 s", "")


def _asked(tally: Tally) -> list[LaneTally]:
    return [lane for lane in tally.lanes if lane.total]


def _lane(lane: LaneTally) -> str:
    failed = f", {lane.failed:,} failed" if lane.failed else ""
    return f"{lane.model} {lane.done:,}/{lane.total:,}, {lane.in_flight} in flight{failed}"


def _jobs(tally: Tally) -> list[str]:
    waits = [f"  {key}: {text}" for key, text in tally.waits.items()]
    return [*waits, *(f"{what}: {status}" for what, status in tally.statuses.items())]


def _spent(tally: Tally) -> list[str]:
    priced = any(lane.has_price for lane in tally.lanes) or tally.spend.usd
    return ([f"{tally.tokens:,} tokens"] if tally.tokens else []) + ([usd(tally.spend.usd)] if priced else [])
