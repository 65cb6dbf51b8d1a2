"""Means and their intervals against cases that can be checked by hand."""

import math
import random
from collections.abc import Sequence

import pytest
from evaltape.scoring.statistics import Interval, estimate_mean, has_few, interval, mean
from evaltape.scoring.student_t import t_quantile
from hypothesis import given
from hypothesis import strategies as st

F1 = (0.0, 1.0)
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=60)
SPREAD = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=2, max_size=40).filter(lambda s: len(set(s)) > 2)


def reach(found: Interval) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


# ---------------------------------------------------------------- the mean


def test_the_mean_is_exact() -> None:
    assert mean([0.1] * 10) == 0.1
    assert sum([0.1] * 10) / 10 != 0.1


@given(SCORES, st.randoms(use_true_random=False))
def test_neither_mean_nor_interval_depends_on_the_order(scores: list[float], rng: random.Random) -> None:
    shuffled = scores.copy()
    rng.shuffle(shuffled)
    assert interval(shuffled, limits=F1) == interval(scores, limits=F1)


# ---------------------------------------------------------------- the interval


def test_scores_without_skewness_have_the_interval_of_students_t() -> None:
    # 1 to 10: mean 5.5, standard deviation 3.02765; the 97.5% quantile of 9 degrees of freedom is 2.262157.
    found = interval([float(n) for n in range(1, 11)])
    assert found.mean == 5.5
    assert found.low == pytest.approx(5.5 - 2.262157 * 3.02765 / math.sqrt(10), abs=1e-5)
    assert found.high == pytest.approx(5.5 + 2.262157 * 3.02765 / math.sqrt(10), abs=1e-5)


def test_a_skewed_end_is_where_halls_statistic_is_the_quantile() -> None:
    scores = [0.0] * 14 + [0.1] * 6 + [0.2] * 6 + [0.3] * 6 + [0.4] * 5 + [0.6, 0.7, 0.8]
    found, n = interval(scores), len(scores)
    spread = [score - found.mean for score in scores]
    skewness = sum(d**3 for d in spread) / sum(d**2 for d in spread) ** 1.5 * (1 + 10 / n)
    error = math.sqrt(sum(d**2 for d in spread) / n / (n - 1))
    assert found.high is not None
    distance = (found.mean - found.high) / error
    statistic = distance + skewness * distance**2 / 3 + skewness**2 * distance**3 / 27 + skewness / 6
    quantile = t_quantile(0.975, n - 1)
    assert quantile < -distance < 1.5 * quantile
    assert statistic == pytest.approx(-quantile, rel=1e-9)
    # The other side isn't drawn in: it keeps the end of Student's t.
    assert found.low == pytest.approx(found.mean - quantile * error, rel=1e-12)


def test_a_long_tail_widens_its_side_by_half_and_no_more() -> None:
    scores = [0.0] * 6 + [0.5, 0.9]
    found, error = interval(scores), estimate_mean(scores).error
    assert found.high == pytest.approx(found.mean + 1.5 * t_quantile(0.975, 7) * error)


def test_scores_of_0_and_1_have_wilsons_interval() -> None:
    found = interval([1.0] * 8 + [0.0] * 2)
    assert (found.mean, found.low, found.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=5e-5)
    assert interval([1.0] * 20).high == 1.0
    assert interval([1.0] * 20).low == pytest.approx(1 - 0.1611, abs=5e-5)


def test_marks_from_1_to_5_that_are_all_1_are_no_shares() -> None:
    # Were they shares, the whole interval would be 1.
    assert interval([1.0] * 20, limits=(1, 5)) == Interval(1.0, 1.0, pytest.approx(1 + 4 * (1 - 0.025 ** (1 / 20))), 20)


@given(SPREAD, st.sampled_from([0.5, 0.8, 0.9, 0.99]))
def test_a_lower_confidence_gives_no_wider_interval(scores: list[float], confidence: float) -> None:
    assert reach(interval(scores, confidence=confidence)) <= reach(interval(scores, confidence=0.999)) + 1e-12


@given(SPREAD, st.floats(0.001, 1000), st.floats(-100, 100))
def test_scores_in_another_unit_have_the_interval_in_that_unit(scores: list[float], factor: float, shift: float) -> None:
    plain, scaled = interval(scores), interval([factor * score + shift for score in scores])
    assert plain.low is not None
    assert plain.high is not None
    wanted = (factor * plain.mean + shift, factor * plain.low + shift, factor * plain.high + shift)
    assert (scaled.mean, scaled.low, scaled.high) == pytest.approx(wanted, rel=1e-6, abs=1e-6 * factor)


