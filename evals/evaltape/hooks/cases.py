"""Which tests are Evaltape's, and the subject of each.

A test is ours if it reaches our fixture function: a fixture of the user's with the same name isn't, unless
it asks for ours itself. Each such test is parametrized with a `Case`.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import msgspec
import pytest

from evaltape.errors import UserError
from evaltape.evaluation import Evaluation
from evaltape.names import nearest
from evaltape.samples.sample import Sample
from evaltape.scoring import bounds
from evaltape.scoring.bounds import Bound
from evaltape.settings import Settings
from evaltape.suite.definition import Comparison, Judge, Model
from evaltape.workspace import Workspace

PREDICTION, SCORES, SLICES, COMPARISON = "prediction", "scores", "slices", "comparison"
AGAINST, MUTANTS, JUDGE, JOB_KEY = "against", "mutants", "judge", "job_key"
SUBJECTS = (PREDICTION, SCORES, SLICES, COMPARISON, AGAINST, MUTANTS, JUDGE, JOB_KEY)
"""The fixtures that a test is parametrized by."""
GATES = {SCORES, SLICES, COMPARISON, AGAINST, MUTANTS, JUDGE}
"""The subjects of gates: such a test asserts on all samples of a model, or on a judge's exam, so it runs in the controller,
after all sample tests."""
BOUNDS: Mapping[str, tuple[bounds.Kind, ...]] = {
    SCORES: (bounds.GATE,),
    SLICES: (bounds.SLICE_GATE,),
    COMPARISON: (bounds.MIN_GAIN, bounds.MAX_DROP),
    AGAINST: (bounds.AGAINST,),
}
"""The bounds that tests of a subject are about, one at a time."""
PLUGIN = "evaltape.plugin"
NO_REF = "not checked: no --against REF to compare with"
PARTIAL = "--samples {} looks at a part of the samples"
NO_ASSERTS = "not checked: Python leaves out every assert (-O with --assert=plain)"
NOT_MUTATED = "not checked: --mutate damages recorded answers to see which gate notices"


class Case(msgspec.Struct, frozen=True):
    """The subject of a test; `subject` is the fixture that stands for it."""

    subject: str
    suite: str
    models: tuple[Model, ...] = ()
    """The models that it looks at: of a comparison baseline and candidate, of a judge's exam none."""
    sample: Sample | None = None
    comparison: Comparison | None = None
    bound: Bound | None = None
    """The suite's demand on a metric, for a test that takes `metric`."""
    operator: str | None = None
    """A way to damage answers, by name."""
    judge: Judge | None = None
    id: str = ""

    def __repr__(self) -> str:
        return f"<{self.subject} {self.id}>"

    @property
    def model(self) -> Model | None:
        """Its model, unless it looks at two or none."""
        return self.models[0] if len(self.models) == 1 else None

    @property
    def kind(self) -> str:
        """`baseline` or `finetuned`, of a comparison by its candidate; empty for a judge, which is neither."""
        return self.models[-1].kind if self.models else ""

    @property
    def metric(self) -> str | None:
        """The metric of its bound."""
        return self.bound.metric if self.bound else None

    @property
    def key(self) -> tuple[str, str, str] | None:
        """Suite, model and sample of a sample's test; None for any other test."""
        return (self.suite, self.model.key, self.sample.id) if self.model and self.sample else None

    @property
    def is_gate(self) -> bool:
        """Whether it is an assertion on all samples of a model, or on a pair of models."""
        return self.subject in GATES


NOTHING = Case("nothing", "", id="nothing")
"""The case of a test that has nothing to run on; such a test is dropped."""


def case_of(item: pytest.Item) -> Case | None:
    """Return the subject of a test; None if it isn't ours."""
    callspec = getattr(item, "callspec", None)
    return next((value for value in callspec.params.values() if isinstance(value, Case)), None) if callspec else None


def is_gate(item: pytest.Item) -> bool:
    """Return whether a test asserts on all samples of a model, or on a pair of models."""
    case = case_of(item)
    return case is not None and case.is_gate


def leaves_asserts_out(item: pytest.Function) -> bool:
    """Return whether the asserts of a test do nothing: Python leaves them out, and pytest doesn't put its own in."""
    if __debug__:
        return False
    is_plain = "PYTEST_DONT_REWRITE" in (getattr(item.module, "__doc__", None) or "")
    return is_plain or item.config.getoption("assertmode") == "plain"


def reaches(name: str, fixture_definitions: Any) -> bool:
    """Return whether a test that asks for `name` reaches our fixture function of that name.

    `fixture_definitions` are the definitions of that name, the last of them in use. A definition reaches the previous
    definition only by asking for its own name.
    """
    for definition in reversed(fixture_definitions or ()):
        if definition.func.__module__ == PLUGIN:
            return True
        if name not in definition.argnames:
            return False
    return False


