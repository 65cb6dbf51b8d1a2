"""What `evaltape init` prints: what it wrote, what it guessed, and what to type next."""

import shlex
from collections.abc import Iterator

from evaltape.cli.init.changes import KEPT
from evaltape.cli.init.notes import notes
from evaltape.cli.init.own_suite import SAMPLES, ChosenModel, asked
from evaltape.cli.init.place import Place, relative
from evaltape.cli.init.plan import Plan
from evaltape.text import counted, cut, wrapped

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
    return [*lines, "", "Next:", *_commands(place, plan)]


def _written(place: Place, plan: Plan) -> Iterator[str]:
    """One line a file: what was written or changed, and what stays although it isn't what would have been written."""
    names = {change.path: relative(change.path, place.here) for change in plan.changes}
    width = max(map(len, names.values()))
    for change in plan.changes:
        if change.kind != KEPT:
            yield f"{change.kind:<9}{names[change.path]:<{width}}  {cut(change.purpose, WIDTH)}"
        elif change.is_users:
            yield f"{change.kind:<9}{names[change.path]:<{width}}  yours, with something else in it: not touched"
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
    yield ""
    yield "The first row, as it will be asked:"
    row = source.rows[0]
    for role, text in [*asked(guess, row), *(("reference", str(row.get(column))) for column in guess.references)]:
        lines = [line for paragraph in text.strip().splitlines() for line in wrapped(paragraph, WIDTH - 15)]
        for number, line in enumerate(lines[:_ROW_LINES]):
            yield f"  {cut(role, 10) if number == 0 else '':<10} {line}".rstrip()
        if len(lines) > _ROW_LINES:
            yield f"  {'':<10} ... and {counted(len(lines) - _ROW_LINES, 'more line')}"


def _commands(place: Place, plan: Plan) -> Iterator[str]:
    pytest = f"pytest {relative(place.evals, place.here)}"
    if plan.suite and place.suites() != [plan.suite]:
        pytest += f" --suite {shlex.quote(relative(plan.suite, place.here))}"
    commands = list(_to_record(plan, pytest, plan.model) if plan.model else _to_replay(pytest))
    width = max(len(command) for command, _ in commands)
    yield from (f"  {command:<{width}}  {purpose}" for command, purpose in commands)


def _to_replay(pytest: str) -> Iterator[tuple[str, str]]:
    yield pytest, "replays the recorded answers: no key, no network, nothing to pay"
    yield f"{pytest} --report report.html", "the same as a page, every answer beside its reference"
    yield "evaltape init --data FILE --model NAME", "a suite for rows and a model of your own"


def _to_record(plan: Plan, pytest: str, model: ChosenModel) -> Iterator[tuple[str, str]]:
    """The commands that estimate and record the suite, and replay it from then on."""
    if not model.base_url:
        yield "export OPENAI_API_KEY=...", "your key; it is never written to a file"
    rows = min(plan.rows, SAMPLES)
    yield f"{pytest} --estimate", "calls nothing: how many calls and tokens, and their most cost"
    if plan.is_new:
        yield f"{pytest} --record --snapshot-update", f"asks {counted(rows, 'row')}, keeps every answer, accepts the scores"
    else:
        yield f"{pytest} --record-missing", "asks only for the rows that have no valid recording; replaces none"
    yield pytest, "from then on: the same answers, offline; set gates by the scores that you see"
