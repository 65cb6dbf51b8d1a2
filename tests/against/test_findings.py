"""A model beside its other side: pairs, differences, verdicts and what is said of them."""

from collections.abc import Sequence
from typing import Any

import pytest
from evaltape.scoring.paired_scores import AgainstScores, SampleChanges, Side, against_scores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model
from msgspec.structs import replace

from tests.support.metrics import metrics
from tests.support.predictions import answered, failed

SIDE = Side("main", "1a2b3c4d5e6f", "main (1a2b3c4d5e of 2026-11-24)")
LOSSES = [0.0, 0.25, -0.125, 0.125, 0.25, 0.0, 0.125, -0.25, 0.25, 0.375, 0.0, 0.125]
MODEL = Model("small", "chats", "small")
Score = float | dict[str, float] | None


def answer(name: str, score: Score, text: str = "then") -> Prediction:
    """A prediction with one score; None for one that failed."""
    if score is None:
        return failed("small", name)
    return answered("small", name, score if isinstance(score, dict) else {"exact": score}, text)


def against(
    before: Sequence[Score],
    after: Sequence[Score],
    metric: str = "exact",
    max_drop: float | None = 0.02,
    now: str = "now",
    clusters: Any = None,
    **more: Any,
) -> AgainstScores:
    """A model with its scores on both sides, sample by sample; `now` is each answer of today."""
    kinds = metrics({metric: {}})
    sides = [
        [answer(f"s{number:02d}", score, text) for number, score in enumerate(scores)]
        for scores, text in ((before, "then"), (after, now))
    ]
    baseline, candidate = (ModelScores(MODEL, kinds, side, clusters) for side in sides)
    found = against_scores(SIDE, baseline, candidate, {} if max_drop is None else {metric: max_drop})
    return replace(found, **more)


def test_the_difference_is_today_less_then_pair_by_pair() -> None:
    found = against([0.5] * 12, [0.5 - loss for loss in LOSSES])
    difference = found.differences["exact"]
    assert difference.mean == pytest.approx(-sum(LOSSES) / 12)
    assert difference.low < difference.mean < difference.high
    assert (difference.samples, difference.confidence) == (12, 0.95)


def test_a_drop_beyond_the_bound_fails_and_a_gain_passes() -> None:
    assert against([0.9] * 12, [0.4 - loss for loss in LOSSES]).verdict("exact") == "failed"
    assert against([0.1] * 12, [0.6 - loss for loss in LOSSES]).verdict("exact") == "passed"
    assert against([0.5] * 12, [0.5 - loss for loss in LOSSES]).verdict("exact") == "inconclusive"


def test_where_less_is_better_more_is_the_drop() -> None:
    def lengths(before: list[float], after: list[float]) -> AgainstScores:
        pairs = zip(before, after, strict=True)
        sides = [({"words": was}, {"words": now + 8 * loss}) for (was, now), loss in zip(pairs, LOSSES, strict=True)]
        return against([was for was, _ in sides], [now for _, now in sides], "words", max_drop=2)

    assert lengths([20.0] * 12, [30.0] * 12).verdict("words") == "failed"
    assert lengths([30.0] * 12, [20.0] * 12).verdict("words") == "passed"
    found = lengths([30.0] * 12, [20.0] * 12)
    assert str(found.decision("words")).startswith(
        "-9.2 passed: small words against main (1a2b3c4d5e of 2026-11-24) (90% interval -"
    )


def test_without_a_bound_nothing_is_decided() -> None:
    assert against([0.9] * 12, [0.4] * 12, max_drop=None).verdict("exact") == "not checked"


def test_unchanged_answers_pass_and_equal_scores_of_other_answers_do_not() -> None:
    found = against([0.5] * 3, [0.5] * 3)
    assert (found.verdict("exact"), found.unchanged) == ("inconclusive", "")
    same = against([0.5] * 3, [0.5] * 3, now="then")
    assert (same.verdict("exact"), same.decision("exact").remark) == ("passed", "nothing changed")
    difference = same.differences["exact"]
    assert (difference.low, difference.mean, difference.high) == (0.0, 0.0, 0.0)


