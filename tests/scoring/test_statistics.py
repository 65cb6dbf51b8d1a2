"""Means, bootstrap intervals and paired differences against cases that can be checked by hand."""

import math
import random

import pytest
from evaltape.scoring.statistics import Difference, Interval, differences, intervals, mean
from hypothesis import given
from hypothesis import strategies as st

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


def test_the_mean_is_exact() -> None:
    assert mean([0.1] * 10) == 0.1
    assert sum([0.1] * 10) / 10 != 0.1


@given(SCORES, st.randoms(use_true_random=False))
def test_the_mean_does_not_depend_on_the_order(scores: list[float], rng: random.Random) -> None:
    shuffled = scores.copy()
    rng.shuffle(shuffled)
    assert mean(shuffled) == mean(scores)


def test_equal_scores_have_an_interval_of_no_width() -> None:
    (found,) = intervals([[0.25] * 7])
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25), abs=1e-15)


def test_one_score_is_its_own_interval() -> None:
    assert intervals([[0.5]]) == [Interval(0.5, 0.5, 0.5)]


def test_two_scores_have_the_interval_of_both() -> None:
    # Of the four resamples of {0, 1}, each end comes with probability 1/4, more than 2.5%.
    assert intervals([[0.0, 1.0]]) == [Interval(0.5, 0.0, 1.0)]


def test_the_interval_is_that_of_the_binomial() -> None:
    # The mean of 100 resampled 0s and 1s is a binomial share: its 2.5% and 97.5% quantiles are 0.40 and 0.60.
    (found,) = intervals([[0.0, 1.0] * 50])
    assert found.mean == 0.5
    assert found.low == pytest.approx(0.40, abs=0.011)
    assert found.high == pytest.approx(0.60, abs=0.011)


def test_the_interval_narrows_with_the_root_of_the_number_of_samples() -> None:
    widths = [intervals([[0.0, 1.0] * n])[0].half_width for n in (50, 200)]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.1)


def test_a_lower_confidence_gives_a_narrower_interval() -> None:
    scores = [[n / 50 for n in range(50)]]
    assert intervals(scores, 0.80)[0].half_width < intervals(scores, 0.95)[0].half_width


def test_the_same_scores_give_the_same_interval_to_the_last_digit() -> None:
    scores = [[n % 7 / 7 for n in range(200)], [n % 5 / 5 for n in range(200)]]
    assert intervals(scores) == intervals(scores)


@given(SCORES)
def test_the_mean_lies_in_its_interval(scores: list[float]) -> None:
    (found,) = intervals([scores])
    assert found.low - 1e-12 <= found.mean <= found.high + 1e-12


def test_many_samples_are_resampled_fewer_times_but_still() -> None:
    (found,) = intervals([[n % 2 / 1 for n in range(40_000)]])
    assert found.low < found.mean == 0.5 < found.high
    assert found.half_width == pytest.approx(1.96 * 0.5 / math.sqrt(40_000), rel=0.1)


# ---------------------------------------------------------------- paired


def test_a_constant_gain_is_certain_although_the_scores_vary() -> None:
    baseline = [n / 100 for n in range(50)]
    (found,) = differences([baseline], [[score + 0.1 for score in baseline]], 0.95)
    assert (found.interval.mean, found.interval.low, found.interval.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.p_value == pytest.approx(2 / 10_001)
    assert found.samples == 50


def test_no_difference_has_a_p_value_of_1() -> None:
    (found,) = differences([[0.3, 0.4]], [[0.3, 0.4]], 0.95)
    assert found.interval == Interval(0.0, 0.0, 0.0)
    assert found.p_value == 1.0


def test_the_difference_is_candidate_less_baseline() -> None:
    (found,) = differences([[0.8, 0.8]], [[0.2, 0.2]], 0.95)
    assert found.interval.mean == pytest.approx(-0.6)


def test_pairing_sees_what_unpaired_intervals_hide() -> None:
    baseline = [n / 60 for n in range(60)]
    candidate = [score + (0.02 if n % 2 else 0.04) for n, score in enumerate(baseline)]
    (paired,) = differences([baseline], [candidate], 0.95)
    one, other = intervals([baseline])[0], intervals([candidate])[0]
    assert paired.interval.low > 0
    assert one.high > other.low


@pytest.mark.parametrize(
    ("low", "high", "bound", "verdict"),
    [
        (0.05, 0.09, 0.05, "passed"), (0.04, 0.09, 0.05, "inconclusive"), (0.01, 0.05, 0.05, "inconclusive"),
        (0.01, 0.049, 0.05, "failed"), (-0.02, 0.1, -0.02, "passed"), (-0.03, -0.021, -0.02, "failed"),
    ],
)  # fmt: skip
def test_a_verdict_is_where_the_whole_interval_lies(low: float, high: float, bound: float, verdict: str) -> None:
    assert Difference(Interval((low + high) / 2, low, high), 0.5, 100).verdict(bound) == verdict


def test_four_times_the_samples_settle_what_half_the_width_would() -> None:
    # The mean lies 0.01 over the bound and the interval reaches down 0.02: half the reach takes four times as many.
    found = Difference(Interval(0.06, 0.04, 0.08), 0.01, 100)
    assert found.samples_to_settle(0.05) in (400, 401)


def test_no_number_of_samples_settles_a_mean_on_its_bound() -> None:
    assert Difference(Interval(0.05, 0.03, 0.07), 0.01, 100).samples_to_settle(0.05) is None
