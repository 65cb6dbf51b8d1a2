"""Paired differences and their verdicts."""

import math
import random

import pytest
from evaltape.scoring.paired import Difference, difference, two_sided
from evaltape.scoring.statistics import has_few, interval
from hypothesis import given
from hypothesis import strategies as st

F1 = (0.0, 1.0)
PAIRS = st.lists(
    st.tuples(*[st.integers(0, 1000).map(lambda n: n / 1000)] * 2), min_size=2, max_size=40
).filter(lambda pairs: len({after - before for before, after in pairs}) > 2)  # fmt: skip


def of(changes: list[float], **options: object) -> Difference:
    """The difference of models whose scores change so, from 0.5."""
    return difference([0.5] * len(changes), [0.5 + change for change in changes], limits=F1, **options)  # type: ignore[arg-type]


def spread(pairs: int, middle: float = 0.0, width: float = 0.02) -> list[float]:
    """Changes of a mean, half of them over and half under it by `width`."""
    return [middle + width, middle - width] * (pairs // 2)


# ---------------------------------------------------------------- the difference and its ends


def test_the_difference_is_candidate_less_baseline_pair_by_pair() -> None:
    found = difference([0.8, 0.9], [0.2, 0.4])
    assert (found.mean, found.samples) == (pytest.approx(-0.55), 2)


def test_each_end_is_a_bound_by_itself() -> None:
    # One-sided 95% on either side is the two-sided 90% interval.
    changes = [n / 100 for n in range(-10, 11)]
    one, other = of(changes), interval(changes, confidence=0.90)
    assert (one.low, one.high) == pytest.approx((other.low, other.high))
    assert one.label == "90%"


@pytest.mark.parametrize(
    ("confidence", "label"), [(0.95, "90%"), (0.975, "95%"), (0.999, "99.8%"), (0.9995, "99.9%"), (0.5, "0%"), (0.8, "60%")]
)
def test_the_interval_is_labelled_exactly(confidence: float, label: str) -> None:
    assert two_sided(confidence) == of(spread(20), confidence=confidence).label == label


def test_pairing_sees_what_two_intervals_hide() -> None:
    baseline = [n / 60 for n in range(60)]
    candidate = [score + (0.02 if n % 2 else 0.04) for n, score in enumerate(baseline)]
    found = difference(baseline, candidate)
    one, other = interval(baseline), interval(candidate)
    assert found.low is not None
    assert found.low > 0.02
    assert one.high > other.low  # type: ignore[operator]


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(pairs: list[tuple[float, float]], rng: random.Random) -> None:
    shuffled = pairs.copy()
    rng.shuffle(shuffled)
    assert difference(*zip(*shuffled, strict=True)) == difference(*zip(*pairs, strict=True))


@given(PAIRS)
def test_the_other_way_round_everything_is_mirrored(pairs: list[tuple[float, float]]) -> None:
    before, after = zip(*pairs, strict=True)
    one, other = difference(before, after, limits=F1), difference(after, before, limits=F1).mirrored()
    assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high), rel=1e-12, abs=1e-15)


@given(PAIRS, st.floats(-1, 1))
def test_where_lower_is_better_the_verdict_is_that_of_the_mirrored_difference(
    pairs: list[tuple[float, float]], bound: float
) -> None:
    before, after = zip(*pairs, strict=True)
    one, other = difference(before, after, limits=F1), difference(after, before, limits=F1)
    assert one.verdict(bound, higher_is_better=False) == other.verdict(-bound)
    assert one.gain(higher_is_better=False).decided(-bound)[1] == other.decided(-bound)[1]
    assert one.gain(higher_is_better=False).pairs_to_settle(-bound) == other.pairs_to_settle(-bound)


@pytest.mark.parametrize("confidence", [0.4, 1.0, math.nan])
def test_a_one_sided_confidence_is_at_least_a_half(confidence: float) -> None:
    with pytest.raises(ValueError, match="one-sided"):
        of(spread(20), confidence=confidence)


def test_both_sides_are_of_one_length() -> None:
    with pytest.raises(ValueError, match="zip"):
        difference([0.1, 0.2], [0.1])


