"""The pytest plugin of a session with a suite: options, parametrization and fixtures, a few statements each.

Hooks that a single kind of process needs are imported by that kind alone, so workers start faster: the controller's steps are
in `hooks.controller`, both sides of xdist in `hooks.xdist`, sessions that only list in `hooks.listing`.
"""

import gc
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from evaltape.errors import RecordingError, UserError
from evaltape.evaluation import Evaluation
from evaltape.finetuning.recorded_job import Job
from evaltape.hooks import cases
from evaltape.hooks.cases import NOTHING, case_of, is_gate
from evaltape.hooks.output import named_in, remove_earlier
from evaltape.hooks.reports import FailuresByCause, attach
from evaltape.hooks.selection import waits_for_jobs
from evaltape.hooks.snapshots import accepted_scores, explain, leave_to_us, recall
from evaltape.options import OUTPUTS, add_options, as_usage_error, read_settings, runs_nothing
from evaltape.recorder.wire import RecordingStopped
from evaltape.scoring.bounds import GATE, NOT_CHECKED, Bound
from evaltape.scoring.paired_scores import AgainstScores, PairedScores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.scoring.slices import SliceScores
from evaltape.text import without_commands

if TYPE_CHECKING:
    from evaltape.hooks.controller import Controller
    from evaltape.hooks.listing import Listing
    from evaltape.hooks.xdist import Worker
    from evaltape.judging.exam import Examined
    from evaltape.mutation.model_mutants import TestedMutants

