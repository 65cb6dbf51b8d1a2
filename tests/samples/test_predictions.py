"""Predictions from a file: by id or by input; missing, surplus and doubled ones are named."""

import json
from pathlib import Path
from typing import Any

import pytest
from evaltape.samples.predictions_file import PredictionsFile, read_predictions
from evaltape.samples.sample import Answer, Sample

from tests.support.project import ROUGE1, ROWS, Project
from tests.support.suites import refusal

SAMPLES = [Sample("t1", "Ann: hi", ("x",)), Sample("t2", "Bob: ho", ("y",)), Sample("t3", "Ann: hi", ("z",))]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def predictions(*rows: Any) -> PredictionsFile:
    Path("old.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_predictions(Path("old.jsonl"))


def answers(*rows: Any) -> list[str]:
    return [answer.text or str(answer.failure) for answer in map(predictions(*rows).answer, SAMPLES)]


def test_predictions_are_found_by_id() -> None:
    rows = [{"id": sample.id, "prediction": f"of {sample.id}", "note": "ignored"} for sample in SAMPLES]
    assert answers(*rows[::-1]) == ["of t1", "of t2", "of t3"]


def test_predictions_are_found_by_input_for_every_sample_that_has_it() -> None:
    assert answers({"input": "Ann: hi", "prediction": "a"}, {"input": "Bob: ho", "prediction": "b"}) == ["a", "b", "a"]


@pytest.mark.parametrize(("written", "sample_id"), [("7", "7"), ("1.10", "1.10"), ('"7"', "7")])
def test_an_id_is_taken_as_it_is_written(written: str, sample_id: str) -> None:
    Path("old.jsonl").write_text(f'\ufeff{{"id": {written}, "prediction": "a"}}\n', encoding="utf-8")
    assert read_predictions(Path("old.jsonl")).answer(Sample(sample_id, "x", ("y",))) == Answer("a")


def test_half_a_character_is_kept_as_models_write_it() -> None:
    assert answers({"id": "t1", "prediction": "a \ud800"})[0] == "a \ud800"


def test_a_sample_without_a_prediction_has_failed() -> None:
    assert answers({"id": "t1", "prediction": "a"}, {"id": "t2", "prediction": None}, {"id": "t3", "prediction": " \n"}) == [
        "a",
        "old.jsonl, line 2: the prediction is empty",
        " \n",
    ]
    assert str(predictions().answer(SAMPLES[0]).failure) == "old.jsonl has no prediction for it"
    empty = predictions({"id": "t3", "prediction": " "}).answer(SAMPLES[2])
    assert str(empty.failure) == "old.jsonl, line 1: the prediction is empty"


def test_surplus_predictions_are_noted() -> None:
    rows = [{"id": f"x{n}", "prediction": "a"} for n in range(3)] + [{"input": "none's", "prediction": "a"}]
    found = predictions({"id": "t1", "prediction": "a"}, *rows)
    assert found.notes(SAMPLES) == ["old.jsonl: 4 predictions of no sample of the suite: 'x0', 'x1', 'x2', ..."]
    assert predictions({"id": "t1", "prediction": "a"}).notes(SAMPLES) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "t1", "prediction": "a"}] * 2, "old.jsonl, line 2: a second prediction for 't1', after line 1"),
        ([{"input": "Ann: hi", "prediction": "a"}] * 2, "old.jsonl, line 2: a second prediction for 'Ann: hi', after line 1"),
        (["text"], 'old.jsonl, line 1: it takes {"id": ..., "prediction": ...}, or "input" in place of "id"'),
        ([{"id": "t1"}], "old.jsonl, line 1: it takes"),
        ([{"prediction": "a"}], "old.jsonl, line 1: it takes"),
        ([{"id": "t1", "prediction": 5}], "old.jsonl, line 1: it takes"),
        ([{"id": ["t1"], "prediction": "a"}], "old.jsonl, line 1: not a prediction: holds a list and not a text"),
    ],
)
def test_a_bad_line_is_named(rows: list[Any], message: str) -> None:
    assert message in refusal(predictions, *rows)


def test_two_predictions_of_one_sample_by_id_and_by_input_are_refused() -> None:
    found = predictions({"id": "t1", "prediction": "a"}, {"input": "Ann: hi", "prediction": "b"})
    assert refusal(found.answer, SAMPLES[0]) == "old.jsonl, line 2: a second prediction for 't1', beside line 1"