def subject_of(metafunc: pytest.Metafunc) -> str | None:
    """Return the fixture that a test is parametrized by; None if it isn't ours."""
    definitions = metafunc.definition._fixtureinfo.name2fixturedefs
    names = [name for name in SUBJECTS if name in metafunc.fixturenames and reaches(name, definitions.get(name))]
    if len(names) > 1:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid} asks for {' and '.join(names)}: a test is about one of them. Split it"
        )
    return names[0] if names else None


def parametrize(metafunc: pytest.Metafunc, evaluation: Evaluation, subject: str) -> None:
    """Parametrize a test with its cases; by its own marks `baseline` and `finetuned` with those of such models alone."""
    with_metric = subject in (SCORES, SLICES, COMPARISON, AGAINST) and "metric" in metafunc.fixturenames
    suites = _suites_of(metafunc.definition, evaluation)
    kinds = [kind for kind in ("baseline", "finetuned") if metafunc.definition.get_closest_marker(kind)]
    known = [workspace for name, workspace in evaluation.workspaces.items() if name in suites]
    cases = [case for workspace in known for case in _cases(subject, workspace, with_metric)]
    wanted = [case for case in cases if not kinds or case.kind in kinds]
    parameters = [
        pytest.param(*([case, case.metric] if with_metric else [case]), id=case.id, marks=_marks(case, evaluation.settings))
        for case in wanted or [NOTHING]
    ]
    metafunc.parametrize([subject, "metric"] if with_metric else [subject], parameters, indirect=[subject])


def _suites_of(definition: pytest.Item, evaluation: Evaluation) -> set[str]:
    """Return the suites that a test's `suite` marks allow: all suites without a mark.

    Raises `UserError` for a name that no suite has, if all that are configured are there to tell.
    """
    marks = list(definition.iter_markers("suite"))
    named = {name for mark in marks for name in mark.args}
    known, settings = set(evaluation.workspaces), evaluation.settings
    strange = sorted(map(str, named - known)) if settings.suites == settings.configured_suites else []
    if strange or (marks and not named):
        what = f"no suite {strange[0]!r}.{nearest(strange[0], known)}" if strange else "it takes the names of suites."
        raise UserError(f"{definition.nodeid}: mark.suite: {what} Suites: {', '.join(sorted(known))}")
    return named if marks else known


def _cases(subject: str, workspace: Workspace, with_metric: bool) -> Iterator[Case]:
    suite, name = workspace.suite, workspace.name
    models = suite.models.values()
    if subject == PREDICTION:
        for model, sample in product(models, workspace.selected_samples):
            yield Case(PREDICTION, name, (model,), sample, id=f"{name}-{model.key}-{sample.name}")
    elif subject == JUDGE:
        examined = [judge for judge in suite.judges.values() if judge.exam is not None]
        yield from (Case(JUDGE, name, judge=judge, id=f"{name}-{judge.key}") for judge in examined)
    elif subject == MUTANTS:
        if suite.mutants is not None and suite.mutants.noticed_at is not None:
            operators = [operator.name for operator in workspace.operators if operator.harmful]
            for model, operator in product(models, operators):
                yield Case(MUTANTS, name, (model,), operator=operator, id=f"{name}-{model.key}-{operator}")
    elif subject in (SLICES, COMPARISON) or with_metric:
        for bound in (bound for bound in bounds.bounds_of(suite) if bound.kind in BOUNDS[subject]):
            pair = suite.comparisons[bound.subject] if subject == COMPARISON else None
            looked_at = tuple(suite.models[key] for key in ((pair.baseline, pair.candidate) if pair else (bound.subject,)))
            yield Case(subject, name, looked_at, None, pair, bound, id=f"{name}-{bound.subject}-{bound.metric}")
    else:
        of_kind = [model for model in models if subject != JOB_KEY or model.job]
        yield from (Case(subject, name, (model,), id=f"{name}-{model.key}") for model in of_kind)


def _marks(case: Case, settings: Settings) -> list[pytest.MarkDecorator]:
    """Return the marks of a case. A test that this run surely can't decide is skipped: then nothing is started for it."""
    reasons: list[str] = []
    if case is NOTHING:
        return []
    if case.subject == MUTANTS and not settings.mutate:
        reasons.append(NOT_MUTATED)
    if case.subject == AGAINST and settings.against is None:
        reasons.append(NO_REF)
    if case.subject in (AGAINST, JUDGE) and settings.samples is not None:
        reasons.append(f"not checked: {PARTIAL.format(settings.samples)}")
    names = [case.kind, {PREDICTION: "sample", JOB_KEY: ""}.get(case.subject, "gate")]
    return [*(getattr(pytest.mark, name) for name in names if name), *(pytest.mark.skip(reason) for reason in reasons[:1])]
