"""Reads `[models]` and `[finetune]`: the models under test, and the jobs that yield some of them."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from evaltape.names import nearest
from evaltape.suite.definition import AnswerRules, Finetune, Model, RecordedAnswers, Split
from evaltape.suite.endpoint import BESIDE, check_endpoint, check_key, read_answer, read_endpoint
from evaltape.suite.file.basics import FUNCTION, DatasetTable
from evaltape.suite.file.reading import Place, read_table, value_shown
from evaltape.suite.file.tables import (
    NOT_BUILT_IN,
    SERVICES,
    FinetuneTable,
    JobKeys,
    ModelTable,
    OpenAiHyperparameters,
    SplitTable,
    SuiteTable,
)
from evaltape.suite.prompt import Prompt, read_prompt
from evaltape.suite.read_metrics import Scored, check_bounds

MAIN, OMIT = "", "omit"
"""The key of `[prompt]` among the prompts, and the value that removes a key."""


class _Shared(msgspec.Struct, frozen=True):
    """The parts of a suite that hold for all of its models."""

    place: Place
    """The suite file."""
    table: SuiteTable
    scored: Scored
    prompts: Mapping[str, Prompt]
    """`[prompt]` by `MAIN`, and `[prompts]` by key."""
    answer: AnswerRules

    @property
    def suite(self) -> str:
        """The suite's name."""
        return self.place.file.stem


def read_models(suite: SuiteTable, scored: Scored, place: Place) -> dict[str, Model]:
    """Return the models under test by key, tuned models last."""
    shared, models = _shared(suite, scored, place), dict[str, Model]()
    for key, table in suite.models.items():
        for model in _models(table, check_key(place.inside("models"), key), shared):
            _add(model, models, place)
    called = dict(models)
    for key, job in suite.finetune.items():
        _add(_tuned_model(job, check_key(place.inside("finetune"), key), called, shared), models, place)
    _check_recorded(suite, models, place)
    used = {model.prompt_place for model in models.values()}
    for key in suite.prompts:
        if f"[prompts.{key}]" not in used:
            raise place.inside("prompts").error(key, "is no model's: each has a prompt of its own, or answers from a file")
    return models


def read_split(table: DatasetTable | SplitTable) -> Split:
    """Return the selection of rows that a table names."""
    return Split(table.split, table.samples, table.seed)


def _shared(suite: SuiteTable, scored: Scored, place: Place) -> _Shared:
    fields = suite.dataset.fields
    prompts = {} if suite.prompt is None else {MAIN: read_prompt(suite.prompt, place.inside("prompt"), fields)}
    for key, table in suite.prompts.items():
        prompts[check_key(place.inside("prompts"), key)] = read_prompt(table, place.inside("prompts", key), fields)
    at = place.inside("defaults")
    check_endpoint(suite.defaults, at)
    check_bounds(suite.defaults.gates, "gates", at, scored)
    answers = read_answer(suite.defaults.answer, at.inside("answer")), read_answer(suite.answer, place.inside("answer"))
    answer = next((rules for rules in answers if rules is not None), ())
    return _Shared(place, suite, scored, prompts, answer)


def _models(table: ModelTable, key: str, shared: _Shared) -> list[Model]:
    """Return the model of a table once for each prompt that it is tested with."""
    place = shared.place.inside("models", key)
    bounds = _bounds(table, place, shared)
    answer = read_answer(table.answer, place.inside("answer"))
    model = Model(key=key, suite=shared.suite, served=table.model or "", answer=answer or (), **bounds)
    if table.predictions is not None:
        return [msgspec.structs.replace(model, predictions=place.file.parent / table.predictions)]
    called = msgspec.structs.replace(
        model,
        request=_without_omitted({**shared.table.request, **shared.table.defaults.request, **table.request}),
        answer=shared.answer if answer is None else answer,
        **read_endpoint(table, place, shared.table.defaults),
    )
    return _with_each_prompt(called, table, place, shared)


def _with_each_prompt(model: Model, table: ModelTable, place: Place, shared: _Shared) -> list[Model]:
    """Return a model with its own prompt, or with each of the suite; with a further prompt it is a model of another key."""
    if table.prompt is not None:
        at = place.inside("prompt")
        prompt = read_prompt(table.prompt, at, shared.table.dataset.fields)
        return [msgspec.structs.replace(model, prompt=prompt, prompt_place=f"[{at.table}]")]
    if MAIN not in shared.prompts:
        raise shared.place.error("prompt", f"is missing; it takes a table, as [{place.table}] has no prompt of its own")
    models = [msgspec.structs.replace(model, prompt=shared.prompts[MAIN])]
    for name, prompt in shared.prompts.items():
        if name != MAIN:
            key = check_key(shared.place.inside("models"), f"{model.key}-{name}")
            own = {"key": key, "prompt_place": f"[prompts.{name}]", "declared": model.key}
            models.append(msgspec.structs.replace(model, prompt=prompt, **own))
    return models


