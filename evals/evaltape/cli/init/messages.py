"""The output of `evaltape init`: the files it wrote, its guesses, notes, and the commands to type next."""

import os
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from evaltape.cli.init.place import Place, relative
from evaltape.cli.init.plan import KEPT, Plan
from evaltape.cli.init.suite_text import DEFAULT_MODEL, SAMPLES, asked
from evaltape.cli.init.templates import TESTS
from evaltape.text import counted, cut, visible, wrapped

WIDTH = 120
_ROW_LINES = 8
"""Lines that a message of the shown row may take."""


def report(place: Place, plan: Plan) -> list[str]:
    """Return the lines to print after the changes were made."""
    lines = [*_written(place, plan)]
    if plan.source and plan.guess and plan.is_new:
        lines += ["", *_guessed(place, plan)]
    if plan.left:
        lines += ["", "Left for you:", *(line for note in plan.left for line in wrapped(f"  {note}", WIDTH, "    "))]
    for note in notes(place, plan.suite):
        lines += ["", *wrapped(f"note: {note}", WIDTH, "      ")]
    commands = list(_commands(place, plan))
    width = max(len(command) for command, _ in commands)
    return [*lines, "", "Next:", *(f"  {command:<{width}}  {purpose}" for command, purpose in commands)]


def _written(place: Place, plan: Plan) -> Iterator[str]:
    """A line for each file that was written or changed, or that stays with content of the user's."""
    names = {change.path: relative(change.path, place.here) for change in plan.changes}
    width = max(map(len, names.values()))
    for change in plan.changes:
        if change.kind != KEPT:
            yield f"{change.kind:<9}{names[change.path]:<{width}}  {cut(change.purpose, WIDTH)}"
        elif change.is_users:
            yield f"{change.kind:<9}{names[change.path]:<{width}}  yours, with other content: not touched"
    kept = [change for change in plan.changes if change.kind == KEPT and not change.is_users]
    if kept:
        nothing = "" if any(change.kind != KEPT for change in plan.changes) else "Nothing to write: "
        yield f"{nothing}{counted(len(kept), 'file')} {'was' if len(kept) == 1 else 'were'} there already"


def _guessed(place: Place, plan: Plan) -> Iterator[str]:
    source, guess = plan.source, plan.guess
    assert source and guess and plan.suite
    split = f", split {source.split}" if source.split else ""
    columns = ", ".join(dict.fromkeys(column for row in source.rows for column in row))
    yield cut(f"{source.name}{split}: {counted(len(source.rows), 'row')} with the columns {columns}. Guessed:", WIDTH)
    yield f"  id         {cut(guess.id or '(none: made from the input)', 80)}"
    yield f"  input      {cut(guess.input or f'the messages in {guess.conversation}', 80)}"
    yield f"  reference  {cut(', '.join(guess.references), 80)}"
    yield f"Correct it in {relative(plan.suite, place.here)}, under [dataset] fields."
    if plan.model is DEFAULT_MODEL:
        yield f"No --model was given: the suite asks {DEFAULT_MODEL.name}. Name yours in it, under [models]."
    yield ""
    yield "The first row, as it will be asked:"
    row = source.rows[0]
    for role, text in [*asked(guess, row), *(("reference", str(row.get(column))) for column in guess.references)]:
        lines = [line for paragraph in text.strip().splitlines() for line in wrapped(paragraph, WIDTH - 15)]
        for number, line in enumerate(lines[:_ROW_LINES]):
            yield f"  {cut(role, 10) if number == 0 else '':<10} {line}".rstrip()
        if len(lines) > _ROW_LINES:
            yield f"  {'':<10} ... and {counted(len(lines) - _ROW_LINES, 'more line')}"


def _commands(place: Place, plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the commands to type next, each with its purpose: those that record the suite, or replay the example."""
    pytest = f"pytest {relative(place.evals, place.here)}"
    if plan.suite and place.suites() != [plan.suite]:
        pytest += f" --suite {shlex.quote(relative(plan.suite, place.here))}"
    if plan.model is None:
        yield pytest, "replays the recorded answers: no key, no network, nothing to pay"
        yield f"{pytest} --report report.html", "the same as a page, every answer beside its reference"
        yield "evaltape init --data FILE --model NAME", "a suite for rows and a model of your own"
        return
    if not plan.model.base_url:
        yield "export OPENAI_API_KEY=...", "your key; it is never written to a file"
    yield f"{pytest} --estimate", "calls nothing: prints the calls, their tokens and their highest cost"
    if plan.is_new:
        asks = f"asks the model about {counted(min(plan.rows, SAMPLES), 'row')}, keeps every answer, accepts the scores"
        yield f"{pytest} --record --snapshot-update", asks
    else:
        yield f"{pytest} --record-missing", "asks only for the rows that have no valid recording; replaces none"
    yield pytest, "replays the same answers offline; set your gates by its scores"


_SKIPPED = {"node_modules", "build", "dist", "site-packages", "__pycache__"}


def notes(place: Place, suite: Path | None) -> Iterator[str]:
    """Yield notes on the configuration, a sentence or two each, about tests and suites it wouldn't find or run together."""
    if suite is not None and suite not in place.suites():
        value = visible(" ".join(place.patterns))
        yield f"eval_suite = {value}: it doesn't name {relative(suite, place.root)}; add it there, or name it with --suite"
    paths, evals = _words(place.options.get("testpaths")), relative(place.evals, place.root)
    covered = any(evals == path.rstrip("/") or evals.startswith(f"{path.rstrip('/')}/") or path == "." for path in paths)
    if paths and not covered:
        yield f"testpaths = {visible(' '.join(paths))}: a bare `pytest` doesn't run {evals}; `pytest {evals}` does"
    for option, names in (("python_files", TESTS), ("python_functions", ("test_gate",))):
        patterns = _words(place.options.get(option))
        # As pytest matches: a function's pattern may be a prefix.
        prefixes = tuple(patterns) if option == "python_functions" else ()
        found = [name.startswith(prefixes) or any(fnmatch(name, pattern) for pattern in patterns) for name in names]
        if patterns and not all(found):
            yield f"{option} = {visible(' '.join(patterns))}: pytest won't collect {next(iter(names))}; add its pattern"
    yield from _same_names(place)


def _same_names(place: Place) -> Iterator[str]:
    """Test files of the same name collide unless their folders are packages or the import mode is importlib."""
    if (place.evals / "__init__.py").is_file() or "importlib" in str(place.options.get("addopts")):
        return
    evals = relative(place.evals, place.here)
    for folder, folders, files in os.walk(place.root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        if "pyvenv.cfg" in files:
            folders.clear()
        elif Path(folder) != place.evals and "__init__.py" not in files:
            for path in (Path(folder) / name for name in TESTS if name in files):
                yield (
                    f"{relative(path, place.here)} has the name of a file in {evals}: to collect both in one run, pytest needs "
                    "--import-mode=importlib, or an __init__.py in one of the two folders"
                )


def _words(value: Any) -> list[str]:
    return value.split() if isinstance(value, str) else [str(word) for word in value or []]
