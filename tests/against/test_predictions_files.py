"""Models whose answers come from files: what git has of them, and of a data set that nothing was frozen of."""

import json
from typing import Any

import pytest

from tests.against.conftest import found_in
from tests.support.git import commit, git
from tests.support.project import ROWS, Project, Run

SUITE = """\
[dataset]
path = "../data/talks.jsonl"

[prompt]
user = "{input}"

[metrics]
rouge1 = {}

[models.old]
predictions = "answers/old.jsonl"

[against]
max_drop = { rouge1 = 0.02 }
"""


def write_answers(project: Project, texts: dict[str, str]) -> None:
    path = project.suite.parent / "answers/old.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"id": name, "prediction": text}) + "\n" for name, text in texts.items()))


@pytest.fixture
def answers(project: Project) -> Project:
    """A repository with a suite of one predictions file, committed; the answers are the first lines."""
    project.suite.write_text(SUITE)
    write_answers(project, {row["id"]: row["dialogue"].split("\n")[0] for row in ROWS})
    commit(project.root, "first lines")
    return project


def against(project: Project, *args: str) -> tuple[Run, Any]:
    test = "evals/test_comparisons.py::test_against"
    run = project.run(test, "-p", "no:xdist", "-rs", "--results", "results.json", "--against", *args)
    return run, found_in(project, "old")["rouge1"]


def test_changed_predictions_are_compared_with_those_committed(answers: Project) -> None:
    write_answers(answers, {row["id"]: row["summary"] for row in ROWS})
    run, found = against(answers, "HEAD")
    # By hand: 8/11, 8/11, 8/9, 0, 1 and 4/8; now each is 1.
    assert found["difference"] == pytest.approx(1 - (8 / 11 + 8 / 11 + 8 / 9 + 0 + 1 + 4 / 8) / 6)
    assert found["verdict"] == "inconclusive"
    assert "6 pairs: it takes 10 to pass" in run.output


def test_unchanged_predictions_pass_though_they_are_few(answers: Project) -> None:
    run, found = against(answers, "HEAD")
    run.assert_outcomes(passed=1)
    assert (found["samples"], found["passed"]) == (6, True)
    assert "old: nothing changed" in run.output


def test_the_same_answers_to_few_of_the_samples_stand_in_the_table_with_the_bound_that_they_leave_open(
    answers: Project,
) -> None:
    rows = [{**ROWS[0], "id": f"t{number}"} for number in range(36)]
    answers.write_rows(rows)
    write_answers(answers, {row["id"]: "the red car" for row in rows})
    commit(answers.root, "36 samples")
    answers.write_rows(rows[:12])
    write_answers(answers, {row["id"]: "the red car" for row in rows[:12]})
    run, found = against(answers, "HEAD")
    run.assert_outcomes(failed=1)
    assert (found["verdict"], found["passed"], found["dropped"]) == ("inconclusive", False, 24)
    assert "old against HEAD: 12 samples, 24 dropped, 90% interval" in run.output
    assert any(line.split()[:2] == ["rouge1", "+0.0000"] and line.endswith("inconclusive") for line in run.output.splitlines())


def test_rows_are_compared_by_what_the_data_set_held_there(answers: Project) -> None:
    answers.write_rows([{**ROWS[0], "summary": "another"}, *ROWS[1:5], {**ROWS[5], "id": "t7"}])
    write_answers(answers, dict.fromkeys(("t1", "t2", "t3", "t4", "t5", "t7"), "won"))
    found = against(answers, "HEAD")[1]
    assert [found[key] for key in ("samples", "added", "dropped", "changed")] == [4, 1, 1, 1]


def test_a_data_set_that_git_does_not_have_is_told(answers: Project) -> None:
    git(answers.root, "rm", "--quiet", "--cached", "evals/data/talks.jsonl")
    (answers.root / ".gitignore").write_text("evals/data/\n")
    commit(answers.root, "the data is elsewhere")
    run, _ = against(answers, "HEAD")
    run.assert_outcomes(skipped=1)
    assert "not checked: the samples of HEAD are neither frozen there nor in a local data set" in run.output


def test_predictions_that_git_does_not_have_are_told(answers: Project) -> None:
    git(answers.root, "rm", "--quiet", "--cached", "evals/suites/answers/old.jsonl")
    (answers.root / ".gitignore").write_text("evals/suites/answers/\n")
    commit(answers.root, "the answers are elsewhere")
    run, _ = against(answers, "HEAD")
    assert "not checked: HEAD:evals/suites/answers/old.jsonl isn't there, which has the predictions of old" in run.output


def test_a_predictions_file_that_is_no_such_file_is_told_with_its_line_by_its_name_in_git(answers: Project) -> None:
    (answers.suite.parent / "answers/old.jsonl").write_text("oops\n")
    commit(answers.root, "broken")
    write_answers(answers, {row["id"]: row["summary"] for row in ROWS})
    run, _ = against(answers, "HEAD")
    assert "not checked: HEAD:evals/suites/answers/old.jsonl, line 1: " in run.output


def test_a_sample_without_a_prediction_there_is_named(answers: Project) -> None:
    write_answers(answers, {row["id"]: row["summary"] for row in ROWS[1:]})
    commit(answers.root, "one is missing")
    write_answers(answers, {row["id"]: row["summary"] for row in ROWS})
    run, found = against(answers, "HEAD")
    assert found["samples"] == 5
    assert "1 sample answered now and not then (t1)" in " ".join(run.output.split())


def test_the_file_that_the_suite_named_there_is_read(answers: Project) -> None:
    answers.suite.write_text(SUITE.replace("answers/old.jsonl", "answers/moved.jsonl"))
    (answers.suite.parent / "answers/old.jsonl").rename(answers.suite.parent / "answers/moved.jsonl")
    run, found = against(answers, "HEAD")
    run.assert_outcomes(passed=1)
    assert found["samples"] == 6


@pytest.mark.parametrize("path", ["../../../outside.jsonl", "/etc/passwd"])
def test_a_path_that_leads_out_of_the_repository_there_is_not_followed(answers: Project, path: str) -> None:
    answers.suite.write_text(SUITE.replace("answers/old.jsonl", path))
    commit(answers.root, "outside")
    answers.suite.write_text(SUITE)
    run, _ = against(answers, "HEAD")
    assert f"not checked: HEAD:evals/suites/chats.toml names {path}, which leads out of HEAD" in run.output


def test_a_model_that_is_a_file_of_predictions_now_is_told_as_such(recorded: Project) -> None:
    commit(recorded.root, "calls")
    recorded.edit_suite(f'model = "small-2026-01-01"\nbase_url = "{recorded.base_url}"\n', 'predictions = "old.jsonl"\n')
    recorded.edit_suite("[models.small]", "[against]\nmax_drop = { rouge1 = 1.0 }\n\n[models.small]")
    lines = [json.dumps({"id": row["id"], "prediction": "won"}) + "\n" for row in ROWS]
    (recorded.suite.parent / "old.jsonl").write_text("".join(lines))
    output = " ".join(recorded.run("evals", "--against", "HEAD", "-m", "gate", "-p", "no:xdist").output.split())
    assert "answers from a file in place of calls" in output
    assert "the suite names ''" not in output
