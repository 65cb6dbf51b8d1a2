"""The needs of the selected tests: calls of the API, and fine-tuning jobs."""

from collections.abc import Iterable

import pytest
from _pytest.skipping import evaluate_skip_marks

from evaltape.evaluation import Evaluation
from evaltape.hooks.cases import Case, case_of, reaches
from evaltape.recorder.wire import Selection, verdicts_key
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Model


def selected_samples(items: Iterable[pytest.Item]) -> dict[tuple[str, str], list[Sample]]:
    """Return by suite and model the samples of the sample tests that no mark skips, each once."""
    found: dict[tuple[str, str], dict[str, Sample]] = {}
    for case in _cases(item for item in items if not is_skipped(item)):
        if case.model is not None and case.sample is not None:
            found.setdefault((case.suite, case.model.key), {})[case.sample.id] = case.sample
    return {key: list(samples.values()) for key, samples in found.items()}


def selection(items: Iterable[pytest.Item], evaluation: Evaluation) -> Selection:
    """Return the recorder's work for selected tests: calls by model, and jobs although no call rests on them.

    With them come answers from files that a judge scores, and the exams of judges that selected bounds rest on.
    """
    wanted: dict[tuple[str, str], list[str]] = {}
    chosen = [item for item in items if not is_skipped(item)]
    for item in chosen:
        case = case_of(item)
        models = case.models if case else evaluation.models() if waits_for_jobs(item) else ()
        wanted.update({(model.suite, model.key): [] for model in models if model.job})
    for (suite, key), samples in selected_samples(chosen).items():
        workspace = evaluation.workspaces[suite]
        if workspace.suite.models[key].predictions is None or workspace.judges:
            wanted[suite, key] = [sample.id for sample in samples]
    cases = _cases(chosen)
    bounds = [case.bound for case in cases if case.bound is not None and evaluation.settings.samples is None]
    for judge in (*(case.judge for case in cases), *map(evaluation.judge_of, bounds)):
        if judge is not None and judge.exam is not None:
            wanted.setdefault((judge.suite, judge.key), [])
    return [(suite, model, samples) for (suite, model), samples in wanted.items()]


def mutant_models(items: Iterable[pytest.Item], evaluation: Evaluation) -> list[Model]:
    """Return the models that `--mutate` looks at: of selected tests, of a comparison the candidate; without any, all."""
    looked_at = {(case.suite, case.models[-1].key) for case in _cases(items) if case.models}
    models = evaluation.models()
    return [model for model in models if (model.suite, model.key) in looked_at] or models


def mutant_selection(models: Iterable[Model], evaluation: Evaluation) -> Selection:
    """Return the recorder's work for `--mutate --record`: the verdicts on the mutants of judged models."""
    judged = [(model, judge) for model in models for judge in evaluation.workspaces[model.suite].judges]
    return [(model.suite, verdicts_key(model.key, judge.key), []) for model, judge in judged]


def waits_for_jobs(item: object) -> bool:
    """Return whether a test asks for our fixture `job`."""
    definitions = getattr(item, "_fixtureinfo", None)
    return definitions is not None and reaches("job", definitions.name2fixturedefs.get("job"))


def is_skipped(item: pytest.Item) -> bool:
    """Return whether a skip or skipif mark will skip a test."""
    try:
        return evaluate_skip_marks(item) is not None
    except (Exception, pytest.fail.Exception):
        return True  # A condition that can't be evaluated fails its test, which then asks for nothing.


def _cases(items: Iterable[pytest.Item]) -> list[Case]:
    return [case for item in items if (case := case_of(item)) is not None]
