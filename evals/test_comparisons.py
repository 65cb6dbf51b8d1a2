"""What is asserted of pairs: a candidate beside a baseline, a model beside its past."""

import pytest


@pytest.mark.gate
def test_compare(comparison, metric):
    assert comparison.verdict(metric) == "passed", comparison.in_short(metric)


@pytest.mark.gate
def test_against(against, metric):
    assert against.verdict(metric) == "passed", against.in_short(metric)
