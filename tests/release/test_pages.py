"""The pages of docs/: snippets are suites, commands have options that exist, messages and words are those of the code."""

import re
from collections.abc import Iterator
from pathlib import Path

from evaltape.suite.reader import load_suite
from markdown_it import MarkdownIt

from tests.suite.test_suite_docs import completed
from tests.support.forked import REPOSITORY

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
WITH_SUITES = ("prompts.md", "your-data.md", "pull-requests.md")
REFERENCE = (REPOSITORY / "docs/reference.md").read_text(encoding="utf-8")
OF_OTHERS = {
    "fixture 'prediction' not found",
    "unrecognized arguments: --record",
    "No matching distribution found for evaltape",
}
"""Messages of pytest and pip."""
OF_PYTEST = {
    "--junitxml",
    "--snapshot-update",
    "--collect-only",
    "--import-mode",
    "--lf",
    "--help",
    "--version",
    "--dist",
    "--splits",
    "--group",
}
"""Options of pytest, syrupy, xdist and pytest-split that commands in the documentation use."""
WORDS = """suite model sample prediction metric score judge exam mutant bound decision gate comparison slice recording replay recorder"""


def fences(page: Path, language: str) -> Iterator[str]:
    """The code blocks of a page."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return (token.content for token in tokens if token.type == "fence" and token.info == language)


def test_their_suites_are_suites(tmp_path: Path) -> None:
    file = tmp_path / "talks.toml"
    for name in WITH_SUITES:
        for snippet in fences(REPOSITORY / "docs" / name, "toml"):
            file.write_text(completed(snippet), encoding="utf-8")
            assert load_suite(file).models, snippet


def test_two_prompts_and_two_models_make_the_four_that_the_page_names(tmp_path: Path) -> None:
    first = next(fences(REPOSITORY / "docs/prompts.md", "toml"))
    (tmp_path / "talks.toml").write_text(completed(first))
    assert set(load_suite(tmp_path / "talks.toml").models) == {"small", "small-terse", "large", "large-terse"}


def test_every_option_of_a_command_exists() -> None:
    listed = set(re.findall(r"`(--[a-z-]+)", REFERENCE)) | OF_PYTEST
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        commands = re.findall(r"(?:pytest evals|evaltape (?:init|serve|label|schema))[^`\n|;&]*", text)
        for command in commands:
            options = re.findall(r"(?<![\w-])--[a-z][a-z-]+", command.partition(" #")[0])
            assert [option for option in options if option not in listed] == [], f"{page.name}: {command}"


def test_every_message_of_a_red_run_is_one_of_ours() -> None:
    page = (REPOSITORY / "docs/why-ci-failed.md").read_text(encoding="utf-8")
    messages = {found for row in re.findall(r"^\| ([^|]*) \|", page, re.MULTILINE) for found in re.findall(r"`([^`]+)`", row)}
    assert len(messages) > 20
    ours = "\n".join(texts())
    assert [message for message in messages - OF_OTHERS if message not in ours] == []


def texts() -> Iterator[str]:
    """The texts of the package, and those that its tests find in what a run prints."""
    files = [*(REPOSITORY / "evals/evaltape").rglob("*.py"), *(REPOSITORY / "tests").rglob("test_*.py")]
    yield from (file.read_text(encoding="utf-8") for file in files if file.name != Path(__file__).name)
    yield from (file.read_text() for file in (REPOSITORY / "evals/evaltape/cli/init/templates").glob("*.tmpl"))


def test_the_glossary_has_each_word_once() -> None:
    page = (REPOSITORY / "docs/glossary.md").read_text(encoding="utf-8")
    words = [word for row in re.findall(r"^\| ([a-z ,]+) \|", page, re.MULTILINE) for word in row.split(", ")]
    assert set(WORDS.split()) <= set(words)
    assert len(set(words)) == len(words)


def test_every_page_is_in_the_contents_and_in_the_overview() -> None:
    contents = (REPOSITORY / ".ci/mkdocs.yml").read_text(encoding="utf-8")
    overview = (REPOSITORY / "docs/index.md").read_text(encoding="utf-8")
    pages = {page.name for page in (REPOSITORY / "docs").glob("*.md")}
    assert [page for page in pages if f": {page}\n" not in contents] == []
    assert [page for page in pages - {"index.md"} if f"]({page})" not in overview] == []


def test_every_link_of_a_page_leads_to_one_of_the_site() -> None:
    for page in (REPOSITORY / "docs").glob("*.md"):
        targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
        assert [target for target in targets if ".." in target or not (page.parent / target).is_file()] == [], page.name
