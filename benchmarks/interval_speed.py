"""Intervals and a paired comparison of 3 metrics on 15,000 samples, beside a bootstrap of 1,000 resamples.

CPU seconds: one thread computes.
"""

import random
import time
from collections.abc import Iterator

from evaltape.scoring.paired import difference
from evaltape.scoring.statistics import interval

from benchmarks.table import Row, show

SAMPLES, METRICS = 15_000, 3
RESAMPLES, PLAIN_RESAMPLES = 1_000, 10
MOST_S = 1.0


def rows() -> Iterator[Row]:
    rng = random.Random(42)
    sides = [[[rng.random() for _ in range(SAMPLES)] for _ in range(METRICS)] for _ in range(2)]
    started = time.process_time()
    for column in (*sides[0], *sides[1]):
        interval(column)
    for before, after in zip(*sides, strict=True):
        difference(before, after)
    took_s = time.process_time() - started
    started = time.process_time()
    for column in (*sides[0], *sides[1], *sides[0]):
        for _ in range(PLAIN_RESAMPLES):
            sum(rng.choices(column, k=SAMPLES)) / SAMPLES
    plain_s = (time.process_time() - started) / PLAIN_RESAMPLES * RESAMPLES
    what = "two models' intervals and their comparison, 3 metrics x 15,000"
    told, ratio = f"{plain_s:.0f} s, `random.choices`", f"{took_s / plain_s:.4f}"
    yield Row(what, f"{took_s:.2f} s", told, "", ratio, f"< {MOST_S:g} s", took_s < MOST_S)


if __name__ == "__main__":
    show("interval_speed", rows())
