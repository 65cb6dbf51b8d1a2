"""A repository with a history: a prompt that was improved, one that was made worse on a branch, and a row that was added.

base ── improved (main) ── row
   └─── worse
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.git import commit, git
from tests.support.once import made_once
from tests.support.project import Project
from tests.support.server import ApiServer

THINGS = ("car", "boat", "horse", "kite", "train", "bike", "sled", "balloon")
COLOURS = ("red", "blue", "green", "white", "black")
PLAIN, BETTER, WORSE = "Summarise this conversation.", "Summarise this conversation, naming what was won.", "Reply briefly."
AGAINST = "\n[against]\nmax_drop = { rouge1 = 0.02, rougeL = 0.02 }\n"


def rows() -> list[dict[str, str]]:
    """Forty conversations; the first line of each repeats most of its summary."""
    return [
        {
            "id": f"t{n:02d}",
            "dialogue": f"Ben: the {colour} {thing} won\nZoe: great",
            "summary": f"the {colour} {thing} won the race" + " by far" * (n % 3),
        }
        for n, (colour, thing) in enumerate(((colour, thing) for colour in COLOURS for thing in THINGS), 1)
    ]


def answer(prompt: str) -> str:
    """Answer with the first line; better, with more of the summary; worse, with less of it in three of four."""
    line = prompt.split("\n\n")[1].split("\n")[0]
    if prompt.startswith(BETTER):
        return f"{line.removeprefix('Ben: ')} the race"
    if prompt.startswith(WORSE) and len(line) % 4:
        return line.split(" ")[2]
    return line


@pytest.fixture(scope="session")
def history_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository, made once for all tests. Not to be written to."""
    return made_once(tmp_path_factory, "history", _make_history) / "project"


def _make_history(folder: Path) -> None:
    with ApiServer() as api:
        project = Project(folder / "project", api.base_url)
        api.answers["small-2026-01-01"] = answer
        project.write_rows(rows())
        project.extend_suite(AGAINST)
        (project.root / ".gitignore").write_text("__pycache__/\n.pytest_cache/\n*.lock\n")
        project.record("-p no:xdist")
        commit(project.root, "base")
        git(project.root, "tag", "base")
        _change(project, "switch --quiet --create worse", PLAIN, WORSE)
        git(project.root, "switch", "--quiet", "main")
        _change(project, "", PLAIN, BETTER)
        git(project.root, "switch", "--quiet", "--create", "row")
        project.write_rows([*rows(), {"id": "new", "dialogue": "Ben: the grey goose won\nZoe: ok", "summary": "the goose won"}])
        run = project.run("evals", "-p", "no:xdist", "--record-missing", "--snapshot-update")
        assert run.exit_code == 0, run.output
        commit(project.root, "a row added")
        git(project.root, "switch", "--quiet", "main")
        git(project.root, "gc", "--quiet")  # Every test copies it: one file in place of hundreds.


def _change(project: Project, switch: str, old: str, new: str) -> None:
    if switch:
        git(project.root, *switch.split())
    project.edit_suite(old, new)
    project.record("-p no:xdist")
    commit(project.root, new)


@pytest.fixture
def repository(project: Project, history_root: Path) -> Iterator[Project]:
    """A project with that history, on branch main."""
    shutil.rmtree(project.root)
    shutil.copytree(history_root, project.root)
    return project


def rewrite_answer(project: Project, sample: str, text: str, model: str = "small") -> None:
    """Put another answer into a recording."""
    path = project.cassette(sample, model)
    recorded = path.read_text()
    rewritten = re.sub(r'"content": "[^"]*", "refusal"', f'"content": {json.dumps(text)}, "refusal"', recorded)
    assert rewritten != recorded
    path.write_text(rewritten)


def found_in(project: Project, model: str = "small") -> Any:
    """What `results.json` says of a model against the other side, by metric."""
    results = json.loads((project.root / "results.json").read_text())
    return results["suites"]["chats"]["against"]["models"][model]