def test_equal_answers_to_another_request_are_no_unchanged_model() -> None:
    found = against([0.5] * 3, [0.5] * 3, now="then", request="another prompt (line 1 differs)")
    assert found.verdict("exact") == "inconclusive"
    assert "was recorded with another prompt (line 1 differs)" in str(found.decision("exact"))


def test_one_unchanged_pair_says_nothing_of_the_samples_that_changed() -> None:
    changed = SampleChanges(changed=[f"c{n}" for n in range(39)])
    found = against([0.92], [0.92], now="then", samples=changed)
    assert found.unchanged == "nothing changed in the 1 sample in common"
    assert str(found.decision("exact")) == (
        "not checked: small exact against main (1a2b3c4d5e of 2026-11-24): 1 sample in common: it takes 10 to compare. "
        "39 samples changed (c0, c1, c2, ...)"
    )


def test_unchanged_samples_pass_beside_others_while_they_are_half_of_all() -> None:
    added = SampleChanges(added=[f"a{n}" for n in range(12)])
    found = against([0.5] * 12, [0.5] * 12, now="then", samples=added).decision("exact")
    assert (found.verdict, found.remark) == ("passed", "nothing changed in the 12 samples in common")
    more = SampleChanges(changed=[f"a{n}" for n in range(13)])
    assert against([0.5] * 12, [0.5] * 12, now="then", samples=more).verdict("exact") == "inconclusive"


def test_a_sample_that_one_side_has_not_answered_or_scored_is_no_pair_of_the_metric() -> None:
    found = against([0.5, None, 0.5, {}], [0.25, 0.5, None, 0.5])
    assert [pair.sample for pair in found.scored("exact")] == ["s00"]
    assert found.differences["exact"].samples == 1
    assert found.notes == ("1 sample answered then and not now (s02)", "1 sample answered now and not then (s01)")


def test_with_no_pair_a_bound_fails_and_says_why() -> None:
    found = against([0.5, 0.5], [None, None])
    assert found.verdict("exact") == "failed"
    assert str(found.decision("exact")) == (
        "failed: small exact against main (1a2b3c4d5e of 2026-11-24): no sample is scored by exact on both sides"
    )


def test_samples_of_one_cluster_count_as_one() -> None:
    before, after = [0.1] * 12, [0.6 - loss for loss in LOSSES]
    clusters = {f"s{number:02d}": str(number // 3) for number in range(12)}
    alone, together = against(before, after), against(before, after, clusters=clusters)
    assert (alone.verdict("exact"), together.verdict("exact")) == ("passed", "inconclusive")
    assert together.decision("exact").remark.startswith("4 clusters: it takes 10 to pass")


def test_samples_are_counted_and_the_first_named() -> None:
    changes = SampleChanges(added=["a"], dropped=[f"d{n}" for n in range(5)], changed=["c1", "c2"])
    assert changes.in_short == "1 sample added (a); 5 samples dropped (d0, d1, d2, ...); 2 samples changed (c1, c2)"
    assert SampleChanges().in_short == ""


def test_calls_that_took_longer_changed_though_their_answers_did_not() -> None:
    before = [{"latency_s": 1.0}] * 12
    found = against(before, [{"latency_s": 3.0 + loss} for loss in LOSSES], "latency_s", 0.5, now="then")
    assert found.verdict("latency_s") == "failed"
    assert found.differences["latency_s"].low > 1


def test_what_no_call_recorded_is_not_checked_with_the_reason() -> None:
    value, nothing = [{"latency_s": 1.0}] * 12, [{}] * 12
    about = "not checked: small latency_s against main (1a2b3c4d5e of 2026-11-24): "
    assert str(against(nothing, value, "latency_s", 0.5).decision("latency_s")) == (
        f"{about}no answer at main is scored by latency_s"
    )
    assert str(against(value, nothing, "latency_s", 0.5).decision("latency_s")) == (
        f"{about}no answer of today is scored by latency_s: it is not recorded"
    )


def test_answers_that_today_has_lost_fail() -> None:
    assert against([{"latency_s": 1.0}] * 12, [None] * 12, "latency_s", 0.5).verdict("latency_s") == "failed"