def _bounds(table: ModelTable | FinetuneTable, place: Place, shared: _Shared) -> dict[str, Any]:
    """Return `gates`, `slice_gates` and `allow_failed` of a model."""
    check_bounds(table.gates, "gates", place, shared.scored)
    check_bounds(table.slice_gates, "slice_gates", place, shared.scored)
    if table.slice_gates and not shared.table.dataset.slices:
        raise place.error("slice_gates", "bounds slices, and [dataset] names none, as in slices = ['topic']")
    gates = _without_omitted({**shared.table.defaults.gates, **table.gates})
    return {"gates": gates, "slice_gates": table.slice_gates, "allow_failed": table.allow_failed}


def _without_omitted(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value != OMIT}


def _tuned_model(table: FinetuneTable, key: str, models: Mapping[str, Model], shared: _Shared) -> Model:
    place = shared.place.inside("finetune", key)
    bounds, base = _bounds(table, place, shared), models.get(table.base)
    if base is None:
        there = f"no such model.{nearest(table.base, models)} Under [models]: {', '.join(models)}"
        raise place.error("base", f"= {table.base!r}: {there}")
    if base.predictions is not None:
        raise place.error("base", f"= {table.base!r}: its answers come from a file; a job tunes a model that can be called")
    own = {"key": key, "served": "", "declared": "", "price": table.price, "job": _job(table, key, base, place)}
    return msgspec.structs.replace(base, **own, **bounds)


def _job(table: FinetuneTable, key: str, base: Model, place: Place) -> Finetune:
    train, recorded = read_split(table.train), table.train.recorded
    return Finetune(
        key=key,
        suite=base.suite,
        base=base,
        train=train if recorded is None else msgspec.structs.replace(train, name=""),
        recorded=None if recorded is None else RecordedAnswers(*recorded.split("/")),
        leaks=table.train.leaks,
        validation=None if table.validation is None else read_split(table.validation),
        price=table.price,
        **{**table.values_of(JobKeys), "hyperparameters": _hyperparameters(table, place)},
    )


def _hyperparameters(table: FinetuneTable, place: Place) -> dict[str, bool | int | float | str]:
    """Return the hyperparameters as written in the suite; OpenAI's are checked by name and value."""
    if table.service == "openai":
        known = read_table(OpenAiHyperparameters, table.hyperparameters, place.inside("hyperparameters"))
        return {name: value for name, value in msgspec.structs.asdict(known).items() if value is not None}
    service = table.service
    if service in NOT_BUILT_IN:
        why = f"not built in: {NOT_BUILT_IN[service]}. Name a class of your own, 'module:Class' (docs/hosts.md)"
        raise place.error("service", f"= {value_shown(service)}: {why}")
    if service not in SERVICES and not re.fullmatch(FUNCTION, service):
        there = f"{nearest(service, SERVICES)} Known: {', '.join(SERVICES)}; one of your own: 'module:Class'"
        raise place.error("service", f"= {value_shown(service)}: no service that Evaltape knows.{there}")
    return table.hyperparameters


def _check_recorded(suite: SuiteTable, models: Mapping[str, Model], place: Place) -> None:
    """Refuse to train on the answers of a model of this suite that isn't there, or is the tuned model itself."""
    for key, table in suite.finetune.items():
        recorded = table.train.recorded
        of_suite, _, model = (recorded or "").partition("/")
        if recorded is None or of_suite != place.file.stem:
            continue
        at = place.inside("finetune", key, "train")
        if model == key:
            raise at.error("recorded", f"= {recorded!r}: it is the tuned model itself")
        if model not in models:
            there = f"{nearest(model, models)} Models: {', '.join(models)}"
            raise at.error("recorded", f"= {recorded!r}: no such model.{there}")


def _add(model: Model, models: dict[str, Model], place: Place) -> None:
    """Add a model, unless its folder is another model's, or a file beside the folders has its name."""
    folders = {name: name for name in BESIDE} | {key.lower(): f"[{other.place}]" for key, other in models.items()}
    other = folders.get(model.key.lower())
    if other is not None:
        table, by_prompt = model.place.split(".")[0], f" with {model.prompt_place}" if model.declared else ""
        what = f"and {other} would share one cassette folder; rename one"
        raise place.inside(table).error(f"{model.key}{by_prompt}", what)
    models[model.key] = model
