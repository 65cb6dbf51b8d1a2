"""docs/against.md: its outputs are those of its commands, its suite is read, and its test runs."""

import re
from pathlib import Path

import pytest

from tests.against.conftest import AGAINST
from tests.support.git import git
from tests.support.project import Project

PAGE = (Path(__file__).parents[2] / "docs/against.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def without_commit(text: str) -> list[str]:
    """The lines, but for which commit it is and when it was made."""
    return [re.sub(r"[0-9a-f]{10} of \d{4}-\d\d-\d\d", "COMMIT of DAY", line).rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("block", blocks("text"), ids=["against", "estimate"])
def test_outputs_of_the_page_are_those_of_its_commands(repository: Project, block: str) -> None:
    git(repository.root, "switch", "--quiet", "worse")
    args = ["--estimate"] if "can decide" in block else ["--against", "main"]
    output = without_commit(repository.run("evals", "-p", "no:xdist", *args).output)
    wanted = without_commit(block)
    start = output.index(wanted[0])
    assert output[start : start + len(wanted)] == wanted


def test_the_suite_of_the_page_is_read(repository: Project) -> None:
    repository.edit_suite(AGAINST, "\n" + blocks("toml")[0])
    run = repository.run("evals/test_comparisons.py::test_against", "--against", "HEAD~1", "-p", "no:xdist")
    run.assert_outcomes(passed=1)


def test_tests_of_the_page_run(repository: Project) -> None:
    git(repository.root, "switch", "--quiet", "worse")
    written, own = blocks("python")
    assert written in (repository.root / "evals/test_comparisons.py").read_text()
    (repository.root / "evals/test_own.py").write_text(own)
    run = repository.run("evals/test_own.py", "--against", "main", "-p", "no:xdist")
    run.assert_outcomes(failed=1)
    assert "test_no_summary_got_much_worse[chats-small]" in run.output
