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
GateOutcomes = dict[GateKey, bool | None]
"""Whether the tests on a gate passed; None: its test was skipped once it had looked at it, as inconclusive."""
GATE_KINDS = ("gate", "slice_gate", "comparison", "against")


@dataclass(frozen=True, slots=True)
class GateTest:
    """A test of the user's own that asserts on all samples of a model."""

    suite: str
    model: str
    passed: bool | None
    """None if it was skipped."""


@dataclass(frozen=True, slots=True)
class AcceptedTest:
    """A test of a model's scores against the accepted ones."""

    id: str
    """The test's id."""
    passed: bool | None
    """None if it was skipped."""
    values: Mapping[str, float] | None
    """What was accepted before this session; None if nothing was."""
    is_update: bool
    """Whether the session accepts its own scores."""


@dataclass
class Findings:
    """What tests have found out, by what it is about."""

    predictions: dict[CallKey, Prediction] = field(default_factory=dict)
    leads: dict[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    """The scores of a sample's first lines, by suite and sample."""
    unasked: dict[CallKey, str] = field(default_factory=dict)
    """Why a sample's test ended before it asked for its prediction."""
    gates: GateOutcomes = field(default_factory=dict)
    slice_gates: GateOutcomes = field(default_factory=dict)
    comparisons: GateOutcomes = field(default_factory=dict)
    against: GateOutcomes = field(default_factory=dict)
    accepted: dict[tuple[str, str], AcceptedTest] = field(default_factory=dict)
    """By suite and model."""
    tests: dict[str, GateTest] = field(default_factory=dict)
    """Other gates, by test id."""
    test_ids: dict[CallKey, str] = field(default_factory=dict)
    """By prediction the id of the first test of it that was collected."""
    failures: dict[str, str] = field(default_factory=dict)
    """Failed tests that nothing above stands for, by id: their suite, or nothing for a test of none."""
    mutants: dict[tuple[str, str], "ModelMutants"] = field(default_factory=dict)
    """With `--mutate`, by suite and model; computed by the controller."""

    def add(self, suite: str, prediction: Prediction) -> None:
        """Keep a prediction, the latest of its model and sample."""
        self.predictions[suite, prediction.model, prediction.sample] = prediction

    def receive(self, finding: Mapping[str, Any], test_id: str, outcome: str) -> None:
        """Take in what a test's report carries; `outcome` is pytest's: passed, failed or skipped."""
        if outcome not in ("passed", "failed", "skipped"):
            return  # pytest-rerunfailures runs it again, and that counts.
        passed = {"passed": True, "failed": False}.get(outcome)
        kind = next((kind for kind in GATE_KINDS if kind in finding), None)
        if kind is not None:
            _note(self._outcomes(kind), tuple(finding[kind]), passed)
        elif "accepted" in finding:
            values, is_update = finding["values"], finding["is_update"]
            self.accepted[tuple(finding["accepted"])] = AcceptedTest(test_id, passed, values, is_update)
        elif "test" in finding:
            suite, model = finding["test"]
            self.tests[test_id] = GateTest(suite, model, passed)
        elif "unasked" in finding:
            self.unasked[tuple(finding["unasked"])] = finding["reason"]
        else:
            self._receive_sample(finding, test_id, passed)

    def _receive_sample(self, finding: Mapping[str, Any], test_id: str, passed: bool | None) -> None:
        is_explained = False
        if "prediction" in finding:
            prediction = Prediction(**finding["prediction"])
            self.add(finding["suite"], prediction)
            self.leads[finding["suite"], prediction.sample] = finding["lead"]
            is_explained = not prediction.answered
        if passed is False and not is_explained:
            self.failures[test_id] = finding.get("suite", "")

    def _outcomes(self, kind: str) -> GateOutcomes:
        by_kind = {"gate": self.gates, "slice_gate": self.slice_gates, "comparison": self.comparisons, "against": self.against}
        return by_kind[kind]


def _note(outcomes: GateOutcomes, key: Any, passed: bool | None) -> None:
    """Several tests may assert on one gate: it holds if all that decide it pass."""
    before = outcomes.get(key)
    outcomes[key] = before if passed is None else passed and before is not False
