"""What is asserted of every model under [models]: each sample is answered, and the means hold their gates."""

import pytest

pytestmark = pytest.mark.baseline


@pytest.mark.sample
def test_sample(prediction):
    assert prediction.answered, prediction.failure


@pytest.mark.gate
def test_gate(scores, metric):
    assert len(scores.failures) <= scores.model.allow_failed, scores.failed_in_short
    assert scores.mean(metric) >= scores.model.gates[metric], scores.gate_in_short(metric)


@pytest.mark.gate
def test_scores(scores, accepted):
    assert scores.accepted == accepted
