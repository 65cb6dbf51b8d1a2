"""What is asserted of pairs of models: the candidate gains what it should, or drops no more than it may."""

import pytest


@pytest.mark.gate
def test_compare(comparison, metric):
    assert comparison.verdict(metric) == "passed", comparison.in_short(metric)
