"""When a model was recorded, and whether what was served changed midway."""

from typing import Any

from evaltape.scoring.prediction import Prediction, recorded_days, served_versions

from tests.support.predictions import answered, failed
from tests.support.project import Project


def answers(*recorded: Any) -> list[Prediction]:
    """Predictions of (served, day)."""
    return [answered("small", f"s{n}", {}, served=served, recorded=day) for n, (served, day) in enumerate(recorded)]


def test_the_days_of_the_first_and_the_last_call_whatever_the_order_of_the_samples() -> None:
    found = answers(("v1", "2026-11-24"), ("v1", "2026-11-20"), ("v1", "2026-11-22"))
    assert recorded_days(found) == ("2026-11-20", "2026-11-24")
    assert served_versions(found) == {"v1": 3}


def test_another_version_midway_is_known_in_the_order_of_time() -> None:
    found = answers(("v2", "2026-11-23"), ("v1", "2026-11-20"), ("v1", "2026-11-22"), ("v2", "2026-11-23"))
    assert list(served_versions(found).items()) == [("v1", 2), ("v2", 2)]


def test_recordings_that_say_nothing_say_nothing() -> None:
    found = [*answers(("", None)), failed("small", "s9")]
    assert (recorded_days(found), served_versions(found)) == (None, {})


def test_a_failed_call_that_was_recorded_counts_by_its_day() -> None:
    refused = failed("small", "s9", "the model refused", served="v1", recorded="2026-11-19")
    assert recorded_days([*answers(("v1", "2026-11-20")), refused]) == ("2026-11-19", "2026-11-20")


def test_versions_of_unknown_days_come_last() -> None:
    assert list(served_versions(answers(("v0", None), ("v2", "2026-11-23")))) == ["v2", "v0"]


def test_a_run_shows_days_and_versions_in_the_order_of_time(recorded: Project) -> None:
    for number, sample in enumerate(("t1", "t2", "t3", "t4", "t5", "t6")):
        path = recorded.cassette(sample)
        text = path.read_text().replace('"created": 1790000000', f'"created": {1790000000 + number * 86400}')
        version = "small-2026-01-01" if number > 3 else "small-2025-07-01"
        path.write_text(
            text.replace('"model": "small-2026-01-01",\n         "choices"', f'"model": "{version}",\n         "choices"')
        )
    model = recorded.results("-p", "no:xdist")["models"]["small"]
    assert model["recorded"] == ["2026-09-21", "2026-09-26"]
    assert list(model["versions"].items()) == [("small-2025-07-01", 4), ("small-2026-01-01", 2)]
    assert model["served"] == "small-2025-07-01"
