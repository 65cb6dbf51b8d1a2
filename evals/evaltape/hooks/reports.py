"""What the report of a test carries to the controller."""

import pytest

from evaltape.evaluation import Evaluation
from evaltape.findings import Answered, Asserted, AssertedOtherwise, Compared, Finding, Ran, Unasked, packed, unpacked
from evaltape.hooks.cases import AGAINST, PREDICTION, SCORES, Case

ACCEPTED = pytest.StashKey[Compared]()
"""What the fixture `accepted` has found for its test."""
ATTRIBUTE = "evaltape"
"""The attribute of a report that carries it, as text."""


def attach(report: pytest.TestReport, finding: Finding | None) -> None:
    """Let a report carry a test's findings."""
    setattr(report, ATTRIBUTE, packed(finding))


def is_ours(report: object) -> bool:
    """Return whether a report is of a test of ours."""
    return hasattr(report, ATTRIBUTE)


def finding_in(report: object) -> Finding | None:
    """Return the finding that a report carries, or None."""
    return unpacked(getattr(report, ATTRIBUTE, ""))


def finding_of(item: pytest.Item, case: Case, evaluation: Evaluation, report: pytest.TestReport) -> Finding | None:
    """Return a test's findings by the end of a phase; None for nothing."""
    if case.judge is not None and report.when == "call" and not evaluation.examined(case.judge).passed:
        return None  # The results have the exam: the test's failure says nothing else.
    if report.when == "call":
        return _sample(case, evaluation) if case.subject == PREDICTION else _gate(item, case)
    if report.when == "setup" and report.outcome == "failed":
        return _unasked(case, report) if case.subject == PREDICTION else _gate(item, case)
    if report.when == "setup" and report.outcome == "skipped" and _is_own_gate(item, case):
        return _gate(item, case)
    return Ran(case.suite) if report.outcome == "failed" else None


def _sample(case: Case, evaluation: Evaluation) -> Answered:
    assert case.model is not None and case.sample is not None
    found = evaluation.prediction(case.model, case.sample)
    lead = dict(evaluation.lead(case.suite, case.sample))
    scores, unscored = dict(found.scores), dict(found.unscored)
    return Answered(case.suite, case.model.key, case.sample.id, found.answer, scores, unscored, found.unread, lead)


def _unasked(case: Case, report: pytest.TestReport) -> Unasked:
    assert case.model is not None and case.sample is not None
    crash = getattr(report.longrepr, "reprcrash", None)
    return Unasked(case.suite, case.model.key, case.sample.id, crash.message if crash else str(report.longrepr))


def _gate(item: pytest.Item, case: Case) -> Finding:
    subject = case.comparison.name if case.comparison else case.model.key if case.model else ""
    if _is_own_gate(item, case):
        return AssertedOtherwise(case.suite, subject)
    if case.bound is not None:
        return Asserted(*case.bound.key)
    return item.stash.get(ACCEPTED, Compared(case.suite, subject)) if case.subject == SCORES else Ran(case.suite)


def _is_own_gate(item: pytest.Item, case: Case) -> bool:
    """Whether a test asserts on a model's scores, or on them beside another side's, as only its user knows."""
    is_accepted = "accepted" in getattr(item, "fixturenames", ())
    return case.bound is None and (case.subject == AGAINST or (case.subject == SCORES and not is_accepted))
