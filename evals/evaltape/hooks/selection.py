"""The needs of the selected tests: calls of the API, and fine-tuning jobs."""

from collections.abc import Iterable, Iterator

import pytest
from _pytest.skipping import evaluate_skip_marks

from evaltape.evaluation import Evaluation, Selected
from evaltape.hooks.cases import Case, case_of, reaches
from evaltape.recorder.wire import Selection, verdicts_key
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Model


def selected_calls(items: Iterable[pytest.Item]) -> Selected:
    """Return the (model, sample) of each call that selected tests rest on, each once, skipped tests left out."""
    return _each_once((model, sample) for model, sample in _asked(items) if model.predictions is None)


def selected_models(items: Iterable[pytest.Item], suite: str) -> list[str]:
    """Return the keys of a suite's models that selected sample tests look at, whether they are called or not."""
    return list(dict.fromkeys(model.key for model, _ in _asked(items) if model.suite == suite))


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
    for model, sample in _each_once(_asked(chosen)):
        if model.predictions is None or evaluation.workspaces[model.suite].judges:
            wanted.setdefault((model.suite, model.key), []).append(sample.id)
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
    return [
        (model.suite, verdicts_key(model.key, judge.key), [])
        for model in models
        for judge in evaluation.workspaces[model.suite].judges
    ]


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


def _asked(items: Iterable[pytest.Item]) -> Iterator[tuple[Model, Sample]]:
    """Yield model and sample of each sample test that no mark skips."""
    for case in _cases(item for item in items if not is_skipped(item)):
        if case.model is not None and case.sample is not None:
            yield case.model, case.sample


def _each_once(pairs: Iterable[tuple[Model, Sample]]) -> Selected:
    return list({(model.suite, model.key, sample.id): (model, sample) for model, sample in pairs}.values())
