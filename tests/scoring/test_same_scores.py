"""The same scores to the last digit, however the tests are spread over processes."""

from typing import Any

import pytest

from tests.support.project import Project

WAYS = ["-p no:xdist", "-n 0", "-n 2", "-n 4 --dist worksteal", "-n 2 --dist loadfile"]


def found(results: Any) -> Any:
    """All of the results but the clock's and the machine's share."""
    return {key: results[key] for key in ("models", "computed", "comparisons", "predictions")}


@pytest.fixture
def three_models(recorded: Project) -> Project:
    """A project with three models compared with each other, whose answers differ."""
    recorded.extend_suite(
        """
[models.large]
model = "large-1"
base_url = "BASE_URL"
gates = { rouge1 = 0.9, rougeL = 0.1 }

[models.silent]
model = "silent-1"
base_url = "BASE_URL"

[compare.size-helps]
baseline = "small"
candidate = "large"
min_gain = { rouge1 = 0.05 }
max_drop = { rougeL = 0.02 }
"""
    )
    return recorded


def test_every_way_of_running_gives_the_same_results(three_models: Project, api: Any) -> None:
    api.answers["large-1"] = lambda prompt: " ".join(prompt.split("\n\n")[1].split()[1:6])
    api.fault("refusal", match="silent-1", times=2)
    three_models.run("evals", "-m", "baseline", "--record-missing", "--snapshot-update", "-n", "0")
    wanted = found(three_models.results(WAYS[0]))
    gate = {"threshold": 0.9, "verdict": "failed", "fragility": None, "passed": False}
    assert wanted["models"]["large"]["gates"]["rouge1"] == gate
    assert wanted["models"]["silent"]["failed"] == 2
    assert len(wanted["predictions"]) == 18
    for way in WAYS[1:]:
        assert found(three_models.results(way)) == wanted, way


def test_a_recording_itself_gives_the_results_of_its_replay(recorded: Project) -> None:
    replayed = found(recorded.results("-p no:xdist"))
    for way in ("-p no:xdist", "-n 2"):
        assert found(recorded.results("--record", way)) == replayed, way


def test_a_part_of_the_samples_gives_the_scores_of_that_part(recorded: Project) -> None:
    results = recorded.results("-k", "t1 or t5")
    assert results["models"]["small"]["samples"] == 2
    assert results["models"]["small"]["scores"]["rouge1"]["mean"] == pytest.approx((8 / 11 + 1) / 2, rel=1e-12)
    assert results["models"]["small"]["gates"]["rouge1"]["passed"] is None
