"""The per-sample scores of this repository's own recordings, and shapes of made scores to simulate with."""

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from evaltape.suite.reader import read_suites
from evaltape.workspace import Workspace

from tests.support.forked import REPOSITORY
from tests.support.options import settings_of

METRICS = ("rouge1", "rouge2", "rougeL")
Draw = Callable[[random.Random], float]


@cache
def recorded_scores() -> dict[tuple[str, str], list[float]]:
    """Return the scores of each (model, metric) of the default suite, in the order of its samples, as a replay has them."""
    settings = settings_of(REPOSITORY, "evals")
    with contextlib.chdir(REPOSITORY):
        (suite,) = read_suites(settings.suites)
        workspace = Workspace(suite, settings)
        scores = {
            key: [workspace.recorded(model, sample).scores for sample in workspace.samples]
            for key, model in suite.models.items()
        }
    return {(key, metric): [one[metric] for one in of_model] for key, of_model in scores.items() for metric in METRICS}


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
