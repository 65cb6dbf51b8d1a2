"""Results in Markdown: the summary of a GitHub Actions step, and a comment on a pull request that is updated in place.

The same renderer makes both: the verdict first, then why, then numbers, samples and money. It fits its limit for any number of
suites and models, leaving out the least important parts; the texts of models and data are shown as texts.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import unified_diff
from pathlib import Path

from msgspec.structs import replace

from evaltape.files import write_output
from evaltape.reporting.remarks import lost_most, recording_lines, spent_lines, standing_line, stopped_lines, worst_samples
from evaltape.reporting.results import Results, SuiteResults
from evaltape.reporting.scoreboard import (
    Group,
    Line,
    against_groups,
    comparison_groups,
    judge_groups,
    model_groups,
    slice_groups,
)
from evaltape.reporting.tables import LONGEST_TEXT, accepted_cells, cells, code, folded, table
from evaltape.reporting.verdict import State, failed_first, failures_elsewhere, mutation_line, open_lines, verdict_of
from evaltape.suite.prompt import PromptChange
from evaltape.text import counted, cut, markdown

MARKER = "<!-- evaltape -->"
"""The first line of a comment, by which the next run finds the comment to update."""
LONGEST_COMMENT = 65_000
"""GitHub refuses a comment of over 65,536 characters; a workflow may add some of its own."""
LONGEST_SUMMARY = 2**20
"""GitHub refuses a longer summary of a step, in bytes."""
MOST_REASONS = 10
MOST_PROMPT_LINES = 20
LOST_MOST = 3
SIGNS: Mapping[str, str] = {"passed": "✅", "failed": "❌"}
DOUBT = "❔"

Environment = Mapping[str, str]
Render = Callable[[SuiteResults], Iterable[str]]


def write_comment(results: Results, path: Path, environment: Environment) -> None:
    """Write the comment. Raises `OSError` if it can't be written."""
    write_output(path, comment(results, environment).encode(errors="backslashreplace").decode())


def append_summary(results: Results, path: str, environment: Environment) -> None:
    """Append the summary to the file of a step. Raises `OSError` if it can't be written."""
    text = summary(results, environment)
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


