"""Coverage, false passes and noise by simulation: small and seeded. `python -m benchmarks.intervals` is the long form.

The percentile bootstrap, which intervals and verdicts rested on once, fails them, as two tests show.
"""

import math
import random
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from evaltape.scoring.noise import noise_of
from evaltape.scoring.paired import difference
from evaltape.scoring.statistics import interval, mean

from tests.support.recorded import Draw, Resampled, mixed, recorded_differences, recorded_scores

TRIALS = 2000


def zero(rng: random.Random) -> float:
    return 0.0


SHAPES: dict[str, tuple[Callable[[], Draw], float | None]] = {
    "normal": (lambda: lambda rng: rng.gauss(0, 1), 0.0),
    "exponential": (lambda: lambda rng: rng.expovariate(1), 1.0),
    "zero-inflated": (lambda: mixed(0.5, zero, lambda rng: rng.random()), 0.25),
    "two-valued": (lambda: lambda rng: float(rng.random() < 0.3), 0.3),
    "rougeL": (lambda: Resampled(recorded_scores()["smollm2", "rougeL"]), None),
    "rouge2": (lambda: Resampled(recorded_scores()["smollm2", "rouge2"]), None),
}
DIFFERENCES: dict[str, tuple[Callable[[], Draw], float | None]] = {
    "normal": (lambda: lambda rng: rng.gauss(0, 1), 0.0),
    "exponential": (lambda: lambda rng: rng.expovariate(1), 1.0),
    "exponential losses": (lambda: lambda rng: -rng.expovariate(1), -1.0),
    "zero-inflated": (lambda: mixed(0.2, zero, lambda rng: rng.gauss(0, 0.3)), 0.0),
    "rouge1": (lambda: Resampled(recorded_differences("rouge1")), None),
    "rougeL": (lambda: Resampled(recorded_differences("rougeL")), None),
    "rougeL, the other way round": (lambda: Resampled([-change for change in recorded_differences("rougeL")]), None),
}


def truth(shape: Callable[[], Draw], known: float | None) -> float:
    """The true mean of a shape; of a resampled one the mean of its values."""
    drawn = shape()
    return mean(drawn.values) if isinstance(drawn, Resampled) else known  # type: ignore[return-value]


def percentile_bootstrap(rows: Any, tail: float) -> Any:
    """What intervals were made of: per row the quantiles of the means of resamples."""
    counts = np.random.default_rng(42).multinomial(rows.shape[1], [1 / rows.shape[1]] * rows.shape[1], 2000)
    return np.quantile(rows @ counts.T / rows.shape[1], [tail, 1 - tail], axis=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_95_percent_intervals_of_20_scores_hold_the_mean_in_94_percent_of_cases(shape: str) -> None:
    make, known = SHAPES[shape]
    rng, draw, middle = random.Random(20), make(), truth(make, known)
    found = (interval([draw(rng) for _ in range(20)]) for _ in range(TRIALS))
    assert sum(one.low <= middle <= one.high for one in found) / TRIALS >= 0.94  # type: ignore[operator]


def test_the_percentile_bootstrap_holds_it_in_under_94_percent() -> None:
    low, high = percentile_bootstrap(np.random.default_rng(20).normal(size=(TRIALS, 20)), 0.025)
    assert np.mean((low <= 0) & (high >= 0)) < 0.94


@pytest.mark.parametrize("pairs", [10, 20])
@pytest.mark.parametrize("shape", DIFFERENCES)
def test_a_gain_that_is_the_bound_passes_in_at_most_6_percent_of_cases(shape: str, pairs: int) -> None:
    make, known = DIFFERENCES[shape]
    rng, draw, bound, zeros = random.Random(pairs), make(), truth(make, known), [0.0] * pairs
    passed = sum(difference(zeros, [draw(rng) for _ in zeros]).verdict(bound) == "passed" for _ in range(TRIALS))
    assert passed / TRIALS <= 0.06


@pytest.mark.parametrize("pairs", [1, 2, 3, 5])
def test_a_gain_that_is_the_bound_never_passes_on_a_few_pairs(pairs: int) -> None:
    # The bootstrap, whose nominal rate was 2.5%, passed in 49%, 23%, 10% and 7% of cases.
    rng, gains = random.Random(pairs), recorded_differences("rougeL")
    bound, zeros = mean(gains), [0.0] * pairs
    verdicts = {difference(zeros, rng.choices(gains, k=pairs), limits=(0, 1)).verdict(bound) for _ in range(TRIALS)}
    assert "passed" not in verdicts


def test_the_percentile_bootstrap_passes_it_in_over_6_percent() -> None:
    losses = [-change for change in recorded_differences("rougeL")]
    low, _ = percentile_bootstrap(np.random.default_rng(10).choice(losses, size=(TRIALS, 10)), 0.05)
    assert np.mean(low >= mean(losses)) > 0.06


def test_clusters_pass_no_more_often_than_rows_that_are_independent() -> None:
    # 30 threads of 1 to 5 rows that gain and lose together; taken for independent rows they pass in 18% of cases.
    rng, passed, apart = random.Random(3), 0, 0
    for _ in range(TRIALS):
        threads = [(rng.gauss(0, 1), rng.randint(1, 5)) for _ in range(30)]
        rows = [(level + rng.gauss(0, 0.3), label) for label, (level, size) in enumerate(threads) for _ in range(size)]
        changes, labels = [change for change, _ in rows], [label for _, label in rows]
        zeros = [0.0] * len(rows)
        passed += difference(zeros, changes, clusters=labels).verdict(0.0) == "passed"
        apart += difference(zeros, changes).verdict(0.0) == "passed"
    assert passed / TRIALS <= 0.06
    assert apart / TRIALS > 0.15


@pytest.mark.parametrize(("samples", "runs"), [(20, 2), (20, 5), (60, 3)])
def test_the_suggested_gate_fails_an_unchanged_model_at_most_in_15_of_1000_recordings(samples: int, runs: int) -> None:
    # Six in ten samples are always answered alike; with the quantile of a normal distribution 3.3% for 20 samples, 2 runs.
    # How likely a new recording fails the gate is known: its mean is normal.
    rng, chances = random.Random(samples + runs), []
    for _ in range(TRIALS // 4):
        noises = [0.0 if rng.random() < 0.6 else rng.uniform(0.02, 0.2) for _ in range(samples)]
        found = noise_of([[rng.gauss(0, sd) for _ in range(runs)] for sd in noises])
        assert found is not None
        assert found.gate is not None
        chances.append(NormalDist(0, math.hypot(*noises) / samples).cdf(found.gate))
    assert mean(chances) <= 0.015
