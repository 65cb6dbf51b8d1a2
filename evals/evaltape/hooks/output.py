"""Writes the files that a session was asked for: results, report, comment, and the summary of a GitHub Actions step."""

import os
from collections.abc import Callable, Iterator

from evaltape.reporting.results import Results
from evaltape.settings import Settings

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable in which GitHub Actions names the file of a step's summary."""


def write_all(results: Results, settings: Settings) -> Iterator[str]:
    """Write each file; yield a message for each that can't be written. A session that looked at nothing writes none."""
    if results.is_empty:
        return
    for write in (_write_results, _write_report, _write_comment, _write_step_summary):
        yield from _errors_of(write, results, settings)


def _errors_of(write: Callable[[Results, Settings], None], results: Results, settings: Settings) -> Iterator[str]:
    try:
        write(results, settings)
    except OSError as error:
        yield f"{error.filename2 or error.filename} can't be written: {error.strerror}"


def _write_results(results: Results, settings: Settings) -> None:
    if settings.results is not None:
        from evaltape.reporting.results_file import write_results

        write_results(results, settings.results)


def _write_report(results: Results, settings: Settings) -> None:
    if settings.report is not None:
        from evaltape.reporting.html import write_report

        write_report(results, settings.report)


def _write_comment(results: Results, settings: Settings) -> None:
    if settings.comment is not None:
        from evaltape.reporting.markdown import write_comment

        write_comment(results, settings.comment, os.environ)


def _write_step_summary(results: Results, settings: Settings) -> None:
    path = os.environ.get(STEP_SUMMARY)
    if path:
        from evaltape.reporting.markdown import append_summary

        append_summary(results, path, os.environ)
