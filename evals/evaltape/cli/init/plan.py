"""The plan of a run of `evaltape init`: the files it writes, all planned before any is written, and the suite they serve."""

import importlib.metadata
import json
import os
import shlex
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evaltape.cli.init.data import Guess, Source, guess, read_source
from evaltape.cli.init.place import EVALS, SUITES, Place, relative, with_suites
from evaltape.cli.init.promptfoo import Model, read_config
from evaltape.cli.init.suite_text import DEFAULT_MODEL, imported_rows, imported_suite, model_table, suite_text, toml_key
from evaltape.cli.init.templates import JUDGES, TESTS, template
from evaltape.errors import UserError
from evaltape.files import write_whole
from evaltape.names import shown
from evaltape.reporting.markdown import MARKER

WROTE, CHANGED, KEPT = "wrote", "changed", "kept"


@dataclass(frozen=True)
class Change:
    """A file before and after."""

    path: Path
    """The file, absolute."""
    before: str | None
    """Its text; None if there is no such file."""
    after: str
    """The text it is to have."""
    purpose: str
    """Its purpose, or the lines that are added, in a few words."""
    is_users: bool = False
    """Whether the user has a file of this name with something else in it."""

    @property
    def kind(self) -> str:
        """`wrote`, `changed`, or `kept` for an unchanged file."""
        return WROTE if self.before is None else KEPT if self.before == self.after else CHANGED

    def apply(self) -> None:
        """Write the file if it changed; links are followed, and an existing file keeps its permissions."""
        if self.kind == KEPT:
            return
        target = self.path.resolve()
        try:
            mode = target.stat().st_mode if self.before is not None else None
            write_whole(target, self.after)
            if mode is not None:
                target.chmod(mode & 0o777)
        except OSError as error:
            raise UserError(f"{shown(self.path)}: can't be written: {error.strerror}") from None


def _new_file(path: Path, text: str, purpose: str) -> Change:
    """Return the change that creates a file; an existing file stays unchanged."""
    before = _read(path)
    return Change(path, before, text if before is None else before, purpose, before not in (None, text))


def _with_lines(path: Path, lines: Iterable[str]) -> Change:
    """Return the change that appends the lines that a file doesn't have yet."""
    before = _read(path)
    text = before or ""
    newline = "\r\n" if "\r\n" in text else "\n"
    missing = [line for line in lines if line not in text.splitlines()]
    ended = text + newline if text and not text.endswith("\n") and missing else text
    return Change(path, before, ended + "".join(line + newline for line in missing), ", ".join(missing))


def _read(path: Path) -> str | None:
    """Return a file's text with its own line ends; None if there is no such file.

    Raises `UserError` for anything that isn't a readable text file.
    """
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{shown(path)}: not a readable text file: {error}") from None


SUITE = "example"
ROWS = 24
DATA = {
    "dialogues.jsonl": "24 dialogues with a summary each",
    "careful.jsonl": "the answers of a careful summariser",
    "hasty.jsonl": "the answers of a hasty one",
}
ACCEPTED = {f"{model}.scores": f"the accepted scores of {model}" for model in ("careful", "hasty")}


def _example(place: Place, suite: Path, model: Model | None) -> list[Change]:
    """Return the changes that create the example, with a model to record if it is given."""
    module, metrics = place.metrics_file()
    text = template(f"{SUITE}.toml", metrics=module)
    if model is not None:
        text += f"\n{model_table(model)}"
    return [
        _new_file(suite, text, "the suite: data, prompt, metrics, models, gates"),
        _new_file(metrics, template("example_metrics.py"), "a metric of your own: a function of sample and answer"),
        *(_new_file(place.evals / "data" / SUITE / name, template(name), text) for name, text in DATA.items()),
        *(_new_file(place.snapshots / SUITE / name, template(name), purpose) for name, purpose in ACCEPTED.items()),
    ]


FILE = ".github/workflows/evals.yml"


def _workflow(place: Place) -> Change:
    # pip installs this package again from the commit of a repository if it came from there (PEP 610).
    origin = json.loads(importlib.metadata.distribution("evaltape").read_text("direct_url.json") or "{}")
    vcs = origin.get("vcs_info")
    requirement = f"evaltape @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}" if vcs else "evaltape"
    below = relative(place.here, place.top)
    text = template(
        "evals.yml",
        here="" if below == "." else f"{below}/",
        defaults="" if below == "." else f"\ndefaults:\n  run:\n    working-directory: {below}\n",
        cassettes=relative(place.cassettes, place.top),
        snapshots=relative(place.snapshots, place.top),
        requirement=shlex.quote(requirement),
        marker=MARKER,
    )
    return _new_file(place.top / FILE, text, "replays every pull request; records when you start it by hand")


IGNORED = ("*.part", ".recording.lock")
OUTPUTS = ("report.html", "comment.md", "evals.xml")
"""The files that the workflow lets a run write, in the folder it is typed in."""


