"""README.md: its commands, what they print, its snippets, and every option and link it names."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from evaltape.suite.reader import load_suite

from tests.support.forked import REPOSITORY
from tests.support.installed import UNUSED
from tests.support.project import ENVIRONMENT, Run
from tests.support.shell import Shell

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


class Clone:
    """A clone on a machine with Python: no package of ours is installed, and those of others are at hand without an index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, text=True
        )
        for name in filter(None, listed.stdout.splitlines()):
            if (REPOSITORY / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / name, self.folder / name)
        self.programs = folder / "bin"
        self.programs.mkdir()
        (self.programs / "python3").symlink_to(Path(sys.executable).resolve())

    def run(self, command: str, options: str = "") -> Run:
        """Run a line of README as it stands; `options` reach pytest by its variable."""
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        packages = [path for path in sys.path if Path(path).name == "site-packages"]
        own = {
            "PATH": f"{self.programs}{os.pathsep}{kept['PATH']}",
            "PYTHONPATH": os.pathsep.join(packages),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_WARN_CONFLICTS": "0",  # As above, 0 turns it off: nothing of the machine's is looked at again, nor compiled.
            "PIP_NO_COMPILE": "1",
            "COLUMNS": "80",
            "PYTEST_ADDOPTS": f"{UNUSED} {options}",
        }
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env={**kept, **own}, capture_output=True, text=True)
        return Run(done.returncode, done.stdout + done.stderr)


def test_its_commands_work_in_a_fresh_clone_and_print_what_it_shows(tmp_path: Path) -> None:
    clone, (replay, tests, *_) = Clone(tmp_path), blocks("sh")
    run = clone.run(replay)
    assert run.exit_code == 0, run.output
    assert blocks("text")[0] in run.output
    environment, _, rest = tests.partition(" && ")
    assert replay.startswith(f"{environment} && ")  # It is there already.
    run = clone.run(rest, "tests/release/test_workflows.py")
    assert run.exit_code == 0, run.output
    assert re.search(r"^2 workers|^created: 2/2 workers", run.output, re.MULTILINE), run.output
    assert "passed" in run.output


def test_its_tour_is_green_and_its_own_tests_pass_right_after(shell: Shell, tmp_path: Path) -> None:
    for snippet in blocks("python"):
        (tmp_path / "evals").mkdir(exist_ok=True)
        (tmp_path / "evals/test_own.py").write_text(snippet)
    run = shell.run(tmp_path, blocks("sh")[2])
    assert run.exit_code == 0, run.output
    assert "evals/test_own.py" in run.output
    listed = shell.run(tmp_path, "pytest --help").output
    commands = re.findall(r"pytest evals[^`\n|]*", README)
    for option in {option for command in commands for option in re.findall(r"--[a-z-]+", command)}:
        assert option in listed, option


def test_the_suite_it_shows_is_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(blocks("toml")[0])
    assert list(load_suite(tmp_path / "mine.toml").models) == ["luna", "small", "old-pipeline", "small-tickets"]


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (REPOSITORY / target).exists(), target


def test_it_is_short() -> None:
    assert len(README.split()) <= 1200