def comment(results: Results, environment: Environment) -> str:
    """Return the comment: at most as long as GitHub takes, in characters as JavaScript counts them."""
    return _fitting(results, environment, MARKER, LONGEST_COMMENT, lambda it: len(it.encode("utf-16-le", "surrogatepass")) // 2)


def summary(results: Results, environment: Environment) -> str:
    """Return the summary of a step: at most as long as GitHub takes."""
    return _fitting(results, environment, "", LONGEST_SUMMARY, lambda text: len(text.encode(errors="backslashreplace")))


def _fitting(results: Results, environment: Environment, marker: str, longest: int, size: Callable[[str], int]) -> str:
    """Return the fullest page that fits; if even the shortest doesn't, its first lines."""
    suites = failed_first(results)
    several = len(suites) > 1
    top = [*([marker] if marker else []), *(_overall(results, suites) if several else [])]
    made = [[list(_headline(suite, results, several)), *(list(part(suite)) for part in PARTS)] for suite in suites]
    end = [f"\n{markdown(line)}" for line in (*spent_lines(results), *stopped_lines(results))]
    end += [f"\n{link}" for link in _link(environment)]
    for parts in range(len(PARTS), -1, -1):
        lines = [*top, *(line for suite in made for part in suite[: parts + 1] for line in part), *end]
        text = "\n".join([*lines, ""])
        if size(text) <= longest:
            return text
    note = "\nThis is cut to what GitHub takes."
    while lines and size("\n".join([*lines, note, ""])) > longest:
        lines = lines[: len(lines) * 9 // 10]
    return "\n".join([*lines, note, ""])


# ---------------------------------------------------------------- the verdict


def _overall(results: Results, suites: list[SuiteResults]) -> Iterator[str]:
    states = [verdict_of(suite, results).state for suite in suites]
    failed = states.count("failed")
    state: State = "failed" if failed or results.is_red else "passed" if "passed" in states else "open"
    text = f"{failed} of {len(suites)} suites failed" if failed else f"{len(suites)} suites, none failed"
    elsewhere = "".join(f"; {part.text}" for part in failures_elsewhere(results))
    yield f"## {SIGNS.get(state, DOUBT)} {text}{elsewhere}"


def _headline(suite: SuiteResults, results: Results, under_another: bool) -> Iterator[str]:
    verdict = verdict_of(suite, results)
    yield from [""] if under_another else []
    level, sign = "###" if under_another else "##", SIGNS.get(verdict.state, DOUBT)
    yield f"{level} {sign} {markdown(suite.name)}: {markdown(verdict.text)}"
    if verdict.reasons or suite.causes:
        yield ""
    for cause in suite.causes:
        yield f"- {markdown(cause.text, 400)}"
        yield from [code(cause.command, "  ")] if cause.command else []
        yield from [f"  It {markdown(cause.cost, 400)}\n"] if cause.cost else []
    yield from (f"- {markdown(reason.text, 400)}" for reason in verdict.reasons[:MOST_REASONS])
    if len(verdict.reasons) > MOST_REASONS:
        yield f"- and {len(verdict.reasons) - MOST_REASONS:,} more"
    changes = [cause.prompt for cause in suite.causes]
    changes += [model.scores.prompt for model in suite.against.models.values()] if suite.against else []
    for change in dict.fromkeys(change for change in changes if change is not None):  # Each way to change a prompt once.
        yield from folded(f"The prompt of {change.sample}, as recorded and as it is now", _prompt_lines(change))


def _prompt_lines(change: PromptChange) -> Iterator[str]:
    """Yield the lines that differ, each with its neighbours, as a block that is shown as it stands."""
    then, now = (text.split("\n") for text in (change.then, change.now))
    changed = list(unified_diff(then, now, n=1, lineterm=""))[2:]
    yield from (f"    {cut(line, LONGEST_TEXT)}" for line in changed[:MOST_PROMPT_LINES] if not line.startswith("@@"))
    if len(changed) > MOST_PROMPT_LINES:
        yield "    ..."


# ---------------------------------------------------------------- numbers


def _scores(suite: SuiteResults) -> Iterator[str]:
    changes = {group.model: {line.name: line for line in group.lines} for group in against_groups(suite)}
    change = [f"change against {markdown(suite.against.side.ref)}"] if suite.against and changes else []
    rows = []
    for group in model_groups(suite):
        of_model, shown = changes.get(group.model, {}), {line.name for line in group.lines}
        # A metric that scored nothing today may have changed, too.
        lines = [*group.lines, *(Line(name) for name in of_model if name not in shown), *group.tests] or [Line("")]
        for row, line in zip(_rows(replace(group, lines=tuple(lines))), lines, strict=True):
            was = of_model.get(line.name)
            changed = f"{was.value} ({was.interval}) {_verdict(was)}".strip() if was else ""
            rows.append([*row[:4], *([changed] if changes else []), *row[4:]])
    yield from table(("model", "metric", "mean", "95% interval", *change, "gate", "verdict"), rows)


def _pairs(suite: SuiteResults) -> Iterator[str]:
    yield from _table(("comparison", "metric", "change", "interval", "bound", "verdict"), comparison_groups(suite))


def _judges(suite: SuiteResults) -> Iterator[str]:
    groups = (replace(group, lines=group.lines or (Line(""),)) for group in judge_groups(suite))
    yield from _table(("judge", "exam", "share", "95% interval", "bound", "verdict"), groups)
    yield from (f"\n{markdown(line, 1000)}" for judge in suite.judges.values() for line in standing_line(judge))


def _slices(suite: SuiteResults) -> Iterator[str]:
    lines = list(_table(("slices", "slice", "mean", "95% interval", "gate", "verdict"), slice_groups(suite)))
    yield from folded("Slices", lines) if lines else ()


def _table(head: Sequence[str], groups: Iterable[Group]) -> Iterator[str]:
    rows = [row for group in groups for row in _rows(group)]
    yield from table(head, rows) if rows else ()


def _rows(group: Group) -> Iterator[list[str]]:
    """Yield a row a line; the first has the title."""
    title = f"**{markdown(group.title)}**<br>{markdown(', '.join([*group.facts, *group.alarming]))}"
    for line in group.lines:
        yield [title, markdown(line.name), line.value, line.interval, line.bound, _verdict(line)]
        title = ""


def _verdict(line: Line) -> str:
    return "" if line.verdict is None else f"{SIGNS.get(line.verdict, DOUBT)} {line.verdict}"


def _accepted(suite: SuiteResults) -> Iterator[str]:
    """Yield the differences from the accepted scores, model by model."""
    rows = []
    for key, model in suite.models.items():
        for name, pair in model.accepted.changes.items() if model.accepted else ():
            rows.append([*cells([key, name]), *accepted_cells(*pair, suite.metrics.get(name))])
    if rows:
        yield from table(("model", "against the accepted scores", "accepted", "now", "change"), rows)
    if suite.acceptance:
        yield f"\nAccept them:\n{code(suite.acceptance)}"


# ---------------------------------------------------------------- samples and remarks


def _lost(suite: SuiteResults) -> Iterator[str]:
    rows = list(map(cells, lost_most(suite, LOST_MOST)))
    if rows:
        head = ("model", "sample", "score", "reference", "before", "after")
        yield from folded(f"The {counted(len(rows), 'sample')} that lost most", table(head, rows))


def _worst(suite: SuiteResults) -> Iterator[str]:
    for worst in worst_samples(suite):
        names = list(dict.fromkeys(name for case in worst.cases for name in case.texts))
        rows = [cells([case.sample, case.score, *(case.texts.get(name, "") for name in names)]) for case in worst.cases]
        command = [f"\nRun them again:\n{code(worst.command)}"] if worst.command else []
        yield from folded(worst.title, [*table(("sample", "score", *names), rows), *command])


def _remarks(suite: SuiteResults) -> Iterator[str]:
    lines = [line for line in [mutation_line(suite)] if line]
    lines += [*open_lines(suite), *(suite.against.notes if suite.against else ()), *suite.notes]
    lines += [*recording_lines(suite), *suite.retirements]
    yield from (f"\n{markdown(line)}" for line in lines)


PARTS: tuple[Render, ...] = (_scores, _pairs, _judges, _accepted, _remarks, _lost, _slices, _worst)
"""The parts of a suite in their order: the last is left out first if a page gets too long."""


def _link(environment: Environment) -> Iterator[str]:
    """Yield a link to the run, if this is GitHub Actions'."""
    server, repository, run = (environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    known = re.fullmatch(r"https?://[\w.:-]+", server) and re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repository)
    if known and run.isdecimal():
        yield f"[The run with its files]({server}/{repository}/actions/runs/{run})"
