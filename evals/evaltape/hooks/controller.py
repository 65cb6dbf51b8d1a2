"""The controller of a session: the hooks that record ahead of the tests, keep what they found out, and write and print it."""

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evaltape.hooks.collect import collect
from evaltape.hooks.findings import finding_in, is_ours
from evaltape.hooks.output import write_all
from evaltape.options import as_usage_error
from evaltape.recorder.outcomes import Selection
from evaltape.reporting import progress, terminal
from evaltape.reporting.results import Results
from evaltape.session import Session

if TYPE_CHECKING:
    from evaltape.recorder.process import RecorderProcess


class Controller:
    """The hooks, and the recorder if there is one."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.recorder: RecorderProcess | None = None
        self._has_begun = False
        self._unwritten: list[str] = []
        self.results: Results | None = None
        """What the session found out, once it has ended."""
        session.before_freezing = self.start_recorder
        session.before_gates = self.finish_recording

    # ------------------------------------------------------------ recording

    def start_recorder(self) -> None:
        """Start the recorder, which holds the suites' folders from then on. Raises `UserError` if it can't."""
        if self.recorder is None:
            from evaltape.recorder.process import RecorderProcess

            self.recorder = RecorderProcess(self.session.settings, self.session.outcomes)

    def begin_recording(self, collected: pytest.Session) -> None:
        """Let the recorder begin with what the selected tests need; with nothing if the collection failed."""
        if self.recorder is None:
            return
        from evaltape.hooks.selection import selection

        failed = collected.testsfailed and not collected.config.option.continue_on_collection_errors
        wanted: Selection = [] if failed else selection(collected.items, self.session)
        self.session.expect(wanted)
        self._has_begun = bool(wanted)
        if wanted:
            self.recorder.begin(wanted)
        elif not failed:
            self.recorder.settle()

    def finish_recording(self, reason: str | None = None) -> None:
        """Wait for the recording's end, or, given a `reason`, stop it first: only calls in flight are waited for."""
        if self.recorder is not None:
            if reason or not self._has_begun:
                self.recorder.stop(reason or "nothing is selected")
            self.recorder.join()

    def end_recording(self) -> None:
        """End the recording at once: no recorder outlives its session, holding the folders and making calls."""
        if self.recorder is not None:
            self.recorder.stop("interrupted twice")
            self.recorder.end()

    @property
    def recording(self) -> "RecorderProcess | None":
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
        finding = finding_in(report)
        if finding is not None:
            self.session.receive(finding, report.nodeid, report.outcome)
        elif report.failed and not is_ours(report):
            self.session.findings.failures[report.nodeid] = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Stop what is still being recorded: the session ended early. Write the files that were asked for."""
        try:
            progress.announce_wait(session.config, self.recording)
            self.finish_recording("the session has ended")
        except KeyboardInterrupt:  # A second one: nothing is waited for any more.
            self.end_recording()
        is_red = session.exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        self.results = collect(self.session, self.recording, is_red)
        self._unwritten = list(write_all(self.results, self.session.settings))
        if self._unwritten:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
            self.results = replace(self.results, is_red=True)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print what the session found out, or what became of a recording that yielded nothing."""
        if self.results is not None and not self.session.settings.mutate:
            terminal.print_results(terminalreporter, self.results)
        for line in self._unwritten:
            terminalreporter.write_line(line, red=True)
