"""Completes `[models]` and `[finetune]`: the models under test, and the jobs that yield some of them."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec.structs import asdict, replace

from evaltape.names import nearest
from evaltape.suite.definition import SERVICES, Finetune, Model, Suite
from evaltape.suite.file.reading import Place, read_table
from evaltape.suite.file.values import FUNCTION, Count, Positive, Table, key, key_problem, value_shown
from evaltape.suite.prompt import Prompt, check_prompt
from evaltape.suite.read_metrics import BESIDE, check_bounds, endpoint_of

NOT_BUILT_IN = {
    "mistral": "its orders have another schema, and the API is deprecated",
    "together": "it has an API of its own, /v1/fine-tunes",
    "fireworks": "it has an API of its own, with data sets in place of files",
}
"""Services that take a class of the user's, with the reason."""
Auto = Literal["auto"]


class OpenAiHyperparameters(Table, frozen=True):
    """The hyperparameters of OpenAI's API; "auto" leaves one to it."""

    n_epochs: Annotated[Count | Auto | None, key("How often the training file is gone through.")] = None
    batch_size: Annotated[Count | Auto | None, key("Rows a step.")] = None
    learning_rate_multiplier: Annotated[Positive | Auto | None, key("A factor of the API's own learning rate.")] = None


def read_models(suite: Suite, place: Place) -> dict[str, Model]:
    """Return the models under test by key, tuned models last."""
    if suite.prompt is not None:
        check_prompt(suite.prompt, place.inside("prompt"), suite.dataset.fields.input)
    for name, prompt in suite.prompts.items():
        check_prompt(prompt, place.inside("prompts", name), suite.dataset.fields.input)
    check_bounds(suite.defaults.gates, "gates", place.inside("defaults"), suite)
    models = dict[str, Model]()
    for table in suite.models.values():
        for model in _models(table, suite, place):
            _add(model, models, place)
    called = dict(models)
    for job in suite.finetune.values():
        _add(_tuned_model(job, called, suite, place.inside("finetune", job.key)), models, place)
    _check_recorded(suite, models, place)
    used = {model.prompt_place for model in models.values()}
    for name in suite.prompts:
        if f"[prompts.{name}]" not in used:
            raise place.inside("prompts").error(name, "is no model's: each has a prompt of its own, or answers from a file")
    return models


def _models(table: Model, suite: Suite, place: Place) -> list[Model]:
    """Return the model of a table once for each prompt that it is tested with; with a further prompt by another key."""
    at = place.inside("models", table.key)
    model = replace(table, **_bounds(table, suite, at))
    if table.predictions is not None:
        return [model]
    request = _without_omitted({**suite.request, **suite.defaults.request, **table.request})
    answer = table.answer or suite.defaults.answer or suite.answer
    model = replace(model, request=request, answer=answer, **endpoint_of(table, suite))
    if table.prompt != Prompt():
        own = at.inside("prompt")
        check_prompt(table.prompt, own, suite.dataset.fields.input)
        return [replace(model, prompt_place=f"[{own.table}]")]
    if suite.prompt is None:
        raise place.error("prompt", f"is missing; it takes a table, as [{at.table}] has no prompt of its own")
    models = [replace(model, prompt=suite.prompt)]
    for name, prompt in suite.prompts.items():
        problem = key_problem(f"{model.key}-{name}")
        if problem is not None:
            raise place.inside("models").error(f"{model.key}-{name}", problem)
        further = {"key": f"{model.key}-{name}", "prompt_place": f"[prompts.{name}]", "declared": model.key}
        models.append(replace(model, prompt=prompt, **further))
    return models


def _bounds(table: Model | Finetune, suite: Suite, place: Place) -> dict[str, Any]:
    """Return `gates`, `slice_gates` and `allow_failed` of a model."""
    check_bounds(table.gates, "gates", place, suite)
    check_bounds(table.slice_gates, "slice_gates", place, suite)
    if table.slice_gates and not suite.dataset.slices:
        raise place.error("slice_gates", "bounds slices, and [dataset] names none, as in slices = ['topic']")
    gates = _without_omitted({**suite.defaults.gates, **table.gates})
    return {"gates": gates, "slice_gates": table.slice_gates, "allow_failed": table.allow_failed}


def _without_omitted(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value != "omit"}


def _tuned_model(job: Finetune, models: Mapping[str, Model], suite: Suite, place: Place) -> Model:
    bounds, base = _bounds(job, suite, place), models.get(job.base_key)
    if base is None:
        there = f"no such model.{nearest(job.base_key, models)} Under [models]: {', '.join(models)}"
        raise place.error("base", f"= {job.base_key!r}: {there}")
    if base.predictions is not None:
        raise place.error("base", f"= {job.base_key!r}: its answers come from a file; a job tunes a model that can be called")
    train = replace(job.train, split="") if job.train.recorded else job.train
    job = replace(job, base=base, train=train, hyperparameters=_hyperparameters(job, place))
    return replace(base, key=job.key, served="", declared="", price=job.price, job=job, **bounds)


def _hyperparameters(job: Finetune, place: Place) -> dict[str, bool | int | float | str]:
    """Return the hyperparameters as written in the suite; OpenAI's are checked by name and value."""
    service = job.service
    if service == "openai":
        known = read_table(OpenAiHyperparameters, job.hyperparameters, place.inside("hyperparameters"))
        return {name: value for name, value in asdict(known).items() if value is not None}
    if service in NOT_BUILT_IN:
        why = f"not built in: {NOT_BUILT_IN[service]}. Name a class of your own, 'module:Class' (docs/hosts.md)"
        raise place.error("service", f"= {value_shown(service)}: {why}")
    if service not in SERVICES and not re.fullmatch(FUNCTION, service):
        there = f"{nearest(service, SERVICES)} Known: {', '.join(SERVICES)}; one of your own: 'module:Class'"
        raise place.error("service", f"= {value_shown(service)}: no service that Evaltape knows.{there}")
    return job.hyperparameters


def _check_recorded(suite: Suite, models: Mapping[str, Model], place: Place) -> None:
    """Refuse to train on the answers of a model of this suite that isn't there, or is the tuned model itself."""
    for job in suite.finetune.values():
        of_suite, _, model = (job.train.recorded or "").partition("/")
        if of_suite != job.suite:
            continue
        at = place.inside("finetune", job.key, "train")
        if model == job.key:
            raise at.error("recorded", f"= {job.train.recorded!r}: it is the tuned model itself")
        if model not in models:
            there = f"{nearest(model, models)} Models: {', '.join(models)}"
            raise at.error("recorded", f"= {job.train.recorded!r}: no such model.{there}")


def _add(model: Model, models: dict[str, Model], place: Place) -> None:
    """Add a model, unless its folder is another model's, or a file beside the folders has its name."""
    folders = {name: name for name in BESIDE} | {key.lower(): f"[{other.place}]" for key, other in models.items()}
    other = folders.get(model.key.lower())
    if other is not None:
        table, by_prompt = model.place.split(".")[0], f" with {model.prompt_place}" if model.declared else ""
        what = f"and {other} would share one cassette folder; rename one"
        raise place.inside(table).error(f"{model.key}{by_prompt}", what)
    models[model.key] = model
