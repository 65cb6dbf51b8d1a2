"""A thousand faults: sessions killed and interrupted, disks taken away, calls that fail in every way, answers that are lost.

`python -m benchmarks.faults --count 1000 --seed 1` runs campaigns (`tests/support/faults`) until there were so many faults of
each kind as its share says. A campaign is a recording in a project of its own at a server that counts: sessions that are
disturbed, one that finishes with `--record-missing`, and a replay. At the end of each it is checked that

- no sample is lost: each is recorded, and the replay is green;
- nothing is corrupt: every cassette is whole, and recordings and results are those of an undisturbed run;
- nothing was paid for again but what was in flight when a session was struck, and a job once;
- no session missed its deadline.

Random choices follow from the seed; how processes take turns doesn't.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.faults import disks
from tests.support.faults.campaigns import KINDS, campaign
from tests.support.faults.findings import Findings, table
from tests.support.faults.scene import Undisturbed, undisturbed

SHARES = {
    "SIGKILL of the whole session": 30,
    "SIGKILL of the controller": 40,
    "SIGKILL of the recorder": 40,
    "SIGKILL of a worker": 40,
    "Ctrl-C": 30,
    "Ctrl-C, twice": 20,
    "a full disk": 15,
    "a read-only disk": 15,
    "SIGKILL around a fine-tuning job": 10,
    "a job's upload, order, listing or poll: lost, refused, late, wrong": 120,
}
"""Of a thousand; the kinds of failing calls share the rest."""


class Bench:
    """Campaigns until every kind has had its faults, or time is up."""

    def __init__(self, root: Path, wanted: Undisturbed, wanted_faults: dict[str, int], seed: int, end: float) -> None:
        self.findings = {kind: Findings() for kind in wanted_faults}
        self._root, self._wanted, self._wanted_faults, self._seed, self._end = root, wanted, wanted_faults, seed, end
        self._numbers = dict.fromkeys(wanted_faults, 0)
        self._lock = threading.Lock()

    def run(self, at_once: int) -> None:
        """Run so many campaigns at once."""
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda _: self._work(), range(at_once)))

    def _work(self) -> None:
        while (chosen := self._next()) is not None:
            kind, number = chosen
            found = campaign(kind, number, self._seed, self._root / f"{KINDS.index(kind)}-{number}", self._wanted)
            with self._lock:
                self.findings[kind].add(found)
            for problem in found.problems:
                print(f"{kind}, {number}: {problem}", file=sys.stderr, flush=True)

    def _next(self) -> tuple[str, int] | None:
        """Choose the kind that has had the least of its share, so that an early end leaves all of them alike."""
        with self._lock:
            done = {kind: self.findings[kind].faults / wanted for kind, wanted in self._wanted_faults.items()}
            left = [kind for kind, share in done.items() if share < 1]
            if not left or time.monotonic() > self._end:
                return None
            kind = min(left, key=lambda kind: (done[kind], self._numbers[kind]))
            self._numbers[kind] += 1
            return kind, self._numbers[kind] - 1


def shares(count: int, only: str) -> Iterator[tuple[str, int]]:
    """Yield how many faults of each kind there are to be, of `count`."""
    calls = [kind for kind in KINDS if kind not in SHARES]
    for kind in KINDS:
        if only in kind and not (kind in disks.STRIKES and os.geteuid() != 0):
            share = SHARES.get(kind, (1000 - sum(SHARES.values())) / len(calls))
            yield kind, max(1, round(share * count / 1000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="faults (default 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60, help="start no campaign after that (default 60)")
    parser.add_argument("--at-once", type=int, default=3, help="campaigns at once (default 3)")
    parser.add_argument("--only", default="", help="kinds whose name holds this")
    given = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root, wanted_faults = Path(name), dict(shares(given.count, given.only))
        bench = Bench(root, undisturbed(root / "undisturbed"), wanted_faults, given.seed, started + 60 * given.minutes)
        bench.run(given.at_once)
    print(f"seed {given.seed}, {(time.monotonic() - started) / 60:.1f} minutes\n\n{table(bench.findings.items())}")
    sys.exit(
        any(found.problems or found.lost or found.corrupt or found.beyond or found.hung for found in bench.findings.values())
    )


if __name__ == "__main__":
    main()
