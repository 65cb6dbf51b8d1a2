"""Every snippet of docs/suite.md is read by the reader and the schema, and links to the keys of every table."""

import json
import re
import runpy
import tomllib
from pathlib import Path

import jsonschema
import pytest
from evaltape.cli.schema import suite_schema
from evaltape.samples.predictions_file import read_predictions
from evaltape.suite.definition import Suite
from evaltape.suite.file.kinds import keys_of
from evaltape.suite.reader import load_suite
from markdown_it import MarkdownIt

TOOL = runpy.run_path(str(Path(__file__).parents[2] / ".ci/reference.py"))
PAGE = Path(__file__).parents[2] / "docs/suite.md"
FENCES = [token for token in MarkdownIt().parse(PAGE.read_text(encoding="utf-8")) if token.type == "fence"]
SNIPPETS = [token.content for token in FENCES if token.info == "toml"]
# What a snippet that shows one table leaves to the others.
REST = {
    "dataset": '[dataset]\npath = "talks.jsonl"\n',
    "prompt": '[prompt]\nuser = "{input}"\n',
    "models": '[models.gpt-4o-mini]\nmodel = "x"\n',
    "finetune": '[finetune.gpt-4o-mini-mine]\nbase = "gpt-4o-mini"\ntrain = { split = "train" }\n',
}


def completed(snippet: str) -> str:
    """The snippet with the tables that a suite needs and it doesn't show."""
    shown = tomllib.loads(snippet)
    rest = [text for table, text in REST.items() if table not in shown]
    if "models" in shown and "gpt-4o-mini" not in shown["models"]:
        rest = [text for text in rest if "base" not in text]
    return "\n".join([snippet, *rest])


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.strip().split("\n")[-1][:30])
def test_a_snippet_is_a_suite(snippet: str, tmp_path: Path) -> None:
    file = tmp_path / "talks.toml"
    file.write_text(completed(snippet), encoding="utf-8")
    suite = load_suite(file)
    assert suite.models
    jsonschema.validate(tomllib.loads(completed(snippet)), suite_schema())


def test_there_are_snippets_of_every_table() -> None:
    shown = {table for snippet in SNIPPETS for table in tomllib.loads(snippet)}
    assert shown == set(keys_of(Suite))


def test_the_tables_of_keys_stand_on_the_reference_page_alone() -> None:
    page, keys = PAGE.read_text(encoding="utf-8"), PAGE.with_name("reference.md").read_text(encoding="utf-8")
    assert [
        table
        for table in [*TOOL["key_tables"]().values(), TOOL["metrics_table"](), TOOL["options_table"]()]
        if table not in keys
    ] == []
    assert re.findall(r"^\|.*", page, re.MULTILINE) == []
    linked = set(re.findall(r"\[`\[([\w.]+)\]`\]\(reference\.md#", page))
    assert linked == set(TOOL["key_tables"]()), "each table of keys is linked from the page that shows it in use"


def test_the_lines_of_predictions_are_read(tmp_path: Path) -> None:
    (fence,) = [token.content for token in FENCES if token.info == "json"]
    (tmp_path / "old.jsonl").write_text(fence)
    file = read_predictions(tmp_path / "old.jsonl")
    assert [line.text for line in file.lines.values()] == ["Ann greets Bob."] * 2
    assert [json.loads(line)["prediction"] for line in fence.splitlines()] == ["Ann greets Bob."] * 2
