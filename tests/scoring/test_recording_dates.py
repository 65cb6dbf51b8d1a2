"""When a model was recorded, and whether what was served changed midway."""

from evaltape.scoring.prediction import Prediction
from evaltape.scoring.recording_dates import ServedVersion, recording_dates


def answers(*recorded):
    """Predictions of (served, day)."""
    return [Prediction("small", f"s{n}", "a", served=served, recorded=day) for n, (served, day) in enumerate(recorded)]


def test_the_days_of_the_first_and_the_last_call_whatever_the_order_of_the_samples():
    dates = recording_dates(answers(("v1", "2026-11-24"), ("v1", "2026-11-20"), ("v1", "2026-11-22")))
    assert (dates.first, dates.last, dates.has_changed) == ("2026-11-20", "2026-11-24", False)
    assert dates.in_short == "recorded 2026-11-20 to 2026-11-24"
    assert recording_dates(answers(("v1", "2026-11-20"))).in_short == "recorded 2026-11-20"


def test_another_version_midway_is_told_with_its_days_in_the_order_of_time():
    dates = recording_dates(answers(("v2", "2026-11-23"), ("v1", "2026-11-20"), ("v1", "2026-11-22"), ("v2", "2026-11-23")))
    assert dates.has_changed
    assert dates.versions == (
        ServedVersion("v1", 2, "2026-11-20", "2026-11-22"),
        ServedVersion("v2", 2, "2026-11-23", "2026-11-23"),
    )
    assert dates.in_short == (
        "what was served changed while it was recorded: v1 (2 answers, 2026-11-20 to 2026-11-22), then v2 (2 answers, "
        "2026-11-23)"
    )


def test_recordings_that_say_nothing_say_nothing():
    dates = recording_dates([*answers(("", None)), Prediction("small", "s9", failure="it broke")])
    assert (dates.first, dates.last, dates.versions, dates.in_short) == (None, None, (), "")


def test_a_failed_call_that_was_recorded_counts_by_its_day():
    failed = Prediction("small", "s9", failure="the model refused", served="v1", recorded="2026-11-19")
    assert recording_dates([*answers(("v1", "2026-11-20")), failed]).first == "2026-11-19"


def test_versions_without_days_are_counted_and_escape_nothing():
    dates = recording_dates(answers(("v\x1b1", None), ("v2", "2026-11-23")))
    assert dates.in_short == (
        "what was served changed while it was recorded: v2 (1 answer, 2026-11-23), then v\\x1b1 (1 answer)"
    )
