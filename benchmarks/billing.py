"""Random sessions at an API that bills by every rule: the bill and the budget, and what was paid for and recorded.

`python -m benchmarks.billing --sessions 500 --seed 1` records samples at a server of random habits (`tests/support/billing`):
how it counts tokens or doesn't, answers longer than a request allows, chat templates, refusals, and calls that are billed
without an answer. After each session it is checked that

- the bill passes the budget by no more than one answer costs, and not at all where answers keep to their requests' limits;
- what the session says it spent, or perhaps spent, is no less than the bill;
- every answer that arrived is on disk.
"""

import argparse
import tempfile
import time
from pathlib import Path

import pytest

from tests.support.billing import Till, shorten_waits
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sessions", type=int, default=500, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first session (default: %(default)s)")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ApiServer() as api, pytest.MonkeyPatch.context() as patch:
        shorten_waits(patch)
        till = Till(TuningProject(Path(folder) / "project", api), api)
        for seed in range(options.seed, options.seed + options.sessions):
            till.play(seed)
    bills = till.bills
    print(f"{bills.sessions} sessions in {time.monotonic() - started:.0f} s, {bills.stopped} ended by their budget")
    print(f"{bills.calls.total()} calls: {', '.join(f'{name} {count}' for name, count in bills.calls.most_common())}")
    print(f"{bills.recorded} answers recorded; a bill passed its budget by {max(bills.over_usd, 0.0):.2f} of an answer at most")


if __name__ == "__main__":
    main()
