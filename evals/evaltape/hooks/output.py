"""Writes the files that a session was asked for: results, report, comment, and the summary of a GitHub Actions step."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from evaltape.files import is_special
from evaltape.reporting.results import Results
from evaltape.settings import Settings

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable in which GitHub Actions names the file of a step's summary."""


def remove_earlier(folder: Path, paths: Iterable[str | None]) -> None:
    """Remove an earlier run's content from the files that this run will write.

    A run that is refused, or looks at nothing, writes nothing; the files of the run before would pass for its own.
    """
    for path in filter(None, paths):
        with contextlib.suppress(OSError, RuntimeError):
            file = folder / path
            if file.is_file() and not is_special(file):
                file.resolve().unlink()


def named_in(words: Sequence[str], options: Iterable[str]) -> Iterator[str]:
    """Yield the values that options have on a command line, before it is parsed."""
    for option in options:
        yield from (word.partition("=")[2] for word in words if word.startswith(f"--{option}="))
        yield from (value for word, value in pairwise(words) if word == f"--{option}")


def write_all(results: Results, settings: Settings) -> Iterator[str]:
    """Write each file; yield a message for each that can't be written. A session that looked at nothing writes nothing."""
    if results.is_empty:
        return
    writes: list[Callable[[], None]] = []
    if settings.results is not None:
        from evaltape.reporting.results_file import write_results

        writes.append(partial(write_results, results, settings.results))
    if settings.report is not None:
        from evaltape.reporting.html import write_report

        writes.append(partial(write_report, results, settings.report))
    if settings.comment is not None:
        from evaltape.reporting.markdown import write_comment

        writes.append(partial(write_comment, results, settings.comment, os.environ))
    for write in writes:
        try:
            write()
        except OSError as error:
            yield _message(error)


def write_step_summary(results: Results) -> str | None:
    """Append the summary of a GitHub Actions step; return a message if it can't be written, which fails no run."""
    path = os.environ.get(STEP_SUMMARY)
    if not path or results.is_empty:
        return None
    from evaltape.reporting.markdown import append_summary

    try:
        append_summary(results, path, os.environ)
    except OSError as error:
        return f"{STEP_SUMMARY}: {_message(error)}"
    return None


def _message(error: OSError) -> str:
    return f"{error.filename2 or error.filename} can't be written: {error.strerror}"
