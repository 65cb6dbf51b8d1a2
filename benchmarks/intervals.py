"""How often intervals hold the mean and verdicts are wrong, by simulation: the tables of docs/statistics.md.

    python -m benchmarks.intervals             # about 3 minutes

Beside ours, in brackets, is the percentile bootstrap on the same values at the same nominal rate. What breaks a promise is
marked; what is in *italics* was promised nothing.
"""

import argparse
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from evaltape.scoring.noise import noise_of
from evaltape.scoring.paired import LEAST_PAIRS, difference
from evaltape.scoring.power import smallest_difference
from evaltape.scoring.statistics import interval, mean
from evaltape.scoring.student_t import normal_quantile

from benchmarks import shapes
from benchmarks.shapes import Shape

SIZES = (10, 20, 50, 200)
FEW = (2, 3, 5, 8)
RESAMPLES = 1_000
CONFIDENCES = (0.95, 0.99)
ROUNDING = 1e-12
LEAST_COVERAGE, COVERS_FROM = 0.94, 20
MOST_OVER_NOMINAL = 0.01
NOISES: dict[str, Callable[[random.Random], float]] = {
    "every answer varies alike": lambda rng: 0.05,
    "6 in 10 samples never vary": lambda rng: 0.0 if rng.random() < 0.6 else rng.uniform(0.02, 0.2),
    "9 in 10 samples never vary": lambda rng: 0.0 if rng.random() < 0.9 else rng.uniform(0.02, 0.2),
}
Rates = dict[tuple[str, int], dict[tuple[float, str], tuple[float, float]]]


