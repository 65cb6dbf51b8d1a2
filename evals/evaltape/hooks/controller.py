"""The controller of a session: its steps, in the order in which they happen, and the hooks that take them.

1. **Open**, when pytest meets the first test of ours: the suites are read; if the session records, the recorder starts,
   which holds the suites' folders from then on, and the samples are frozen; then all is checked.
2. **Record**, once everything is collected: the recorder begins with the calls of the selected tests, and calls the API while
   they run. A test waits for its own call.
3. **Wait**, before the first gate and at the end: no test waits for the repeats of a call, and a gate judges them.
4. **Gates** are run after all sample tests: by pytest, or under xdist by `hooks.xdist.Distribution`.
5. **Report**: the results are collected, written to the files that were asked for, and printed.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from evaltape.evaluation import Evaluation
from evaltape.findings import Unasked
from evaltape.hooks.cases import Case, case_of, is_gate
from evaltape.hooks.collect import collect
from evaltape.hooks.output import write_all, write_step_summary
from evaltape.hooks.reports import finding_in, is_ours
from evaltape.hooks.snapshots import keep
from evaltape.options import as_usage_error
from evaltape.recorder.wire import Selection
from evaltape.reporting import progress, terminal
from evaltape.reporting.results import Results

if TYPE_CHECKING:
    from evaltape.hooks.mutating import Mutating
    from evaltape.recorder.process import RecorderProcess


class Controller:
    """The steps and the hooks of the controller, with its recorder."""

    def __init__(self, evaluation: Evaluation, mutating: "Mutating | None" = None) -> None:
        self.evaluation = evaluation
        self.mutating = mutating
        """With `--mutate`."""
        self.recorder: RecorderProcess | None = None
        self.results: Results | None = None
        """Once the session has ended."""
        self._cases: dict[str, Case] = {}
        """By test id, for reports that carry nothing."""
        self._is_collected = False
        self._has_begun = False
        self._unwritten: list[str] = []
        self._unsummarised: str | None = None

    # ------------------------------------------------------------ the steps

    def open(self) -> None:
        """Open the suites, start the recorder if the session records, and freeze and check the samples.

        Raises `UserError` for anything that is wrong with them.
        """
        self.evaluation.open_suites()
        if self.evaluation.settings.records:
            from evaltape.recorder.process import RecorderProcess

            self.recorder = RecorderProcess(self.evaluation.settings, self.evaluation.outcomes)
            for workspace in self.evaluation.workspaces.values():
                workspace.freeze_samples()
        self.evaluation.check_samples()

    def record(self, collected: pytest.Session) -> None:
        """Let the recorder begin with the calls of the selected tests; with nothing if the collection failed."""
        self._is_collected = True
        self._cases = {item.nodeid: case for item in collected.items if (case := case_of(item)) is not None}
        if self.recorder is None:
            return
        from evaltape.hooks.selection import mutant_selection, selection

        failed = collected.testsfailed and not collected.config.option.continue_on_collection_errors
        wanted: Selection = []
        if not failed and self.mutating:
            wanted = mutant_selection(self.mutating.models, self.evaluation)
        elif not failed:
            wanted = selection(collected.items, self.evaluation)
        self.evaluation.expect(wanted)
        self._has_begun = bool(wanted)
        if not failed:
            self.recorder.begin(wanted)

    def wait(self) -> None:
        """Wait for the recording's end; once stopped, for calls in flight alone."""
        if self.recorder is not None:
            if not self._has_begun:
                self.recorder.stop("nothing is selected")
            self.recorder.join()

    def report(self, is_red: bool) -> None:
        """Collect the results and write the files that were asked for."""
        self.results = collect(self.evaluation, self.recording, is_red)
        self._unwritten = list(write_all(self.results, self.evaluation.settings))
        self._unsummarised = write_step_summary(self.results)

    @property
    def recording(self) -> "RecorderProcess | None":
        """The recorder, if it has something to record."""
        return self.recorder if self._has_begun else None

    # ------------------------------------------------------------ hooks

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Record ahead of the tests, and after them wait for calls that no test waits for."""
        if not self._is_collected:  # Under xdist it is: before the workers start.
            self.record(session)
        if self.recording is not None:
            with as_usage_error():
                self.recording.listen()
        with progress.shown(session.config, self.recording):
            result = yield
            self.wait()
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Let a gate begin when the recording has ended."""
        if is_gate(item):
            self.wait()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a test's findings, here or in a worker; of a test that isn't ours, or of a crashed worker's, the failure."""
        finding = finding_in(report)
        if finding is not None:
            self.evaluation.receive(finding, report.nodeid, report.outcome)
        if finding is not None or not report.failed or is_ours(report):
            return
        case = self._cases.get(report.nodeid)
        key = case.key if case else None
        if key is None or key in self.evaluation.findings.predictions:
            self.evaluation.findings.failures[report.nodeid] = case.suite if case else ""
        else:
            self.evaluation.receive(Unasked(key, f"{report.longrepr}".split(" while running")[0]), report.nodeid, "failed")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Stop the recording: the session ended early. Write the files that were asked for.

        A file that can't be written fails the run. With `--mutate` the table alone may be asked for: no test needs to run.
        """
        try:
            if self.recorder is not None:
                self.recorder.stop("the session has ended")
            progress.announce_wait(session.config, self.recording)
            self.wait()
        except KeyboardInterrupt:  # The second: nothing is waited for, and no recorder outlives its session.
            if self.recorder is not None:
                self.recorder.stop("interrupted twice")
                self.recorder.end()
        for workspace in self.evaluation.workspaces.values() if self.recorder else ():
            workspace.discard_samples()
        is_red = session.exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        self.report(is_red)
        keep(session.config, self.evaluation)
        if self._unwritten and self.results is not None:
            self.results = replace(self.results, is_red=True)
        yield
        if self._unwritten and not is_red:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif self.mutating and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the session's findings, or the end of a recording that yielded nothing."""
        if self.results is not None and not self.evaluation.settings.mutate:
            terminal.print_results(terminalreporter, self.results)
        for line in self._unwritten:
            terminalreporter.write_line(line, red=True)
        if self._unsummarised:
            terminalreporter.write_line(self._unsummarised)
