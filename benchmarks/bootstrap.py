"""Bootstrap intervals and a paired comparison of 3 metrics on 15,000 samples, beside a plain loop over resamples.

CPU seconds: one thread computes.
"""

import random
import time
from collections.abc import Iterator

from evaltape.scoring.statistics import MOST_DRAWS, differences, intervals

from benchmarks.table import Row, show

SAMPLES, METRICS = 15_000, 3
PLAIN_RESAMPLES = 10
MOST_S = 2.0


def rows() -> Iterator[Row]:
    rng = random.Random(42)
    sides = [[[rng.random() for _ in range(SAMPLES)] for _ in range(METRICS)] for _ in range(2)]
    intervals([[0.5, 0.6]])  # imports numpy
    started = time.process_time()
    intervals(sides[0])
    intervals(sides[1])
    differences(sides[0], sides[1], confidence=0.95)
    took_s = time.process_time() - started
    started = time.process_time()
    for column in [*sides[0], *sides[1], *sides[0]]:
        for _ in range(PLAIN_RESAMPLES):
            sum(rng.choices(column, k=SAMPLES)) / SAMPLES
    plain_s = (time.process_time() - started) / PLAIN_RESAMPLES * (MOST_DRAWS // SAMPLES)
    what = "two models' intervals and their comparison, 3 metrics x 15,000"
    told, ratio = f"{plain_s:.0f} s, `random.choices`", f"{took_s / plain_s:.4f}"
    yield Row(what, f"{took_s:.2f} s", told, "", ratio, f"< {MOST_S:g} s", took_s < MOST_S)


if __name__ == "__main__":
    show("bootstrap", rows())