# ---------------------------------------------------------------- the verdict


@pytest.mark.parametrize(
    ("low", "high", "bound", "verdict"),
    [
        (0.05, 0.09, 0.05, "passed"), (0.04, 0.09, 0.05, "inconclusive"), (0.01, 0.05, 0.05, "inconclusive"),
        (0.01, 0.049, 0.05, "failed"), (-0.02, 0.1, -0.02, "passed"), (-0.03, -0.021, -0.02, "failed"),
    ],
)  # fmt: skip
def test_a_verdict_is_where_the_whole_interval_lies(low: float, high: float, bound: float, verdict: str) -> None:
    found = Difference((low + high) / 2, low, high, samples=100, confidence=0.95)
    assert found.verdict(bound) == verdict
    assert found.decided(bound)[1] == ("the interval straddles the bound" if verdict == "inconclusive" else "")


@pytest.mark.parametrize(
    ("low", "high", "bound", "verdict"),
    [
        (-0.09, -0.05, -0.05, "passed"), (-0.09, -0.04, -0.05, "inconclusive"), (-0.049, -0.01, -0.05, "failed"),
        (-0.1, 0.02, 0.02, "passed"), (0.021, 0.03, 0.02, "failed"),
    ],
)  # fmt: skip
def test_where_lower_is_better_the_bound_is_an_upper_one(low: float, high: float, bound: float, verdict: str) -> None:
    found = Difference((low + high) / 2, low, high, samples=100, confidence=0.95)
    assert found.verdict(bound, higher_is_better=False) == verdict


@pytest.mark.parametrize("pairs", [1, 2, 3, 5, 9])
def test_fewer_than_ten_pairs_never_pass(pairs: int) -> None:
    found = of([0.3 + n / 1000 for n in range(pairs)])
    assert found.verdict(0.0) == "inconclusive"
    assert found.decided(0.0)[1] == f"{pairs} pair{'s' * (pairs > 1)}: it takes 10 to pass"
    assert of([0.3 + n / 1000 for n in range(10)]).verdict(0.0) == "passed"


def test_a_bound_that_any_scores_meet_is_passed_by_ten_pairs_too() -> None:
    assert of(spread(8)).verdict(-1.0) == "inconclusive"
    assert of(spread(10)).verdict(-1.0) == "passed"


def test_a_few_pairs_can_fail() -> None:
    assert of([-0.3, -0.31, -0.32, -0.33]).verdict(-0.02) == "failed"
    assert of([-0.3]).verdict(-0.02) == "inconclusive"


@pytest.mark.parametrize("change", [0.0, 0.1, -0.005])
def test_fewer_than_fifty_equal_differences_never_pass(change: float) -> None:
    found = of([change] * 49)
    assert found.verdict(-0.02) == "inconclusive"
    assert found.decided(-0.02)[1] == "all differences are equal: it takes 50 pairs to pass"


@pytest.mark.parametrize(("change", "needed"), [(0.0, 149), (0.1, 50), (-0.005, 198)])
def test_equal_differences_pass_once_unseen_losses_can_not_reach_the_bound(change: float, needed: int) -> None:
    # Of n equal pairs a share of 1 - 0.05 ** (1 / n) of all others may still lose everything.
    assert of([change] * 49).pairs_to_settle(-0.02) == needed
    assert of([change] * needed).verdict(-0.02) == "passed"
    assert needed == 50 or of([change] * (needed - 1)).verdict(-0.02) == "inconclusive"


def test_equal_differences_of_a_metric_without_bounds_leave_the_scores_that_were_seen_open() -> None:
    before = [float(n % 5) for n in range(60)]
    found = difference(before, before)
    assert found.low == pytest.approx(-4 * (1 - 0.05 ** (1 / 60)))
    assert (found.verdict(-0.1), found.verdict(-0.2)) == ("inconclusive", "passed")


def test_differences_that_are_equal_but_for_rounding_are_equal() -> None:
    baseline = [n / 100 for n in range(40)]
    candidate = [score + 0.1 for score in baseline]
    assert len({after - before for before, after in zip(baseline, candidate, strict=True)}) > 2
    assert difference(baseline, candidate, limits=F1).decided(0.05)[1].startswith("all differences are equal")


