"""What the other side may be like: other samples, other models, earlier formats, folders, files that aren't there."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from evaltape.against.tree import find_tree

from tests.against.conftest import found_in, rewrite_answer
from tests.support.git import commit, git
from tests.support.project import Project, Run
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject


def small(project: Project, *args: str) -> Any:
    """What the results say of the model `small`, by metric, of a run of the gates."""
    return project.results("-m", "gate", "-p", "no:xdist", "--against", *args)["against"]["models"]["small"]


def said(run: Run) -> str:
    """What a run printed, without its line breaks."""
    return " ".join(run.output.split())


def gates(project: Project, *args: str) -> Run:
    """A run of the bounds alone."""
    return project.run("evals/test_comparisons.py::test_against", "-p", "no:xdist", "-rs", "--against", *args)


def rewrite_rows(path: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    """Change the lines of a file of JSON lines: `change` returns a row, or None for none."""
    rows = [change(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row is not None), encoding="utf-8")


@pytest.fixture
def changed(repository: Project) -> Project:
    """The repository with an earlier commit on a branch `earlier`, which a test may still change and commit."""
    git(repository.root, "switch", "--quiet", "--create", "earlier")
    return repository


def come_back(project: Project) -> None:
    """Commit what was changed, and return to main."""
    commit(project.root, "earlier")
    git(project.root, "tag", "then")
    git(project.root, "switch", "--quiet", "main")


# ---------------------------------------------------------------- samples


def test_samples_that_were_added_dropped_or_changed_are_left_out_counted_and_named(changed: Project) -> None:
    def change(row: dict[str, Any]) -> dict[str, Any] | None:
        if row["id"] == "t01":
            return None
        if row["id"] == "t02":
            return {**row, "references": ["another"]}
        if row["id"] == "t03":
            return {**row, "input": "another"}
        return {**row, "id": "gone"} if row["id"] == "t04" else row

    rewrite_rows(changed.cassettes / "samples.jsonl", change)
    come_back(changed)
    run = changed.run("evals", "--against", "then", "-m", "gate", "-p", "no:xdist", "--results", "results.json")
    found = found_in(changed)["rouge1"]
    assert [found[key] for key in ("samples", "added", "dropped", "changed")] == [36, 2, 1, 2]
    assert (
        "small: nothing changed in the 36 samples in common; 2 samples added (t01, t04); 1 sample dropped (gone); 2 samples changed (t02, t03)"
        in said(run)
    )


def test_columns_that_no_answer_is_compared_by_may_differ(changed: Project) -> None:
    rewrite_rows(changed.cassettes / "samples.jsonl", lambda row: {**row, "columns": {"topic": "cars"}})
    come_back(changed)
    assert small(changed, "then")["rouge1"]["samples"] == 40


def test_with_no_sample_alike_nothing_is_decided(changed: Project) -> None:
    rewrite_rows(changed.cassettes / "samples.jsonl", lambda row: {**row, "input": row["input"] + "!"})
    come_back(changed)
    run = gates(changed, "then")
    run.assert_outcomes(skipped=2)
    assert "not checked: no sample has the same input and references at then" in run.output
    assert small(changed, "then")["rouge1"]["changed"] == 40


# ---------------------------------------------------------------- answers


def test_answers_that_were_lost_and_won_are_named_and_not_paired(changed: Project) -> None:
    changed.cassette("t01").unlink()
    rewrite_answer(changed, "t02", "")
    come_back(changed)
    rewrite_answer(changed, "t05", "")
    run = changed.run("evals", "--against", "then", "-m", "gate", "-p", "no:xdist", "--results", "results.json")
    found = found_in(changed)["rouge1"]
    assert found["samples"] == 37
    assert "1 sample answered then and not now (t05); 2 samples answered now and not then (t01, t02)" in said(run)


def test_a_damaged_recording_of_then_is_a_sample_without_an_answer(changed: Project) -> None:
    changed.cassette("t01").write_text("not a cassette")
    come_back(changed)
    assert small(changed, "then")["rouge1"]["samples"] == 39


def test_where_the_other_side_answered_nothing_nothing_is_checked(changed: Project) -> None:
    for path in (changed.cassettes / "small").glob("*.yaml"):
        path.write_text("not a cassette")
    come_back(changed)
    run = gates(changed, "then")
    run.assert_outcomes(skipped=2)
    assert "small rouge1 against then is not checked: no answer at then is scored by rouge1" in run.output


def test_an_answer_by_another_model_of_the_same_key_is_told(changed: Project) -> None:
    for path in (changed.cassettes / "small").glob("*.yaml"):
        path.write_text(path.read_text().replace("small-2026-01-01", "small-2025-07-01"))
    come_back(changed)
    run = changed.run("evals", "--against", "then", "-m", "gate", "-p", "no:xdist")
    assert "small: then was recorded with another model ('small-2025-07-01'; the suite names 'small-2026-01-01')" in said(run)


# ---------------------------------------------------------------- models and suites that aren't there


def test_a_new_model_is_not_checked(repository: Project) -> None:
    repository.extend_suite('\n[models.other]\nmodel = "small-2026-01-01"\nbase_url = "BASE_URL"\n')
    shutil.copytree(repository.cassettes / "small", repository.cassettes / "other")
    run = gates(repository, "HEAD")
    run.assert_outcomes(passed=2, skipped=2)
    assert "not checked: HEAD has no model other" in run.output


def test_a_model_with_a_further_prompt_is_compared_by_its_name(repository: Project, api: ApiServer) -> None:
    text = repository.suite.read_text()
    repository.suite.write_text(re.sub(r'base_url = ".*"', f'base_url = "{api.base_url}"', text))
    repository.extend_suite('[prompts.terse]\nuser = "Reply briefly.\\n\\n{input}"\n')
    repository.run("evals", "-m", "baseline", "-p", "no:xdist", "--record-missing", "--snapshot-update")
    commit(repository.root, "another prompt")
    rewrite_answer(repository, "t01", "the red car won the race", "small-terse")
    found = repository.results("-m", "gate", "-p", "no:xdist", "--against", "HEAD")["against"]["models"]
    assert found["small-terse"]["rougeL"]["samples"] == 40
    assert found["small-terse"]["rougeL"]["difference"] != 0 == found["small"]["rougeL"]["difference"]


def test_a_new_suite_is_not_checked(repository: Project) -> None:
    suite = repository.suite.with_name("fresh.toml")
    suite.write_text(repository.suite.read_text())
    shutil.copytree(repository.cassettes, repository.cassettes.with_name("fresh"))
    run = gates(repository, "HEAD", "--suite", str(suite))
    run.assert_outcomes(skipped=2)
    assert "not checked: HEAD has no suite fresh" in run.output


def test_of_two_suites_each_is_compared_with_its_own(repository: Project) -> None:
    suite = repository.suite.with_name("fresh.toml")
    suite.write_text(repository.suite.read_text())
    shutil.copytree(repository.cassettes, repository.cassettes.with_name("fresh"))
    commit(repository.root, "another suite")
    rewrite_answer(repository, "t01", "nothing at all")
    suites = ("--suite", str(suite), "--suite", str(repository.suite))
    found = repository.results_file("-k", "test_against", "-p", "no:xdist", "--against", "HEAD", *suites)["suites"]
    told = {name: found[name]["against"]["models"]["small"] for name in ("fresh", "chats")}
    verdicts = {name: {told[name][metric]["verdict"] for metric in ("rouge1", "rougeL")} for name in told}
    assert verdicts == {"fresh": {"passed"}, "chats": {"inconclusive"}}


def test_a_suite_file_that_was_moved_keeps_its_recordings(repository: Project) -> None:
    moved = repository.root / "evals/chats.toml"
    repository.suite.rename(moved)
    moved.write_text(moved.read_text().replace("../data", "data"))
    (repository.root / "pytest.ini").write_text(
        (repository.root / "pytest.ini").read_text().replace("evals/suites/chats.toml", "evals/chats.toml")
    )
    assert small(repository, "HEAD~1")["rouge1"]["samples"] == 40


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[models.small", "then:evals/suites/chats.toml is not a readable TOML file: "),
        ('models = "small"', "then:evals/suites/chats.toml has no [models] that can be read"),
        ("[dataset]", "then:evals/suites/chats.toml has no [models] that can be read"),
    ],
)
def test_a_suite_that_cant_be_read_there_is_told_in_a_line(changed: Project, text: str, reason: str) -> None:
    changed.suite.write_text(text)
    come_back(changed)
    run = gates(changed, "then")
    run.assert_outcomes(skipped=2)
    assert f"not checked: {reason}" in run.output


def test_frozen_samples_that_cant_be_read_there_are_told_with_their_line(changed: Project) -> None:
    frozen = changed.cassettes / "samples.jsonl"
    frozen.write_text(frozen.read_text() + '{"id": "t99"}\n')
    come_back(changed)
    assert "not checked: then:cassettes/chats/samples.jsonl, line 41: not a frozen sample" in gates(changed, "then").output


# ---------------------------------------------------------------- recordings by others, metrics of today


def test_a_recording_by_plain_vcrpy_is_read(changed: Project) -> None:
    path = changed.cassette("t01")
    path.write_text("# by hand\n" + path.read_text())
    come_back(changed)
    assert small(changed, "then")["rouge1"]["samples"] == 40


def test_both_sides_are_scored_by_the_metrics_of_today(changed: Project) -> None:
    changed.extend_suite("\n[metrics]\nrouge1 = { stemmer = true }\nrougeL = {}\n")
    come_back(changed)
    changed.extend_suite("\n[metrics]\nrouge1 = { stemmer = true }\nrougeL = {}\nwords = {}\n")
    found = small(changed, "then")
    assert {metric: one["difference"] for metric, one in found.items()} == {"rouge1": 0.0, "rougeL": 0.0, "words": 0.0}


# ---------------------------------------------------------------- folders


def test_a_copy_of_the_repository_is_another_side(repository: Project, tmp_path: Path) -> None:
    shutil.copytree(repository.root, tmp_path / "copy")
    rewrite_answer(repository, "t01", "nothing at all")
    found = repository.results("-m", "gate", "-p", "no:xdist", "--against", str(tmp_path / "copy"))["against"]
    assert (found["ref"], found["commit"]) == (str(tmp_path / "copy"), "")
    assert found["models"]["small"]["rouge1"]["difference"] == pytest.approx(-12 / 14 / 40)


@pytest.mark.parametrize("with_suite", [False, True])
def test_a_folder_of_recordings_is_another_side_with_its_suite_beside_or_none(
    repository: Project, tmp_path: Path, with_suite: bool
) -> None:
    shutil.copytree(repository.root / "cassettes", tmp_path / "nightly")
    if with_suite:
        shutil.copy(repository.suite, tmp_path / "nightly")
    rewrite_answer(repository, "t01", "nothing at all")
    assert small(repository, str(tmp_path / "nightly"))["rouge1"]["difference"] == pytest.approx(-12 / 14 / 40)


def test_a_folder_without_the_suite_has_nothing_of_it(repository: Project, tmp_path: Path) -> None:
    (tmp_path / "nightly").mkdir()
    assert "holds neither recordings nor a suite" in gates(repository, str(tmp_path / "nightly")).output
    (tmp_path / "nightly/other.toml").write_text("")
    assert "has no suite chats" in gates(repository, str(tmp_path / "nightly")).output


def test_recordings_in_a_folder_of_their_own_are_compared_with_those_committed(repository: Project, tmp_path: Path) -> None:
    shutil.copytree(repository.root / "cassettes", tmp_path / "scratch")
    rewrite_answer(repository, "t01", "nothing at all")
    git(repository.root, "switch", "--quiet", "--detach")
    commit(repository.root, "worse")
    args = ("HEAD", "--cassettes", str(tmp_path / "scratch"))
    assert small(repository, *args)["rouge1"]["difference"] == pytest.approx(12 / 14 / 40)


# ---------------------------------------------------------------- files that git doesn't have


def as_pointer(path: Path) -> tuple[bytes, str]:
    """Replace a file by the Git LFS pointer to it; return what git-lfs would have fetched, and its name."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n")
    return content, digest


