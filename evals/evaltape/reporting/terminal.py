"""The end of a run in the terminal: per suite the verdict, the score table, and the samples behind its failures.

It is right in 80 columns and without colour. `-q` leaves the tables, `-qq` nothing; `-v` cuts no text and says more.
"""

import shlex
from collections.abc import Iterator

import pytest

from evaltape.reporting.model_results import JobResults, PairResults
from evaltape.reporting.remarks import judge_lines, recording_lines, spent_lines, stopped_lines, worst_samples
from evaltape.reporting.results import Results, SuiteResults
from evaltape.reporting.scoreboard import Group, Line, tables
from evaltape.reporting.tables import aligned, row, shown, widths_of
from evaltape.reporting.verdict import failures_elsewhere, mutation_line, verdict_of
from evaltape.scoring.bounds import FAILED, PASSED
from evaltape.scoring.noise import LEAST_ALIKE_SAMPLES, LEAST_SAMPLES
from evaltape.text import columns, counted, cut, listed, visible, wrapped

COLOURS = {PASSED: {"green": True}, FAILED: {"red": True}}
DOUBT = {"yellow": True}
LEAST_WIDTHS = (9, 8, 18, 13)
"""Of the columns of a table: name, value, interval, bound."""
WIDEST_NAME = 28
NOISE_TITLES, LEAST_NOISE_WIDTHS = ("", "sd of a mean", "smallest drop", "1-in-100 gate"), (9, 14, 14, 14)
SIDES = "<><<"
CASE_INDENT = 14
"""The least, of the texts beneath a sample."""
FEW = 3
"""How many samples are shown behind the first of several failures."""
MOST_FILES = 10
"""How many files a command to remove them names."""


def print_results(reporter: pytest.TerminalReporter, results: Results) -> None:
    """Print the session's findings, as far as the verbosity asks for it."""
    if reporter.verbosity < -1:
        return
    for suite in results:
        if suite.predictions or suite.causes or results.stopped:
            _print_suite(reporter, suite, results)
        if suite.history and reporter.verbosity >= 0:
            from evaltape.reporting.listings import history_lines

            reporter.write_sep("=", f"history: {suite.name}")
            for line in history_lines(suite.history, suite.named_metrics):
                print_wrapped(reporter, line)
    # Also with -q: the money spent, and work that goes on at an API and costs more.
    elsewhere = [part.text for part in failures_elsewhere(results)] if len(results.suites) > 1 else []
    for line in (*elsewhere, *spent_lines(results), *results.notes, *stopped_lines(results)):
        print_wrapped(reporter, line)


def _print_suite(reporter: pytest.TerminalReporter, suite: SuiteResults, results: Results) -> None:
    remarks = list(_remarks(suite, verbose=reporter.verbosity > 0))
    if not (suite.predictions or suite.causes or remarks):
        return
    reporter.write_sep("=", f"scores: {suite.name} ({suite.mode})")
    if suite.predictions:
        verdict = verdict_of(suite, results)
        for line in wrapped(verdict.text, _width(reporter), "  "):
            reporter.write_line(line, bold=True, **COLOURS.get(verdict.state, {}))
    for cause in suite.causes if reporter.verbosity >= 0 else ():
        print_wrapped(reporter, f"{cause.text}{f': {cause.command}' if cause.command else ''}", red=True)
        if cause.cost:
            print_wrapped(reporter, f"  It {cause.cost}")
    for titles, groups in tables(suite, everything=reporter.verbosity > 0) if suite.predictions else ():
        _print_table(reporter, titles, groups)
    if reporter.verbosity < 0:
        return
    for line in remarks:
        print_wrapped(reporter, line)
    _print_worst_samples(reporter, suite)


def _print_table(reporter: pytest.TerminalReporter, titles: tuple[str, str, str, str], groups: list[Group]) -> None:
    widths = widths_of([titles, *(_cells(line) for group in groups for line in group.lines)], LEAST_WIDTHS)
    reporter.write_line(f"{row(titles, widths, SIDES)}  verdict")
    for group in groups:
        facts = ", ".join([*group.facts, *group.alarming])
        for text in wrapped(f"{group.title}: {facts}", _width(reporter), "    "):
            reporter.write_line(text, bold=True, red=bool(group.alarming))
        for line in group.lines:
            _print_row(reporter, row(_cells(line), widths, SIDES), line)
        for line in group.tests:
            width = sum(widths) + 6
            _print_row(reporter, row([cut(line.name, width)], [width], SIDES), line)


def _cells(line: Line) -> tuple[str, str, str, str]:
    return cut(line.name, WIDEST_NAME), line.value, line.interval, line.bound


def _print_row(reporter: pytest.TerminalReporter, text: str, line: Line) -> None:
    if line.verdict is None:
        reporter.write_line(text.rstrip())
        return
    reporter.write(f"{text}  ")
    reporter.write_line(line.verdict, **COLOURS.get(line.verdict, DOUBT))