def test_a_gain_that_is_the_bound_but_for_rounding_reaches_it() -> None:
    found = Difference(0.15, 0.1 - 1e-16, 0.2, samples=100, confidence=0.95)
    assert found.verdict(0.1) == "passed"


def test_a_bound_that_any_scores_meet_needs_no_spread() -> None:
    assert of([0.0] * 10).verdict(-1.0) == "passed"
    assert of([0.0] * 10).verdict(-0.99) == "inconclusive"


def test_equal_differences_fail_where_they_rule_the_bound_out() -> None:
    # Twenty equal losses leave at most 13.9% of all others open, which may gain up to 1: -0.5 + 0.139 * 1.5 at best.
    assert of([-0.5] * 20).high == pytest.approx(-0.5 + (1 - 0.05 ** (1 / 20)) * 1.5)
    assert of([-0.5] * 20).verdict(-0.02) == "failed"
    assert of([-0.5] * 5).verdict(-0.02) == "inconclusive"
    assert difference([1.0] * 20, [0.5] * 20).verdict(-0.02) == "failed"  # Nothing that was seen could make up for it.


# ---------------------------------------------------------------- clusters


def test_pairs_of_one_cluster_count_once() -> None:
    changes = [0.02 + n / 1000 for n in range(12)]
    rows, labels = [change for change in changes for _ in range(5)], [n for n in range(12) for _ in range(5)]
    clustered, alone = of(rows, clusters=labels), of(changes)
    assert (clustered.low, clustered.high) == pytest.approx((alone.low, alone.high))
    assert (clustered.samples, clustered.clusters) == (60, 12)
    assert clustered.sd == pytest.approx(alone.sd * math.sqrt(5))


def test_fewer_than_ten_clusters_never_pass() -> None:
    changes = [0.3 + n / 1000 for n in range(90)]
    assert of(changes, clusters=[n % 10 for n in range(90)]).verdict(0.0) == "passed"
    found = of(changes, clusters=[n % 9 for n in range(90)])
    assert (found.verdict(0.0), found.decided(0.0)[1]) == ("inconclusive", "9 clusters: it takes 10 to pass")
    assert has_few(found.clusters)


# ---------------------------------------------------------------- scores of 0 and 1


def test_two_valued_scores_have_at_least_tangos_interval() -> None:
    before, after = [0.0] * 7 + [1.0] + [1.0] * 13, [1.0] * 7 + [0.0] + [1.0] * 13
    found = difference(before, after, confidence=0.975, limits=F1)
    assert found.is_two_valued
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 0.0260031
    assert found.high >= 0.5172322


def test_models_that_are_always_right_pass_once_there_are_enough_of_them() -> None:
    found = difference([1.0] * 100, [1.0] * 100, limits=F1)
    assert (found.verdict(-0.02), found.decided(-0.02)[1]) == ("inconclusive", "the interval straddles the bound")
    needed = found.pairs_to_settle(-0.02)
    assert needed == 133
    assert difference([1.0] * needed, [1.0] * needed, limits=F1).verdict(-0.02) == "passed"


# ---------------------------------------------------------------- how many pairs would settle it


def test_a_mean_on_its_bound_is_settled_by_no_number() -> None:
    assert of(spread(20, 0.05)).pairs_to_settle(of(spread(20, 0.05)).mean) is None


def test_so_many_pairs_settle_it_at_that_mean() -> None:
    found = of(spread(20, 0.05, 0.3))
    assert found.verdict(0.0) == "inconclusive"
    needed = found.pairs_to_settle(0.0)
    assert needed is not None
    assert of(spread(needed + needed % 2, 0.05, 0.3)).verdict(0.0) == "passed"


def test_nothing_is_decided_by_too_few_pairs_or_without_a_spread() -> None:
    assert of(spread(8)).smallest_decided() is None
    assert of([0.1] * 60).smallest_decided() is None
    assert of(spread(40, 0.0, 0.1)).smallest_decided() == pytest.approx(0.0421, abs=1e-3)
