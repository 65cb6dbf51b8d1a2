"""Commands in messages: they work when pasted into a shell, and name what they mean, never a part of it."""

import shlex
from pathlib import Path

import pytest
from evaltape.suite.commands import Commands
from hypothesis import given
from hypothesis import strategies as st

from tests.support.options import failures_of
from tests.support.project import ROWS, Project
from tests.support.server import ApiServer

ODD = "my evals (new)"


def test_what_is_missing_is_recorded_as_the_session_was_started() -> None:
    assert Commands(["evals"]).record_all() == "pytest evals -m baseline --record"
    assert Commands(["evals"]).record_missing("finetuned") == "pytest evals -m finetuned --record-missing"
    assert Commands([]).retrain() == "pytest -m finetuned --record --retrain"


def test_what_differs_from_the_configuration_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = Commands(["a b", "~x"], suite=tmp_path / f"{ODD}/it's.toml", cassettes=tmp_path / "ta pes")
    assert commands.record_missing("baseline") == (
        "pytest 'a b' '~x' -m baseline --record-missing --suite 'my evals (new)/it'\"'\"'s.toml' --cassettes 'ta pes'"
    )


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)))
def test_a_shell_takes_every_test_id_for_what_it_is(ids: list[str]) -> None:
    assert shlex.split(Commands().replay(ids)) == ["pytest", *ids]


def test_a_command_records_no_more_than_it_names(recorded: Project, api: ApiServer) -> None:
    recorded.write_rows([{**ROWS[0], "id": f"s{number}"} for number in (1, 10, 11)])
    recorded.record()
    recorded.cassette("s1").unlink()
    api.forget()
    assert failures_of(recorded) == {
        "s1": "cassettes/chats/small/s1.yaml: there is no such recording. "
        "Record it: pytest evals -m baseline --record-missing (costs 1 call)"
    }
    recorded.run("evals", "-m", "baseline", "--record-missing").assert_outcomes(passed=5)
    assert api.calls == 1


def test_samples_with_odd_ids_and_paths_with_spaces_are_run_again_by_their_command(project: Project, api: ApiServer) -> None:
    api.answers["small-2026-01-01"] = lambda prompt: ""
    suite = project.root / "my suites/chats.toml"
    suite.parent.mkdir()
    suite.write_text(project.suite.read_text().replace("../data", "../evals/data"))
    project.write_rows([{**ROWS[3], "id": "it's ~ 1/2 [x]"}, {**ROWS[3], "id": "it"}])
    run = project.run("evals", "-m", "baseline", "--record", "--suite", "my suites/chats.toml", "--cassettes", "my tapes")
    line = next(line for line in run.output.splitlines() if line.startswith("Run them again: pytest "))
    words = shlex.split(line.removeprefix("Run them again: pytest "))
    assert words[-4:] == ["--suite", "my suites/chats.toml", "--cassettes", "my tapes"]
    project.run(*words).assert_outcomes(failed=2)
