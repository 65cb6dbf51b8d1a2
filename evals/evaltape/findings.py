"""What a session has found out so far: predictions, and the outcomes of gates, comparisons and other tests.

In the controller it is fed by test reports, its own and those of workers, so it needs nothing that is shared between
processes. What a gate asks for and no report has brought is read from the recordings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evaltape.recorder.outcomes import CallKey
from evaltape.scoring.prediction import Prediction

if TYPE_CHECKING:
    from evaltape.mutation.model_mutants import ModelMutants

GateKey = tuple[str, str, str]
"""A gate by its suite, model or comparison, and metric."""


@dataclass(frozen=True, slots=True)
class GateTest:
    """A test of the user's own that asserts on all samples of a model."""

    suite: str
    model: str
    passed: bool


@dataclass
class Findings:
    """What tests have found out, by what it is about."""

    predictions: dict[CallKey, Prediction] = field(default_factory=dict)
    leads: dict[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    """The scores of a sample's first lines, by suite and sample."""
    gates: dict[GateKey, bool] = field(default_factory=dict)
    slice_gates: dict[GateKey, bool] = field(default_factory=dict)
    comparisons: dict[GateKey, bool] = field(default_factory=dict)
    against: dict[GateKey, bool] = field(default_factory=dict)
    tests: dict[str, GateTest] = field(default_factory=dict)
    """Other gates, by test id."""
    mutants: dict[tuple[str, str], "ModelMutants"] = field(default_factory=dict)
    """With `--mutate`, by suite and model; computed by the controller."""

    def add(self, suite: str, prediction: Prediction) -> None:
        """Keep a prediction, the latest of its model and sample."""
        self.predictions[suite, prediction.model, prediction.sample] = prediction

    def receive(self, finding: Mapping[str, Any], test_id: str, outcome: str) -> None:
        """Take in what a test's report carries; `outcome` is pytest's: passed, failed or skipped."""
        if "prediction" in finding:
            prediction = Prediction(**finding["prediction"])
            self.add(finding["suite"], prediction)
            self.leads[finding["suite"], prediction.sample] = finding["lead"]
        elif outcome == "skipped":
            return
        elif "gate" in finding:
            _note(self.gates, tuple(finding["gate"]), outcome)
        elif "slice_gate" in finding:
            _note(self.slice_gates, tuple(finding["slice_gate"]), outcome)
        elif "comparison" in finding:
            _note(self.comparisons, tuple(finding["comparison"]), outcome)
        elif "against" in finding:
            _note(self.against, tuple(finding["against"]), outcome)
        elif "test" in finding:
            suite, model = finding["test"]
            self.tests[test_id] = GateTest(suite, model, outcome == "passed")


def _note(outcomes: dict[Any, bool], key: Any, outcome: str) -> None:
    """Several tests may assert on one gate: it holds if all of them pass."""
    outcomes[key] = outcomes.get(key, True) and outcome == "passed"
