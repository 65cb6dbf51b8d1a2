"""How often means corrected for a judge's errors, and kappa's intervals, miss the true value: benchmarks/judges.md.

    python -m benchmarks.judges             # about 2 minutes; with ppi-python installed, beside ppi_py's intervals

A judge that is right on 90% of the true answers and on 80% of the false ones; promised are 2.5% beyond either end of a mean's
interval and 5% beyond either end of a difference's.
"""

import argparse
import importlib.util
import random
from collections.abc import Callable, Sequence
from typing import Any

from evaltape.judging.agreement import kappa
from evaltape.scoring.correction import Corrected, Errors, NotCorrected, by_others, by_these, difference_by_others

SENSITIVITY, SPECIFICITY = 0.9, 0.8
Answer = tuple[float, float]
"""A judge's verdict and a person's label."""


def drawn(rng: random.Random, true: float) -> Answer:
    """One answer, true with this probability, and what the judge says of it."""
    label = rng.random() < true
    return float(rng.random() < (SENSITIVITY if label else 1 - SPECIFICITY)), float(label)


def errors(rng: random.Random, count: int) -> Errors:
    """What so many labels of each class show of the judge."""
    sensitive = sum(rng.random() < SENSITIVITY for _ in range(count))
    return Errors(count, sensitive, count, sum(rng.random() < SPECIFICITY for _ in range(count)))


def missed(trials: int, make: Callable[[random.Random], tuple[float | None, float | None]], truth: float) -> list[str]:
    """How often the truth lies under the lower end and over the upper one, and the mean width."""
    rng, below, above, widths = random.Random(17), 0, 0, []
    for _ in range(trials):
        try:
            low, high = make(rng)
        except NotCorrected:
            continue
        if low is None or high is None:
            continue
        below, above = below + (truth < low - 1e-9), above + (truth > high + 1e-9)
        widths.append(high - low)
    return [f"{100 * below / trials:.1f}%", f"{100 * above / trials:.1f}%", f"{sum(widths) / len(widths):.3f}"]


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a Markdown table."""
    print(f"\n#### {title}\n\n| {' | '.join(rows[0])} |\n|{' --- |' * len(rows[0])}")
    for row in rows:
        print(f"| {' | '.join(map(str, row.values()))} |", flush=True)


def ends(found: Corrected) -> tuple[float | None, float | None]:
    """The ends of a corrected mean's interval."""
    return found.low, found.high


def ppi_py_ends(labelled: Sequence[Answer], others: Sequence[float]) -> tuple[float, float]:
    """What ppi_py says of the same."""
    import numpy as np
    import ppi_py

    verdicts, labels = (np.array(column) for column in zip(*labelled, strict=True))
    low, high = ppi_py.ppi_mean_ci(labels, verdicts, np.array(others), alpha=0.05)
    return float(low[0]), float(high[0])


def of_these(trials: int) -> list[dict[str, Any]]:
    """Labels of some of these very answers."""
    rows = []
    for labels, others, true in ((20, 180, 0.5), (20, 180, 0.9), (50, 150, 0.5), (50, 150, 0.9), (100, 900, 0.9)):

        def sample(rng: random.Random, labels: int = labels, others: int = others, true: float = true) -> Any:
            return [drawn(rng, true) for _ in range(labels)], [drawn(rng, true)[0] for _ in range(others)]

        def corrected(rng: random.Random, sample: Any = sample) -> Any:
            labelled, unlabelled = sample(rng)
            return ends(
                by_these([(verdict, label, None) for verdict, label in labelled] + [(it, None, None) for it in unlabelled])
            )

        ours = missed(trials, corrected, true)
        row = {"labels": labels, "of": labels + others, "true": true, "under": ours[0], "over": ours[1], "width": ours[2]}
        if importlib.util.find_spec("ppi_py"):
            theirs = missed(trials, lambda rng, sample=sample: ppi_py_ends(*sample(rng)), true)
            row |= {"ppi_py under": theirs[0], "over ": theirs[1], "width ": theirs[2]}
        rows.append(row)
    return rows


def of_others(trials: int) -> list[dict[str, Any]]:
    """Labels of other answers: 200 verdicts, and the difference of 200 pairs."""
    rows = []
    for labels, true in ((10, 0.5), (30, 0.5), (30, 0.9), (100, 0.5), (100, 0.9)):

        def mean(rng: random.Random, labels: int = labels, true: float = true) -> Any:
            return ends(by_others([drawn(rng, true)[0] for _ in range(200)], errors(rng, labels)))

        def gain(rng: random.Random, labels: int = labels, true: float = true) -> Any:
            changes = [drawn(rng, true)[0] - drawn(rng, true - 0.2)[0] for _ in range(200)]
            return ends(difference_by_others(changes, errors(rng, labels)))

        one, two = missed(trials, mean, true), missed(trials, gain, 0.2)
        row = {"labels a class": labels, "true": true, "under": one[0], "over": one[1], "width": one[2]}
        rows.append(row | {"difference under": two[0], "over ": two[1], "width ": two[2]})
    return rows


def of_kappa(trials: int) -> list[dict[str, Any]]:
    """Kappa's 95% interval."""
    rows = []
    for labels, true in ((30, 0.5), (60, 0.5), (60, 0.8), (100, 0.8), (200, 0.9)):
        said = true * SENSITIVITY + (1 - true) * (1 - SPECIFICITY)
        wrong = true * (1 - SENSITIVITY) + (1 - true) * (1 - SPECIFICITY)
        truth = 1 - wrong / (true * (1 - said) + (1 - true) * said)

        def make(rng: random.Random, labels: int = labels, true: float = true) -> tuple[float | None, float | None]:
            found = kappa([drawn(rng, true) for _ in range(labels)])
            return found.low, found.high

        under, over, width = missed(trials, make, truth)
        rows.append({"labels": labels, "true": true, "kappa": f"{truth:.2f}", "under": under, "over": over, "width": width})
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3000)
    trials = parser.parse_args().trials
    for title, rows in (("These answers", of_these), ("Other answers", of_others), ("Kappa", of_kappa)):
        show(title, rows(trials))
