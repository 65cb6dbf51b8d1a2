"""The controller of a session: the hooks that record ahead of the tests, keep what they found out, and write and print it."""

from collections.abc import Generator
from typing import Any

import pytest

from evaltape.hooks.selection import selection
from evaltape.hooks.suite_run import SuiteRun
from evaltape.options import as_usage_error
from evaltape.recorder.outcomes import Selection
from evaltape.recorder.process import RecorderProcess
from evaltape.reporting import progress, terminal
from evaltape.reporting.html import write_report
from evaltape.reporting.results import write_results
from evaltape.reporting.step_summary import write_step_summary
from evaltape.session import Session


class Controller:
    """The hooks, and the recorder if there is one."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.recorder: RecorderProcess | None = None
        self._has_begun = False
        self._unwritten: list[str] = []
        session.before_freezing = self.start_recorder
        session.before_gates = self.finish_recording

    # ------------------------------------------------------------ recording

    def start_recorder(self) -> None:
        """Start the recorder, which holds the suites' folders from then on. Raises `UserError` if it can't."""
        if self.recorder is None:
            self.recorder = RecorderProcess(self.session.settings, self.session.outcomes)

    def begin_recording(self, collected: pytest.Session) -> None:
        """Let the recorder begin with what the selected tests need; with nothing if the collection failed."""
        if self.recorder is None:
            return
        failed = collected.testsfailed and not collected.config.option.continue_on_collection_errors
        wanted: Selection = [] if failed else selection(collected.items, self.session)
        self.session.expect(wanted)
        self._has_begun = bool(wanted)
        if wanted:
            self.recorder.begin(wanted)

    def finish_recording(self, reason: str | None = None) -> None:
        """Wait for the recording's end, or, given a `reason`, stop it first: only calls in flight are waited for."""
        if self.recorder is not None:
            if reason or not self._has_begun:
                self.recorder.stop(reason or "nothing is selected")
            self.recorder.join()

    @property
    def recording(self) -> RecorderProcess | None:
        """The recorder, if it has something to record."""
        return self.recorder if self._has_begun else None

    # ------------------------------------------------------------ hooks

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Record ahead of the tests, and after them wait for what no test waits for."""
        if not self._has_begun:
            self.begin_recording(session)
        if self.recording is not None:
            with as_usage_error():
                self.recording.listen()
        with progress.shown(session.config, self.recording):
            result = yield
            self.finish_recording()
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test found out, here or in a worker."""
        finding = getattr(report, "evaltape", None)
        if finding:
            self.session.findings.receive(finding, report.nodeid, report.outcome)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Stop what is still being recorded: the session ended early. Write the files that were asked for."""
        progress.announce_wait(session.config, self.recording)
        self.finish_recording("the session has ended")
        for run in self._runs():
            for write in (write_results, write_report, write_step_summary) if run.evidence.predictions else ():
                try:
                    write(run)
                except OSError as error:
                    self._unwritten.append(f"{error.filename2 or error.filename} can't be written: {error.strerror}")
                    session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the score table, or what became of a recording that yielded none."""
        for run in self._runs() if not self.session.settings.mutate else ():
            if run.evidence.predictions or self.recording:
                terminal.print_summary(terminalreporter, run)
        for line in self._unwritten:
            terminalreporter.write_line(line, red=True)

    def _runs(self) -> list[SuiteRun]:
        if not self.session.findings.predictions and self.recording is None:
            return []
        return [SuiteRun(self.session, workspace, self.recording) for workspace in self.session.workspaces.values()]
