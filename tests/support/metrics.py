"""Metrics as a suite names them, and samples to score, without a suite."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaltape.metrics.metric import Metric, build_metrics, score_answer
from evaltape.metrics.scorers import CallFacts
from evaltape.suite.definition import MetricSpec
from evaltape.suite.read_metrics import kind_of

PLACE = "evals/suites/chats.toml: [metrics]"
NO_CALL = CallFacts()


@dataclass(frozen=True)
class Example:
    """A sample with one reference or several."""

    id: str = "s1"
    input: str = "Ben: hi"
    references: tuple[str, ...] = ("hi",)
    columns: Mapping[str, Any] = field(default_factory=dict)


def metrics(table: Mapping[str, Mapping[str, Any]], root: Path = Path("/nowhere")) -> dict[str, Metric]:
    """The metrics of a [metrics] table."""
    return build_metrics({name: MetricSpec(name, kind_of(name), options) for name, options in table.items()}, PLACE, root)


def score(name: str, answer: str, *references: str, **options: Any) -> float:
    """The score of one answer by a built-in metric."""
    scores, unscored = score_answer(metrics({name: options}), Example(references=references), answer, NO_CALL)
    assert not unscored
    return scores[name]