def test_a_git_lfs_pointer_is_named_with_the_command_that_fetches_it(changed: Project) -> None:
    as_pointer(changed.cassette("t07"))
    come_back(changed)
    run = gates(changed, "then")
    run.assert_outcomes(skipped=2)
    then = git(changed.root, "rev-parse", "then")[:12]
    assert "not checked: then:cassettes/chats/small/t07.yaml is a Git LFS pointer" in run.output
    assert f"Fetch it: git lfs fetch origin {then}" in run.output


def test_what_git_lfs_has_fetched_is_read(changed: Project) -> None:
    content, digest = as_pointer(changed.cassette("t07"))
    folder = changed.root / ".git/lfs/objects" / digest[:2] / digest[2:4]
    folder.mkdir(parents=True)
    (folder / digest).write_bytes(content)
    come_back(changed)
    assert small(changed, "then")["rouge1"]["samples"] == 40


def test_a_partial_clone_names_the_command_that_fetches_the_rest(repository: Project, tmp_path: Path) -> None:
    git(repository.root, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", repository.root.as_uri(), "partial")
    partial = tmp_path / "partial"
    tree = find_tree("HEAD~1", partial)
    paths = tree.files("cassettes/chats/small")
    with pytest.raises(Exception, match="this clone is a partial one without the files of HEAD~1") as error:
        tree.copied(paths).__enter__()
    git(partial, *str(error.value).split("Fetch them: ")[1].split()[1:])
    with find_tree("HEAD~1", partial).copied([]) as _, _copied(partial, paths) as root:
        assert (root / paths[0]).read_text().startswith("version: 1")


def _copied(root: Path, paths: list[str]) -> Any:
    tree = find_tree("HEAD~1", root)
    tree.files("cassettes/chats/small")
    return tree.copied(paths)


# ---------------------------------------------------------------- recordings that aren't finished


def leave_unfinished(project: Project) -> None:
    """As if a fresh recording had been cut short after 38 of 40 calls."""
    to_come = {name: hashlib.sha256(project.cassette(name).read_bytes()).hexdigest() for name in ("t01", "t02")}
    values = {"selected": 40, "to_come": to_come, "then_remove": {}}
    (project.cassettes / "small/unfinished.json").write_text(json.dumps(values))


def test_a_recording_that_is_unfinished_there_decides_nothing(changed: Project) -> None:
    leave_unfinished(changed)
    come_back(changed)
    run = gates(changed, "then")
    run.assert_outcomes(skipped=2)
    assert "not checked: the recording of small at then is unfinished: 38 of 40" in run.output


def test_a_recording_that_is_unfinished_today_decides_nothing(repository: Project) -> None:
    leave_unfinished(repository)
    run = gates(repository, "HEAD")
    run.assert_outcomes(skipped=2)
    assert "not checked: the recording of small is unfinished: 38 of 40" in run.output


def test_what_was_left_to_come_and_has_come_is_finished(changed: Project) -> None:
    leave_unfinished(changed)
    for sample in ("t01", "t02"):
        rewrite_answer(changed, sample, "the red car won the race by far")
    come_back(changed)
    assert small(changed, "then")["rouge1"]["samples"] == 40


# ---------------------------------------------------------------- while recording, and after tuning


def test_a_fresh_recording_is_compared_with_the_one_that_it_replaces(repository: Project, api: ApiServer) -> None:
    api.answers["small-2026-01-01"] = lambda prompt: "nothing at all"
    text = repository.suite.read_text()
    repository.suite.write_text(re.sub(r'base_url = "[^"]*"', f'base_url = "{api.base_url}"', text))
    run = repository.run("evals", "--record", "--against", "HEAD", "--results", "results.json", "-n 2")
    found = found_in(repository)["rouge1"]
    assert api.calls == 40
    assert (found["verdict"], found["passed"], found["samples"]) == ("failed", False, 40), run.output


def test_a_tuned_model_is_compared_by_its_key(tuned: TuningProject) -> None:
    tuned.extend_suite("\n[against]\nmax_drop = { rouge1 = 0.02 }\n")
    then = commit(tuned.root, "tuned")
    for path in [*(tuned.cassettes / "tuned").glob("*.yaml")]:
        path.write_text(path.read_text().replace("ft:", "ft:again:"))
    rewrite_answer(tuned, "t1", "nothing at all", "tuned")
    run = tuned.run("evals", "-m", "finetuned", "--against", then, "--results", "results.json", "-p", "no:xdist")
    found = found_in(tuned, "tuned")["rouge1"]
    assert (found["samples"], found["difference"]) == (6, pytest.approx(-1 / 6)), run.output
    assert f"tuned: {then} was recorded with another model" in said(run)


def test_without_the_option_a_bound_on_a_tuned_model_starts_no_job(tuning: TuningProject, api: ApiServer) -> None:
    tuning.extend_suite("\n[against]\nmax_drop = { rouge1 = 0.02 }\n")
    tuning.record("-p", "no:xdist")
    run = tuning.run("evals/test_comparisons.py::test_against", "--record", "-p", "no:xdist")
    run.assert_outcomes(skipped=2)
    assert tuning.job_ids == []
