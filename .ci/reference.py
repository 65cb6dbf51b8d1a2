"""Writes the reference page from the code: `python .ci/reference.py > docs/reference.md`.

Each section is made of the declarations that the program itself reads: parsers, ini keys, marks, fixtures, the public types and
the tables of the suite file. A test holds the page equal to this.
"""

import argparse
import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import starmap
from types import ModuleType
from typing import Any

import evaltape
import msgspec
import pytest
from evaltape import cli, entry, options, plugin
from evaltape.cli import init, label, schema, serve
from evaltape.samples.sample import Answer, Failure
from evaltape.scoring.bounds import Decision
from evaltape.scoring.paired import Difference
from evaltape.scoring.paired_scores import Pair
from evaltape.scoring.statistics import Interval
from evaltape.suite.definition import Model, Suite
from evaltape.suite.file.kinds import Kind, keys_of
from evaltape.suite.file.values import Table
from evaltape.suite.metric_tables import METRICS, MetricTable, OwnMetric

REACHED = (Model, Answer, Failure, Decision, Interval, Difference, Pair)
"""Types that a test reaches from the public ones."""
PLUMBING = """
as_json at_least corrected_intervals decide decided declared described difference
failed_in_short faults gain ground grounds group has_few_clusters identity is_alike is_let_open is_paired is_two_valued
is_undeployed max_drop mirrored most_tokens outcome pairs_to_settle place prompt_place properties reach
refusal remark required required_difference sd seen side slice_values smallest_decided span standing study suite_key
tested title units untested unusable ways
"""
"""Members that reports and gates use, and tests have no use for."""
COMMANDS: Mapping[str, ModuleType] = {"init": init, "label": label, "schema": schema, "serve": serve}
EXIT_CODES: Mapping[int, str] = {
    pytest.ExitCode.OK: "Every selected test passed, or was skipped as not checked.",
    pytest.ExitCode.TESTS_FAILED: "A sample, a gate, a comparison or another test failed; or a batch is not done.",
    pytest.ExitCode.INTERRUPTED: "Ctrl-C. Answers that arrived are kept.",
    pytest.ExitCode.INTERNAL_ERROR: "An error inside pytest or a plugin.",
    pytest.ExitCode.USAGE_ERROR: "A mistake in a suite, an option, an ini key or a file; the message says what is valid. "
    "Also of `evaltape init`, `label`, `schema` and `serve`.",
    pytest.ExitCode.NO_TESTS_COLLECTED: "No test was selected.",
    6: "pytest's own: more warnings than `--max-warnings` allows.",
    130: "`evaltape serve` was stopped by Ctrl-C.",
}
ENVIRONMENT: Mapping[str, str] = {
    "OPENAI_API_KEY": "The key of models and judges without an `api_key_env`. Only calls read it.",
    "OPENAI_BASE_URL": "The address of models and judges without a `base_url`; OpenAI's own when unset. Only calls read it.",
    "OPENAI_CUSTOM_HEADERS": "Further headers, `NAME: VALUE` a line, for the address above and no other.",
    "OPENAI_ORG_ID": "The organisation, for the address above and no other.",
    "OPENAI_PROJECT_ID": "The project, likewise.",
    "HTTPS_PROXY": "A proxy for calls to other machines; also in lower case.",
    "HTTP_PROXY": "Likewise.",
    "ALL_PROXY": "Likewise.",
    "SSL_CERT_FILE": "Certificates to trust in calls.",
    "SSL_CERT_DIR": "A folder of these.",
    "PYTEST_ADDOPTS": "pytest's own: options that stand before those of the command line.",
    "GITHUB_STEP_SUMMARY": "Set by GitHub Actions: the file that takes the summary of the step.",
    "GITHUB_SERVER_URL": "Set by GitHub Actions: with the two below, the link to the run in a comment.",
    "GITHUB_REPOSITORY": "Likewise.",
    "GITHUB_RUN_ID": "Likewise.",
    "CI": "Set by CI services: progress is printed in lines, not redrawn.",
    "TERM": "`dumb` or unset: the same.",
    "EVALTAPE_LOCAL_KEY": "`evaltape serve`: the key that clients must send, unless `--api-key-env` names another variable.",
    "XDG_CACHE_HOME": "`evaltape serve`: where its state lies unless `--state` names a folder; `~/.cache` when unset.",
}


def page() -> str:
    """Return the page."""
    parts = [HEAD, *_commands(), *_run(), *_tests(), *_types(), *_suite(), RESULTS]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


HEAD = """
# Reference

Every command, option, key, variable, exit code, fixture, mark and type. This page is made from the code
(`python .ci/reference.py > docs/reference.md`).
"""
RESULTS = """
## The results file

`--results PATH` writes JSON; [Reports](reports.md#the-results-file) lists its keys.
"""


# ---------------------------------------------------------------- commands and options


