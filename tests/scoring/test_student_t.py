"""Quantiles of Student's t against tables and closed forms."""

import math

import pytest
from evaltape.scoring.student_t import normal_quantile, t_quantile, upper_tail
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("share", "freedom", "quantile"),
    [
        (0.95, 1, 6.313752), (0.95, 9, 1.833113), (0.95, 19, 1.729133), (0.975, 4, 2.776445), (0.975, 10, 2.228139),
        (0.975, 30, 2.042272), (0.975, 120, 1.979930), (0.995, 5, 4.032143), (0.999, 20, 3.551808),
    ],
)  # fmt: skip
def test_quantiles_are_those_of_printed_tables(share: float, freedom: float, quantile: float) -> None:
    assert t_quantile(share, freedom) == pytest.approx(quantile, abs=5e-7)


@given(st.floats(0.5, 0.9999))
def test_with_one_and_two_degrees_of_freedom_they_have_closed_forms(share: float) -> None:
    assert t_quantile(share, 1) == pytest.approx(math.tan(math.pi * (share - 0.5)), rel=1e-9)
    assert t_quantile(share, 2) == pytest.approx((2 * share - 1) / math.sqrt(2 * share * (1 - share)), rel=1e-9)


@given(st.floats(0.5001, 0.9999), st.floats(0.2, 20_000))
def test_the_tail_over_a_quantile_is_the_rest(share: float, freedom: float) -> None:
    assert upper_tail(t_quantile(share, freedom), freedom) == pytest.approx(1 - share, rel=1e-8)


@given(st.floats(0, 30), st.floats(0.2, 1000))
def test_the_tails_are_alike(value: float, freedom: float) -> None:
    assert upper_tail(-value, freedom) == pytest.approx(1 - upper_tail(value, freedom), rel=1e-12)


def test_with_many_degrees_of_freedom_t_is_normal() -> None:
    assert t_quantile(0.975, 1e5) == pytest.approx(normal_quantile(0.975), rel=2e-5)
    assert t_quantile(0.975, 1e7) == normal_quantile(0.975) == pytest.approx(1.959964, abs=5e-7)


def test_without_degrees_of_freedom_nothing_is_certain() -> None:
    assert t_quantile(0.975, 0) == math.inf
    assert t_quantile(0.5, 0) == 0
