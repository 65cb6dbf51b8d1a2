"""Every command and snippet of docs/getting-started.md, run in the order of the page in one repository."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

from tests.cli.test_workflow import git
from tests.support.forked import REPOSITORY
from tests.support.server import ApiServer
from tests.support.shell import Shell

PAGE = REPOSITORY / "docs/getting-started.md"
BASE_URL = "http://127.0.0.1:8000/v1"
TICKETS = [
    {"id": f"T-{n}", "text": f"Parcel {n} is {n + 1} days late.", "reference": f"Parcel {n} is late."} for n in range(12)
]


def blocks() -> Iterator[tuple[str, str]]:
    """The page's (language, content) in order."""
    return ((token.info, token.content) for token in MarkdownIt().parse(PAGE.read_text()) if token.type == "fence")


def commands(content: str) -> Iterator[tuple[str, int]]:
    """The (command, exit code) of each line of a shell block; 0 unless a comment says otherwise."""
    for line in content.splitlines():
        command, _, comment = line.partition(" #")
        wanted = re.search(r"exit code (\d)", comment)
        yield command.strip(), int(wanted[1]) if wanted else 0


def test_every_command_and_snippet_of_the_page_works(shell: Shell, tmp_path: Path, api: ApiServer) -> None:
    upstream, folder = tmp_path / "upstream.git", tmp_path / "repository"
    for made in (upstream, folder):
        made.mkdir()
    git(upstream, "init", "--bare")
    git(folder, "init")
    git(folder, "remote", "add", "origin", str(upstream))
    (folder / "tickets.jsonl").write_text("\n".join(map(json.dumps, TICKETS)))
    for language, content in blocks():
        if language == "python":
            file = re.match(r"# (\S+)\n", content)
            assert file, content
            (folder / file[1]).write_text(content)
        elif language == "toml":
            _add_to_a_suite(folder, content)
        else:
            assert language == "sh"
            if "origin/main" in content:  # What was done until here is on the default branch when a pull request is opened.
                git(folder, "add", "-A")
                git(folder, "commit", "-m", "Evaluations")
                git(folder, "push", "-u", "origin", "main")
            for command, exit_code in commands(content):
                run = shell.run(folder, command.replace(BASE_URL, api.base_url))
                assert run.exit_code == exit_code, f"{command}\n{run.output}"
    own = shell.run(folder, "pytest evals/test_own.py")
    assert own.outcomes == {"passed": 12}, own.output


def _add_to_a_suite(folder: Path, content: str) -> None:
    """A snippet stands in one of the two suites, or is put where the page says."""
    if content.startswith("gates"):
        suite = folder / "evals/suites/tickets.toml"
        suite.write_text(suite.read_text() + content)
    else:
        line = content.splitlines()[-1]
        assert line in (folder / "evals/suites/example.toml").read_text(), line