def test_a_prediction_of_another_input_than_the_sample_has_is_refused() -> None:
    found = predictions({"id": "t1", "input": "Ann: hi!", "prediction": "a"})
    assert (
        refusal(found.answer, SAMPLES[0]) == "old.jsonl, line 1: the prediction for 't1' is of another input than the sample's"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "old.jsonl: the predictions can't be read: No such file or directory"),
        (b"\xff", "old.jsonl: not a file of predictions"),
        (b"{", "old.jsonl, line 1: not a prediction: "),
        (b"id,prediction\nt1,x\n", 'the file takes JSON Lines, {"id": ..., "prediction": ...} a line'),
        (b"version https://git-lfs.github.com/spec/v1\n", "old.jsonl: a Git LFS pointer and not the file itself. Fetch it: git lfs pull"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named(content: bytes | None, message: str) -> None:
    if content is not None:
        Path("old.jsonl").write_bytes(content)
    assert message in refusal(read_predictions, Path("old.jsonl"))


# ---------------------------------------------------------------- in a run

OLD = '[models.old]\npredictions = "../data/old.jsonl"\ngates = { rouge1 = 0.6 }\n'


def write_predictions(project: Project, rows: list[dict[str, str]] = ROWS) -> None:
    lines = [{"id": row["id"], "prediction": row["dialogue"].split("\n")[0]} for row in rows]
    project.data.with_name("old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def only_predictions(project: Project) -> None:
    text = project.suite.read_text()
    project.suite.write_text(text[: text.index("[models.small]")] + OLD)
    write_predictions(project)


def test_predictions_are_scored_and_gated_beside_recorded_answers(recorded: Project) -> None:
    recorded.extend_suite("\n" + OLD)
    write_predictions(recorded)
    results = recorded.results("-k", "not test_scores", "-n 2")
    found = [row["rouge1"] for row in results["predictions"] if row["model"] == "old"]
    assert found == pytest.approx(ROUGE1)
    best = {"samples": 1, "ids": ["t5"], "becomes": "failed"}
    assert results["models"]["old"]["gates"] == {
        "rouge1": {"threshold": 0.6, "verdict": "passed", "fragility": best, "passed": True}
    }


def test_a_suite_of_predictions_alone_needs_no_recording(project: Project) -> None:
    only_predictions(project)
    run = project.run("evals", "-k", "not test_scores")
    assert run.exit_code == 0, run.output
    assert run.outcomes["passed"] == 7
    assert not project.cassettes.exists()


def test_record_freezes_its_samples_and_calls_nothing(project: Project, api: Any) -> None:
    only_predictions(project)
    run = project.run("evals", "--record", "-k", "not test_scores")
    assert run.exit_code == 0, run.output
    assert sorted(path.name for path in project.cassettes.iterdir()) == ["dataset.json", "samples.jsonl"]
    project.data.unlink()
    assert project.run("evals", "-k", "not test_scores").outcomes["passed"] == 7


def test_a_missing_prediction_fails_its_sample_and_gate(project: Project) -> None:
    only_predictions(project)
    write_predictions(project, ROWS[1:])
    run = project.run("evals", "-k", "not test_scores")
    assert run.outcomes["failed"] == 2, run.output
    assert "evals/data/old.jsonl has no prediction for it" in run.output


@pytest.mark.parametrize("mode", ["-p no:xdist", "-n 2"])
def test_a_bad_file_of_predictions_is_one_message(recorded: Project, mode: str) -> None:
    recorded.extend_suite("\n" + OLD)
    write_predictions(recorded, [*ROWS, ROWS[2]])
    message = "evals/data/old.jsonl, line 7: a second prediction for 't3', after line 3"
    run = recorded.run("evals", mode)
    run.assert_refused(message)
    assert run.output.count(message) == 1


def test_surplus_predictions_are_noted_at_the_end_of_a_run(recorded: Project) -> None:
    recorded.extend_suite("\n" + OLD)
    write_predictions(recorded, [*ROWS, {**ROWS[0], "id": "t8"}])
    run = recorded.run("evals", "-k", "not test_scores", "-n 2")
    assert run.exit_code == 0, run.output
    assert run.output.count("evals/data/old.jsonl: 1 prediction of no sample of the suite: 't8'") == 1


def test_a_lost_file_of_predictions_is_one_message(recorded: Project) -> None:
    recorded.extend_suite("\n" + OLD)
    recorded.run("evals").assert_refused("evals/data/old.jsonl: the predictions can't be read: No such file or directory")
