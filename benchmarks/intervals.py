"""How often intervals hold the mean and verdicts are wrong, by simulation: the tables of benchmarks/intervals.md.

    python -m benchmarks.intervals             # about 4 minutes

Beside ours, in brackets, are Student's t, the expanded percentile bootstrap and the percentile bootstrap, on the same values at
the same nominal rate. What breaks a promise is bold; what is in italics was promised nothing.
"""

import argparse
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
from evaltape.scoring.noise import noise_of
from evaltape.scoring.paired import difference, smallest_difference
from evaltape.scoring.statistics import interval, mean
from evaltape.scoring.student_t import normal_quantile, t_quantile

from benchmarks import shapes
from benchmarks.shapes import Shape
from tests.support.recorded import Draw, mixed

SIZES = (10, 20, 50, 200)
FEW = (2, 3, 5, 8)
CLUSTERS = (10, 20, 40, 100)
OTHERS = "Student's t, expanded percentile, percentile bootstrap"
RESAMPLES = 1_000
CONFIDENCES = (0.95, 0.99)
ROUNDING = 1e-12
LEAST_COVERAGE, COVERS_FROM = 0.94, 20
MOST_OVER_NOMINAL = 0.01
Rates = dict[tuple[float, str], list[float]]


def show(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table, each row as soon as it is measured."""
    print(f"\n#### {title}\n\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


# ---------------------------------------------------------------- what is measured


def others(rows: list[list[float]], tail: float) -> list[Any]:
    """The ends of each row by Student's t, by the expanded percentile bootstrap and by the percentile bootstrap."""
    values, size = np.array(rows), len(rows[0])
    quantile = t_quantile(1 - tail, size - 1)
    reach = quantile * values.std(axis=1, ddof=1) / math.sqrt(size)
    middle = values.mean(axis=1)
    expanded = NormalDist().cdf(-math.sqrt(size / (size - 1)) * quantile)
    parts = [_bootstrap(values[start : start + 1000], [expanded, tail]) for start in range(0, len(rows), 1000)]
    low, plain_low, high, plain_high = np.concatenate(parts, axis=1)
    return [(middle - reach, middle + reach), (low, high), (plain_low, plain_high)]


def _bootstrap(values: Any, tails: Sequence[float]) -> Any:
    """The quantiles of resampled means, of shape (2 * tails, rows): the lower ones, then the upper ones."""
    return np.quantile(values @ _counts(values.shape[1]), [*tails, *(1 - tail for tail in tails)], axis=1)


@cache
def _counts(size: int) -> Any:
    return np.random.default_rng(42).multinomial(size, [1 / size] * size, RESAMPLES).T / size


def drawn(shape: Shape, size: int, trials: int) -> list[list[float]]:
    rng = random.Random(f"{shape.name} {size}")
    return [shape.sample(rng, size) for _ in range(trials)]


def coverage(shape: Shape, size: int, trials: int) -> tuple[list[float], float]:
    """How often 95% intervals hold the mean, ours and the others; and how wide ours are, as a ratio to Student's t."""
    rows = drawn(shape, size, trials)
    found = [interval(row, limits=shape.limits) for row in rows]
    ours = np.array([(_or(one.low, -math.inf), _or(one.high, math.inf)) for one in found]).T
    ways = [ours, *others(rows, 0.025)]
    held = [float(np.mean((low <= shape.mean + ROUNDING) & (high >= shape.mean - ROUNDING))) for low, high in ways]
    widths = [float(np.mean((high - low)[np.isfinite(high - low)])) for low, high in ways[:2]]
    return held, widths[0] / widths[1]


def _or(end: float | None, other: float) -> float:
    return other if end is None else end


def wrong_verdicts(shape: Shape, size: int, trials: int) -> Rates:
    """The rates of each (confidence, verdict) where the true difference is the bound: ours and the others."""
    rows, bound, rates = drawn(shape, size, trials), shape.mean, Rates()
    for confidence in CONFIDENCES:
        found = [_verdict(shape, row, confidence, bound) for row in rows]
        ends = others(rows, 1 - confidence)
        passed = [float(np.mean(low >= bound - ROUNDING)) for low, _ in ends]
        failed = [float(np.mean(high < bound - ROUNDING)) for _, high in ends]
        rates[confidence, "passed"] = [found.count("passed") / trials, *passed]
        rates[confidence, "failed"] = [found.count("failed") / trials, *failed]
    return rates


def power(shape: Shape, size: int, trials: int, sd: float) -> float:
    """How often a difference passes that is as far over its bound as is said to be decided in 80% of cases."""
    spare = smallest_difference(sd, size)
    assert spare is not None
    passed = sum(_verdict(shape, row, 0.95, shape.mean - spare) == "passed" for row in drawn(shape, size, trials))
    return passed / trials


def _verdict(shape: Shape, changes: list[float], confidence: float, bound: float) -> str:
    before = [float(change <= 0) if shape.is_two_valued else shape.start for change in changes]
    after = [start + change for start, change in zip(before, changes, strict=True)]
    return difference(before, after, confidence=confidence, limits=shape.limits).verdict(bound)


def clustered(clusters: int, largest: int, is_skewed: bool, trials: int) -> list[float]:
    """How often a gain that is the bound passes, with and without naming the clusters of pairs that change together.

    A `largest` of 0 means sizes with a long tail: one cluster in 30 has over 10 pairs, one in 300 over 50.
    """
    rng, passed = random.Random(f"{clusters} {largest} {is_skewed}"), [0, 0]
    for _ in range(trials):
        rows = []
        for label in range(clusters):
            level = 1 - rng.expovariate(1) if is_skewed else rng.gauss(0, 1)
            rows += [(level + rng.gauss(0, 0.3), label) for _ in range(_size(rng, largest))]
        changes, labels = [change for change, _ in rows], [label for _, label in rows]
        for way, named in enumerate((labels, None)):
            passed[way] += difference([0.0] * len(rows), changes, clusters=named).verdict(0.0) == "passed"
    return [count / trials for count in passed]


def _size(rng: random.Random, largest: int) -> int:
    return rng.randint(1, largest) if largest else min(200, int(rng.paretovariate(1.5)))


def alarms(noise: Callable[[random.Random], Draw], samples: int, runs: int, trials: int) -> list[float]:
    """How often an unchanged model fails the suggested gate: ours, and one by the quantile of the normal distribution.

    Ours is computed here as `Noise.gate` does, which suggests none for few samples.
    """
    rng, failed = random.Random(f"{samples} {runs}"), [0, 0]
    for _ in range(trials):
        draws = [noise(rng) for _ in range(samples)]
        found = noise_of([[draw(rng) for _ in range(runs)] for draw in draws], limits=(-0.5, 0.5))
        assert found is not None
        again = mean([draw(rng) for draw in draws])
        for way, quantile in enumerate((t_quantile(0.99, found.freedom), normal_quantile(0.99))):
            margin = quantile * found.sd_of_next if found.sd else 0.0 if way else found.margin
            failed[way] += again < found.mean - margin - ROUNDING
    return [count / trials for count in failed]


def varying(sd: float) -> Draw:
    return lambda rng: rng.gauss(0, sd)


NOISES: dict[str, Callable[[random.Random], Draw]] = {
    "every answer varies alike": lambda rng: varying(0.05),
    "6 in 10 samples never vary": lambda rng: varying(0.0 if rng.random() < 0.6 else rng.uniform(0.02, 0.2)),
    "9 in 10 samples never vary": lambda rng: varying(0.0 if rng.random() < 0.9 else rng.uniform(0.02, 0.2)),
    "1 answer in 100 is worse by 0.3": lambda rng: mixed(0.01, shapes.zero, lambda rng: -0.3),
    "1 answer in 10 is worse by 0.3": lambda rng: mixed(0.1, shapes.zero, lambda rng: -0.3),
}


# ---------------------------------------------------------------- the tables


def coverage_row(shape: Shape, sizes: Sequence[int], trials: int) -> list[str]:
    cells, ratio = [], 0.0
    for size in sizes:
        held, ratio = coverage(shape, size, trials)
        is_promised = shape.is_promised and not shape.is_two_valued and size >= COVERS_FROM
        cells.append(_cell(held, is_promised and held[0] < LEAST_COVERAGE))
    return [_name(shape), *cells, f"{ratio:.2f}"]


def verdict_rows(rates: list[tuple[Shape, list[Rates]]], confidence: float, verdict: str) -> Iterator[list[str]]:
    most = 1 - confidence + MOST_OVER_NOMINAL
    for shape, found in rates:
        is_promised = shape.is_promised and verdict == "passed"
        ways = [one[confidence, verdict] for one in found]
        yield [_name(shape), *(_cell(way, is_promised and way[0] > most) for way in ways)]


def power_row(shape: Shape, trials: int) -> list[str]:
    values = shape.sample(random.Random(1), 100_000)
    sd = math.sqrt(mean([(value - shape.mean) ** 2 for value in values]))
    return [_name(shape), *(f"{100 * power(shape, size, trials, sd):.0f}" for size in SIZES)]


def _cell(ways: Sequence[float], is_broken: bool = False) -> str:
    mark = "**" if is_broken else ""
    ours, *rest = (f"{100 * way:.1f}" for way in ways)
    return f"{mark}{ours}{mark} ({', '.join(rest)})"


def _name(shape: Shape) -> str:
    return shape.name if shape.is_promised else f"*{shape.name}*"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    trials = parser.parse_args().trials
    n, few = [f"n = {size}" for size in SIZES], [f"n = {size}" for size in FEW]
    scores, differences = list(shapes.scores()), list(shapes.differences())
    print(f"\n### `python -m benchmarks.intervals --trials {trials}`\n\nIn percent of {trials:,} cases each: ours ({OTHERS}).")
    width = "; the last column is how wide ours are beside Student's t at the largest n"
    title = f"95% intervals that hold the mean{width}"
    show(title, ["scores", *n, "width"], (coverage_row(shape, SIZES, trials) for shape in scores))
    few_of = [shape for shape in scores if shape.limits == (0.0, 1.0)]
    show(f"The same of few scores{width}", ["scores", *few, "width"], (coverage_row(one, FEW, trials) for one in few_of))
    rates = [(shape, [wrong_verdicts(shape, size, trials) for size in SIZES]) for shape in differences]
    for verdict, confidence in (("passed", 0.95), ("passed", 0.99), ("failed", 0.95)):
        title = f"Differences that are the bound and {verdict}, at confidence {confidence:g}"
        show(title, ["differences", *n], verdict_rows(rates, confidence, verdict))
    title = "Passes where the difference is as far over the bound as is said to be decided in 80% of cases (ours)"
    show(title, ["differences", *n], (power_row(shape, max(1, trials // 5)) for shape in differences if shape.is_promised))
    _show_clusters(max(1, trials // 5))
    _show_noise(max(1, trials // 5))


def _show_clusters(trials: int) -> None:
    rows = (
        [
            f"{f'of 1 to {largest} pairs' if largest else 'of Pareto sizes'}{', skewed' * skewed}",
            *(_cell(clustered(g, largest, skewed, trials)) for g in CLUSTERS),
        ]
        for skewed in (False, True)
        for largest in (1, 5, 20, 0)
    )
    title = f"Differences that are the bound and passed, at confidence 0.95, with clusters named (and not), {trials:,} cases"
    show(title, ["clusters", *map(str, CLUSTERS)], rows)


def _show_noise(trials: int) -> None:
    rows = (
        [name, str(runs), *(_cell(alarms(noise, samples, runs, trials)) for samples in SIZES)]
        for name, noise in NOISES.items()
        for runs in (2, 3, 5)
    )
    title = f"Recordings of an unchanged model that fail the suggested gate (one by the normal quantile), {trials:,} cases"
    show(title, ["noise", "runs", *(f"{samples} samples" for samples in SIZES)], rows)


if __name__ == "__main__":
    main()
