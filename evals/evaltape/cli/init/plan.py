"""What one run of `evaltape init` will write, and what it tells the user to do next."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from evaltape.cli.init import config_files
from evaltape.cli.init.changes import WROTE, Change, new_file, read, with_lines
from evaltape.cli.init.data import Guess, guess
from evaltape.cli.init.example import ROWS as EXAMPLE_ROWS
from evaltape.cli.init.example import example, is_wanted, suite_file
from evaltape.cli.init.imported import imported, suite_name
from evaltape.cli.init.own_suite import DEFAULT_MODEL, ChosenModel, model_table, suite_text
from evaltape.cli.init.place import EVALS, SUITES, Place, relative
from evaltape.cli.init.promptfoo import read_config
from evaltape.cli.init.rows import Source, read_source
from evaltape.cli.init.templates import JUDGES, TESTS, template
from evaltape.cli.init.workflow import workflow
from evaltape.errors import UserError

IGNORED = ("*.part", ".recording.lock")
OUTPUTS = ("report.html", "comment.md", "evals.xml")
"""The files that the workflow lets a run write, in the folder it is typed in."""


@dataclass(frozen=True)
class Plan:
    """What is written, and what is said of it."""

    changes: list[Change]
    """In the order in which they are shown."""
    suite: Path | None
    """The suite that this run is about; None if the repository has suites of its own and none was asked for."""
    model: ChosenModel | None
    """The model that is called; None for an example without one."""
    source: Source | None = None
    """The user's own rows."""
    guess: Guess | None = None
    """What their columns are taken for."""
    rows: int = EXAMPLE_ROWS
    """How many rows the suite selects from."""
    is_new: bool = True
    """Whether the suite is written; otherwise it was there already, and may have recordings."""
    left: tuple[str, ...] = ()
    """The parts of another tool's configuration that were not taken over."""


def example_plan(place: Place, model: ChosenModel | None) -> Plan:
    """Return the plan for a repository that starts with the example."""
    wanted = is_wanted(place)
    suite = suite_file(place) if wanted else None
    if model is not None and not _takes(suite, model):
        raise UserError(_by_hand(place, model, suite if suite and suite.is_file() else place.suites()[0]))
    is_new = suite is not None and not suite.exists()
    changes = [*_tests(place), *(example(place, model) if wanted else []), *_around(place)]
    return Plan(changes, suite, model, is_new=is_new)


def own_plan(place: Place, data: str, model: ChosenModel | None) -> Plan:
    """Return the plan for a repository that starts with the user's own rows."""
    source = read_source(data, place.here)
    guessed = guess(f"--data {data}", source.rows)
    suite = place.evals / "suites" / f"{source.key}.toml"
    path = _as_spelt(source.path, suite.parent) if source.path else source.name
    text = suite_text(path, source.split, len(source.rows), guessed, model)
    written = new_file(suite, text, "the suite: your rows, the prompt, the model")
    if model is not None and not _takes(suite, model):
        raise UserError(_by_hand(place, model, suite))
    changes = [*_tests(place), written, *_around(place)]
    is_new = written.kind == WROTE
    return Plan(changes, suite, model or ChosenModel(DEFAULT_MODEL), source, guessed, len(source.rows), is_new)


def imported_plan(place: Place, config_file: str) -> Plan:
    """Return the plan for a repository that starts with a promptfoo configuration."""
    config = read_config(place.here / config_file)
    name = suite_name(config.file)
    module, metrics = place.metrics_file(f"{name.replace('-', '_')}_metrics")
    found = imported(config, f"../data/{name}.jsonl", module)
    suite = place.evals / "suites" / f"{name}.toml"
    changes = [
        *_tests(place),
        new_file(suite, found.suite, f"{config.file.name} as a suite"),
        new_file(place.evals / "data" / f"{name}.jsonl", found.rows, "its tests: a row each, with their assertions"),
        *([new_file(metrics, found.metrics, "its assertions on the text, as a metric")] if found.metrics else []),
        *_around(place),
    ]
    first = config.providers[0] if config.providers else None
    model = ChosenModel(first.model, first.base_url) if first else ChosenModel(DEFAULT_MODEL)
    return Plan(changes, suite, model, rows=found.count, left=found.notes)


def _tests(place: Place) -> list[Change]:
    wanted = {**TESTS, **(JUDGES if any(map(_has_judges, place.suites())) else {})}
    return [new_file(place.evals / name, template(name), purpose) for name, purpose in wanted.items()]


def _has_judges(suite: Path) -> bool:
    try:
        return bool(tomllib.loads(suite.read_text(encoding="utf-8-sig")).get("judges"))
    except (OSError, ValueError):  # A run of pytest says what is wrong with it.
        return False


def _around(place: Place) -> list[Change]:
    below = relative(place.here, place.root)
    outputs = [f"/{name}" if below == "." else f"/{below}/{name}" for name in OUTPUTS]
    recordings = f"{relative(place.cassettes, place.root)}/** linguist-generated text eol=lf"
    return [
        _configuration(place),
        with_lines(place.root / ".gitignore", [*IGNORED, *outputs]),
        with_lines(place.root / ".gitattributes", [recordings]),
        workflow(place),
    ]


def _configuration(place: Place) -> Change:
    """Return the change that sets `eval_suite` in pytest's configfile; a value that is there already stays."""
    file = place.config or place.root / "pytest.ini"
    before = read(file)
    if place.patterns:
        return Change(file, before, before or "", f"eval_suite = {' '.join(place.patterns)}")
    after, line = config_files.with_suites(file, before, relative(place.here / EVALS / SUITES, place.root))
    return Change(file, before, after, line)


def _as_spelt(path: Path, folder: Path) -> str:
    """Return a path relative to the suite; one on another drive stays absolute."""
    try:
        return relative(path, folder)
    except ValueError:
        return str(path).replace(os.sep, "/")


def _takes(suite: Path | None, model: ChosenModel) -> bool:
    """Return whether a suite is still to be written, or has the model already."""
    text = read(suite) if suite else ""
    return text is None or f"[models.{model.toml_key}]" in text.splitlines()


def _by_hand(place: Place, model: ChosenModel, suite: Path) -> str:
    return (
        f"--model {model.name}: {relative(suite, place.here)} is yours, so nothing is added to it. "
        f"Name rows in a file of another name with --data FILE for a new suite, or add this to it:\n\n{model_table(model)}"
    )
