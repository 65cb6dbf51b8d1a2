"""Random suites, run in random ways: every output says the same of each bound, and what a plain recomputation says.

`python -m benchmarks.verdicts --suites 500 --seed 1` writes repositories of ten random suites each (`tests/support/verdicts`):
metrics with and without bounds, of which more or less is better, or of true and false; slices, clusters, failed samples and
scores that can't be computed; comparisons; tests of a user's own; an other side to compare with. Each is run once, with random
selections of tests and samples, with and without xdist. Terminal, results file, report, comment, JUnit XML and exit code are
then held against each other and against verdicts that are computed anew from the scores.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.verdicts.check import play
from tests.support.verdicts.world import random_world

SUITES = 10
"""Of one run."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--suites", type=int, default=500, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run (default: %(default)s)")
    parser.add_argument("--mode", help="how each run is made, such as '-n 2'; drawn for each if absent")
    options = parser.parse_args()
    started, tally, disagreements = time.monotonic(), Counter[str](), 0
    for seed in range(options.seed, options.seed + -(-options.suites // SUITES)):
        with tempfile.TemporaryDirectory() as folder:
            for line in play(random_world(seed, SUITES, options.mode), Path(folder) / "repository", tally):
                disagreements += 1
                print(line, flush=True)
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.items()))
    print(f"{disagreements} disagreements in {time.monotonic() - started:.0f} s: {counts}")


if __name__ == "__main__":
    main()