def _commands() -> Iterator[str]:
    yield "## Commands"
    yield _table(("command", "does"), [(f"`evaltape {name}`", _sentence(text)) for name, text in cli.COMMANDS.items()])
    yield "`evaltape --version` prints the version."
    for name, module in COMMANDS.items():
        if hasattr(module, "parser"):
            yield f"### `evaltape {name}`"
            yield _table(("option", "meaning"), _arguments(module.parser()))


def _arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            yield _option(action.option_strings or [str(action.metavar)], action.metavar, action.help, action.choices)


class Declared:
    """Stands in for pytest's parser, and keeps the options that a plugin declares."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def getgroup(self, *_: str) -> "Declared":
        """Return itself: there is one group."""
        return self

    def addoption(self, *names: str, metavar: str | None = None, help: str = "", nargs: str = "", **_: Any) -> None:
        """Keep an option as a row."""
        shown = {"+": f"{metavar}...", "?": f"[{metavar}]"}.get(nargs, metavar)
        self.rows.append(_option(names, shown, help))


def _option(names: Iterable[str], metavar: Any, text: str | None, choices: Iterable[str] | None = None) -> tuple[str, str]:
    words = metavar or (",".join(choices) if choices else "")
    *_, name = names
    return f"`{name} {words}`" if name.startswith("-") and words else f"`{name}`", _sentence(text or "")


def _run() -> Iterator[str]:
    yield "## Options of a run"
    yield "`pytest --help` lists them once a suite is configured. They combine with `-n`, `-k`, `-m`, `-x`, `--lf` of pytest."
    declared = Declared()
    options.add_options(declared)  # type: ignore[arg-type]
    yield _table(("option", "meaning"), declared.rows)
    yield "## Ini keys"
    yield "In the file that pytest reads: `pytest.toml`, `pytest.ini`, `pyproject.toml`, `tox.ini` or `setup.cfg`."
    yield _table(("key", "meaning"), [(f"`{key}`", _sentence(text)) for key, (text, _) in entry.INI_KEYS.items()])
    yield "## Environment variables"
    yield "A replay reads no key and no address."
    yield _table(("variable", "meaning"), [(f"`{name}`", text) for name, text in ENVIRONMENT.items()])
    yield "## Exit codes"
    yield _table(("code", "meaning"), [(f"{int(code)}", text) for code, text in EXIT_CODES.items()])


# ---------------------------------------------------------------- tests


def _tests() -> Iterator[str]:
    yield "## Fixtures"
    yield (
        "Beside `scores`, `slices`, `comparison` or `against`, the parameter `metric` makes a test for each metric "
        "that the suite bounds."
    )
    fixtures = {name: each for name, each in vars(plugin).items() if isinstance(each, FIXTURE)}
    yield _table(("fixture", "gives", "type"), [_fixture(name, each) for name, each in fixtures.items()])
    yield "## Marks"
    yield _table(
        ("mark", "meaning"), [(f"`{name}`", _sentence(text)) for name, text in (m.split(": ", 1) for m in plugin.MARKS)]
    )


FIXTURE = type(plugin.prediction)


def _fixture(name: str, fixture: Any) -> tuple[str, str, str]:
    function = inspect.unwrap(fixture._get_wrapped_function())
    kind = inspect.get_annotations(function)["return"]
    return f"`{name}`", _first(function), f"`{_named(kind)}`"


def _named(kind: Any) -> str:
    text = kind if isinstance(kind, str) else kind.__name__ if isinstance(kind, type) else str(kind)
    for module in ("typing.", "collections.abc.", *(f"{each.__module__}." for each in _public_types())):
        text = text.replace(module, "")
    return f"evaltape.{text}" if text in evaltape.__all__ else text


# ---------------------------------------------------------------- types


def _types() -> Iterator[str]:
    yield "## Public types"
    yield "`import evaltape` brings these names. The types are for annotations; a test gets the objects from fixtures."
    for name in evaltape.__all__:
        it = getattr(evaltape, name)
        yield from _type(f"evaltape.{name}", it) if isinstance(it, type) else _function(name, it)
    yield "### Types that these lead to"
    yield "They are not exported: a test reads them where it meets them."
    for it in REACHED:
        yield from _type(it.__name__, it, "####")


def _public_types() -> list[type]:
    return [it for name in evaltape.__all__ if isinstance(it := getattr(evaltape, name), type)]


def _function(name: str, function: Any) -> Iterator[str]:
    yield f"### `evaltape.{name}`"
    parameters = inspect.signature(function).parameters.values()
    named = [f"{each.name}={each.default!r}" for each in parameters if each.kind == each.KEYWORD_ONLY]
    yield f"`@evaltape.{name}({', '.join(named)})`: {_first(function)}"


def _type(name: str, it: type, level: str = "###") -> Iterator[str]:
    yield f"{level} `{name}`"
    yield _first(it)
    rows = [*_fields(it), *_members(it)]
    if rows:
        yield _table(("name", "meaning"), rows)


def _fields(it: type) -> Iterator[tuple[str, str]]:
    keys = keys_of(it).values() if issubclass(it, Table) else ()
    texts = {key.name: key.about for key in keys} | _field_texts(it)
    fields = msgspec.structs.fields(it) if issubclass(it, msgspec.Struct) else ()
    for field in fields:
        if field.name not in PLUMBING.split():
            yield f"`.{field.name}`", texts.get(field.name, "")


def _field_texts(it: type) -> dict[str, str]:
    """Return the texts that stand under the fields of a class and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(it.__mro__[:-1]):
        if not base.__module__.startswith("evaltape"):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                assert isinstance(field.target, ast.Name)
                found[field.target.id] = _flat(str(text.value.value))
    return found