@given(SPREAD)
def test_the_interval_of_the_negatives_is_mirrored(scores: list[float]) -> None:
    plain, mirrored = interval(scores), interval([-score for score in scores])
    assert plain.low is not None
    assert plain.high is not None
    assert (mirrored.low, mirrored.high) == pytest.approx((-plain.high, -plain.low), rel=1e-12, abs=1e-15)


@given(SCORES)
def test_the_mean_lies_in_its_interval_and_the_interval_in_its_bounds(scores: list[float]) -> None:
    found = interval(scores, limits=F1)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= 1


# ---------------------------------------------------------------- few scores, and equal ones


def test_one_score_leaves_nearly_everything_open() -> None:
    # All but 2.5% of the other samples may score 0, or 1: a sample like that would come up with 97.5%.
    assert interval([0.5], limits=F1) == Interval(0.5, pytest.approx(0.0125), pytest.approx(0.9875))


def test_equal_scores_rule_out_no_more_than_they_would_have_shown() -> None:
    # Twenty of twenty are equal in 2.5% of cases even if 16.84% of all others aren't: 0.8316 to the twentieth is 0.025.
    found = interval([0.5] * 20, limits=F1)
    assert (found.low, found.high) == pytest.approx((0.5 - 0.1684 * 0.5, 0.5 + 0.1684 * 0.5), abs=5e-5)


def test_a_metric_without_bounds_has_no_end_where_scores_are_equal_or_one() -> None:
    assert interval([7.0]) == Interval(7.0, None, None)
    assert interval([7.0] * 30) == Interval(7.0, None, None, 30)
    assert interval([7.0] * 30, limits=(0, None)) == Interval(7.0, pytest.approx(7 * 0.025 ** (1 / 30)), None, 30)


def test_what_differs_by_rounding_only_counts_as_equal() -> None:
    scores = [0.1 + 0.2, 0.3] * 10
    assert len(set(scores)) == 2
    assert interval(scores, limits=F1).high == pytest.approx(0.3 + 0.7 * (1 - 0.025 ** (1 / 20)))


@pytest.mark.parametrize("values", [[], [math.nan, 0.5], [math.inf, 0.5]])
def test_no_scores_and_scores_that_are_not_finite_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="a mean takes"):
        interval(values)


@pytest.mark.parametrize("confidence", [0, 1, 1.5, math.nan])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        interval([0.1, 0.2], confidence=confidence)


# ---------------------------------------------------------------- clusters


def repeated(scores: Sequence[float], times: int) -> tuple[list[float], list[int]]:
    """Every score `times`, with the label of its cluster."""
    rows = [(score, label) for label, score in enumerate(scores) for _ in range(times)]
    return [score for score, _ in rows], [label for _, label in rows]


@given(SPREAD)
def test_clusters_of_one_row_change_nothing(scores: list[float]) -> None:
    plain, clustered = interval(scores), interval(scores, clusters=list(range(len(scores))))
    assert (clustered.low, clustered.high) == pytest.approx((plain.low, plain.high), rel=1e-9)
    assert (plain.clusters, clustered.clusters) == (None, len(scores))


@given(SPREAD, st.integers(2, 6))
def test_rows_that_repeat_each_other_add_nothing(scores: list[float], times: int) -> None:
    once = interval(scores)
    rows, labels = repeated(scores, times)
    clustered = interval(rows, clusters=labels)
    assert (clustered.mean, clustered.low, clustered.high) == pytest.approx((once.mean, once.low, once.high), rel=1e-9)
    assert reach(interval(rows)) < reach(clustered)


def test_the_error_of_clusters_of_different_sizes_by_hand() -> None:
    # Mean 0.5; the clusters' deviations add up to 0.4, -0.2 and -0.2, and hold 2/4, 1/4 and 1/4 of the rows.
    found = estimate_mean([0.7, 0.7, 0.3, 0.3], ["a", "a", "b", "c"])
    assert found.mean == 0.5
    assert found.units == pytest.approx(1 / (0.25 + 0.0625 + 0.0625))
    assert found.error == pytest.approx(math.sqrt(0.4**2 / 0.5 + 2 * 0.2**2 / 0.75) / 4)


def test_fewer_than_40_clusters_deserve_a_note() -> None:
    scores = [n / 80 for n in range(80)]
    assert has_few(interval(scores, clusters=[n % 39 for n in range(80)]).clusters)
    assert not has_few(interval(scores, clusters=[n % 40 for n in range(80)]).clusters)
    assert not has_few(interval(scores).clusters)


def test_a_single_cluster_leaves_nearly_everything_open() -> None:
    found = interval([0.4, 0.5, 0.6], clusters=["a"] * 3, limits=F1)
    assert (found.low, found.high, found.clusters) == (pytest.approx(0.0125), pytest.approx(0.9875), 1)


def test_labels_are_as_many_as_scores() -> None:
    with pytest.raises(ValueError, match="zip"):
        interval([0.1, 0.2], clusters=["a"])
