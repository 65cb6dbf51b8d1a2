"""Fine-tuning jobs under everything that can go wrong with a request, a listing or a session, on the tests' own server.

`python -m benchmarks.jobs --worlds 2000 --seed 1` plays so many worlds of `tests/support/job_world.py`: sessions one after the
other or two at once on two machines, requests lost before or after they took effect, delayed, carried out twice, refused,
sessions killed, listings that lag, lack metadata or never end. In each it is asserted that no second job is paid unless
`--retrain` asked for it, that every session ends with a recorded job or a message that says what to do, and that none hangs. A
world that fails is shrunk and printed.
"""

import argparse
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from tests.support.job_world import Stage, Tally, World, worlds
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=2000, help="how many (default 2000, about 20 minutes)")
    parser.add_argument("--seed", type=int, default=1)
    given_options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ApiServer() as api:
        project = TuningProject(Path(name) / "project", api)
        stage = Stage(project.jobs().prepare("tuned"), api, Path(name))
        play(stage, given_options.worlds, given_options.seed)
        show(stage.tally, given_options.seed, time.monotonic() - started)


def play(stage: Stage, number: int, first: int) -> None:
    """Play random worlds; raises `AssertionError` for one in which something doesn't hold."""

    @seed(first)
    @settings(max_examples=number, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(world=worlds)
    def one(world: World) -> None:
        stage.play(world)

    one()


def show(tally: Tally, first: int, seconds: float) -> None:
    """Print what was played."""
    print(f"seed {first}: {tally.worlds:,} worlds, {tally.sessions:,} sessions, {tally.requests:,} requests, {seconds:.0f} s\n")
    print("| what | count |\n| --- | --- |")
    print(f"| sessions killed | {tally.killed:,} |")
    for state, count in tally.states.most_common():
        print(f"| sessions that ended in `{state}` | {count:,} |")
    for jobs, count in sorted(tally.jobs.items()):
        print(f"| worlds in which {jobs} jobs trained | {count:,} |")
    print(f"| of these, with a job more than was asked for, because the API hid another | {tally.hidden:,} |")
    for fault, count in sorted(tally.faults.items(), key=lambda item: (item[0].split(" ", 1)[1], -item[1])):
        print(f"| {fault} | {count:,} |")
    print("\nNo further job was paid and no session hung: a world in which one is ends the run.")


if __name__ == "__main__":
    main()