def show(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table, each row as soon as it is measured."""
    print(f"\n#### {title}\n\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


# ---------------------------------------------------------------- what is measured


def bootstrap(rows: list[list[float]], tails: Sequence[float]) -> Any:
    """The percentile bootstrap's ends of each row, of shape (2 * tails, rows): the lower ones, then the upper ones."""
    counts, shares = _counts(len(rows[0])), [*tails, *(1 - tail for tail in tails)]
    means = (np.array(rows[start : start + 1000]) @ counts for start in range(0, len(rows), 1000))
    return np.concatenate([np.quantile(part, shares, axis=1) for part in means], axis=1)


@cache
def _counts(size: int) -> Any:
    return np.random.default_rng(42).multinomial(size, [1 / size] * size, RESAMPLES).T / size


def drawn(shape: Shape, size: int, trials: int) -> list[list[float]]:
    rng = random.Random(f"{shape.name} {size}")
    return [shape.sample(rng, size) for _ in range(trials)]


def coverage(shape: Shape, size: int, trials: int) -> tuple[float, float, float]:
    """How often 95% intervals hold the mean: ours, the bootstrap's, and the ratio of their mean widths."""
    rows = drawn(shape, size, trials)
    found = [interval(row, bounds=shape.bounds) for row in rows]
    ours = np.array([(_or(one.low, -math.inf), _or(one.high, math.inf)) for one in found]).T
    plain = bootstrap(rows, [0.025])
    held = [float(np.mean((low <= shape.mean + ROUNDING) & (high >= shape.mean - ROUNDING))) for low, high in (ours, plain)]
    widths = [float(np.mean((high - low)[np.isfinite(high - low)])) for low, high in (ours, plain)]
    return held[0], held[1], widths[0] / widths[1]


def _or(end: float | None, other: float) -> float:
    return other if end is None else end


def wrong_verdicts(shape: Shape, size: int, trials: int) -> dict[tuple[float, str], tuple[float, float]]:
    """The rates of each (confidence, verdict) where the true difference is the bound: ours, the bootstrap's."""
    rows, bound, rates = drawn(shape, size, trials), shape.mean, {}
    ends = bootstrap(rows, [1 - confidence for confidence in CONFIDENCES])
    for confidence, low, high in zip(CONFIDENCES, ends[:2], ends[2:], strict=True):
        found = [_verdict(shape, row, confidence, bound) for row in rows]
        plain = {"passed": np.mean(low >= bound - ROUNDING), "failed": np.mean(high < bound - ROUNDING)}
        rates.update({(confidence, name): (found.count(name) / trials, float(rate)) for name, rate in plain.items()})
    return rates


def power(shape: Shape, size: int, trials: int, sd: float) -> float:
    """How often a difference passes that is as far over its bound as is said to be decided in 80% of cases."""
    spare = smallest_difference(sd, size)
    assert spare is not None
    passed = sum(_verdict(shape, row, 0.95, shape.mean - spare) == "passed" for row in drawn(shape, size, trials))
    return passed / trials


def _verdict(shape: Shape, changes: list[float], confidence: float, bound: float) -> str:
    before = [float(shape.is_two_valued and change <= 0) for change in changes]
    after = [start + change for start, change in zip(before, changes, strict=True)]
    return difference(before, after, confidence=confidence, bounds=shape.bounds).verdict(bound)


def clustered(clusters: int, largest: int, trials: int, by_cluster: bool) -> float:
    """How often a gain that is the bound passes, in clusters of 1 to `largest` pairs that mostly change together."""
    rng, passed = random.Random(clusters), 0
    for _ in range(trials):
        rows = []
        for label in range(clusters):
            level = rng.gauss(0, 1)
            rows += [(level + rng.gauss(0, 0.3), label) for _ in range(rng.randint(1, largest))]
        changes, labels = [change for change, _ in rows], [label for _, label in rows]
        found = difference([0.0] * len(rows), changes, clusters=labels if by_cluster else None)
        passed += found.verdict(0.0) == "passed"
    return passed / trials


def alarms(noise: Callable[[random.Random], float], samples: int, runs: int, trials: int) -> tuple[float, float]:
    """How often an unchanged model fails the suggested gate: ours, and one by the quantile of the normal distribution."""
    rng, ours, plain = random.Random(samples + runs), 0, 0
    for _ in range(trials):
        noises = [noise(rng) for _ in range(samples)]
        found = noise_of([[rng.gauss(0, sd) for _ in range(runs)] for sd in noises])
        assert found is not None
        again = mean([rng.gauss(0, sd) for sd in noises])
        ours += found.gate is not None and again < found.gate
        plain += again < found.mean - normal_quantile(0.99) * found.sd_of_next
    return ours / trials, plain / trials


# ---------------------------------------------------------------- the tables


def coverage_row(shape: Shape, sizes: Sequence[int], trials: int) -> list[str]:
    cells, ratio = [], 0.0
    for size in sizes:
        ours, plain, ratio = coverage(shape, size, trials)
        broken = shape.is_promised and not shape.is_two_valued and size >= COVERS_FROM and ours < LEAST_COVERAGE
        cells.append(_cell(ours, plain, broken))
    return [_name(shape), *cells, f"{ratio:.2f}"]


def verdict_rows(differences: list[Shape], rates: Rates, confidence: float, verdict: str) -> Iterator[list[str]]:
    most = 1 - confidence + MOST_OVER_NOMINAL
    for shape in differences:
        pairs = [rates[shape.name, size][confidence, verdict] for size in SIZES]
        is_promised = shape.is_promised and verdict == "passed"
        yield [_name(shape), *(_cell(ours, plain, is_promised and ours > most) for ours, plain in pairs)]


def power_row(shape: Shape, trials: int) -> list[str]:
    values = shape.sample(random.Random(1), 100_000)
    sd = math.sqrt(mean([(value - shape.mean) ** 2 for value in values]))
    return [_name(shape), *(f"{power(shape, size, trials, sd):.0%}" for size in SIZES)]


def _cell(ours: float, plain: float, is_broken: bool) -> str:
    mark = "**" if is_broken else ""
    return f"{mark}{100 * ours:.1f}{mark} ({100 * plain:.1f})"


def _name(shape: Shape) -> str:
    return shape.name if shape.is_promised else f"*{shape.name}*"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    trials = parser.parse_args().trials
    n = [f"n = {size}" for size in SIZES]
    scores, differences = list(shapes.scores()), list(shapes.differences())
    print(f"\n### `python -m benchmarks.intervals --trials {trials}`\n\nIn percent of {trials:,} cases each.")
    title = "95% intervals that hold the mean (the bootstrap's); the last column is the ratio of widths at n = 200"
    show(title, ["scores", *n, "width"], (coverage_row(shape, SIZES, trials) for shape in scores))
    title = "The same of few samples; the last column is the ratio of widths at n = 8"
    measured = [shape for shape in scores if "smollm2" in shape.name or shape.is_two_valued]
    show(title, ["scores", *(f"n = {size}" for size in FEW), "width"], (coverage_row(one, FEW, trials) for one in measured))
    rates = {(shape.name, size): wrong_verdicts(shape, size, trials) for shape in differences for size in SIZES}
    for confidence in CONFIDENCES:
        title = f"False passes at confidence {confidence:g}: the true difference is the bound (the bootstrap's)"
        show(title, ["differences", *n], verdict_rows(differences, rates, confidence, "passed"))
    title = "False failures at confidence 0.95: the true difference is the bound (the bootstrap's)"
    show(title, ["differences", *n], verdict_rows(differences, rates, 0.95, "failed"))
    title = "Passes where the true difference is as far over the bound as is said to be decided in 80% of cases"
    show(title, ["differences", *n], (power_row(shape, max(1, trials // 5)) for shape in differences if shape.is_promised))
    _show_clusters(max(1, trials // 5))
    _show_noise(max(1, trials // 5))


def _show_clusters(trials: int) -> None:
    rows = (
        [
            f"of 1 to {largest} pairs",
            *(_cell(*(clustered(g, largest, trials, by) for by in (True, False)), False) for g in numbers),
        ]
        for largest in (1, 5, 20)
        for numbers in [(LEAST_PAIRS, 20, 40, 100)]
    )
    title = f"False passes at confidence 0.95 with clusters (without naming them), {trials:,} cases"
    show(title, ["clusters", "10", "20", "40", "100"], rows)


def _show_noise(trials: int) -> None:
    rows = (
        [name, str(runs), *(_cell(*alarms(noise, samples, runs, trials), False) for samples in (20, 50, 200))]
        for name, noise in NOISES.items()
        for runs in (2, 3, 5)
    )
    title = f"Recordings of an unchanged model that fail the suggested gate (one by the normal quantile), {trials:,} cases"
    show(title, ["noise", "runs", "20 samples", "50", "200"], rows)


if __name__ == "__main__":
    main()
