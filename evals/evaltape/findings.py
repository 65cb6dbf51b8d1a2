"""The findings of a session so far: predictions, and the outcomes of gates, comparisons and other tests.

Test reports, also of workers, bring them to the controller, so processes share nothing else. A gate that needs further
predictions reads them from the recordings.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from evaltape.recorder.wire import CallKey
from evaltape.samples.sample import Answer
from evaltape.scoring.bounds import FAILED, NOT_CHECKED, PASSED, Bound, Decision, Verdict
from evaltape.scoring.prediction import Prediction

if TYPE_CHECKING:
    from evaltape.mutation.model_mutants import ModelMutants

Changes = Mapping[str, tuple[int | float | None, int | float | None]]
"""How a model's scores and counts differ from its accepted ones, as (accepted, now); None for a missing value."""

# ---------------------------------------------------------------- in a report


class Answered(msgspec.Struct, frozen=True, tag=True):
    """A sample's test got its prediction, which may have failed."""

    key: CallKey
    answer: Answer
    scores: dict[str, float]
    unscored: dict[str, str]
    unread: tuple[str, ...]
    """The unscored metrics with an unreadable verdict of their judge."""
    lead: dict[str, float]
    """The scores of the first lines of the sample's input."""


class Unasked(msgspec.Struct, frozen=True, tag=True):
    """A sample's test ended before it asked for its prediction."""

    key: CallKey
    reason: str


class Asserted(msgspec.Struct, frozen=True, tag=True):
    """A test asserted on a bound of the suite."""

    bound: Bound


class Compared(msgspec.Struct, frozen=True, tag=True):
    """A test compared a model's scores with its accepted scores."""

    suite: str
    model: str
    changes: Changes
    exists: bool
    """Whether scores were accepted before this session."""


class AssertedOtherwise(msgspec.Struct, frozen=True, tag=True):
    """A test of the user's own asserted on all samples of a model, by no bound of the suite."""

    suite: str
    model: str


class Ran(msgspec.Struct, frozen=True, tag=True):
    """A test of a suite ran that says no more than its outcome."""

    suite: str


Finding = Answered | Unasked | Asserted | Compared | AssertedOtherwise | Ran
"""A test's finding, as its report carries it to the controller."""


def packed(finding: Finding | None) -> str:
    """Return a finding as text that any way between processes carries, lone surrogates included; empty for None."""
    return "" if finding is None else json.dumps(msgspec.to_builtins(finding))


def unpacked(text: str) -> Finding | None:
    """Return the finding that `packed` made this text of."""
    return msgspec.convert(json.loads(text), Finding) if text else None


# ---------------------------------------------------------------- in a session


def verdict_on(passed: bool | None) -> Verdict:
    """Return the verdict on an assertion that passed or failed; None: no test of this session decided it."""
    if passed is None:
        return NOT_CHECKED
    return PASSED if passed else FAILED


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of a test."""

    passed: bool | None
    """None if it was skipped, or didn't run to its end."""

    @property
    def verdict(self) -> Verdict:
        """`passed`, `failed` or `not checked`."""
        return verdict_on(self.passed)


class GateTest(Outcome, frozen=True):
    """A test of the user's own that asserts on all samples of a model."""

    suite: str
    model: str


class Accepted(Outcome, frozen=True):
    """A model's scores beside the accepted scores of its snapshot."""

    changes: Changes = {}
    exists: bool = True
    """Whether scores were accepted before."""
    test: str = ""

    @property
    def both(self) -> Mapping[str, Mapping[str, float | None]]:
        """The changes by name, each side under its own."""
        return {name: {"accepted": before, "now": now} for name, (before, now) in self.changes.items()}


class Findings(msgspec.Struct):
    """The findings of tests, by subject."""

    predictions: dict[CallKey, Prediction] = {}
    leads: dict[tuple[str, str], Mapping[str, float]] = {}
    """The scores of a sample's first lines, by suite and sample."""
    unasked: dict[CallKey, str] = {}
    """Why a sample's test ended before it asked for its prediction."""
    bounds: dict[Bound, bool | None] = {}
    """Whether the tests on a bound passed; None: all of them looked at it and were skipped."""
    accepted: dict[tuple[str, str], Accepted] = {}
    """The models with a test of their accepted scores, by suite and key."""
    tests: dict[str, GateTest] = {}
    """Other gates, by test id."""
    test_ids: dict[CallKey, str] = {}
    """The id of the first collected test of each prediction."""
    lost: set[CallKey] = set()
    """Samples without an answer: a test of theirs failed for that, or ended before it asked."""
    failures: dict[str, str] = {}
    """The suites of all other failed tests, by test id; empty text for a test of no suite."""
    mutants: dict[tuple[str, str], "ModelMutants"] = {}
    """With `--mutate`, by suite and model; computed by the controller."""

    def add(self, prediction: Prediction) -> None:
        """Keep a prediction, the latest of its model and sample."""
        self.predictions[prediction.model.suite, prediction.model.key, prediction.sample.id] = prediction

    def receive(self, finding: Finding, test_id: str, passed: bool | None) -> None:
        """Keep a test's findings, but for its prediction; `passed` is None if it was skipped."""
        match finding:
            case Asserted(bound=bound):  # A bound holds if all tests that decide it pass.
                before = self.bounds.get(bound)
                self.bounds[bound] = before if passed is None else passed and before is not False
            case Compared():
                self.accepted[finding.suite, finding.model] = Accepted(passed, finding.changes, finding.exists, test_id)
            case AssertedOtherwise(suite=suite, model=model):
                self.tests[test_id] = GateTest(passed, suite, model)
            case Unasked(key=call, reason=reason):
                self.unasked[call] = reason
                self.lost.add(call)
            case Answered(key=call):
                suite, _, sample = call
                self.leads[suite, sample] = finding.lead
                if passed is False and finding.answer.failure is None:
                    self.failures[test_id] = suite
                elif passed is False:
                    self.lost.add(call)
            case Ran(suite=suite) if passed is False:
                self.failures[test_id] = suite

    def tested(self, decision: Decision) -> Decision:
        """Return a decision with the outcome of the tests on its bound; `not checked` if no test ran."""
        bound = decision.bound
        return decision.tested(self.bounds[bound]) if bound in self.bounds else decision.untested