@dataclass(frozen=True)
class Plan:
    """The changes, and the facts that messages tell of them."""

    changes: list[Change]
    """In the order in which they are shown."""
    suite: Path | None
    """The suite that this run is about; None if the repository has suites of its own and the run named no other."""
    model: Model | None
    """The model that is called; None for an example without a model."""
    source: Source | None = None
    """The user's own rows."""
    guess: Guess | None = None
    """The likely meaning of their columns."""
    rows: int = ROWS
    """How many rows the suite selects from."""
    is_new: bool = True
    """Whether the suite is written; otherwise it was there already, and may have recordings."""
    left: tuple[str, ...] = ()
    """The parts of another tool's configuration that were not taken over."""


def example_plan(place: Place, model: Model | None) -> Plan:
    """Return the plan for a repository that starts with the example."""
    file, there = place.evals / "suites" / f"{SUITE}.toml", place.suites()
    suite = file if file in there or not there else None  # An example that is there is completed.
    _check_model(place, suite, model)
    is_new = suite is not None and not suite.exists()
    changes = [*_tests(place), *(_example(place, suite, model) if suite else []), *_around(place)]
    return Plan(changes, suite, model, is_new=is_new)


def own_plan(place: Place, data: str, model: Model | None) -> Plan:
    """Return the plan for a repository that starts with the user's own rows."""
    source = read_source(data, place.here)
    guessed = guess(f"--data {data}", source.rows)
    suite = place.evals / "suites" / f"{source.key}.toml"
    try:
        path = relative(source.path, suite.parent) if source.path else source.name
    except ValueError:  # A path on another drive stays absolute.
        path = str(source.path).replace(os.sep, "/")
    text = suite_text(path, source.split, len(source.rows), guessed, model)
    written = _new_file(suite, text, "the suite: your rows, the prompt, the model")
    _check_model(place, suite, model)
    changes = [*_tests(place), written, *_around(place)]
    return Plan(changes, suite, model or DEFAULT_MODEL, source, guessed, len(source.rows), written.kind == WROTE)


def imported_plan(place: Place, config_file: str) -> Plan:
    """Return the plan for a repository that starts with a promptfoo configuration."""
    config = read_config(place.here / config_file)
    name = "promptfoo" if config.file.stem.startswith("promptfoo") else config.file.stem
    module, metrics = place.metrics_file(f"{name.replace('-', '_')}_metrics")
    suite, data = place.evals / "suites" / f"{name}.toml", place.evals / "data" / f"{name}.jsonl"
    changes = [
        *_tests(place),
        _new_file(suite, imported_suite(config, f"../data/{name}.jsonl", module), f"{config.file.name} as a suite"),
        _new_file(data, imported_rows(config), "its tests: a row each, with their assertions"),
    ]
    if any(case.text_checks for case in config.cases):
        changes.append(_new_file(metrics, template("promptfoo_metrics.py"), "its assertions on the text, as a metric"))
    changes += _around(place)
    model = config.models[0] if config.models else DEFAULT_MODEL
    return Plan(changes, suite, model, rows=len(config.cases), left=config.notes)


def _tests(place: Place) -> list[Change]:
    wanted = {**TESTS, **(JUDGES if any(map(_has_judges, place.suites())) else {})}
    return [_new_file(place.evals / name, template(name), purpose) for name, purpose in wanted.items()]


def _has_judges(suite: Path) -> bool:
    try:
        return bool(tomllib.loads(suite.read_text(encoding="utf-8-sig")).get("judges"))
    except (OSError, ValueError):  # A run of pytest tells its fault.
        return False


def _around(place: Place) -> list[Change]:
    """Return the changes beside `evals/`; a value of `eval_suite` that is there already stays."""
    below = relative(place.here, place.root)
    outputs = [f"/{name}" if below == "." else f"/{below}/{name}" for name in OUTPUTS]
    recordings = f"{relative(place.cassettes, place.root)}/** linguist-generated text eol=lf"
    file = place.config or place.root / "pytest.ini"
    before = _read(file)
    after, line = before or "", f"eval_suite = {' '.join(place.patterns)}"
    if not place.patterns:
        after, line = with_suites(file, before, relative(place.here / EVALS / SUITES, place.root))
    return [
        Change(file, before, after, line),
        _with_lines(place.root / ".gitignore", [*IGNORED, *outputs]),
        _with_lines(place.root / ".gitattributes", [recordings]),
        _workflow(place),
    ]


def _check_model(place: Place, suite: Path | None, model: Model | None) -> None:
    """Refuse to add a model to a suite of the user's, unless it has the model already."""
    text = _read(suite) if suite and model else ""
    if model is None or text is None or f"[models.{toml_key(model.key)}]" in text.splitlines():
        return
    raise UserError(
        f"--model {model.name}: {relative(suite or place.suites()[0], place.here)} is yours, so nothing is added to it. "
        f"Name rows in a file of another name with --data FILE for a new suite, or add this to it:\n\n{model_table(model)}"
    )