def _remarks(suite: SuiteResults, verbose: bool) -> Iterator[str]:
    """Yield the remarks beneath the tables, a paragraph each."""
    for key, model in suite.models.items() if verbose else ():
        tokens = f"{model.usage.prompt_tokens:,} + {model.usage.completion_tokens:,} tokens"
        yield f"{key}: served as {model.served}, {tokens}"
        yield from (f"{key} {sample}: failed: {reason}" for sample, reason in model.failures.items())
        for metric, reasons in model.unscored.items():
            yield from (f"{key} {sample}: not scored by {metric}: {reason}" for sample, reason in reasons.items())
    yield from (f"job {key}: {_job(job)}" for key, job in suite.jobs.items())
    yield from _noise(suite)
    yield from judge_lines(suite)
    for pair in suite.comparisons.values():
        yield from _remarks_on(pair)
    if suite.against is not None:
        yield from suite.against.notes
        for pair in suite.against.models.values():
            yield from _remarks_on(pair) if not pair.is_unchanged else ()
    if suite.acceptance:  # The tests' failures show which scores differ.
        keys = [key for key, model in suite.models.items() if model.can_be_accepted]
        models = f"{counted(len(keys), 'model')} with scores that are not accepted: {', '.join(keys)}"
        yield f"{models}. Accept them: {suite.acceptance}"
    yield from filter(None, [mutation_line(suite)])
    yield from suite.retirements
    yield from recording_lines(suite)
    yield from suite.notes
    if suite.orphans:
        named = f"{counted(len(suite.orphans), 'recording')} of no model or sample of the suite: {listed(suite.orphans)}"
        yield f"{named}. They cost nothing where they lie. {_removal(suite.orphans)}"


def _job(results: JobResults) -> str:
    job = results.job
    tokens = "trained tokens not told" if job.trained_tokens is None else counted(job.trained_tokens, "trained token")
    otherwise = f", trained otherwise than asked: {'; '.join(job.differences)}" if job.differences else ""
    return f"{job.id}, {job.status}, {tokens}, {job.tuned_model}{otherwise}"


def _noise(suite: SuiteResults) -> Iterator[str]:
    for key, model in suite.models.items():
        if not model.noise:
            continue
        first = next(iter(model.noise.values()))
        samples = counted(first.samples, "sample") if first.samples == first.of else f"{first.samples} of {first.of} samples"
        yield f"Noise of {key}, from {first.runs} answers to each of {samples}:"
        numbers = {name: (noise.sd, noise.smallest_drop, noise.gate) for name, noise in model.noise.items()}
        rows = [(name, *(shown(each, suite.metrics[name]) for each in of_metric)) for name, of_metric in numbers.items()]
        yield from aligned([NOISE_TITLES, *rows], "<>>>", LEAST_NOISE_WIDTHS)
        if any(noise.gate is None for noise in model.noise.values()):
            least = f"{LEAST_SAMPLES} samples ({LEAST_ALIKE_SAMPLES} if none varies) and half of all"
            yield f"  -: it takes {least} to judge a gate"
        for name, gate in ((name, decided.bound.limit) for name, decided in model.gates.items() if name in model.noise):
            noise = model.noise[name]
            if noise.holds_inside(gate):
                yield (
                    f"Warning: gate {name} = {gate:g} lies inside the noise: a new recording of the unchanged {key} fails it "
                    f"in about {noise.chance_to_fail(gate) or 0.0:.0%} of all cases"
                )


def _remarks_on(pair: PairResults) -> Iterator[str]:
    yield from (f"{pair.named(name)} is {it.verdict}: {it.remark}" for name, it in pair.metrics.items() if it.remark)


def _removal(orphans: tuple[str, ...]) -> str:
    """Return how to remove recordings that nothing needs: by hand it calls nothing."""
    files = [name for name in orphans if not name.endswith(")")]
    if not files or len(files) > MOST_FILES:
        return "Delete them, which calls nothing; --record removes those of the models that it records"
    return f"Remove them, which calls nothing: rm -- {' '.join(map(shlex.quote, files))}"


def _print_worst_samples(reporter: pytest.TerminalReporter, suite: SuiteResults) -> None:
    """Print the samples behind a failure; of several failures, a few samples of the first, and all with -v."""
    found, width, in_full = list(worst_samples(suite)), _width(reporter), reporter.verbosity > 0
    is_short = len(found) > 1 and not in_full
    for worst in found[:1] if is_short else found:
        reporter.write_sep("-", cut(worst.title, width - 4))
        for case in worst.cases[: FEW if is_short else None]:
            reporter.write_line(cut(f"{case.sample}  {case.score}", width), bold=True)
            indent = max([CASE_INDENT, *(len(name) + 4 for name in case.texts)])
            for name, text in case.texts.items():
                line = f"  {name + ':':<{indent - 2}}{visible(text)}"
                for part in wrapped(line, width, " " * indent) if in_full else [cut(line, width)]:
                    reporter.write_line(part)
        if worst.command:
            reporter.write_line(f"Run them again: {worst.command}")
    if is_short:
        print_wrapped(reporter, f"-v shows the samples behind {counted(len(found) - 1, 'more failure')}, too.")


def print_wrapped(reporter: pytest.TerminalReporter, text: str, red: bool = False) -> None:
    """Print a text within the width, but a command behind a colon in a single line, to be copied."""
    before, colon, command = text.rpartition(": pytest ")
    if columns(visible(text)) <= _width(reporter):
        before, colon = text, ""
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    for line in wrapped(f"{before}:" if colon else text, _width(reporter), indent):
        reporter.write_line(line, red=red)
    if colon:
        reporter.write_line(f"{indent}pytest {command}")


def _width(reporter: pytest.TerminalReporter) -> int:
    return max(40, reporter._tw.fullwidth)
