"""Gates as a study sees them: the value that is held against a bound."""

import math
from typing import Any

import numpy as np
import pytest
from evaltape.mutation.gates import Gate, mean_gate, paired_gate


def value(gate: Gate, *rows: list[float]) -> list[float]:
    return [float(each) for each in gate.value(np.array(rows))]


def smallest_gain(gains: Any) -> list[float]:
    """The least gain of each draw, in place of the end of an interval."""
    assert not np.isnan(gains).any()
    return [float(each) for each in gains.min(axis=1)]


def test_the_value_of_a_gate_on_a_mean_is_the_exact_mean() -> None:
    assert value(mean_gate("rougeL", 0.1), [0.1] * 10, [0.0, 1.0] * 5) == [0.1, 0.5]


def test_a_mean_passes_at_its_threshold_and_over_it() -> None:
    gate = mean_gate("rougeL", 0.3)
    assert [gate.passes(each) for each in (0.29, 0.3, 0.31, math.nan)] == [False, True, True, False]


def test_where_lower_is_better_a_mean_passes_at_its_threshold_and_under_it() -> None:
    gate = mean_gate("repetition", 0.3, higher_is_better=False)
    assert [gate.passes(each) for each in (0.29, 0.3, 0.31, math.nan)] == [True, True, False, False]


def test_a_paired_gate_holds_the_deciding_end_of_the_gains_against_the_bound() -> None:
    gate = paired_gate(("comparisons", "tuning-helps"), "rougeL", 0.1, [0.1, 0.2], smallest_gain)
    assert value(gate, [0.5, 0.4], [0.1, 0.9]) == pytest.approx([0.2, 0.0])
    assert [gate.passes(each) for each in (0.0, 0.1, 0.2)] == [False, True, True]


def test_where_lower_is_better_a_gain_is_a_drop() -> None:
    gate = paired_gate(("against",), "repetition", -0.1, [0.5, 0.5], smallest_gain, higher_is_better=False)
    assert value(gate, [0.4, 0.7]) == pytest.approx([-0.2])
    assert not gate.passes(-0.2)


def test_pairs_are_the_samples_that_the_other_side_has_scores_for() -> None:
    gate = paired_gate(("against",), "rougeL", 0.0, [None, 0.2, 0.1], smallest_gain)
    assert value(gate, [0.0, 0.5, 0.5]) == pytest.approx([0.3])


def test_a_draw_with_a_mutant_that_has_no_score_fails_and_the_others_are_decided() -> None:
    gate = paired_gate(("against",), "rougeL", 0.0, [0.1, 0.1], smallest_gain)
    first, second = value(gate, [math.nan, 0.2], [0.2, 0.3])
    assert math.isnan(first)
    assert not gate.passes(first)
    assert second == pytest.approx(0.1)


def test_without_a_pair_a_paired_gate_fails() -> None:
    gate = paired_gate(("against",), "rougeL", 0.0, [None], smallest_gain)
    assert math.isnan(value(gate, [0.5])[0])


def test_gates_are_named_as_tables_show_them() -> None:
    paired = paired_gate(("comparisons", "tuning-helps"), "rougeL", 0.1, [], smallest_gain)
    against = paired_gate(("against",), "rougeL", 0.1, [], smallest_gain)
    assert [each.name for each in (mean_gate("rougeL", 0.3), paired, against)] == [
        "rougeL",
        "tuning-helps rougeL",
        "against rougeL",
    ]
