"""Assertions on each model under [models]: it answers, and its means hold."""

import evaltape
import pytest

pytestmark = pytest.mark.baseline


@pytest.mark.sample
def test_sample(prediction: evaltape.Prediction) -> None:
    assert prediction.answered, prediction.failure
    assert not prediction.unscored, prediction.unscored


@pytest.mark.gate
def test_gate(scores: evaltape.ModelScores, metric: str) -> None:
    mean, gate = scores.mean(metric), scores.model.gates[metric]
    reason = str(scores.decision(metric))
    assert not scores.unusable(metric), reason
    assert mean >= gate if scores.higher_is_better(metric) else mean <= gate, reason


@pytest.mark.gate
def test_slices(slices: evaltape.SliceScores, metric: str) -> None:
    decision = slices.decision(metric)
    assert decision.passed, str(decision)


@pytest.mark.gate
def test_scores(scores: evaltape.ModelScores, accepted: object) -> None:
    assert scores.accepted == accepted
