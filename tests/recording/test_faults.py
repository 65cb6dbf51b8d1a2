"""Recordings struck at random moments, a seed of some kinds: `python -m benchmarks.faults` runs a thousand faults of all."""

import os
import random
from functools import partial
from pathlib import Path

import pytest

from tests.support.faults import api, disks, processes
from tests.support.faults.scene import Undisturbed, scene, undisturbed

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
LATENCY_S = 0.5
"""So slow that a session is still recording when it is struck."""
STRIKES = {
    "calls": (partial(api.strike, api.MIXED, (1,)), 0.0),
    "recorder killed": (processes.recorder_killed, LATENCY_S),
    "disk": (disks.disk_read_only, LATENCY_S),
}


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return undisturbed(tmp_path_factory.mktemp("undisturbed") / "scene")


@pytest.mark.parametrize("kind", ["calls", "recorder killed", pytest.param("disk", marks=AS_ROOT)])
def test_nothing_is_lost_corrupt_or_paid_again_but_what_was_in_flight(tmp_path: Path, wanted: Undisturbed, kind: str) -> None:
    with scene(tmp_path / "scene", wanted) as here:
        here.early, here.in_a_row = 0.0, 1
        strike, here.api.latency_s = STRIKES[kind]
        strike(here, random.Random(1))
    assert here.findings.problems == []
    assert here.findings.faults > 0
    assert here.findings.is_clean


def test_the_checks_find_what_is_lost_corrupt_and_paid_again(tmp_path: Path, wanted: Undisturbed) -> None:
    with scene(tmp_path / "scene", wanted) as here:
        here.api.latency_s = 0.0
        here.end(here.start("-p no:xdist"))
        (here.project.cassettes / "small/p001.yaml").unlink()
        broken = here.project.cassettes / "small/p002.yaml"
        broken.write_text(broken.read_text().replace("Ann: I am p002", "Ann: I am not p002"))
        here.api.answers["small-2026-01-01"] = lambda prompt: "Another answer."
        found = here.settle()
    assert (found.again, found.beyond) == (2, 2)
    assert found.corrupt >= 2
    assert not found.is_clean
