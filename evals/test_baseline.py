"""What is asserted of every model under [models]: it answers, and its means hold."""

import pytest

pytestmark = pytest.mark.baseline


@pytest.mark.sample
def test_sample(prediction):
    assert prediction.answered, prediction.failure
    assert not prediction.unscored, prediction.unscored


@pytest.mark.gate
def test_gate(scores, metric):
    mean, gate = scores.mean(metric), scores.model.gates[metric]
    assert len(scores.failures) <= scores.model.allow_failed, scores.failed_in_short
    assert not scores.unscored(metric), scores.unscored_in_short(metric)
    if scores.higher_is_better(metric):
        assert mean >= gate, scores.gate_in_short(metric)
    else:
        assert mean <= gate, scores.gate_in_short(metric)


@pytest.mark.gate
def test_slices(slices, metric):
    scores, gate = slices.scores, slices.model.slice_gates[metric]
    assert len(scores.failures) <= scores.model.allow_failed, scores.failed_in_short
    assert not scores.unscored(metric), scores.unscored_in_short(metric)
    assert not slices.short_of(metric, gate), slices.in_short(metric)


@pytest.mark.gate
def test_scores(scores, accepted):
    assert scores.accepted == accepted
