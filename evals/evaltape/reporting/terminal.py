"""What the terminal shows at the end of a run: the score table, and for what doesn't hold the samples behind it.

It is right in 80 columns and without colour. `-q` leaves the table, `-qq` nothing; `-v` cuts no text and tells more.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from evaltape.names import shown
from evaltape.reporting.against import against_groups, against_notes
from evaltape.reporting.results import results
from evaltape.reporting.retirement import near_ends
from evaltape.reporting.scoreboard import DECIMALS, FAILED, PASSED, Group, Line, Results, comparison_groups, model_groups
from evaltape.reporting.spend import left_lines, spend_lines
from evaltape.reporting.worst import Case, Worst, worst_samples
from evaltape.scoring.noise import LEAST_ALIKE_SAMPLES, LEAST_SAMPLES
from evaltape.text import counted, cut, visible, wrapped

if TYPE_CHECKING:
    from evaltape.hooks.suite_run import SuiteRun

COLUMNS = "  {:<9}  {:>8}  {:<18}  {:<13}  "
NOISE_COLUMNS = "  {:<9}  {:>14}  {:>14}  {:>14}"
COLOURS = {PASSED: {"green": True}, FAILED: {"red": True}, "": {}}
DOUBT = {"yellow": True}


def print_summary(reporter: pytest.TerminalReporter, session: "SuiteRun") -> None:
    """Print what the session found out, as far as the verbosity asks for it."""
    if reporter.verbosity < -1:
        return
    found = results(session)
    reporter.write_sep("=", f"scores: {session.suite.name} ({session.settings.mode})")
    _print_table(reporter, session, found)
    _print_against(reporter, session)
    if reporter.verbosity < 0:
        return
    for line in _remarks(session, found, verbose=reporter.verbosity > 0):
        print_wrapped(reporter, line)
    for worst in worst_samples(session, found):
        _print_worst(reporter, worst)


# ---------------------------------------------------------------- the table


def _print_table(reporter: pytest.TerminalReporter, session: "SuiteRun", found: Results) -> None:
    models, comparisons = list(model_groups(session, found)), list(comparison_groups(session, found))
    if models:
        reporter.write_line(COLUMNS.format("", "mean", "95% interval", "gate") + "verdict")
    for group in models:
        _print_group(reporter, group)
    if comparisons:
        reporter.write_line(COLUMNS.format("", "change", "interval", "bound") + "verdict")
    for group in comparisons:
        _print_group(reporter, group)


def _print_group(reporter: pytest.TerminalReporter, group: Group) -> None:
    facts = ", ".join([*group.facts, *group.alarming])
    for line in wrapped(f"{group.title}: {facts}", _width(reporter), "    "):
        reporter.write_line(line, bold=True, red=bool(group.alarming))
    for one in group.lines:
        _print_line(reporter, one)


def _print_line(reporter: pytest.TerminalReporter, line: Line) -> None:
    text = COLUMNS.format(line.metric, line.shown_value, line.shown_interval, line.shown_bound)
    reporter.write(text if line.verdict else text.rstrip())
    reporter.write_line(line.verdict, **COLOURS.get(line.verdict, DOUBT))


def _print_against(reporter: pytest.TerminalReporter, session: "SuiteRun") -> None:
    groups = list(against_groups(session.against, session.evidence.against))
    if groups:
        side = next(iter(session.against.values())).side
        reporter.write_line(COLUMNS.format("", "change", "90% interval", "bound") + "verdict")
        reporter.write_line(cut(f"against {side.title}", _width(reporter)), bold=True)
    for group in groups:
        _print_group(reporter, group)
    for note in against_notes(session.against) if reporter.verbosity >= 0 else ():
        print_wrapped(reporter, note)


# ---------------------------------------------------------------- remarks


def _remarks(session: "SuiteRun", found: Results, verbose: bool) -> Iterator[str]:
    """What is said beneath the table, a paragraph each."""
    yield from _more(found) if verbose else ()
    yield from (f"job {key}: {_job(job)}" for key, job in found["jobs"].items())
    yield from _noise(found)
    yield from near_ends(session)
    yield from spend_lines(session, found)
    yield from session.notes
    yield from _orphans(session)
    if session.recorder is not None:
        yield from session.recorder.tally.notes
    yield from left_lines(session)


def _orphans(session: "SuiteRun") -> Iterator[str]:
    paths = session.recordings.orphans(session.samples)
    if paths:
        named = ", ".join(shown(path) for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
        yield (
            f"{counted(len(paths), 'recording')} of no model or sample of the suite: {named}. "
            "--record removes those of the models that it records"
        )


def _more(found: Results) -> Iterator[str]:
    for key, told in found["models"].items():
        usage = told["usage"]
        yield f"{key}: served as {told['served']}, {usage['prompt_tokens']:,} + {usage['completion_tokens']:,} tokens"
        yield from (f"{key} {sample}: failed: {reason}" for sample, reason in told["failures"].items())


def _job(job: dict[str, Any]) -> str:
    return f"{job['id']}, {job['status']}, {counted(job['trained_tokens'], 'trained token')}, {job['tuned_model']}"


def _noise(found: Results) -> Iterator[str]:
    for key, metrics in found["noise"].items():
        first = next(iter(metrics.values()))
        samples, of = first["samples"], first["of"]
        share = counted(samples, "sample") if samples == of else f"{samples} of {counted(of, 'sample')}"
        yield f"Noise of {key}, from {first['runs']} answers to each of {share}:"
        yield NOISE_COLUMNS.format("", "sd of a mean", "smallest drop", "1-in-100 gate")
        for metric, told in metrics.items():
            yield NOISE_COLUMNS.format(metric, *map(_number, (told["sd"], told["smallest_drop"], told["gate_1_in_100"])))
        if any(told["gate_1_in_100"] is None for told in metrics.values()):
            least = f"{LEAST_SAMPLES} samples ({LEAST_ALIKE_SAMPLES} if none varies) and half of all"
            yield f"  -: it takes {least} to judge a gate"
        for metric, told in metrics.items():
            if told.get("gate_inside_noise"):
                gate = found["models"][key]["gates"][metric]["threshold"]
                yield (
                    f"Warning: gate {metric} = {gate:g} lies inside the noise: a new recording of the unchanged {key} "
                    f"fails it in about {told['chance_to_fail_gate']:.0%} of all cases"
                )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.{DECIMALS}f}"


# ---------------------------------------------------------------- what hurt most


def _print_worst(reporter: pytest.TerminalReporter, worst: Worst) -> None:
    reporter.write_sep("-", cut(worst.title, _width(reporter) - 4))
    for case in worst.cases:
        reporter.write_line(cut(f"{case.sample}  {case.score}", _width(reporter)), bold=True)
        for line in _texts(case, _width(reporter), uncut=reporter.verbosity > 0):
            reporter.write_line(line)
    reporter.write_line(f"Run them again: {worst.command}")


def _texts(case: Case, width: int, uncut: bool) -> Iterable[str]:
    for name, text in case.texts.items():
        line = f"  {name + ':':<12}{visible(text)}"
        yield from wrapped(line, width, " " * 14) if uncut else [cut(line, width)]


def print_wrapped(reporter: pytest.TerminalReporter, text: str) -> None:
    """Print a line within the width, except for what is to be copied in one piece: a command behind a colon."""
    before, colon, command = text.rpartition(": pytest ")
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    for line in wrapped(f"{before}:" if colon else text, _width(reporter), indent):
        reporter.write_line(line)
    if colon:
        reporter.write_line(f"{indent}pytest {command}")


def _width(reporter: pytest.TerminalReporter) -> int:
    return max(40, reporter._tw.fullwidth)
