"""What a comparison can decide, and with how many pairs."""

import math
import random

import pytest
from evaltape.scoring.paired import GUESSED_SD, difference, pairs_needed, smallest_difference
from hypothesis import given
from hypothesis import strategies as st


def test_the_smallest_difference_by_hand() -> None:
    # One-sided 95% and 80% power: 1.6525 + 0.8434 standard errors with 199 degrees of freedom, two pairs given up.
    assert smallest_difference(0.14, 200) == pytest.approx((1.6525 + 0.8434) * 0.14 / math.sqrt(198), abs=1e-5)
    assert smallest_difference(0.14, 200) == pytest.approx(0.0248, abs=5e-5)


def test_fewer_than_ten_pairs_decide_nothing() -> None:
    assert smallest_difference(0.14, 9) is None
    assert smallest_difference(0.14, 45, pairs_per_cluster=5) is None
    assert smallest_difference(0.14, 50, pairs_per_cluster=5) is not None
    # Ten clusters of equal size are 9.999999999999998 by rounding.
    assert smallest_difference(0.14, 70, pairs_per_cluster=70 / (1 / math.fsum((7 / 70) ** 2 for _ in range(10)))) is not None


def test_a_drop_of_2_points_takes_300_pairs_to_rule_out() -> None:
    # (1.650 + 0.843) standard errors of 0.14 / sqrt(n - 2) are 0.02.
    assert pairs_needed(GUESSED_SD, 0.02) == 307


@given(st.floats(0.01, 1), st.floats(0.001, 1), st.sampled_from([0.9, 0.95, 0.99]), st.sampled_from([1.0, 3.5]))
def test_as_many_pairs_as_needed_decide_it_and_one_less_does_not(
    sd: float, distance: float, confidence: float, per_cluster: float
) -> None:
    needed = pairs_needed(sd, distance, confidence=confidence, pairs_per_cluster=per_cluster)
    if needed is None:
        assert (sd / distance) ** 2 > 100_000
        return
    smallest, short = (
        smallest_difference(sd, pairs, confidence=confidence, pairs_per_cluster=per_cluster) for pairs in (needed, needed - 1)
    )
    assert smallest is not None
    assert smallest <= distance
    assert short is None or short > distance


def test_no_number_of_pairs_decides_what_lies_on_the_bound_or_next_to_it() -> None:
    assert pairs_needed(0.14, 0.0) is None
    assert pairs_needed(0.14, 1e-6) is None


@pytest.mark.parametrize("pairs", [12, 40])
def test_the_smallest_difference_is_decided_in_80_percent_of_cases(pairs: int) -> None:
    rng, distance = random.Random(pairs), smallest_difference(1.0, pairs)
    assert distance is not None
    zeros, trials = [0.0] * pairs, 3000
    passed = sum(
        difference(zeros, [rng.gauss(distance, 1) for _ in range(pairs)]).verdict(0.0) == "passed" for _ in range(trials)
    )
    assert 0.77 <= passed / trials <= 0.83
