"""The pytest plugin: options, parametrization, fixtures and hooks, a few statements each.

What only one kind of process needs is imported by that kind alone: hooks of the main process are in `main_process`, those of
both sides of xdist in `distribution`, those of a session that only lists in `listing`.
"""

import gc
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pytest

from evaltape.errors import UserError
from evaltape.finetuning.jobs import Jobs
from evaltape.hooks.items import is_gate, parameters_of
from evaltape.options import add_options, as_usage_error, read_settings
from evaltape.recorder.outcomes import Stopped
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores, PairedScores
from evaltape.session import EvalSession

SESSION = pytest.StashKey[EvalSession]()
MISTAKE = pytest.StashKey[UserError]()
MARKS = (
    "baseline: a test of a model under [models]",
    "finetuned: a test of a tuned model, under [finetune]",
    "sample: one model's answer to one sample",
    "gate: an assertion on all samples of a model, or on a pair of models",
)
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
        from evaltape.hooks.listing import start_no_workers

        start_no_workers(config)
    if config.option.estimate or config.option.retiring or config.option.collectonly:
        config.pluginmanager.unregister(name="syrupy")  # It would report on the snapshots of tests that don't run.


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks and read the settings; the suite is read when the first test asks for it."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    with as_usage_error():
        session = EvalSession(read_settings(config), is_main=not hasattr(config, "workerinput"))
    config.stash[SESSION] = session
    # A run sees one suite of many, and perhaps no gate: syrupy must neither call accepted scores unused nor delete them.
    config.option.ignore_file_extensions = [*(config.option.ignore_file_extensions or []), "json"]
    if session.settings.only_lists:
        from evaltape.hooks.listing import Listing

        config.pluginmanager.register(Listing(session))
    elif session.is_main:
        from evaltape.hooks.controller import MainProcess

        config.pluginmanager.register(MainProcess(session))
    if config.pluginmanager.hasplugin("xdist"):
        from evaltape.hooks.xdist import register

        register(config, session)


# ---------------------------------------------------------------- what is tested


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Models and samples become parameters. A mistake in the suite is kept until it can be told without a traceback."""
    if not {"prediction", "scores", "comparison"}.intersection(metafunc.fixturenames):
        return
    stash, names, cases = metafunc.config.stash, _names(metafunc), []
    if MISTAKE not in stash:
        try:
            cases = _cases(stash[SESSION], metafunc)
        except UserError as mistake:
            stash[MISTAKE] = mistake
    nothing = pytest.param(*[NOTHING] * len(names), id="nothing")
    metafunc.parametrize(names, cases or [nothing], indirect=names[:1])


def _names(metafunc: pytest.Metafunc) -> list[str]:
    return [name for name in ("prediction", "scores", "comparison", "metric") if name in metafunc.fixturenames]


def _cases(session: EvalSession, metafunc: pytest.Metafunc) -> list[Any]:
    """The parameters of a test by what it asks for: a `prediction`, `scores` (of one `metric`), or a `comparison`."""
    names, suite = _names(metafunc), session.suite
    models = suite.models_of("finetuned" if metafunc.definition.get_closest_marker("finetuned") else "baseline")
    if "prediction" in names:
        samples = [(sample, sample.name) for sample in session.samples]
        here = session.runs_samples
        return [pytest.param((m, s), id=f"{m.key}-{name}") for m in models for s, name in samples if here]
    if "comparison" in names:
        return [
            pytest.param(comparison, metric, id=f"{comparison.name}-{metric}", marks=_mark_of(session, comparison.candidate))
            for comparison in suite.comparisons.values()
            for metric in comparison.bounds
        ]
    if "metric" in names:
        return [pytest.param(model, metric, id=f"{model.key}-{metric}") for model in models for metric in model.gates]
    return [pytest.param(model, id=model.key) for model in models]


def _mark_of(session: EvalSession, model: str) -> pytest.MarkDecorator:
    kind = session.suite.models[model].kind
    return pytest.mark.finetuned if kind == "finetuned" else pytest.mark.baseline


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, Any, Any]:
    """Tell a mistake in the suite; put gates behind every sample; workers leave gates to the main process."""
    if MISTAKE in config.stash:
        raise pytest.UsageError(str(config.stash[MISTAKE]))
    items[:] = [item for item in items if NOTHING not in parameters_of(item).values()]
    result = yield
    if config.stash[SESSION].is_main:
        items.sort(key=is_gate)
    else:
        items[:] = [item for item in items if not is_gate(item)]
    return result


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was collected will not become garbage: looking through it anew took workers a tenth of a replay."""
    gc.freeze()


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
    request.node.user_properties.extend(found.properties(parameters_of(request.node).get("metric")))
    return found


@pytest.fixture
def comparison(request: pytest.FixtureRequest) -> PairedScores:
    """Two models' predictions for every sample of the suite, paired."""
    found = _unless_stopped(request, lambda session: session.paired_scores(request.param))
    request.node.user_properties.extend(found.properties(parameters_of(request.node)["metric"]))
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
    from evaltape.scoring.snapshots import accepted_scores

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
    parameters = parameters_of(item)
    if {"prediction", "scores", "comparison"}.intersection(parameters):
        report.evaltape = _told(item, parameters) if call.when == "call" else {}
        _begin_with_the_message(report)
    return report


def _told(item: pytest.Item, parameters: dict[str, Any]) -> dict[str, Any]:
    if "prediction" in parameters:
        lead = dict(item.config.stash[SESSION].lead(parameters["prediction"][1]))
        return {"prediction": item.funcargs["prediction"].as_dict(), "lead": lead}  # type: ignore[attr-defined]
    if "metric" in parameters:
        kind = "comparison" if "comparison" in parameters else "gate"
        subject = parameters["comparison"].name if kind == "comparison" else parameters["scores"].key
        return {kind: [subject, parameters["metric"]]}
    return {}


def _begin_with_the_message(report: Any) -> None:
    """In the short summary, which is cut to the width, and in JUnit XML what failed comes before its class."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = crash.message.removeprefix("AssertionError: ")
