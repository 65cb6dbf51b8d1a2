"""Signals to a session's processes, at random moments. Several sessions are struck one after another before one finishes."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from tests.support.faults.api import MODES
from tests.support.faults.scene import DEADLINE_S, IN_FLIGHT, SAMPLES, Scene
from tests.support.project import Running, wait_for


def send_to_group(running: Running, number: int) -> bool:
    """Send a signal to all of a session; whether it was there."""
    while running.process.is_alive():
        with suppress(ProcessLookupError):  # It may not lead its group yet.
            os.killpg(running.pid, number)
            return True
        time.sleep(0.01)
    return False


def _to(pid: int | None, number: int) -> bool:
    with suppress(ProcessLookupError):
        if pid is not None:
            os.kill(pid, number)
            return True
    return False


def _struck(here: Scene, rng: random.Random, hit: Callable[[Running], bool], allowed: int, *args: str) -> None:
    """Strike sessions, each at a random moment, until all is recorded or so many were; then finish."""
    for _ in range(here.in_a_row):
        running = here.start(*(args or (rng.choice(MODES),)))
        here.wait_for_moment(rng, running)
        if running.process.is_alive() and hit(running):
            here.findings.faults += 1
            here.allowed += allowed
        here.end(running)
        wait_until_gone(here, running)
        if len(here.project.recorded()) == SAMPLES:
            break
    here.settle()


def wait_until_gone(here: Scene, running: Running) -> None:
    """Wait until what outlives the controller has ended, too."""
    try:
        wait_for(running.has_left_nothing, DEADLINE_S)
    except AssertionError:
        here.findings.hung += 1
        here.findings.report("a process is left")
        send_to_group(running, signal.SIGKILL)
    here.check_whole()


def session_killed(here: Scene, rng: random.Random) -> None:
    """All processes at once, as by a power cut."""
    _struck(here, rng, lambda running: send_to_group(running, signal.SIGKILL), IN_FLIGHT)


def controller_killed(here: Scene, rng: random.Random) -> None:
    """The recorder, left alone, records what is in flight and ends: nothing is paid again."""
    _struck(here, rng, lambda running: _to(running.pid, signal.SIGKILL), 0)


def recorder_killed(here: Scene, rng: random.Random) -> None:
    """The session ends, and says why."""
    _struck(here, rng, lambda running: _to(running.recorder(), signal.SIGKILL), IN_FLIGHT)


def worker_killed(here: Scene, rng: random.Random) -> None:
    """The session goes on with another worker: nothing is paid again."""

    def hit(running: Running) -> bool:
        workers = running.workers()
        return bool(workers) and _to(rng.choice(workers), signal.SIGKILL)

    _struck(here, rng, hit, 0, "-n 2")


def interrupted(here: Scene, rng: random.Random) -> None:
    """Calls in flight are waited for: nothing is paid again."""
    _struck(here, rng, lambda running: send_to_group(running, signal.SIGINT), 0)


def interrupted_twice(here: Scene, rng: random.Random) -> None:
    """The second ends the wait for calls in flight."""
    here.api.latency_s = 1.0

    def hit(running: Running) -> bool:
        if not send_to_group(running, signal.SIGINT):
            return False
        time.sleep(rng.uniform(0, 0.3))
        send_to_group(running, signal.SIGINT)
        return True

    _struck(here, rng, hit, IN_FLIGHT)


STRIKES = {
    "SIGKILL of the whole session": session_killed,
    "SIGKILL of the controller": controller_killed,
    "SIGKILL of the recorder": recorder_killed,
    "SIGKILL of a worker": worker_killed,
    "Ctrl-C": interrupted,
    "Ctrl-C, twice": interrupted_twice,
}
