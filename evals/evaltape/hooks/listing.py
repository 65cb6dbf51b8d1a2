"""`--estimate`, `--retiring`, `--suggest`, `--history` and `--requests-to`: sessions that print a list, and run no test."""

from collections.abc import Iterable
from typing import Any

import pytest

from evaltape.errors import UserError
from evaltape.evaluation import Evaluation, Selected
from evaltape.hooks.retirement import retirements
from evaltape.hooks.selection import mutant_models, selected_calls, selected_models, selection
from evaltape.names import shown
from evaltape.options import as_usage_error
from evaltape.recorder.api.shutdown_dates import ask_all
from evaltape.reporting.estimate import estimate
from evaltape.reporting.retirement import retirement_lines
from evaltape.reporting.terminal import print_wrapped
from evaltape.workspace import Workspace

ANSWERS = (
    "Let an engine answer them, then give this command again with --answers-from and the engine's output files, in place of "
    "--requests-to: docs/scale.md"
)


def start_no_workers(config: pytest.Config) -> None:
    """Let xdist start no worker, whatever asks for some."""
    option: Any = config.option
    option.numprocesses, option.distload, option.dist, option.tx = None, False, "no", []


class Listing:
    """The hooks of such a session, in place of the hooks that record, run gates and report."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation

    def open(self) -> None:
        """Open the suites; check the samples if the session collects tests. Raises `UserError`."""
        self.evaluation.open_suites()
        if not self.evaluation.settings.retiring:
            self.evaluation.check_samples()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> bool | None:
        """An estimate is of the selected tests; retirement is of the whole suite, so no test need be collected."""
        return True if self.evaluation.settings.retiring else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """List, in place of running tests. Errors of the collection are shown first."""
        if session.testsfailed or session.config.option.collectonly:
            return None
        if self.evaluation.settings.requests_to is not None:
            return self._write_requests(session)
        if self.evaluation.settings.suggest:
            return self._suggest(session)
        if self.evaluation.settings.history is not None:
            return self._history(session, self.evaluation.settings.history)
        title = "retirement" if self.evaluation.settings.retiring else "estimate"
        selected = selected_calls(session.items)
        with as_usage_error():
            if not self.evaluation.workspaces:
                self.open()
            for workspace in self.evaluation.workspaces.values():
                lines = self._lines(workspace, selected, self._models(session, workspace))
                _print(session.config, f"{title}: {workspace.name}", lines)
        return True

    def _models(self, session: pytest.Session, workspace: Workspace) -> list[str]:
        """Return the keys of the models that the session would look at."""
        if not self.evaluation.settings.mutate:
            return selected_models(session.items, workspace.name)
        return [model.key for model in mutant_models(session.items, self.evaluation) if model.suite == workspace.name]

    def _write_requests(self, session: pytest.Session) -> bool:
        from evaltape.recorder.batches.lines import write_requests
        from evaltape.recorder.loop import Recorder
        from evaltape.recorder.outcomes import Outcomes
        from evaltape.recorder.plan import Planner

        evaluation, folder = self.evaluation, self.evaluation.settings.requests_to
        assert folder is not None
        recorder = Recorder(Outcomes(), 1)
        with as_usage_error():
            if not evaluation.workspaces:
                self.open()
            Planner(evaluation.settings, evaluation.workspaces, recorder).plan(selection(session.items, evaluation))
            written = write_requests(recorder.lanes, [it.suite for it in evaluation.workspaces.values()], folder)
        for suite in evaluation.workspaces:
            of_suite = [line for each in written if each.suite == suite for line in each.lines()]
            _print(session.config, f"requests: {suite}", of_suite or ["Nothing is to be asked."])
        if any(each.requests for each in written):
            _print(session.config, "answers", [ANSWERS])
        session.testsfailed = sum(each.unwritten for each in written)
        return True

    def _suggest(self, session: pytest.Session) -> bool:
        from evaltape.hooks.suggesting import suggest
        from evaltape.reporting.suggestion import suggestion_lines

        with as_usage_error():
            if not self.evaluation.workspaces:
                self.open()
            models = mutant_models(session.items, self.evaluation)
            for workspace in self.evaluation.workspaces.values():
                found = {it.key: suggest(self.evaluation, it) for it in models if it.suite == workspace.name}
                if found:
                    lines = suggestion_lines(found, workspace.suite.models)
                    _print(session.config, f"suggested gates: {workspace.name}", lines, in_one_piece=True)
        return True

    def _history(self, session: pytest.Session, most: int) -> bool:
        from evaltape.against.history import Histories
        from evaltape.reporting.history import history_lines

        with as_usage_error():
            if not self.evaluation.workspaces:
                self.open()
            workspaces = self.evaluation.workspaces
            histories = Histories(self.evaluation.settings.root, most)
            commits = {name: histories.commits(workspace) for name, workspace in workspaces.items()}
            if not any(commits.values()):
                folders = ", ".join(shown(workspace.folder) for workspace in workspaces.values())
                raise UserError(f"--history: no commit here has recordings ({folders}). Commit them first")
            models = mutant_models(session.items, self.evaluation)
            for name, workspace in workspaces.items():
                lines = [] if commits[name] else [f"No commit has recordings of it: {shown(workspace.folder)}"]
                for model in (model for model in models if model.suite == name):
                    moments = histories.of(model, workspace, commits[name])
                    lines += history_lines(model.key, moments, list(workspace.metrics.values())) if moments else []
                _print(session.config, f"history: {name}", lines)
        return True

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """`--estimate`, `--retiring`, `--suggest` and `--history` run no test; exit 0."""
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK

    def _lines(self, workspace: Workspace, selected: Selected, models: list[str]) -> list[str]:
        if self.evaluation.settings.retiring:
            return retirement_lines(retirements(workspace, ask_all(workspace)))
        calls = [call for call in selected if call[0].suite == workspace.name]
        return list(estimate(workspace, calls, models, self.evaluation.other_side))


def _print(config: pytest.Config, title: str, lines: Iterable[str], in_one_piece: bool = False) -> None:
    """Print lines under a title, wrapped; `in_one_piece` if they are to be pasted."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        print(title, *lines, sep="\n")
        return
    reporter.write_sep("=", title)
    for line in lines:
        (reporter.write_line if in_one_piece else lambda text: print_wrapped(reporter, text))(line)
