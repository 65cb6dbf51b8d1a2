"""What was recorded for another suite is never replayed as if for this one: each test says what differs and what to run."""

import contextlib
import shutil

import pytest

from tests.support.options import failures_of, workspace_of
from tests.support.project import ROWS, Project
from tests.support.suites import refusal

SAMPLES = [row["id"] for row in ROWS]


def messages(output: str) -> str:
    """The output without pytest's marks and line breaks, so that long messages read on."""
    return " ".join(line.removeprefix("E").strip() for line in output.splitlines())


def test_one_word_of_the_prompt_fails_every_sample_saying_why_and_what_to_run(recorded: Project) -> None:
    recorded.edit_suite("Summarise this", "Summarize this")
    run = recorded.run("evals", "-m", "baseline", "-p no:xdist")
    run.assert_outcomes(failed=8)
    assert "\n6 recordings are of another prompt: pytest evals --record-missing\n  It costs 6 calls\n" in run.output
    assert failures_of(recorded) == {
        sample: f"cassettes/chats/small/{sample}.yaml: recorded with another prompt (line 1 differs). "
        "Record it: pytest evals -m baseline --record-missing (costs 6 calls)"
        for sample in SAMPLES
    }


def test_the_command_that_a_failure_names_mends_it(recorded: Project) -> None:
    recorded.edit_suite("[models.small]", "[models.small]\nrequest = { seed = 1 }")
    run = recorded.run("evals", "-m", "baseline", "-k", "t3", "-p no:xdist")
    command = "pytest evals -m baseline --record-missing"
    assert f"t3.yaml: recorded with another seed (none; the suite asks for 1). Record it: {command}" in messages(run.output)
    recorded.run(*command.split()[1:]).assert_outcomes(passed=8)
    assert failures_of(recorded) == {}


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("temperature = 0", "temperature = 0.1", "another temperature (0; the suite asks for 0.1)"),
        ("temperature = 0", "", "another temperature (0; the suite asks for none)"),
        ("small-2026-01-01", "small-2026-02-02", "another model ('small-2026-01-01'; the suite names 'small-2026-02-02')"),
        ("[prompt]", '[prompt]\nsystem = "Be brief."', "another prompt (messages by user; the suite has system, user)"),
    ],
    ids=["a parameter", "one less", "the served model", "a system prompt"],
)
def test_each_change_is_named(recorded: Project, old: str, new: str, difference: str) -> None:
    recorded.edit_suite(old, new)
    told = failures_of(recorded)
    assert list(told) == SAMPLES
    assert all(f"recorded with {difference}. Record it: " in failure for failure in told.values())


def test_the_cassette_of_another_sample_or_model_is_refused(recorded: Project) -> None:
    shutil.copy(recorded.cassette("t1"), recorded.cassette("t2"))
    recorded.extend_suite('[models.large]\nmodel = "large-1"\nbase_url = "BASE_URL"\n')
    shutil.copytree(recorded.cassettes / "small", recorded.cassettes / "large")
    small, large = failures_of(recorded), failures_of(recorded, "large")
    assert (list(small), list(large)) == (["t2"], SAMPLES)
    assert "small/t2.yaml: recorded with another prompt (line 3 differs)" in small["t2"]
    assert "large/t1.yaml: recorded with another model ('small-2026-01-01'; the suite names 'large-1')" in large["t1"]


@pytest.mark.parametrize("text", ["", "torn", "version: 1\ninteractions: []\n", "a: &a [*a]\n"])
def test_a_damaged_cassette_fails_its_own_sample_and_no_other(recorded: Project, text: str) -> None:
    recorded.cassette("t4").write_text(text)
    told = failures_of(recorded)
    assert list(told) == ["t4"]
    assert told["t4"].startswith("cassettes/chats/small/t4.yaml: ")
    assert told["t4"].endswith("Record it: pytest evals -m baseline --record-missing (costs 1 call)")


def test_another_gate_or_stemmer_needs_no_new_recording(recorded: Project) -> None:
    recorded.edit_suite("[models.small]", "[metrics]\nrouge1 = { stemmer = true }\n\n[models.small]")
    workspace = workspace_of(recorded, "evals")
    prediction = workspace.recorded(workspace.suite.models["small"], workspace.samples[5])
    assert workspace.metrics["rouge1"].describe()["stemmer"] is True
    assert dict(prediction.scores) == {"rouge1": pytest.approx(6 / 8)}


def test_a_suite_by_another_name_has_recordings_of_its_own(recorded: Project) -> None:
    other = recorded.suite.with_name("other.toml")
    shutil.copy(recorded.suite, other)
    with contextlib.chdir(recorded.root):
        workspace = workspace_of(recorded, "evals", "-m", "baseline", "--suite", "evals/suites/other.toml")
        told = refusal(lambda: workspace.samples)
    assert told == (
        "evals/suites/other.toml: no recording of this suite in cassettes/other yet. "
        "Record it: pytest evals --record-missing --suite evals/suites/other.toml (costs 6 calls)"
    )


def test_a_changed_row_is_told_before_anything_runs(recorded: Project) -> None:
    recorded.write_rows([*ROWS[:5], {**ROWS[5], "summary": "Gus buys bread"}])
    recorded.run("evals", "-m", "baseline").assert_refused(
        "'../data/talks.jsonl' changed since it was recorded in cassettes/chats: of 6 samples 1 changed (t6). "
        "Record what changed: pytest evals --record-missing (costs no call)"
    )
