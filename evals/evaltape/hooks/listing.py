"""`--estimate`, `--retiring`, `--suggest`, `--history` and `--requests-to`: sessions that print a list, and run no test."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evaltape.errors import UserError
from evaltape.evaluation import Evaluation
from evaltape.hooks.selection import mutant_models, selected_samples, selection
from evaltape.names import shown
from evaltape.options import as_usage_error
from evaltape.recorder.api.shutdown_dates import ask_all
from evaltape.reporting.estimate import estimate
from evaltape.reporting.remarks import retirement_lines
from evaltape.reporting.terminal import print_wrapped
from evaltape.suite.definition import Model

if TYPE_CHECKING:
    from evaltape.mutation.suggestion import Suggestion

Section = tuple[str, Iterable[str]]
"""A title, and the lines beneath it."""

ANSWERS = (
    "Let an engine answer them, then give this command again with --answers-from and the engine's output files, in place of "
    "--requests-to: docs/scale.md"
)


def start_no_workers(config: pytest.Config) -> None:
    """Let xdist start no worker, even if options ask for some."""
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
        """Collect nothing for `--retiring`, which is about whole suites; all other lists are about the selected tests."""
        return True if self.evaluation.settings.retiring else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """List, in place of running tests. Errors of the collection are shown first."""
        if session.testsfailed or session.config.option.collectonly:
            return None
        with as_usage_error():
            if not self.evaluation.workspaces:
                self.open()
            for title, lines in self._sections(session):
                self._print(session.config, title, lines)
        return True

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A session that lists runs no test; exit 0."""
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK

    def _sections(self, session: pytest.Session) -> Iterator[Section]:
        settings = self.evaluation.settings
        if settings.requests_to is not None:
            return self._requests(session, settings.requests_to)
        if settings.suggest:
            return self._suggestions(session.items)
        if settings.history is not None:
            return self._histories(session.items)
        if settings.retiring:
            workspaces = self.evaluation.workspaces.items()
            return ((f"retirement: {name}", retirement_lines(it, ask_all(it))) for name, it in workspaces)
        return self._estimates(session.items)

    def _estimates(self, items: Sequence[pytest.Item]) -> Iterator[Section]:
        evaluation, selected = self.evaluation, selected_samples(items)
        if evaluation.settings.mutate:
            selected = {(model.suite, model.key): [] for model in mutant_models(items, evaluation)}
        for name, workspace in evaluation.workspaces.items():
            asked = {key: samples for (suite, key), samples in selected.items() if suite == name}
            yield f"estimate: {name}", list(estimate(workspace, asked, evaluation.other_side))

    def _requests(self, session: pytest.Session, folder: Path) -> Iterator[Section]:
        from evaltape.recorder.batches.lines import write_requests
        from evaltape.recorder.loop import Recorder
        from evaltape.recorder.plan import Planner
        from evaltape.recorder.wire import Outcomes

        evaluation, recorder = self.evaluation, Recorder(Outcomes(), 1)
        Planner(evaluation.settings, evaluation.workspaces, recorder).plan(selection(session.items, evaluation))
        written = write_requests(recorder.lanes, [it.suite for it in evaluation.workspaces.values()], folder)
        session.testsfailed = sum(each.unwritten for each in written)
        for suite in evaluation.workspaces:
            of_suite = [line for each in written if each.suite == suite for line in each.lines]
            yield f"requests: {suite}", of_suite or ["Nothing is to be asked."]
        if any(each.requests for each in written):
            yield "answers", [ANSWERS]

    def _suggestions(self, items: Sequence[pytest.Item]) -> Iterator[Section]:
        from evaltape.reporting.listings import suggestion_lines

        models = mutant_models(items, self.evaluation)
        for workspace in self.evaluation.workspaces.values():
            found = {it.key: suggested(self.evaluation, it) for it in models if it.suite == workspace.name}
            if found:
                yield f"suggested gates: {workspace.name}", suggestion_lines(found, workspace.suite.models)

    def _histories(self, items: Sequence[pytest.Item]) -> Iterator[Section]:
        from evaltape.reporting.listings import history_lines

        histories, workspaces = self.evaluation.histories, self.evaluation.workspaces
        assert histories is not None
        models = mutant_models(items, self.evaluation)
        found = {name: histories.of([it for it in models if it.suite == name], each) for name, each in workspaces.items()}
        if not any(found.values()):
            folders = ", ".join(shown(workspace.folder) for workspace in workspaces.values())
            raise UserError(f"--history: no commit here has recordings ({folders}). Commit them first")
        for name, workspace in workspaces.items():
            lines = list(history_lines(found[name], list(workspace.metrics.values())))
            yield f"history: {name}", lines or [f"No commit has recordings of it: {shown(workspace.folder)}"]

    def _print(self, config: pytest.Config, title: str, lines: Iterable[str]) -> None:
        """Print lines under a title, wrapped unless they are to be pasted."""
        reporter = config.pluginmanager.getplugin("terminalreporter")
        if reporter is None:
            print(title, *lines, sep="\n")
            return
        reporter.write_sep("=", title)
        for line in lines:
            (reporter.write_line if self.evaluation.settings.suggest else partial(print_wrapped, reporter))(line)


def suggested(evaluation: Evaluation, model: Model) -> "Suggestion | str":
    """Return the gates that a model's recordings speak for, or why there is no such gate.

    Raises `UserError` for an operator of the user's that can't be loaded, or that fails.
    """
    from evaltape.mutation.suggestion import propose, suggestion

    workspace, scores = evaluation.workspaces[model.suite], evaluation.scores(model)
    unfinished = evaluation.unfinished(model)
    if unfinished is not None:
        return unfinished
    if len(scores.failures) > model.allow_failed:
        way = "" if model.predictions else f". Record the rest: {workspace.to_record(model.kind)}"
        return f"{scores.failed_in_short}{way}"
    noise = workspace.noise(scores)
    proposed = {name: propose(scores, name, noise.get(name)) for name in workspace.metrics}
    asserted = {gate.bound: lambda scores: scores for gate in proposed.values() if not isinstance(gate, str)}
    return suggestion(proposed, evaluation.mutated(scores, asserted).study)
