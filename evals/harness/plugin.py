"""The pytest plugin: options, parametrization, fixtures and hooks, a few statements each."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import pytest

from evals.harness import progress, terminal
from evals.harness.errors import UserError
from evals.harness.finetuning import Jobs
from evals.harness.listing import Listing, start_no_workers
from evals.harness.options import add_options, read_settings
from evals.harness.outcomes import Stopped
from evals.harness.prediction import Prediction
from evals.harness.report import write_report
from evals.harness.results import write_results
from evals.harness.scores import ModelScores, PairedScores
from evals.harness.session import EvalSession, Selected
from evals.harness.step_summary import write_step_summary

SESSION = pytest.StashKey[EvalSession]()
MISTAKE = pytest.StashKey[UserError]()
Found = TypeVar("Found")
NOTHING = object()
"""The parameter of a test that has nothing to run on; such a test is dropped."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the contract between Evaltape and its users."""
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Prepare for a session that runs no test."""
    if config.option.estimate or config.option.retiring:
        start_no_workers(config)
    if config.option.estimate or config.option.retiring or config.option.collectonly:
        config.pluginmanager.unregister(name="syrupy")  # It would report on the snapshots of tests that don't run.


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings; the suite is read when the first test asks for it."""
    with as_usage_error():
        session = EvalSession(read_settings(config), is_main=not hasattr(config, "workerinput"))
    config.stash[SESSION] = session
    # A run sees one suite of many, and perhaps no gate: syrupy must neither call accepted scores unused nor delete them.
    config.option.ignore_file_extensions = [*(config.option.ignore_file_extensions or []), "json"]
    if session.is_main:
        config.pluginmanager.register(Listing(session) if session.settings.only_lists else MainProcess(session))
    if config.pluginmanager.hasplugin("xdist"):
        from evals.harness.distribution import register

        register(config, session)


# ---------------------------------------------------------------- what is tested


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Models and samples become parameters. A mistake in the suite is kept until it can be told without a traceback."""
    if not {"prediction", "scores", "comparison"}.intersection(metafunc.fixturenames):
        return
    session = metafunc.config.stash[SESSION]
    try:
        names, cases = _cases(session, metafunc)
    except UserError as mistake:
        metafunc.config.stash.setdefault(MISTAKE, mistake)
        names, cases = _names(metafunc), []
    nothing = pytest.param(*[NOTHING] * len(names), id="nothing")
    metafunc.parametrize(names, cases or [nothing], indirect=names[:1])


def _names(metafunc: pytest.Metafunc) -> list[str]:
    return [name for name in ("prediction", "scores", "comparison", "metric") if name in metafunc.fixturenames]


def _cases(session: EvalSession, metafunc: pytest.Metafunc) -> tuple[list[str], list[Any]]:
    """The parameters of a test by what it asks for: a `prediction`, `scores` (of one `metric`), or a `comparison`."""
    names, suite = _names(metafunc), session.suite
    models = suite.models_of("finetuned" if metafunc.definition.get_closest_marker("finetuned") else "baseline")
    if "prediction" in names:
        samples = [(sample, sample.name) for sample in session.samples]
        here = session.runs_samples
        return names, [pytest.param((m, s), id=f"{m.key}-{name}") for m in models for s, name in samples if here]
    if "comparison" in names:
        return names, [
            pytest.param(comparison, metric, id=f"{comparison.name}-{metric}", marks=_mark_of(session, comparison.candidate))
            for comparison in suite.comparisons.values()
            for metric in comparison.bounds
        ]
    if "metric" in names:
        return names, [pytest.param(model, metric, id=f"{model.key}-{metric}") for model in models for metric in model.gates]
    return names, [pytest.param(model, id=model.key) for model in models]


def _mark_of(session: EvalSession, model: str) -> pytest.MarkDecorator:
    kind = session.suite.models[model].kind
    return pytest.mark.finetuned if kind == "finetuned" else pytest.mark.baseline


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, Any, Any]:
    """Tell a mistake in the suite; put gates behind every sample; workers leave gates to the main process."""
    if MISTAKE in config.stash:
        raise pytest.UsageError(str(config.stash[MISTAKE]))
    items[:] = [item for item in items if NOTHING not in _parameters(item).values()]
    result = yield
    if config.stash[SESSION].is_main:
        items.sort(key=is_gate)
    else:
        items[:] = [item for item in items if not is_gate(item)]
    return result


def is_gate(item: pytest.Item) -> bool:
    """Whether a test asserts on all samples of a model."""
    return item.get_closest_marker("gate") is not None


def selected_samples(items: list[pytest.Item]) -> Selected:
    """The (model, sample) of each selected sample test."""
    return [_parameters(item)["prediction"] for item in items if "prediction" in _parameters(item)]


def _parameters(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}


# ---------------------------------------------------------------- what tests ask for


@pytest.fixture
def prediction(request: pytest.FixtureRequest) -> Prediction:
    """A model's prediction for a sample, or the reason why there is none."""
    model, sample = request.param
    found = _unless_stopped(request, lambda session: session.prediction(model, sample))
    request.node.user_properties.extend(found.scores.items())
    return found


