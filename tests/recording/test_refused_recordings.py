"""A recording that is refused, or that has nothing to ask: no key is asked for, nothing is written, nothing is left."""

import json
from pathlib import Path

from tests.support.project import ROWS, Project
from tests.support.server import ApiServer

REMOTE = "https://api.example.invalid/v1"
CORRECTED = [{**ROWS[0], "summary": "the red car was first"}, *ROWS[1:]]
MORE = [*CORRECTED, {"id": "t7", "dialogue": "Uma: done\nVic: good", "summary": "Uma is done"}]


def files(project: Project) -> dict[str, bytes]:
    return {str(path.relative_to(project.root)): path.read_bytes() for path in project.cassettes.rglob("*") if path.is_file()}


def frozen(project: Project) -> list[list[str]]:
    lines = (project.cassettes / "samples.jsonl").read_text().splitlines()
    return [json.loads(line)["references"] for line in lines]


def test_a_key_is_asked_for_only_where_there_is_a_call_and_a_refused_recording_changes_nothing(
    recorded: Project, api: ApiServer
) -> None:
    recorded.edit_suite(recorded.base_url, REMOTE)
    api.forget()
    recorded.write_rows(CORRECTED)
    recorded.run("evals").assert_refused(
        "of 6 samples 1 changed (t1). Record what changed: pytest evals --record-missing (costs no call)"
    )
    assert recorded.run("evals", "--record-missing", "--snapshot-update").exit_code == 0
    assert frozen(recorded)[0] == ["the red car was first"]
    before = files(recorded)
    for rows in (MORE, MORE[1:]):
        recorded.write_rows(rows)
        refused = recorded.run("evals", "--record-missing")
        refused.assert_refused("small: its API takes a key, and OPENAI_API_KEY is not set")
        assert files(recorded) == before
    recorded.write_rows(MORE[1:-1])
    recorded.extend_suite(f'\n[models.other]\nmodel = "x"\nbase_url = "{REMOTE}"\nprice = {{ input = 1, output = 1 }}\n')
    refused = recorded.run("evals", "--record-missing", "--budget", "1", key="sk-a-key-for-this-test")
    refused.assert_refused("[models.other] request sets no bound on the length of an answer")
    assert files(recorded) == before
    assert api.requests == []


def test_a_recording_that_selects_nothing_leaves_nothing_behind(recorded: Project) -> None:
    recorded.write_rows([{**row, "dialogue": f"{row['dialogue']}!"} for row in ROWS])
    before = files(recorded)
    assert recorded.run("evals", "--record", "-k", "nothing").exit_code == 5
    assert files(recorded) == before


def test_a_data_set_of_the_hub_is_frozen_for_predictions_too_before_a_replay_may_use_it(
    project: Project, tmp_path: Path
) -> None:
    (project.root / "evals/suites/old.jsonl").write_text('{"id": "t1", "prediction": "x"}\n')
    suite = project.root / "evals/suites/chats.toml"
    suite.write_text('[dataset]\npath = "nobody/nothing"\nsplit = "test"\n\n[models.old]\npredictions = "old.jsonl"\n')
    project.run("evals").assert_refused(
        "the samples of the Hub data set 'nobody/nothing' are not frozen yet, and a replay asks no server",
        "Freeze them, without a call to a model: pytest evals --record-missing",
    )


def test_a_link_out_of_the_repository_is_no_data_set_and_no_predictions(recorded: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside.jsonl"
    data = recorded.root / "evals/data/talks.jsonl"
    outside.write_bytes(data.read_bytes())
    data.unlink()
    data.symlink_to(outside)
    recorded.run("evals").assert_refused(
        "[dataset] path, split 'validation': evals/data/talks.jsonl is a link out of", f"to {outside}. Name that file itself"
    )
    recorded.edit_suite('path = "../data/talks.jsonl"', f'path = "{outside}"')
    assert recorded.run("evals").exit_code == 0
    (recorded.root / "evals/suites/old.jsonl").symlink_to(outside)
    recorded.extend_suite('\n[models.old]\npredictions = "old.jsonl"\n')
    recorded.run("evals").assert_refused("[models.old] predictions: evals/suites/old.jsonl is a link out of")


def test_a_recording_of_some_samples_or_of_none_decides_no_bound_over_old_and_new_answers(
    recorded: Project, api: ApiServer
) -> None:
    api.forget()
    run = recorded.run("evals", "-m", "baseline", "--record", "-k", "t1 or test_gate", "--results", "r.json", "-p", "no:xdist")
    assert (run.exit_code, run.outcomes["skipped"], api.calls) == (0, 1, 1), run.output
    results = json.loads((recorded.root / "r.json").read_text())["suites"]["chats"]
    assert (results["mode"], results["models"]["small"]["gates"]["rouge1"]["passed"]) == ("record", None)
    run = recorded.run("evals", "-m", "baseline", "--record", "-k", "test_gate", "--results", "r.json", "-rs")
    assert (run.exit_code, run.outcomes["passed"], api.calls) == (0, 1, 1), run.output
    assert "Nothing was recorded: no selected test asks a model for a sample." in " ".join(run.output.split())
    assert json.loads((recorded.root / "r.json").read_text())["suites"]["chats"]["mode"] == "replay"


def test_orphans_and_conflicts_are_told_with_what_calls_nothing(recorded: Project) -> None:
    recorded.write_rows(ROWS[:5])
    assert recorded.run("evals", "--record-missing", "--snapshot-update").exit_code == 0
    output = " ".join(recorded.run("evals").output.split())
    assert "Remove them, which calls nothing: rm -- cassettes/chats/small/t6.yaml" in output
    recorded.cassette("t6").unlink()
    (scores,) = (recorded.root / "evals/__snapshots__").rglob("*.scores")
    scores.write_text(f"<<<<<<< HEAD\n{scores.read_text()}=======\n{{}}\n>>>>>>> other\n")
    before = scores.read_bytes()
    for options in ((), ("--snapshot-update",)):
        run = recorded.run("evals", "-k", "test_scores", *options)
        assert run.outcomes.get("error") == 1, run.output
        assert "holds the conflict markers of a git merge. Take one side whole" in " ".join(run.output.split())
        assert scores.read_bytes() == before
