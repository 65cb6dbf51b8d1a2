"""Runs a command as a user would, and measures the whole tree of its processes: wall, CPU and resident memory."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile

SAMPLING_S = 0.05
NOT_A_USERS = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
"""Variables of build machines; with the first, every process would compile every module again."""
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True)
class Measured:
    """One run: seconds from start to exit, CPU seconds and peak MB of all its processes together, and what it printed."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def run(command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None, code: int = 0) -> Measured:
    """Run a command to its end. Raises `RuntimeError` with its output where it exits with another code."""
    with TemporaryFile("w+") as output:
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_A_USERS}
        started = time.monotonic()
        process = subprocess.Popen(
            list(map(str, command)), cwd=cwd, env={**inherited, **(env or {})}, stdout=output, stderr=subprocess.STDOUT
        )
        memory = MemoryOfTree(process.pid)
        memory.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - started
        memory.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode != code:
        raise RuntimeError(f"exit code {process.returncode} of {' '.join(map(str, command))}\n{text[-4000:]}")
    return Measured(wall_s, usage.ru_utime + usage.ru_stime, memory.peak_mb, text)


class MemoryOfTree(threading.Thread):
    """Watches the resident memory of a process and all its descendants; `peak_mb` is the greatest sum seen."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.peak_mb = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(SAMPLING_S):
            self.peak_mb = max(self.peak_mb, sum(map(_resident_mb, _tree(self.pid))))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _tree(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        children = [Path(f"/proc/{pid}/task/{thread}/children").read_text().split() for thread in threads]
    except OSError:
        return [pid]
    return [pid, *(one for of_thread in children for child in of_thread for one in _tree(int(child)))]


def _resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB
    except (OSError, IndexError):
        return 0.0


def interleaved(times: int, *ways: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None) -> list[Measured]:
    """Run each way in turn, several times over, and give the run of median wall of each: noise hits all alike."""
    runs: list[list[Measured]] = [[] for _ in ways]
    for _ in range(times):
        for found, command in zip(runs, ways, strict=True):
            found.append(run(command, cwd, env))
    return [by_median(found) for found in runs]


def by_median(found: list[Measured]) -> Measured:
    """The run whose wall is the median, or next above it."""
    middle = median(one.wall_s for one in found)
    return min((one for one in found if one.wall_s >= middle), key=lambda one: one.wall_s)


PYTHON = sys.executable
