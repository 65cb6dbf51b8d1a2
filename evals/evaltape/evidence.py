"""What a session has found out so far: predictions, and the verdicts of gates and comparisons.

In the main process it is fed by test reports, its own and those of workers, so it needs nothing that is shared between
processes; whatever a gate asks for and no report has told, is read from the recordings.
"""

from collections.abc import Mapping
from typing import Any

from evaltape.samples.sample import Sample
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores, PairedScores
from evaltape.suite.definition import Comparison, Model, Suite


class Evidence:
    """Predictions by (model, sample), the scores of a sample's first lines, verdicts by (model or comparison, metric)."""

    def __init__(self) -> None:
        self.predictions: dict[tuple[str, str], Prediction] = {}
        self.leads: dict[str, Mapping[str, float]] = {}
        self.gates: dict[tuple[str, str], bool] = {}
        self.comparisons: dict[tuple[str, str], bool] = {}

    def add(self, prediction: Prediction) -> None:
        """Keep a prediction, the latest of its model and sample."""
        self.predictions[prediction.model, prediction.sample] = prediction

    def hear(self, told: Mapping[str, Any], passed: bool) -> None:
        """Take in what a test's report tells."""
        if "prediction" in told:
            found = Prediction(**told["prediction"])
            self.add(found)
            self.leads[found.sample] = told["lead"]
        elif "gate" in told:
            self.gates[tuple(told["gate"])] = passed
        elif "comparison" in told:
            self.comparisons[tuple(told["comparison"])] = passed

    def of_model(self, suite: Suite, samples: list[Sample], model: Model) -> ModelScores:
        """The scores of a model on the samples that this session has looked at, in the suite's order."""
        found = (self.predictions.get((model.key, sample.id)) for sample in samples)
        return ModelScores(model, tuple(suite.metrics), [prediction for prediction in found if prediction is not None])

    def of_pair(self, suite: Suite, samples: list[Sample], comparison: Comparison) -> PairedScores:
        """The paired scores of a comparison, likewise."""
        sides = [self.of_model(suite, samples, suite.models[key]) for key in (comparison.baseline, comparison.candidate)]
        return PairedScores(comparison, tuple(suite.metrics), *sides)
