"""Predictions as tests make them: of a model and a sample that only their names matter of."""

from collections.abc import Mapping
from typing import Any

from evaltape.samples.sample import Answer, Failure, Sample
from evaltape.scoring.prediction import Prediction
from evaltape.suite.definition import Model


def answered(model: str, sample: str, scores: Mapping[str, float], text: str = "a", **facts: Any) -> Prediction:
    """An answered sample with its scores; `facts` are those of the answer."""
    return Prediction(Model(model, "chats", model), Sample(sample, "", ()), Answer(text, **facts), dict(scores))


def failed(model: str, sample: str, reason: str = "it broke", **facts: Any) -> Prediction:
    """A failed sample."""
    answer = Answer(failure=Failure("call", reason), **facts)
    return Prediction(Model(model, "chats", model), Sample(sample, "", ()), answer)
