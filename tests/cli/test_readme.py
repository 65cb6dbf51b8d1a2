"""README.md: what its first minute prints, its snippets, and every option and link it names."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from evaltape.suite.reader import load_suite

from tests.support.forked import REPOSITORY
from tests.support.installed import Installed

OPERATORS = {
    "swap_names": "two names swapped",
    "wrong_number": "a wrong number or day",
    "negate": "a statement negated",
    "other_name": "a name that isn't in the chat",
    "drop_half": "the second half dropped",
    "first_lines": "the chat's first lines instead",
    "repeat": "everything said twice",
    "other_sample": "another sample's answer",
    "refusal": "a refusal",
    "preamble": '"Here is a summary:"',
}
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_first_minute_prints_what_it_shows(installed: Installed, tmp_path: Path) -> None:
    assert installed.run(tmp_path, "evaltape", "init").exit_code == 0
    run = installed.run(tmp_path, "pytest", "evals", environment={"COLUMNS": "80"})
    assert run.exit_code == 0, run.output
    shown = blocks("text")[0].splitlines()
    assert "\n".join(shown[:-1]) in run.output
    assert re.sub(r"in [\d.]+s", "", shown[-1]).strip("= ") in run.output


def test_the_suite_it_shows_is_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(blocks("toml")[0])
    assert list(load_suite(tmp_path / "mine.toml").models) == ["gpt-4o-mini", "terse", "old-pipeline", "gpt-4o-mini-tickets"]


@pytest.mark.parametrize("snippet", blocks("python"))
def test_its_tests_are_python(snippet: str) -> None:
    compile(snippet, "README.md", "exec")


def test_every_option_it_names_exists(installed: Installed, tmp_path: Path) -> None:
    installed.run(tmp_path, "evaltape", "init")
    listed = installed.run(tmp_path, "pytest", "--help").output
    commands = re.findall(r"pytest evals[^`\n|]*", README)
    for option in {option for command in commands for option in re.findall(r"--[a-z-]+", command)}:
        assert option in listed, option


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (REPOSITORY / target).exists(), target


def test_what_the_gates_notice_is_what_the_recordings_say(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "pytest", "evals", "--mutate", "--results", str(results), "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    mutants = json.loads(results.read_text())["suites"]["chats"]["mutants"]["smollm2-chats"]
    for operator, words in OPERATORS.items():
        (row,) = re.findall(
            rf"^\| \*?(?:harmless: )?{re.escape(words)}\*? \| (\d+)(?: of 200)? \| (.*) \|$", README, re.MULTILINE
        )
        shares = [mutants[operator][metric] for metric in ("rouge1", "rouge2", "rougeL")]
        shown = ["never" if share is None else f"{share:.0%}" for share in shares]
        assert (int(row[0]), row[1].split(" | ")) == (mutants[operator]["applies_to"], shown), operator


def test_it_is_short() -> None:
    assert len(README.split()) <= 1500
