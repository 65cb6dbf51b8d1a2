"""Metrics as a suite names them, and samples to score, without a suite."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaltape.metrics.metric import Metric, build_metrics, score_answer
from evaltape.samples.sample import Answer
from evaltape.suite.metric_tables import METRICS, OwnMetric

PLACE = "evals/suites/chats.toml: [metrics]"


@dataclass(frozen=True)
class Example:
    """A sample with one reference or several."""

    id: str = "s1"
    input: str = "Ben: hi"
    references: tuple[str, ...] = ("hi",)
    columns: Mapping[str, Any] = field(default_factory=dict)


def metrics(table: Mapping[str, Mapping[str, Any]], root: Path = Path("/nowhere")) -> dict[str, Metric]:
    """The metrics of a [metrics] table."""
    return build_metrics({name: METRICS.get(name, OwnMetric)(name, **options) for name, options in table.items()}, PLACE, root)


def scored(metrics: Mapping[str, Metric], sample: Example, text: str, **call: Any) -> tuple[dict[str, float], dict[str, str]]:
    """The scores of a text, and the reasons of metrics without a score."""
    return score_answer(metrics, sample, Answer(text, **call))


def score(name: str, answer: str, *references: str, **options: Any) -> float:
    """The score of one answer by a built-in metric."""
    scores, unscored = scored(metrics({name: options}), Example(references=references), answer)
    assert not unscored
    return scores[name]
