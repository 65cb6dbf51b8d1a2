"""Fine-tuning jobs under everything that can go wrong with a request, a listing or a session, on the tests' own server.

`python -m benchmarks.jobs --worlds 1000 --seed 1` plays so many worlds of `tests/support/job_world.py`, some at once: the ways
of every host, sessions one after the other or two at once on two machines, requests lost before or after they took effect,
delayed, carried out twice, refused, sessions killed, listings that lag, lack metadata or never end. In each it is asserted
that no second job is paid unless `--retrain` asked for it, that every session ends with a recorded job or a message that says
what is free, and that none hangs. Worlds in which something doesn't hold are printed, and the command fails.
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.job_world import Stage, Tally, World, worlds
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=4, help="how many are played at once (default 4)")
    options = parser.parse_args()
    started, tally = time.monotonic(), Tally()
    failures = play(drawn(options.worlds, options.seed), options.at_once, tally)
    show(tally, options.seed, time.monotonic() - started)
    for world, error in failures:
        print(f"\n{world!r}\n{type(error).__name__}: {error}")
    if failures:
        sys.exit(f"{len(failures)} of {tally.worlds} worlds failed")
    print("\nNo further job was paid and no session hung.")


def drawn(number: int, first: int) -> list[World]:
    """Draw random worlds."""
    found: list[World] = []

    @seed(first)
    @settings(
        max_examples=number, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(world=worlds)
    def draw(world: World) -> None:
        found.append(world)

    draw()
    return found


def play(waiting: list[World], at_once: int, tally: Tally) -> list[tuple[World, BaseException]]:
    """Play worlds, each thread at a server of its own; return those in which something doesn't hold."""
    queue: SimpleQueue[World] = SimpleQueue()
    for world in waiting:
        queue.put(world)
    failures: list[tuple[World, BaseException]] = []
    threads = [threading.Thread(target=_play_all, args=(queue, tally, failures)) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def _play_all(queue: "SimpleQueue[World]", tally: Tally, failures: list[tuple[World, BaseException]]) -> None:
    with tempfile.TemporaryDirectory() as name, ApiServer() as api:
        project = TuningProject(Path(name) / "project", api)
        stage = Stage(project.jobs().prepare("tuned"), api, Path(name), tally)
        while True:
            try:
                world = queue.get_nowait()
            except Empty:
                return
            try:
                stage.play(world)
            except Exception as error:  # Each is reported.
                failures.append((world, error))


def show(tally: Tally, first: int, seconds: float) -> None:
    """Print what was played."""
    print(f"seed {first}: {tally.worlds:,} worlds, {tally.sessions:,} sessions, {tally.requests:,} requests, {seconds:.0f} s\n")
    print("| what | count |\n| --- | --- |")
    for shape, count in sorted(tally.shapes.items()):
        print(f"| worlds in the ways of {shape} | {count:,} |")
    print(f"| sessions killed | {tally.killed:,} |")
    for state, count in tally.states.most_common():
        print(f"| sessions that ended in `{state}` | {count:,} |")
    for jobs, count in sorted(tally.jobs.items()):
        print(f"| worlds in which {jobs} jobs trained | {count:,} |")
    print(f"| of these, with a job more than was asked for, because the API hid another | {tally.hidden:,} |")
    for fault, count in sorted(tally.faults.items(), key=lambda item: (item[0].split(" ", 1)[1], -item[1])):
        print(f"| {fault} | {count:,} |")


if __name__ == "__main__":
    main()
