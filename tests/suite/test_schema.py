"""The JSON Schema of suite files: it takes what the reader takes, and refuses what can be refused without the data."""

import json
import runpy
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from evaltape.cli.schema import suite_schema
from evaltape.suite.file.kinds import keys_of
from evaltape.suite.metric_tables import METRICS, OwnMetric

from tests.suite.test_bad_suites import ERRORS, GOOD
from tests.suite.test_suites import WHOLE
from tests.support.commands import evaltape

TOOL = runpy.run_path(str(Path(__file__).parents[2] / ".ci/reference.py"))
SUITES = Path(__file__).parents[2] / "evals/suites"
DRAFTS = [jsonschema.Draft4Validator, jsonschema.Draft6Validator, jsonschema.Draft7Validator]
BEYOND_A_SCHEMA = {
    # What only the reader can refuse: it depends on other keys, on a text's meaning, or on names that the user chose.
    "no prompt", "prompt without input", "prompt with a lone brace", "prompt with an expression", "messages that end wrong",
    "messages without input", "a mistyped name in a prompt", "own prompt without input", "request with a date", "request with no number",
    "a metric by a name in results", "a metric by no test id", "metrics that differ by case", "gate without end",
    "gate on another metric", "gate on a mistyped metric", "slice gate on a mistyped metric", "slice gate without slices",
    "address without scheme", "address with a bad port", "address with a password", "address with a query",
    "address with a fragment", "a key for a variable", "model key with a slash", "model key that climbs",
    "model key that starts at the root", "model key that is empty", "model key that is a device", "model key with an escape",
    "two models, one folder", "model and job of one name", "model called as the samples", "unknown base",
    "base without a model", "unknown candidate", "compared with itself", "an empty bound", "two bounds",
    "against an unknown metric", "not TOML", "a metric called unscored", "no epochs", "half an epoch", "unknown hyperparameter",
    "unknown service", "service that takes a class", "answers of a mistyped model", "answers of itself", "a prompt by no folder", "a further prompt without input", "a model by the name of another with a prompt",
    "a job by the name of a model with a prompt", "a base with a prompt that isn't there", "a default address without scheme",
    "a default key for a variable", "a default gate on no metric", "an answer by no expression",
}  # fmt: skip


@cache
def validator(draft: Any) -> Any:
    return draft(suite_schema())


def errors(text: str) -> list[str]:
    """What the schema has against a suite; the same by every draft."""
    suite = tomllib.loads(text)
    found = {draft: [error.message for error in validator(draft).iter_errors(suite)] for draft in DRAFTS}
    counts = {len(messages) for messages in found.values()}
    assert len(counts) == 1, found
    return found[DRAFTS[-1]]


@pytest.mark.parametrize("draft", DRAFTS)
def test_it_is_a_schema_by_every_draft_that_editors_read(draft: Any) -> None:
    draft.check_schema(suite_schema())


@pytest.mark.parametrize("suite", sorted(SUITES.glob("*.toml")), ids=lambda path: path.name)
def test_the_shipped_suites_are_valid_and_name_it(suite: Path) -> None:
    text = suite.read_text(encoding="utf-8")
    assert errors(text) == []
    directive = text.split("\n")[0]
    assert directive.startswith("#:schema ")
    assert json.loads((suite.parent / directive.removeprefix("#:schema ")).read_text()) == suite_schema()


@pytest.mark.parametrize("text", [GOOD, WHOLE], ids=["good", "whole"])
def test_suites_that_the_reader_takes_are_valid(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize("name", [name for name in ERRORS if name not in BEYOND_A_SCHEMA])
def test_suites_that_the_reader_refuses_are_not(name: str) -> None:
    old, new, _ = ERRORS[name]
    assert errors(GOOD.replace(old, new, 1))


@pytest.mark.parametrize("name", sorted(BEYOND_A_SCHEMA - {"not TOML", "request with a date", "model called as the samples"}))
def test_what_is_beyond_a_schema_really_is(name: str) -> None:
    old, new, _ = ERRORS[name]
    assert errors(GOOD.replace(old, new, 1)) == []


def test_every_key_says_what_it_is_for() -> None:
    tables = [*TOOL["declared_tables"](), *METRICS.items(), ("NAME", OwnMetric)]
    assert len(tables) > 30
    assert [(place, name) for place, table in tables for name, key in keys_of(table).items() if not key.about] == []


def test_the_command_prints_it(tmp_path: Path) -> None:
    done = evaltape(tmp_path, "schema")
    assert json.loads(done.output) == suite_schema()
    assert done.output == (SUITES / "suite.schema.json").read_text(encoding="utf-8")
    refused = evaltape(tmp_path, "schema", "--foo")
    assert (refused.exit_code, refused.output) == (4, "")
    assert refused.errors.splitlines()[-1] == "evaltape schema: unrecognized arguments: --foo"


def test_the_command_imports_nothing_slow() -> None:
    code = "import sys; from evaltape.cli import main; main(['schema']); print([m for m in ('pytest', 'numpy', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
