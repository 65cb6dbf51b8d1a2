"""The ends of intervals that decide paired gates and slice gates."""

import math
import tracemalloc

import numpy as np
import pytest
from evaltape.mutation.ends import difference_end, mean_end
from evaltape.mutation.gates import mean_gate, slice_gate
from evaltape.scoring.paired import difference
from evaltape.scoring.statistics import interval

ROWS = np.random.default_rng(7).normal(0.3, 0.1, (3, 200))
ERRORS = ROWS.std(axis=1, ddof=1) / math.sqrt(200)


@pytest.mark.parametrize(("confidence", "quantile"), [(0.95, 1.645), (0.9, 1.282), (0.99, 2.326)])
def test_an_end_of_a_difference_is_one_sided(confidence: float, quantile: float) -> None:
    lower, upper = (difference_end(confidence, is_lower)(ROWS) for is_lower in (True, False))
    assert lower == pytest.approx(ROWS.mean(axis=1) - quantile * ERRORS, abs=0.001)
    assert upper == pytest.approx(ROWS.mean(axis=1) + quantile * ERRORS, abs=0.001)


def test_an_end_of_a_mean_is_that_of_its_95_percent_interval() -> None:
    lower, upper = (mean_end(is_lower)(ROWS) for is_lower in (True, False))
    assert lower == pytest.approx(ROWS.mean(axis=1) - 1.96 * ERRORS, abs=0.001)
    assert upper == pytest.approx(ROWS.mean(axis=1) + 1.96 * ERRORS, abs=0.001)


def test_a_row_is_decided_the_same_whatever_stands_beside_it() -> None:
    end = difference_end(0.95, is_lower=True)
    assert end(ROWS) == pytest.approx([end(ROWS[place : place + 1])[0] for place in range(3)], abs=1e-12)


def test_what_belongs_together_counts_as_clusters_as_in_the_intervals_of_the_tests() -> None:
    clusters, rows = [place // 10 for place in range(200)], np.repeat(ROWS[:, ::10], 10, axis=1)
    for is_lower in (True, False):
        alone = [interval(row, clusters=clusters) for row in rows.tolist()]
        assert mean_end(is_lower, clusters=clusters)(rows) == [each.low if is_lower else each.high for each in alone]
        wider = difference([0.0] * 200, rows[0].tolist(), clusters=clusters)
        end = difference_end(0.95, is_lower, clusters=clusters)(rows)[0]
        assert end == pytest.approx(wider.low if is_lower else wider.high)
        assert abs(end - rows[0].mean()) > 2 * abs(difference_end(0.95, is_lower)(rows)[0] - rows[0].mean())
    few = [place // 40 for place in range(200)]
    assert difference_end(0.95, True, clusters=few)(ROWS) == [-math.inf] * 3  # Five clusters pass nothing.


def test_many_rows_take_little_memory_and_leave_none() -> None:
    rows = np.random.default_rng(1).normal(0, 0.1, (100, 200))
    end = difference_end(0.95, is_lower=True)
    end(ROWS)  # What is drawn for 200 samples is kept.
    tracemalloc.start()
    end(rows)
    left, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80e6
    assert left < 1e6


def highest(scores: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> list[float]:
    return [float(row.max()) for row in scores]


def test_the_value_of_a_slice_gate_is_that_of_the_worst_slice() -> None:
    scores = np.array([[0.1, 0.2, 0.3, 0.9], [0.5, 0.6, math.nan, 0.1]])
    gate = slice_gate("rougeL", 0.25, [[0, 1], [2, 3]], highest)
    first, second = gate.value(scores)
    assert (first, gate.passes(first)) == (0.2, False)
    assert math.isnan(second) and not gate.passes(second)
    lower = slice_gate("words", 0.25, [[0, 1], [2, 3]], highest, higher_is_better=False)
    assert lower.value(scores[:1]) == [0.9]
    assert (gate.group, gate.name, mean_gate("rougeL", 0.3).group) == ("slices", "slices rougeL", "gates")
