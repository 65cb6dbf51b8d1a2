"""From an installed wheel to a green gate in a repository that isn't this one, as a user types it.

Repositories of other kinds are tried with the code of this one.
"""

import json
import re
from pathlib import Path

import pytest

from tests.cli.test_config_files import KINDS
from tests.support.commands import Command, evaltape, files_of
from tests.support.forked import REPOSITORY
from tests.support.installed import Installed
from tests.support.project import Run, run_forked
from tests.support.server import ApiServer
from tests.support.shell import Shell

SEVEN = ("pytest.ini", "pytest.toml", "pyproject.toml, native", "pyproject.toml, ini_options", "tox.ini", "setup.cfg")


def init(installed: Installed | None, folder: Path, *words: str) -> Run | Command:
    """Run `evaltape init` and be sure that it worked."""
    run = installed.run(folder, "evaltape", "init", *words) if installed else evaltape(folder, "init", *words)
    assert run.exit_code == 0, run.output
    return run


def green(installed: Installed | None, folder: Path, *words: str) -> Run:
    """Run `pytest evals` and be sure that everything passed and nothing reached for the network."""
    plugin = folder.parent / "plugin"
    plugin.mkdir(exist_ok=True)
    (plugin / "offline.py").write_text((REPOSITORY / "tests/support/offline.py").read_text())
    environment = {"PYTHONPATH": str(plugin), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"}
    words = ("-p", "offline", "-p", "no:cacheprovider", *words)
    if installed:
        run = installed.run(folder, "pytest", *words, environment=environment)
    else:
        run = run_forked(folder, *words, environment=environment)
    assert run.exit_code == 0, run.output
    assert not (plugin / "tried-to-connect.txt").exists(), (plugin / "tried-to-connect.txt").read_text()
    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    made = tmp_path / "repository"
    made.mkdir()
    return made


def test_in_an_empty_folder_the_example_is_green_at_once_with_a_table_worth_showing(installed: Installed, folder: Path) -> None:
    init(installed, folder)
    for workers in ("-pno:xdist", "-n2"):
        run = green(installed, folder, "evals", workers)
        for words in (
            r"careful: 24 samples",
            r"names_kept +0\.9792 .* 0\.95 +passed",
            r"hasty: 24 samples",
            r"names_kept +0\.2292",
        ):
            assert re.search(words, run.output), run.output
        assert re.search(r"care-pays.*\n(.*\n)?.*names_kept.*passed", run.output), run.output
        assert {kind: number for kind, number in run.outcomes.items() if kind != "passed"} == {}, run.output


@pytest.mark.parametrize("kind", ["nothing", *SEVEN])
def test_in_each_kind_of_repository_it_is_green_and_a_second_run_changes_nothing(folder: Path, kind: str) -> None:
    if kind != "nothing":
        name, before, _ = KINDS[kind]
        (folder / name).write_text(before)
    init(None, folder)
    green(None, folder, "evals")
    first = files_of(folder)
    again = init(None, folder)
    assert "Nothing to write: 15 files were there already" in again.output
    assert files_of(folder) == first


@pytest.mark.parametrize("layout", ["a package", "importlib", "strict", "other testpaths", "tests of the same names"])
def test_it_is_green_beside_what_repositories_have(folder: Path, layout: str) -> None:
    (folder / "tests").mkdir()
    (folder / "tests/test_app.py").write_text("def test_app():\n    pass\n")
    (folder / "conftest.py").write_text("import pytest\n\n\n@pytest.fixture\ndef scores_of_ours():\n    return 1\n")
    options = {
        "importlib": "addopts = --import-mode=importlib",
        "strict": "filterwarnings = error\naddopts = --strict-markers --strict-config",
        "other testpaths": "testpaths = tests",
        "tests of the same names": "addopts = --import-mode=importlib",
    }
    (folder / "pytest.ini").write_text(f"[pytest]\n{options.get(layout, '')}\n")
    if layout == "a package":
        (folder / "evals").mkdir()
        (folder / "evals/__init__.py").write_text("")
    if layout == "tests of the same names":
        (folder / "tests/test_baseline.py").write_text("def test_baseline():\n    pass\n")
    init(None, folder)
    run = green(None, folder, "evals", "tests", "-v")
    assert "tests/test_app.py::test_app PASSED" in run.output
    assert "care-pays" in run.output


def test_in_a_folder_below_rootdir_it_is_green(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.pytest]\nminversion = "9"\n')
    below = folder / "services/chat"
    below.mkdir(parents=True)
    init(None, below)
    green(None, below, "evals")
    green(None, folder, "services/chat/evals")


def test_the_gates_of_the_example_fail_where_they_should(folder: Path) -> None:
    """The answers of the hasty summariser, given by the careful one, are under its gates and no gain."""
    init(None, folder)
    data = folder / "evals/data/example"
    (data / "careful.jsonl").write_bytes((data / "hasty.jsonl").read_bytes())
    run = run_forked(folder, "evals", environment={"COLUMNS": "120"})
    assert run.exit_code == 1
    for told in (
        "test_baseline.py::test_gate - 3 tests: 0.2393 < 0.7; 0.1977 < 0.5; 0.2292 < 0.95",
        "test_baseline.py::test_scores[example-careful] - ",
        "test_comparisons.py::test_compare - 2 tests: +0.0000 failed",
    ):
        assert f"FAILED evals/{told}" in run.output, run.output
    for metric in ("rougeL", "names_kept"):
        assert f"\n  +0.0000 failed: care-pays {metric}: careful less hasty (90% interval" in run.output, run.output


def test_rows_of_ones_own_are_estimated_recorded_and_replayed_by_the_commands_it_ends_with(
    shell: Shell, folder: Path, api: ApiServer
) -> None:
    rows = [
        {"id": n, "dialogue": f"Ann: shall we meet at {n}?\nBob: yes", "summary": f"Ann and Bob meet at {n}."}
        for n in range(12)
    ]
    (folder / "talks.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said = init(None, folder, "--data", "talks.jsonl", "--model", "small", "--base-url", api.base_url)
    commands = [line.split("  ")[1] for line in said.output.partition("Next:\n")[2].splitlines()]
    assert commands == ["pytest evals --estimate", "pytest evals --record --snapshot-update", "pytest evals"]
    estimate = shell.run(folder, commands[0])
    assert estimate.exit_code == 0, estimate.output
    assert not api.requests
    recorded = shell.run(folder, commands[1])
    assert recorded.exit_code == 0, recorded.output
    asked = [request.json["messages"] for request in api.requests if request.json]
    assert len(asked) == 12
    shown = said.output.partition("as it will be asked:\n")[2].partition("  reference")[0]
    wanted = [line.strip() for line in shown.removeprefix("  user").splitlines()]
    assert wanted in [[line.strip() for line in turns[0]["content"].strip().splitlines()] for turns in asked]
    assert len(list((folder / "cassettes/talks/small").glob("*.yaml"))) == 12
    replayed = green(None, folder, "evals")
    assert "small: 12 samples" in replayed.output