def _members(it: type) -> Iterator[tuple[str, str]]:
    """Yield the public properties and methods, those of bases among them."""
    for base in reversed(it.__mro__[:-1]):
        for name, member in vars(base).items():
            if name.startswith("_") or name in PLUMBING.split() or not base.__module__.startswith("evaltape"):
                continue
            if inspect.getattr_static(it, name) is not member:
                continue  # A class between overrides it.
            if isinstance(member, property | cached_property):
                yield f"`.{name}`", _first(member.fget if isinstance(member, property) else member.func)
            elif inspect.isfunction(member):
                parameters = [each.name for each in inspect.signature(member).parameters.values()][1:]
                yield f"`.{name}({', '.join(parameters)})`", _first(member)


# ---------------------------------------------------------------- the suite file


def _suite() -> Iterator[str]:
    yield "## The suite file"
    yield "[The suite file](suite.md) shows each table in use. A key without a default may be left out unless it is required."
    tables = key_tables()
    order = list(tables)
    for place, table in sorted(tables.items(), key=lambda each: (order.index(_top(each[0], order)), each[0])):
        yield f"### `[{place}]`"
        yield table
    yield "### Metrics"
    yield metrics_table()
    yield "### Options of metrics"
    yield options_table()


def _top(place: str, places: list[str]) -> str:
    """Return the table that a table stands in: `models.KEY` of `models.KEY.price`."""
    return min((each for each in places if place == each or place.startswith(f"{each}.")), key=len)


def key_tables() -> dict[str, str]:
    """Return a table of keys for each table of the suite file, by the name in its header, as `models.KEY`.

    A table that stands in several places, as a prompt does, is there once.
    """
    head = ("key", "takes", "default", "meaning")
    return {place: _table(head, starmap(_key, keys_of(table).items())) for place, table in declared_tables()}


def declared_tables() -> Iterator[tuple[str, type[Table]]]:
    """Yield the tables of the suite file, each once, with the name in its header."""
    seen: set[type[Table]] = set()
    waiting: list[tuple[str, type[Table]]] = [("", Suite)]
    while waiting:
        place, table = waiting.pop(0)
        if table in seen or issubclass(table, MetricTable):
            continue
        seen.add(table)
        if place:
            yield place, table
        waiting += [found for name, key in keys_of(table).items() for found in _inside(f"{place}.{name}".lstrip("."), key)]


def metrics_table() -> str:
    """Return the table of metrics with their options."""
    tables: list[type[MetricTable]] = list(dict.fromkeys([*METRICS.values(), OwnMetric]))
    named = {table: [name for name, it in METRICS.items() if it is table] or ["NAME"] for table in tables}
    rows = [(_coded(named[it]), _coded(keys_of(it)) or "none", (it.__doc__ or "").split("\n")[0]) for it in tables]
    return _table(("metric", "options", "score"), rows)


def _coded(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def options_table() -> str:
    """Return the table of all options of metrics."""
    tables: list[type[MetricTable]] = [*METRICS.values(), OwnMetric]
    options = {name: key for table in tables for name, key in keys_of(table).items()}
    return _table(("option", "takes", "default", "meaning"), starmap(_key, options.items()))


def _inside(place: str, kind: Kind) -> Iterator[tuple[str, type[Table]]]:
    for member in kind.members:
        if member.table is not None:
            yield place, member.table
        elif member.takes in ("a table", "a list of tables") and member.item.table is not None:
            yield f"{place}.KEY" if member.takes == "a table" else place, member.item.table


def _key(name: str, key: Kind) -> tuple[str, str, str, str]:
    default = "required" if key.required else "" if key.default is None else f"`{json.dumps(key.default)}`"
    return f"`{name}`", key.takes, default, key.about


# ---------------------------------------------------------------- Markdown


def _first(it: Any) -> str:
    """Return the first paragraph of a docstring, in one line, without the verb that functions begin with."""
    text = _flat((inspect.getdoc(it) or "").split("\n\n")[0])
    return _sentence(re.sub(r"^(Return|Yield) ", "", text))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _sentence(text: str) -> str:
    """Return a help text as a sentence. A first word that has capitals inside, as vLLM, stays."""
    first = text[:1] if text[1:2].isupper() else text[:1].upper()
    return f"{first}{text[1:].rstrip('.')}." if text else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" not in text else text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
