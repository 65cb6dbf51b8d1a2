"""The main process of a session: the hooks that record ahead of the tests, keep what they found out, and write and print it."""

from collections.abc import Generator
from typing import Any

import pytest

from evaltape.hooks.items import selected_samples
from evaltape.options import as_usage_error
from evaltape.reporting import progress, terminal
from evaltape.reporting.html import write_report
from evaltape.reporting.results import write_results
from evaltape.reporting.step_summary import write_step_summary
from evaltape.session import EvalSession


class MainProcess:
    """The hooks."""

    def __init__(self, session: EvalSession) -> None:
        self.session = session
        self._unwritten: list[str] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Record ahead of the tests, and after them wait for what no test waits for."""
        if self.session.runs_samples:
            begin_recording(self.session, session)
        if self.session.recorder is not None:
            with as_usage_error():
                self.session.recorder.listen()
        with progress.shown(session.config, self.session.recorder):
            result = yield
            self.session.finish_recording()
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test found out, here or in a worker."""
        told = getattr(report, "evaltape", None)
        if told is not None:
            self.session.evidence.hear(told, report.passed)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Stop what is still being recorded: the session ended early. Write what files were asked for."""
        progress.announce_wait(session.config, self.session.recorder)
        self.session.finish_recording("the session has ended")
        for write in (write_results, write_report, write_step_summary) if self.session.evidence.predictions else ():
            try:
                write(self.session)
            except OSError as error:
                self._unwritten.append(f"{error.filename2 or error.filename} can't be written: {error.strerror}")
                session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the score table, or what became of a recording that yielded none."""
        if self.session.evidence.predictions or self.session.recorder:
            terminal.print_summary(terminalreporter, self.session)
        for line in self._unwritten:
            terminalreporter.write_line(line, red=True)


def begin_recording(session: EvalSession, collected: pytest.Session) -> None:
    """Let the recorder begin with what the selected sample tests need; with nothing where the collection failed."""
    failed = collected.testsfailed and not collected.config.option.continue_on_collection_errors
    session.begin_recording([] if failed else selected_samples(collected.items))
