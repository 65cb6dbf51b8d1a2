"""The per-sample scores of this repository's own recordings, and shapes of made scores to simulate with."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.forked import REPOSITORY

METRICS = ("rouge1", "rouge2", "rougeL")
Draw = Callable[[random.Random], float]


@cache
def recorded_scores() -> dict[tuple[str, str], list[float]]:
    """Return the scores of each (model, metric) of the default suite, in the order of its samples, as a replay writes them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest", "evals", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        run = subprocess.run(
            [*command, "--results", str(path)], cwd=REPOSITORY, env=environment, capture_output=True, text=True
        )
        assert path.exists(), run.stdout + run.stderr
        results = json.loads(path.read_text(encoding="utf-8"))
    predictions = results.get("suites", {}).get("chats", results)["predictions"]
    models = dict.fromkeys(one["model"] for one in predictions)
    return {(key, m): [one[m] for one in predictions if one["model"] == key] for key in models for m in METRICS}


def recorded_differences(metric: str) -> list[float]:
    """Return the tuned model's scores less its base model's, sample by sample."""
    scores = recorded_scores()
    return [after - before for before, after in zip(scores["smollm2", metric], scores["smollm2-chats", metric], strict=True)]


def mixed(share: float, other: Draw, rare: Draw) -> Draw:
    """Return a shape that is `rare` in a share of all cases, and `other` else."""
    return lambda rng: rare(rng) if rng.random() < share else other(rng)


@dataclass(frozen=True)
class Resampled:
    """The shape of values that were measured: any of them, drawn again and again."""

    values: list[float]

    def __call__(self, rng: random.Random) -> float:
        return rng.choice(self.values)
