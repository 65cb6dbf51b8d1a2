"""Random suites: every output of a run says of each bound what a recomputation from the scores says. 500 in benchmarks/verdicts."""

from collections import Counter
from pathlib import Path

import pytest

from tests.support.verdicts.check import play
from tests.support.verdicts.world import random_world


@pytest.mark.parametrize(("seed", "suites", "mode"), [(1, 8, "-p no:xdist"), (2, 7, "-n 0"), (3, 5, "-n 2")])
def test_terminal_results_report_comment_junit_and_exit_code_say_the_verdict_of_a_recomputation(
    tmp_path: Path, seed: int, suites: int, mode: str
) -> None:
    tally = Counter[str]()
    assert play(random_world(seed, suites, mode), tmp_path / "repository", tally) == []
    assert tally["tests"] > 0 and sum(count for name, count in tally.items() if name.startswith("gates")) > 0