@pytest.fixture
def scores(request: pytest.FixtureRequest) -> ModelScores:
    """A model's predictions for every sample of the suite."""
    found = _unless_stopped(request, lambda session: session.scores(request.param))
    request.node.user_properties.extend(found.properties(_parameters(request.node).get("metric")))
    return found


@pytest.fixture
def comparison(request: pytest.FixtureRequest) -> PairedScores:
    """Two models' predictions for every sample of the suite, paired."""
    found = _unless_stopped(request, lambda session: session.paired_scores(request.param))
    request.node.user_properties.extend(found.properties(_parameters(request.node)["metric"]))
    return found


def _unless_stopped(request: pytest.FixtureRequest, find: Callable[[EvalSession], Found]) -> Found:
    try:
        return find(request.config.stash[SESSION])
    except Stopped as reason:
        request.session.shouldstop = str(reason)
        pytest.skip(f"not asked: {reason}")


@pytest.fixture
def accepted(request: pytest.FixtureRequest, scores: ModelScores, snapshot: Any) -> Any:
    """The accepted scores of the model under test; `--snapshot-update` accepts those of this run."""
    from evals.harness.snapshots import accepted_scores

    return snapshot.use_extension(accepted_scores(request.config.stash[SESSION].suite.name, scores.model.key))


@pytest.fixture(scope="session")
def jobs(request: pytest.FixtureRequest) -> Jobs:
    """The suite's fine-tuning jobs, each driven once per session by the main process, however many workers there are."""
    return request.config.stash[SESSION].jobs


# ---------------------------------------------------------------- what becomes of it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Let the report carry what the test found out, as builtins, to the main process."""
    report = yield
    if call.when == "call":
        parameters = _parameters(item)
        if "prediction" in parameters:
            lead = dict(item.config.stash[SESSION].lead(parameters["prediction"][1]))
            report.evaltape = {"prediction": item.funcargs["prediction"].as_dict(), "lead": lead}  # type: ignore[attr-defined]
        elif "metric" in parameters:
            kind = "comparison" if "comparison" in parameters else "gate"
            subject = parameters["comparison"].name if kind == "comparison" else parameters["scores"].key
            report.evaltape = {kind: [subject, parameters["metric"]]}
        if {"prediction", "scores", "comparison"}.intersection(parameters):
            _begin_with_the_message(report)
    return report


def _begin_with_the_message(report: Any) -> None:
    """In the short summary, which is cut to the width, and in JUnit XML what failed comes before its class."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = crash.message.removeprefix("AssertionError: ")


class MainProcess:
    """The hooks of the process that records, runs gates and reports."""

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


@contextlib.contextmanager
def as_usage_error() -> Iterator[None]:
    """Tell a mistake without a traceback."""
    try:
        yield
    except UserError as mistake:
        raise pytest.UsageError(str(mistake)) from None
