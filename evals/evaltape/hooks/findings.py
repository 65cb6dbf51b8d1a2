"""What the report of a test carries to the controller: builtins that JSON can hold."""

from typing import Any

import pytest

from evaltape.hooks.cases import AGAINST, COMPARISON, PREDICTION, SCORES, SLICES, Case
from evaltape.session import Session


def finding_of(item: pytest.Item, case: Case, session: Session) -> dict[str, Any]:
    """Return what a test has found out, for `Findings.receive`."""
    arguments: dict[str, Any] = item.funcargs  # type: ignore[attr-defined]
    if case.subject == PREDICTION:
        assert case.sample is not None
        found = session.prediction(case.model, case.sample)  # type: ignore[arg-type]
        return {"suite": case.suite, "prediction": found.as_dict(), "lead": dict(session.lead(case.suite, case.sample))}
    if case.subject == COMPARISON:
        assert case.comparison is not None
        return {"comparison": [case.suite, case.comparison.name, case.metric]}
    if case.subject == AGAINST:
        assert case.model is not None
        about = [case.suite, case.model.key]
        return {"against": [*about, case.metric]} if case.metric is not None else {"test": about}
    if case.subject == SLICES:
        assert case.model is not None
        return {"slice_gate": [case.suite, case.model.key, case.metric]}
    if case.subject == SCORES:
        assert case.model is not None
        if case.metric is not None:
            return {"gate": [case.suite, case.model.key, case.metric]}
        if "accepted" not in arguments:
            return {"test": [case.suite, case.model.key]}
    return {}
