"""Disks that are full or can't be written any more. Only root can mount them."""

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.faults.api import MODES
from tests.support.faults.scene import IN_FLIGHT, Scene

LEAST_KB, MOST_KB = 16, 120
"""Thirty-two recordings take more: a page each."""


def disk_full(here: Scene, rng: random.Random) -> None:
    """The folder of the recordings is on a disk that they don't fit on, until it is made larger."""
    with _mounted(here.project.root / "cassettes", rng.randrange(LEAST_KB, MOST_KB, 4)) as folder:
        _end(here, rng, "No space left on device")
        _mount("-o", "remount,size=64m", str(folder))
        here.settle()


def disk_read_only(here: Scene, rng: random.Random) -> None:
    """The folder of a model's recordings can't be written any more from a random moment on, or from the start."""
    folder = here.project.cassettes / "small"
    folder.mkdir(parents=True)
    running = here.start(rng.choice(MODES))
    here.wait_for_moment(rng, running)
    # A mount of the folder on itself: the one beneath has open files, so it can't be made read-only.
    _mount("--bind", str(folder), str(folder))
    try:
        _make_read_only(folder)
        here.findings.faults += running.process.is_alive()
        here.allowed += IN_FLIGHT
        here.end(running)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
    here.settle()


def _end(here: Scene, rng: random.Random, reason: str) -> None:
    run = here.end(here.start(rng.choice(MODES)))
    here.findings.faults += 1
    here.allowed += IN_FLIGHT
    if run is not None and (run.exit_code == 0 or reason not in " ".join(run.output.split()) or "Traceback" in run.output):
        here.findings.report(f"exit code {run.exit_code}, not with {reason!r}: {run.output}")


def _make_read_only(folder: Path) -> None:
    """It is refused while a file is being written there."""
    while subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], capture_output=True).returncode:
        pass


@contextmanager
def _mounted(folder: Path, kilobytes: int) -> Iterator[Path]:
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _mount(*args: str) -> None:
    subprocess.run(["mount", *args], check=True)


STRIKES = {"a full disk": disk_full, "a read-only disk": disk_read_only}
