"""Recordings that are killed, interrupted, refused or run out of disk at random moments: what is left, and what is paid twice.

`python -m benchmarks.faults --seed 1` runs each fault as often as its row says, on the tests' own server, which counts. After
every run it is asserted that each file on disk is whole, that `--record-missing` finishes the recording, that this pays again
for no more than was in flight, and that the end result is, byte for byte, that of a recording nothing happened to.
"""

import argparse
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from evaltape.recording import cassettes

from tests.support.project import Project, Run, Running, wait_for
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject

SAMPLES, IN_FLIGHT, LATENCY_S = 100, 8, 0.15
MODES = ("-p no:xdist", "-n 0", "-n 2")
TRANSIENT = ("500", "502", "503", "html error", "reset", "cut", "429", "429 at once", "429 without retry-after")
RECORD = ("evals", "-m", "baseline", "-k", "test_sample", "--concurrency", str(IN_FLIGHT))


@dataclass
class Tally:
    """What came of one fault's runs."""

    fault: str
    allowed: int
    runs: int = 0
    kept: list[int] = field(default_factory=list)
    paid_twice: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """A row of the table."""
        kept = f"{min(self.kept)} to {max(self.kept)}" if self.kept else ""
        twice = f"{max(self.paid_twice)} (allowed {self.allowed})" if self.paid_twice else ""
        return f"| {self.fault} | {self.runs} | {kept} | {twice} | {'; '.join(self.wrong) or 'none'} |"


class Bench:
    """A recording of a hundred samples, and what a recording looks like that nothing happened to."""

    def __init__(self, root: Path, api: ApiServer) -> None:
        self.api, self._root, self._made = api, root, 0
        api.latency_s = LATENCY_S
        self.whole_s: dict[str, float] = {}
        for mode in (*MODES, *MODES):  # Twice: the first run of all is slower than any other.
            project = self.project()
            started = time.monotonic()
            assert project.run(*RECORD, "--record", mode).exit_code == 0
            self.whole_s[mode] = time.monotonic() - started
        self.wanted = project.answers()
        assert len(self.wanted) == SAMPLES

    def wait(self, rng: random.Random, mode: str, earliest: float = 0.0) -> None:
        """Wait for a random moment of a recording, or of what is behind the `earliest` share of it."""
        time.sleep(rng.uniform(earliest, 1) * self.whole_s[mode])

    def project(self) -> Project:
        """A project that nothing is recorded in."""
        self._made += 1
        project = Project(self._root / f"project-{self._made}", self.api.base_url)
        names = [f"p{number:03d}" for number in range(SAMPLES)]
        project.write_rows(
            [{"id": name, "dialogue": f"Ann: I am {name}\nBob: ok", "summary": "Ann is there."} for name in names]
        )
        self.api.forget()
        return project

    def finish(self, project: Project, tally: Tally, *args: str) -> None:
        """Check what is there, record what is missing, and check again."""
        kept = whole(project.cassettes)
        tally.kept.append(kept)
        self.api.latency_s = 0
        before = self.api.answered
        run = project.run(*RECORD, "--record-missing", "-p no:xdist", *args)
        self.api.latency_s = LATENCY_S
        assert run.outcomes.get("passed") == SAMPLES, f"unfinished: {run.output[-500:]}"
        assert self.api.answered - before == SAMPLES - kept, "asked for what was there"
        assert project.answers() == self.wanted, "other recordings than those of an undisturbed run"
        assert not list(project.cassettes.rglob("*.part")), "a part of a file is left"
        tally.paid_twice.append(self.api.answered - SAMPLES)
        assert tally.paid_twice[-1] <= tally.allowed, f"paid twice for {tally.paid_twice[-1]}"


def whole(folder: Path) -> int:
    """How many cassettes there are, each of them whole."""
    found = sorted(folder.glob("*/*.yaml"))
    for path in found:
        assert cassettes.read(path)
    return len(found)


# ---------------------------------------------------------------- faults, each of one run

Fault = Callable[[Bench, random.Random, Tally, str], None]


def session_killed(bench: Bench, rng: random.Random, tally: Tally, mode: str) -> None:
    project = bench.project()
    running = project.start(*RECORD, "--record", mode)
    bench.wait(rng, mode)
    killed(running)
    bench.finish(project, tally)


def worker_killed(bench: Bench, rng: random.Random, tally: Tally, mode: str) -> None:
    """The session goes on with another worker, and no call is lost with the one that is gone."""
    project = bench.project()
    running = project.start(*RECORD, "--record", "-n 2")
    bench.wait(rng, "-n 2", 0.3)
    for worker in running.workers()[:1]:
        os.kill(worker, signal.SIGKILL)
    ended(running)
    assert "INTERNALERROR" not in running.output, running.output[-500:]
    assert bench.api.answered == SAMPLES, f"{bench.api.answered} calls"
    bench.finish(project, tally)


def main_killed(bench: Bench, rng: random.Random, tally: Tally, mode: str) -> None:
    """The recorder, left alone, records what is in flight and ends."""
    project = bench.project()
    running = project.start(*RECORD, "--record", mode)
    bench.wait(rng, mode, 0.3)
    if running.process.is_alive():
        os.kill(running.pid, signal.SIGKILL)
    running.process.join()
    wait_for(running.has_left_nothing)
    bench.finish(project, tally)


def recorder_killed(bench: Bench, rng: random.Random, tally: Tally, mode: str) -> None:
    """The session is told, and ends."""
    project = bench.project()
    running = project.start(*RECORD, "--record", mode)
    bench.wait(rng, mode, 0.3)
    recorder = running.recorder() if running.process.is_alive() else None
    if recorder is not None:
        with suppress(ProcessLookupError):
            os.kill(recorder, signal.SIGKILL)
    ended(running)
    assert "INTERNALERROR" not in running.output, running.output[-500:]
    bench.finish(project, tally)