EVALUATION = pytest.StashKey[Evaluation]()
PROCESS = pytest.StashKey["Controller | Worker | Listing"]()
"""The hooks of this kind of process, which open the suites."""
SHOWING = {
    *("--collect-only", "--collectonly", "--co", "--setup-only", "--setuponly", "--setup-plan", "--setupplan"),
    *("-h", "--help", "-V", "--version", "--fixtures", "--funcargs", "--fixtures-per-test", "--markers", "--cache-show"),
}
"""Words of a command line that runs no test."""
USER_ERROR = pytest.StashKey[UserError]()
MARKS = (
    "baseline: a test of a model under [models]",
    "finetuned: a test of a tuned model, under [finetune]",
    "sample: one model's answer to one sample",
    "gate: an assertion on all samples of a model, or on a pair of models",
    "suite(name, ...): run the test for these suites only",
)
Value = TypeVar("Value")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options, and remove earlier outputs: an option that argparse refuses ends the run before anything else can."""
    add_options(parser)
    config: Any = pluginmanager.getplugin("pytestconfig")
    words = [str(word) for word in config.invocation_params.args]
    if not SHOWING.intersection(words):
        remove_earlier(config.invocation_params.dir, named_in(words, OUTPUTS))


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Prepare for a session that the controller alone has something to do in."""
    option = config.option
    lists_history = option.history is not None and not any(getattr(option, name) for name in OUTPUTS)
    if option.estimate or option.retiring or option.suggest or lists_history or option.requests_to or option.mutate:
        from evaltape.hooks.listing import start_no_workers

        start_no_workers(config)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, read the settings, and register the hooks of this kind of process.

    Suites are read when pytest meets the first test of ours.
    """
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    is_controller = not hasattr(config, "workerinput")
    if is_controller and not runs_nothing(config):
        remove_earlier(config.invocation_params.dir, (getattr(config.option, name) for name in OUTPUTS))
    with as_usage_error():
        evaluation = Evaluation(read_settings(config), is_controller)
        if is_controller:
            evaluation.find_past()
    config.stash[EVALUATION] = evaluation
    leave_to_us(config)
    config.stash[PROCESS] = _registered(config, evaluation)


def _registered(config: pytest.Config, evaluation: Evaluation) -> "Controller | Worker | Listing":
    """Register the hooks of this kind of process; return the object that opens the suites in it."""
    hooks: list[Any]
    if evaluation.settings.only_lists:
        from evaltape.hooks.listing import Listing

        hooks = [Listing(evaluation)]
    elif not evaluation.is_controller:
        from evaltape.hooks.xdist import Worker

        hooks = [Worker(config, evaluation)]
    else:
        from evaltape.hooks.controller import Controller
        from evaltape.hooks.xdist import Distribution

        mutating = None
        if evaluation.settings.mutate:
            from evaltape.hooks.mutating import Mutating

            mutating = Mutating(evaluation)
        controller = Controller(evaluation, mutating)
        hooks = [controller, FailuresByCause(controller), Distribution(evaluation, controller), mutating]
    for each in filter(None, hooks):
        config.pluginmanager.register(each)
    process: Controller | Worker | Listing = hooks[0]
    return process


# ---------------------------------------------------------------- parameters


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Models and samples become parameters. A user's error is kept until it can be reported without a traceback."""
    subject, stash = cases.subject_of(metafunc), metafunc.config.stash
    if USER_ERROR in stash or (subject is None and not waits_for_jobs(metafunc.definition)):
        return
    try:
        if not stash[EVALUATION].workspaces:
            stash[PROCESS].open()
            recall(metafunc.config, stash[EVALUATION])
        if subject is not None:
            cases.parametrize(metafunc, stash[EVALUATION], subject)
    except UserError as error:
        stash[USER_ERROR] = error


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collectreport(report: pytest.CollectReport) -> Generator[None, Any, Any]:
    """Leave tests that have nothing to run on out of the number of collected tests."""
    collected = report.result or []
    report.result = [node for node in collected if not isinstance(node, pytest.Item) or case_of(node) is not NOTHING]
    result = yield
    report.result = collected
    return result


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, Any, Any]:
    """Report a user's error; put gates behind every sample; workers leave gates to the controller."""
    if USER_ERROR in config.stash:
        raise pytest.UsageError(without_commands(str(config.stash[USER_ERROR])))
    items[:] = [item for item in items if case_of(item) is not NOTHING]
    evaluation = config.stash[EVALUATION]
    for item in items:
        case = case_of(item)
        if case is not None and case.key is not None:
            evaluation.findings.test_ids.setdefault(case.key, item.nodeid)
    result = yield
    if evaluation.is_controller:
        items.sort(key=is_gate)
    else:
        items[:] = [item for item in items if not is_gate(item)]
    return result


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the collected tests out of the garbage collector's way: its search takes a tenth of a replay."""
    if any(case_of(item) for item in session.items):
        gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Fail a gate on an unfinished recording before it asserts anything; skip a bound that the suite lets stay open.

    Where asserts are left out a test of ours is skipped: it would always pass.
    """
    case, evaluation = case_of(pyfuncitem), pyfuncitem.config.stash[EVALUATION]
    if case is not None and cases.leaves_asserts_out(pyfuncitem):
        pytest.skip(cases.NO_ASSERTS)
    if case is None or not case.is_gate:
        return
    for model in case.models:
        try:
            reason = evaluation.unfinished(model)
        except RecordingError as error:
            reason = str(error)
        if reason:
            pytest.fail(reason, pytrace=False)
        partial = evaluation.recorded_in_part(model)
        if partial:
            pytest.skip(f"{NOT_CHECKED}: {partial}")
    if case.bound is not None:
        _settle(case.bound, evaluation)


def _settle(bound: Bound, evaluation: Evaluation) -> None:
    """Fail a test on a judge's metric until the judge has passed its exam.

    Skip a test on a bound that can't be decided, or that may stay open by the suite (`inconclusive = "skip"`).
    """
    judge = evaluation.judge_of(bound) if evaluation.settings.samples is None else None
    refusal = evaluation.workspaces[bound.suite].exams[judge.key].ground.refusal if judge else ""
    if refusal:
        pytest.fail(f"{bound.subject} {bound.metric}: {refusal}", pytrace=False)
    if bound.kind != GATE:
        decision = evaluation.decide(bound)
        if not decision.passed and not decision.fails:
            pytest.skip(str(decision))


# ---------------------------------------------------------------- fixtures


@pytest.fixture
def prediction(request: pytest.FixtureRequest) -> Prediction:
    """A model's prediction for a sample, or the reason why it failed."""
    found = _found(request, lambda evaluation: evaluation.prediction(request.param.model, request.param.sample))
    request.node.user_properties.extend(found.scores.items())
    return found


@pytest.fixture
def scores(request: pytest.FixtureRequest) -> ModelScores:
    """A model's predictions for every sample of its suite."""
    found = _found(request, lambda evaluation: evaluation.scores(request.param.model))
    request.node.user_properties.extend(found.properties(request.param.bound))
    return found


