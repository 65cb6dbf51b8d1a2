"""docs/reference.md is what the code yields, and names every variable that the code reads."""

import ast
import re
import runpy
import tomllib
from collections.abc import Iterator

import evaltape
import pytest

from tests.support.forked import REPOSITORY

PAGE = REPOSITORY / "docs/reference.md"
TOOL = runpy.run_path(str(REPOSITORY / ".ci/reference.py"))
ONES_OF_OTHERS = {"PYTHONPATH", "HOME", "RANK", "WORLD_SIZE", "HF_HUB_OFFLINE"}
"""Variables of Python, the shell and training launchers, which nobody sets for Evaltape."""


def test_the_page_is_what_the_code_yields() -> None:
    assert PAGE.read_text(encoding="utf-8") == TOOL["page"](), "write it again: python .ci/reference.py > docs/reference.md"


def test_every_field_and_member_has_a_text() -> None:
    assert [line for line in TOOL["page"]().splitlines() if re.search(r"\|\s*\|$", line)] == []


def test_every_exit_code_of_pytest_is_there() -> None:
    assert set(map(int, pytest.ExitCode)) < set(map(int, TOOL["EXIT_CODES"]))


def test_every_variable_that_the_code_reads_is_there() -> None:
    read = {name for file in (REPOSITORY / "evals/evaltape").rglob("*.py") for name in variables(ast.parse(file.read_bytes()))}
    assert read - ONES_OF_OTHERS <= set(TOOL["ENVIRONMENT"])
    assert {"OPENAI_API_KEY", "OPENAI_BASE_URL", "EVALTAPE_LOCAL_KEY", "GITHUB_STEP_SUMMARY"} <= read


def variables(tree: ast.Module) -> Iterator[str]:
    """Names of variables in a module: arguments of `environ`, and constants that are named as variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("environ.get", "environment.get")):
            yield from _names(node.args[0])
        elif isinstance(node, ast.Assign) and re.search(r"_VARIABLES?|_ENV\b|STEP_SUMMARY", ast.unparse(node.targets[0])):
            yield from _names(node.value)


def _names(value: ast.expr) -> Iterator[str]:
    for part in ast.walk(value):
        if isinstance(part, ast.Constant) and re.fullmatch(r"[A-Z][A-Z0-9_]+", str(part.value)) and part.value != "GITHUB_":
            yield str(part.value)


def test_the_version_is_one() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (newest,) = re.findall(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)[:1]
    assert project["version"] == evaltape.__version__ == newest
