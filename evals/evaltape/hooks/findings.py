"""What the report of a test carries to the controller: builtins that JSON can hold."""

from typing import Any

import pytest

from evaltape.hooks.cases import AGAINST, COMPARISON, PREDICTION, SCORES, SLICES, Case
from evaltape.session import Session

ACCEPTED = pytest.StashKey[dict[str, Any]]()
"""What the fixture `accepted` has found for its test."""
_KINDS = {SLICES: "slice_gate", COMPARISON: "comparison", AGAINST: "against"}


def finding_of(item: pytest.Item, case: Case, session: Session, report: pytest.TestReport) -> dict[str, Any]:
    """Return what a test has found out by the end of a phase, for `Findings.receive`; empty for nothing."""
    if report.when == "call":
        return _sample(case, session) if case.subject == PREDICTION else _gate(item, case)
    if report.when == "setup" and report.outcome == "failed":
        return _unasked(case, report) if case.subject == PREDICTION else _gate(item, case)
    if report.when == "setup" and report.outcome == "skipped" and _is_own_gate(item, case):
        return _gate(item, case)
    return {"suite": case.suite} if report.outcome == "failed" else {}


def _sample(case: Case, session: Session) -> dict[str, Any]:
    assert case.model is not None and case.sample is not None
    prediction = session.prediction(case.model, case.sample)
    return {"suite": case.suite, "prediction": prediction.as_dict(), "lead": dict(session.lead(case.suite, case.sample))}


def _unasked(case: Case, report: pytest.TestReport) -> dict[str, Any]:
    assert case.model is not None and case.sample is not None
    crash = getattr(report.longrepr, "reprcrash", None)
    reason = crash.message if crash else str(report.longrepr)
    return {"suite": case.suite, "unasked": [case.suite, case.model.key, case.sample.id], "reason": reason}


def _gate(item: pytest.Item, case: Case) -> dict[str, Any]:
    subject = case.comparison.name if case.comparison else case.model.key if case.model else ""
    if _is_own_gate(item, case):
        return {"test": [case.suite, subject]}
    if case.subject in _KINDS:
        return {_KINDS[case.subject]: [case.suite, subject, case.metric]}
    if case.subject != SCORES:
        return {"suite": case.suite}
    if case.metric is not None:
        return {"gate": [case.suite, subject, case.metric]}
    accepted: dict[str, Any] = item.stash.get(ACCEPTED, {"values": None, "is_update": False})
    return {"accepted": [case.suite, subject], **accepted}


def _is_own_gate(item: pytest.Item, case: Case) -> bool:
    """Whether a test asserts on a model's scores, or on them beside another side's, as only its user knows."""
    is_accepted = "accepted" in getattr(item, "fixturenames", ())
    return case.metric is None and (case.subject == AGAINST or (case.subject == SCORES and not is_accepted))