@pytest.fixture
def slices(request: pytest.FixtureRequest) -> SliceScores:
    """A model's scores by the values of the suite's slice columns."""
    return _found(request, lambda evaluation: evaluation.slices(request.param.model))


@pytest.fixture
def against(request: pytest.FixtureRequest) -> AgainstScores:
    """A model beside its recording at the commit or in the folder that `--against` names, sample by sample."""
    found = _found(request, lambda evaluation: evaluation.against(request.param.model))
    if found.not_compared:
        pytest.skip(f"{NOT_CHECKED}: {found.not_compared}")
    request.node.user_properties.extend(found.properties(request.param.bound))
    return found


@pytest.fixture
def mutants(request: pytest.FixtureRequest) -> "TestedMutants":
    """A kind of damage to a model's recorded answers, and which gates notice it."""
    from evaltape.hooks.mutating import tested_mutants

    return tested_mutants(request, request.config.stash[EVALUATION])


@pytest.fixture
def comparison(request: pytest.FixtureRequest) -> PairedScores:
    """Two models' predictions for every sample of their suite, paired."""
    found = _found(request, lambda evaluation: evaluation.paired_scores(request.param.comparison))
    request.node.user_properties.extend(found.properties(request.param.bound))
    return found


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> "Examined":
    """A judge's exam: the damage it noticed, its alarms, and its agreement with people."""
    found = _found(request, lambda evaluation: evaluation.examined(request.param.judge))
    request.node.user_properties.extend((it.bound.metric, it.value) for it in found.decisions)
    return found


@pytest.fixture
def job_key(request: pytest.FixtureRequest) -> str:
    """The key of a fine-tuning job of the suite."""
    key: str = request.param.model.key
    return key


@pytest.fixture(scope="session")
def job(request: pytest.FixtureRequest) -> Callable[[str], Job]:
    """A function of a job's key that waits for the job and returns it, or fails with the API's reason.

    The recorder drives each job once per session, however many workers there are, from the moment the tests begin.
    """
    evaluation = request.config.stash[EVALUATION]

    def wait_for(key: str) -> Job:
        try:
            return evaluation.job(key)
        except RecordingStopped as stopped:
            skip, reason = True, f"not waited for: {stopped}"
        except (RecordingError, UserError) as error:
            skip, reason = False, str(error)
        # Outside of the handlers, so that the test's report shows the reason alone.
        if skip:
            pytest.skip(reason)
        pytest.fail(reason, pytrace=False)

    return wait_for


@pytest.fixture
def accepted(request: pytest.FixtureRequest, scores: ModelScores) -> Any:
    """The accepted scores of the model under test; `--snapshot-update` accepts the scores of this run."""
    evaluation = request.config.stash[EVALUATION]
    commands = evaluation.workspaces[scores.model.suite].commands
    return accepted_scores(request, scores, evaluation.settings.snapshots, commands)


def _found(request: pytest.FixtureRequest, get: Callable[[Evaluation], Value]) -> Value:
    """Return the subject of a fixture, once its model's job is waited for; skip what this run doesn't ask for or decide."""
    case, evaluation = request.param, request.config.stash[EVALUATION]
    if case.is_gate and evaluation.settings.samples is not None:
        pytest.skip(f"{NOT_CHECKED}: {cases.PARTIAL.format(evaluation.settings.samples)}")
    if case.model is not None and case.model.job:
        request.getfixturevalue("job")
    try:
        return get(evaluation)
    except RecordingStopped as reason:
        request.session.shouldstop = str(reason)
        pytest.skip(f"not asked: {reason}")


# ---------------------------------------------------------------- reports


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Let the report carry the test's findings, as builtins, to the controller."""
    report = yield
    case = case_of(item)
    if case is not None:
        attach(report, item, case, item.config.stash[EVALUATION])
    return report


@pytest.hookimpl(wrapper=True)
def pytest_assertrepr_compare(config: pytest.Config, op: str, right: object) -> Generator[None, Any, Any]:
    """Say how scores differ from the accepted ones, before anyone else does."""
    explanations = yield
    return [list(explain(right)), *explanations] if op == "==" else explanations
