"""Training on recorded answers: the teacher is recorded on the training split as any suite, and its answers are the references."""

import json
import shutil
from pathlib import Path

import pytest
from evaltape.errors import RecordingError, UserError

from tests.support.server import ApiServer
from tests.support.tuning import TRAINING, TuningProject

TEACHER = """
[dataset]
path = "../data/talks"
split = "train"
[prompt]
user = "Say it briefly: {input}"

[request]
max_completion_tokens = 64

[models.teacher]
model = "big-2026-01-01"
base_url = "BASE_URL"
"""


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The teacher's recording, made once."""
    with ApiServer() as api:
        project = TuningProject(tmp_path_factory.mktemp("teacher") / "project", api)
        api.answers["big-2026-01-01"] = lambda prompt: f"Teacher says: {prompt.split()[-1]}."
        suite = project.suite.with_name("teach.toml")
        suite.write_text(TEACHER.replace("BASE_URL", project.base_url))
        run = project.run("evals", "-m baseline", "-k", "test_sample", "--record", "-p no:xdist", f"--suite={suite}")
        assert run.exit_code == 0, run.output
    return project.cassettes.parent / "teach"


@pytest.fixture
def taught(tuning: TuningProject, teachers: Path) -> TuningProject:
    """A project whose job trains on a teacher's recorded answers."""
    shutil.copytree(teachers, tuning.cassettes.parent / "teach")
    tuning.suite.with_name("teach.toml").write_text(TEACHER.replace("BASE_URL", tuning.base_url))
    tuning.edit_suite('train = { split = "train" }', 'train = { recorded = "teach/teacher" }')
    return tuning


def refused(taught: TuningProject) -> str:
    with pytest.raises(UserError) as found:
        taught.jobs().prepare("tuned")
    place = f'{taught.suite}: [finetune.tuned.train] recorded = "teach/teacher": '
    assert str(found.value).startswith(place)
    return str(found.value).removeprefix(place)


def test_a_job_trains_on_the_recorded_answers_and_replays_without_the_split(taught: TuningProject) -> None:
    assert taught.drive().error is None
    file = taught.jobs().prepare("tuned").training
    lines = [json.loads(line)["messages"] for line in file.text.split("\n")[:-1]]
    assert lines[1][-1]["content"] == "Teacher says: no."
    assert all(turns[-1]["content"].startswith("Teacher says: ") for turns in lines)
    # The student's own prompt, not the teacher's.
    assert all(turns[0]["content"].startswith("Summarise this conversation.") for turns in lines)
    assert len(lines) == len(TRAINING)
    assert file.remarks == ["12 answers of teacher to train on, recorded by suite teach"]
    (taught.splits / "train.jsonl").unlink()
    assert taught.jobs().job("tuned").status == "succeeded"


def test_other_answers_are_other_training_data(taught: TuningProject) -> None:
    taught.drive()
    for cassette in (taught.cassettes.parent / "teach/teacher").glob("*.yaml"):
        cassette.write_text(cassette.read_text().replace("Teacher says", "Nobody says"))
    with pytest.raises(RecordingError, match="the recording is of other training data: "):
        taught.jobs().job("tuned")


def test_an_answer_that_is_missing_is_told_with_the_command_that_records_it(taught: TuningProject) -> None:
    next((taught.cassettes.parent / "teach/teacher").glob("*.yaml")).unlink()
    problem = refused(taught)
    assert problem.startswith("no answer to sample r")
    assert "there is no such recording. Record it: pytest evals -m baseline --record-missing" in problem


def test_answers_that_were_cut_are_left_out(taught: TuningProject) -> None:
    cassette = next((taught.cassettes.parent / "teach/teacher").glob("*.yaml"))
    cassette.write_text(cassette.read_text().replace('"finish_reason": "stop"', '"finish_reason": "length"'))
    training = taught.jobs().prepare("tuned").training
    assert training.rows == 11
    assert training.remarks[1] == f"1 answer left out, cut at the length limit: {cassette.stem}"


def test_leaks_of_the_teachers_samples_are_refused(taught: TuningProject) -> None:
    row = json.loads((taught.splits / "train.jsonl").read_text().split("\n")[1])
    taught.write_rows([row])
    with pytest.raises(UserError, match="training row r2 is sample r2: a model would be tested on what it was trained on"):
        taught.jobs().prepare("tuned")


def test_a_teacher_that_is_not_there_is_told(taught: TuningProject) -> None:
    shutil.rmtree(taught.cassettes.parent / "teach")
    assert "holds no recording of a suite of this project; record that suite first" in refused(taught)


def test_a_model_that_the_teachers_suite_lacks_is_told(taught: TuningProject) -> None:
    taught.suite.with_name("teach.toml").write_text(
        taught.suite.with_name("teach.toml").read_text().replace("[models.teacher]", "[models.other]")
    )
    assert refused(taught).endswith("teach.toml has no such model. It has: other")
