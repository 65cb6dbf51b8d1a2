"""The summary of a GitHub Actions step, in Markdown: the score table, what changed, and the samples that hurt most."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaltape.reporting.results import results
from evaltape.reporting.retirement import near_ends
from evaltape.reporting.scoreboard import DECIMALS, FAILED, PASSED, Group, Results, comparison_groups, model_groups
from evaltape.reporting.spend import spend_lines
from evaltape.reporting.verdict import verdict_of
from evaltape.reporting.worst import Worst, worst_samples
from evaltape.text import counted, markdown

if TYPE_CHECKING:
    from evaltape.hooks.suite_run import SuiteRun

VARIABLE = "GITHUB_STEP_SUMMARY"
LONGEST_TEXT = 400
SIGNS = {PASSED: "✅ ", FAILED: "❌ ", "": ""}


def write_step_summary(session: "SuiteRun") -> None:
    """Append the summary to the file that GitHub Actions names, if it names one."""
    path = os.environ.get(VARIABLE)
    if path:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join(_page(session, results(session))) + "\n")


def _page(session: "SuiteRun", found: Results) -> Iterator[str]:
    verdict = verdict_of(found)
    yield f"## {markdown(session.suite.name)}: {markdown(verdict.text)}\n"
    yield from (f"- {markdown(reason)}" for reason in verdict.reasons)
    yield from _scores(session, found)
    yield from _changes(session, found)
    for worst in worst_samples(session, found):
        yield from _worst(worst)
    yield from (f"\n{markdown(line)}" for line in (*spend_lines(session, found), *near_ends(session)))


def _scores(session: "SuiteRun", found: Results) -> Iterator[str]:
    for groups, name, bound in (
        (model_groups(session, found), "model", "gate"),
        (comparison_groups(session, found), "comparison", "bound"),
    ):
        rows = [row for group in groups for row in _rows(group)]
        if rows:
            value, interval = ("mean", "95% interval") if bound == "gate" else ("change", "interval")
            yield from _table((name, "metric", value, interval, bound, "verdict"), rows)


def _rows(group: Group) -> Iterator[Sequence[str]]:
    title = f"**{markdown(group.title)}**<br>{markdown(', '.join([*group.facts, *group.alarming]))}"
    for line in group.lines:
        verdict = f"{SIGNS.get(line.verdict, '❔ ')}{line.verdict}"
        yield title, line.metric, line.shown_value, line.shown_interval, line.shown_bound, verdict
        title = ""
    if not group.lines:
        yield title, "", "", "", "", ""


def _changes(session: "SuiteRun", found: Results) -> Iterator[str]:
    """What differs from the accepted snapshots, model by model."""
    rows: list[Sequence[str]] = []
    remarks = []
    for key, told in found["models"].items():
        accepted = _accepted(session.snapshots / f"{key}.scores")
        if accepted is None:
            remarks.append(f"{key}: no scores are accepted")
        elif accepted.get("samples") != told["samples"]:
            samples = counted(told["samples"], "sample")
            remarks.append(f"{key}: {samples}, the accepted scores are of {accepted.get('samples')}")
        else:
            rows += [(markdown(key), *row) for row in _changed(accepted, told)]
    yield "\n### Against the accepted scores\n"
    yield from _table(("model", "what", "accepted", "now", "change"), rows) if rows else ()
    if not rows and len(remarks) < len(found["models"]):
        yield "Nothing changed."
    yield from (f"\n{markdown(remark)}" for remark in remarks)


def _changed(accepted: dict[str, Any], told: dict[str, Any]) -> Iterator[Sequence[str]]:
    now = {metric: score["mean"] for metric, score in told["scores"].items()}
    now |= {"failed": told["failed"], "truncated": told["truncated"]}
    for name, value in now.items():
        before = accepted.get(name)
        if not isinstance(before, int | float):
            yield name, "none", _number(value), ""
        elif before != value:
            digits = 0 if isinstance(value, int) else DECIMALS
            yield name, _number(before), _number(value), f"{value - before:+.{digits}f}"


def _accepted(path: Path) -> dict[str, Any] | None:
    try:
        accepted = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return accepted if isinstance(accepted, dict) else None


def _worst(worst: Worst) -> Iterator[str]:
    yield f"\n<details><summary>{markdown(worst.title)}</summary>\n"
    names = list(dict.fromkeys(name for case in worst.cases for name in case.texts))
    rows = [(case.sample, case.score, *(case.texts.get(name, "") for name in names)) for case in worst.cases]
    cells = [[markdown(cell, LONGEST_TEXT) for cell in row] for row in rows]
    yield from _table(("sample", "score", *names), cells)
    yield f"\nRun them again:\n\n    {worst.command}\n\n</details>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"\n| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.{DECIMALS}f}"