def interrupted(bench: Bench, rng: random.Random, tally: Tally, mode: str) -> None:
    """Calls in flight are waited for, so nothing is paid for twice."""
    project = bench.project()
    running = project.start(*RECORD, "--record", mode)
    bench.wait(rng, mode, 0.3)
    if running.process.is_alive():
        os.killpg(running.pid, signal.SIGINT)
    ended(running)
    bench.finish(project, tally)


def disk_full(bench: Bench, rng: random.Random, tally: Tally, mode: str) -> None:
    project = bench.project()
    with small_disk(project.root / "small", rng.randrange(60, 420, 4)) as full:
        run = project.run(*RECORD, "--record", mode, "--cassettes", str(full))
        assert run.exit_code != 0, run.output[-500:]
        assert "can't be written: No space left on device" in " ".join(run.output.split()), run.output[-500:]
        assert "Traceback" not in run.output, run.output[-500:]
        subprocess.run(["mount", "-o", "remount,size=8m", str(full)], check=True)
        bench.finish(Moved(project, full / "chats"), tally, "--cassettes", str(full))


def storm(bench: Bench, rng: random.Random, tally: Tally, mode: str) -> None:
    """Half of the samples meet a fault that passes; none leaves a trace."""
    project = bench.project()
    struck = rng.sample(sorted(bench.wanted), SAMPLES // 2)
    for name in struck:
        bench.api.fault(rng.choice(TRANSIENT), match=f"I am {name}")
    run = project.run(*RECORD, "--record", mode)
    assert run.exit_code == 0, run.output[-500:]
    bench.finish(project, tally)


def two_sessions(bench: Bench, rng: random.Random, tally: Tally, mode: str) -> None:
    """The one that comes second is refused."""
    project = bench.project()
    both = [project.start(*RECORD, "--record", mode)]
    time.sleep(rng.uniform(0, 0.5))
    both.append(project.start(*RECORD, "--record", mode))
    runs = [ended(running) for running in both]
    assert sorted(run.exit_code for run in runs) == [0, 4], [run.output[-300:] for run in runs]
    assert bench.api.answered == SAMPLES, f"{bench.api.answered} calls"
    bench.finish(project, tally)


def job_killed(bench: Bench, rng: random.Random, tally: Tally, mode: str) -> None:
    """One upload and one job, whenever it is: before the upload, while it trains, after its end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ApiServer() as api:
        tuning = TuningProject(Path(folder) / "project", api)
        api.latency_s, api.tuning.step_s = 0.05, 0.3
        running = tuning.start("evals", "--record", "--snapshot-update", mode)
        time.sleep(rng.uniform(0.2, 3.0))
        killed(running)
        tally.kept.append(whole(tuning.cassettes))
        before = api.answered
        run = tuning.run("evals", "--record-missing", "--snapshot-update", "-p no:xdist")
        assert run.exit_code == 0, run.output[-500:]
        assert whole(tuning.cassettes) == 13
        assert (tuning.uploads, len(tuning.job_ids)) == (1, 1), f"{tuning.uploads} uploads, jobs {tuning.job_ids}"
        tally.paid_twice.append(api.answered - 12)
        assert before + 12 >= api.answered


FAULTS: dict[str, tuple[Fault, int, int]] = {
    # what: (a run of it, how many, answers that may be paid for twice)
    "SIGKILL of the session": (session_killed, 50, IN_FLIGHT),
    "SIGKILL of the main process alone": (main_killed, 20, 0),
    "SIGKILL of the recorder": (recorder_killed, 20, IN_FLIGHT),
    "SIGKILL of a worker": (worker_killed, 50, 0),
    "Ctrl-C": (interrupted, 20, 0),
    "a disk that fills up": (disk_full, 10, IN_FLIGHT),
    "transient faults for half of the samples": (storm, 10, 0),
    "two sessions within half a second": (two_sessions, 10, 0),
    "SIGKILL around a fine-tuning job (12 answers, one upload, one job)": (job_killed, 30, 12),
}


# ---------------------------------------------------------------- what the faults use


class Moved(Project):
    """A project whose recordings lie elsewhere."""

    def __init__(self, project: Project, recordings: Path) -> None:
        self.__dict__.update(project.__dict__)
        self.cassettes = recordings


def killed(running: Running) -> None:
    while running.process.is_alive():
        with suppress(ProcessLookupError):  # It may not lead its group yet.
            running.kill()
        running.process.join(0.1)


def ended(running: Running) -> Run:
    return running.wait(120)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of its own; only root may mount one."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the runs of each fault (default 1)")
    parser.add_argument("--only", default="", help="faults whose name holds this")
    given = parser.parse_args()
    print(f"seed {given.seed}\n")
    print("| fault, at random moments | runs | recordings kept | paid twice at most | wrong |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ApiServer() as api:
        bench = Bench(Path(folder), api)
        for name, (fault, runs, allowed) in FAULTS.items():
            if given.only not in name or (fault is disk_full and os.geteuid() != 0):
                continue
            tally = Tally(name, allowed)
            for number in range(max(1, round(runs * given.share))):
                tally.runs += 1
                try:
                    fault(bench, random.Random(f"{given.seed} {name} {number}"), tally, MODES[number % len(MODES)])
                except Exception as error:
                    tally.wrong.append(f"run {number}: {error!r}")
            print(tally.line(), flush=True)


if __name__ == "__main__":
    main()
