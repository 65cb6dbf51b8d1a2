"""The recorded judges of evals/suites/judged.toml: their exams are whole, and no gate rests on one that failed."""

import pytest
from evaltape.cli.label import replay_workspaces
from evaltape.workspace import Workspace

from tests.support.forked import REPOSITORY

MUTANTS = ["swap_names", "other_name", "negate", "wrong_number"]


@pytest.fixture(scope="module")
def judged() -> Workspace:
    """The suite, as a replay reads it."""
    return replay_workspaces(REPOSITORY, "evals/suites/judged.toml")[0]


def test_both_exams_replay_whole(judged: Workspace) -> None:
    for key, exam in judged.exams.items():
        found = exam.examined
        assert found.not_examined == "", key
        assert found.marks is not None
        assert [it.operator for it in found.marks.operators if it.harmful] == MUTANTS
        assert {it.share.samples for it in found.marks.operators} == {10}
        assert len(found.decisions) == len(MUTANTS) + 2


def test_every_answer_has_a_verdict_and_no_gate_rests_on_a_judge_that_failed(judged: Workspace) -> None:
    for model in judged.suite.models.values():
        predictions = [judged.recorded(model, sample) for sample in judged.samples]
        for metric, judge in judged.suite.judged_by.items():
            judgements = [metric in each.scores or metric in each.unread for each in predictions]
            assert all(judgements), judge.key
            assert judged.exams[judge.key].examined.passed or metric not in model.gates
