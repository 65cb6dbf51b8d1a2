"""Assertions on pairs: a candidate beside a baseline, a model beside its own past."""

import evaltape
import pytest


@pytest.mark.gate
def test_compare(comparison: evaltape.PairedScores, metric: str) -> None:
    decision = comparison.decision(metric)
    assert decision.passed, str(decision)


@pytest.mark.gate
def test_against(against: evaltape.AgainstScores, metric: str) -> None:
    decision = against.decision(metric)
    assert decision.passed, str(decision)
