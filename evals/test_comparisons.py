"""What is asserted of pairs: a candidate beside a baseline, a model beside its past."""

import pytest


@pytest.mark.gate
def test_compare(comparison, metric):
    decision = comparison.decision(metric)
    assert decision.passed, str(decision)


@pytest.mark.gate
def test_against(against, metric):
    decision = against.decision(metric)
    assert decision.passed, str(decision)
