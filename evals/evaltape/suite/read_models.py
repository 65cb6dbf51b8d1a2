"""Reads `[models]` and `[finetune]`: what is under test, and the jobs that yield some of it."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from evaltape.names import nearest
from evaltape.suite.definition import Fields, Finetune, Model, Price, RecordedAnswers
from evaltape.suite.keys import FUNCTION, OPENAI_HYPERPARAMETERS, SERVICES
from evaltape.suite.prompt import Prompt
from evaltape.suite.read_dataset import read_split
from evaltape.suite.read_endpoint import BESIDE, Defaults, check_key, read_answer, read_endpoint, read_price
from evaltape.suite.read_metrics import Scored, read_bounds
from evaltape.suite.read_prompt import read_prompt
from evaltape.suite.table import Table, value_shown

MAIN, OMIT = "", "omit"
"""The key of `[prompt]` among the prompts, and the value that removes a key."""


class _Shared(msgspec.Struct, frozen=True):
    """What the suite says for all of its models."""

    suite: str
    fields: Fields
    prompts: Mapping[str, Prompt]
    """`[prompt]` by `MAIN`, and `[prompts]` by key."""
    defaults: Defaults
    scored: Scored


def read_models(suite: Table, name: str, fields: Fields, defaults: Defaults, scored: Scored) -> dict[str, Model]:
    """Return the models under test by key, those that jobs yield last."""
    shared = _Shared(name, fields, _prompts(suite, fields), defaults, scored)
    models: dict[str, Model] = {}
    for key, table in suite.tables("models").items():
        for model in _models(suite, table, key, shared):
            _add(suite, model, models)
    base_models = dict(models)
    for key, table in suite.tables("finetune").items():
        _add(suite, _tuned_model(suite, table, key, base_models, shared), models)
    _refuse_idle_prompts(suite, models)
    return models


def _prompts(suite: Table, fields: Fields) -> dict[str, Prompt]:
    table = suite.table("prompt")
    prompts = {} if table is None else {MAIN: read_prompt(table, fields)}
    for key, one in suite.tables("prompts").items():
        prompts[check_key(suite, "prompts", key)] = read_prompt(one, fields)
    return prompts


# ---------------------------------------------------------------- models


def _models(suite: Table, table: Table, key: str, shared: _Shared) -> list[Model]:
    """Return the model of a table once for each prompt that it is tested with."""
    check_key(suite, "models", key)
    if "predictions" in table:
        return [_model(suite, table, key, shared)]
    own = table.table("prompt")
    if own is not None:
        return [_model(suite, table, key, shared, read_prompt(own, shared.fields), f"[models.{key}.prompt]")]
    if MAIN not in shared.prompts:
        raise suite.error("prompt", f"is missing; it takes a table, as [{table.place}] has no prompt of its own")
    return [
        _model(suite, table, f"{key}-{name}", shared, prompt, f"[prompts.{name}]", declared=key)
        if name
        else _model(suite, table, key, shared, prompt, "[prompt]")
        for name, prompt in shared.prompts.items()
    ]


def _model(
    suite: Table, table: Table, key: str, shared: _Shared, prompt: Prompt | None = None, place: str = "", declared: str = ""
) -> Model:
    check_key(suite, "models", key)
    file, answer = table.take("predictions"), read_answer(table)
    gates = _gates(table, shared)
    common = {
        "key": key,
        "suite": shared.suite,
        "gates": gates,
        "slice_gates": _slice_gates(suite, table, shared.scored),
        "allow_failed": table.take("allow_failed"),
        "declared": declared,
    }
    if file is not None or prompt is None:
        return Model(served="", predictions=table.file.parent / file, answer=answer or (), **common)
    base_url, api_key_env, price = read_endpoint(table, shared.defaults)
    return Model(
        served=table.take("model"),
        request=_merged(shared.defaults.request, table.entries("request")),
        prompt=prompt,
        prompt_place=place,
        base_url=base_url,
        api_key_env=api_key_env,
        price=price,
        answer=shared.defaults.answer if answer is None else answer,
        **common,
    )


def _merged(request: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**request, **overrides}.items() if value != OMIT}


def _gates(table: Table, shared: _Shared) -> dict[str, float]:
    defaults = read_bounds(shared.defaults.gates, "gates", shared.scored) if shared.defaults.gates else {}
    return _merged(defaults, read_bounds(table, "gates", shared.scored))


def _slice_gates(suite: Table, table: Table, scored: Scored) -> dict[str, float]:
    bounds = read_bounds(table, "slice_gates", scored)
    if bounds and "slices" not in suite.values["dataset"]:
        raise table.error("slice_gates", "bounds slices, and [dataset] names none, as in slices = ['topic']")
    return bounds


# ---------------------------------------------------------------- jobs


def _tuned_model(suite: Table, table: Table, key: str, models: Mapping[str, Model], shared: _Shared) -> Model:
    check_key(suite, "finetune", key)
    base, price = _base(table, models), read_price(table)
    return Model(
        key=key,
        suite=shared.suite,
        served="",
        request=base.request,
        prompt=base.prompt,
        prompt_place=base.prompt_place,
        base_url=base.base_url,
        api_key_env=base.api_key_env,
        price=price,
        gates=_gates(table, shared),
        slice_gates=_slice_gates(suite, table, shared.scored),
        allow_failed=table.take("allow_failed"),
        answer=base.answer,
        job=_job(table, key, base, price),
    )


def _job(table: Table, key: str, base: Model, price: Price | None) -> Finetune:
    train, validation = table.table("train"), table.table("validation")
    assert train is not None
    recorded = train.take("recorded")
    return Finetune(
        key=key,
        suite=base.suite,
        base=base,
        train=read_split(train) if recorded is None else msgspec.structs.replace(read_split(train), name=""),
        recorded=None if recorded is None else RecordedAnswers(*recorded.split("/")),
        leaks=train.take("leaks"),
        validation=None if validation is None else read_split(validation),
        suffix=table.take("suffix"),
        seed=table.take("seed"),
        hyperparameters=_hyperparameters(table),
        service=_service(table),
        extra=table.entries("extra"),
        deploy=table.take("deploy"),
        poll_seconds=table.take("poll_seconds"),
        price=price,
    )


def _base(table: Table, models: Mapping[str, Model]) -> Model:
    key = table.take("base")
    if key not in models:
        raise table.error("base", f"= {key!r}: no such model.{nearest(key, models)} Under [models]: {', '.join(models)}")
    if models[key].predictions is not None:
        raise table.error("base", f"= {key!r}: its answers come from a file; a job tunes a model that can be called")
    return models[key]


def _service(table: Table) -> str:
    service: str = table.take("service")
    if service not in SERVICES and not re.fullmatch(FUNCTION, service):
        known = ", ".join(SERVICES)
        hint = f"{nearest(service, SERVICES)} Known: {known}; one of your own: 'module:Class'"
        raise table.error("service", f"= {value_shown(service)}: no service that Evaltape knows.{hint}")
    return service


def _hyperparameters(table: Table) -> dict[str, bool | int | float | str]:
    """Return them as they are written; those of OpenAI's API are checked by name and value."""
    values: dict[str, bool | int | float | str] = table.entries("hyperparameters")
    if _service(table) != "openai":
        return values
    return table.entries_by("hyperparameters", OPENAI_HYPERPARAMETERS)


# ---------------------------------------------------------------- folders


def _add(suite: Table, model: Model, models: dict[str, Model]) -> None:
    """Add a model, unless its folder is that of another one, or a file beside the folders has its name."""
    folders = {name: name for name in BESIDE} | {key.lower(): f"[{other.place}]" for key, other in models.items()}
    other = folders.get(model.key.lower())
    if other is not None:
        table = "finetune" if model.job else "models"
        by_prompt = f" with {model.prompt_place}" if model.declared else ""
        raise suite.error_in(table, f"{model.key}{by_prompt}", f"and {other} would share one cassette folder; rename one")
    models[model.key] = model


def _refuse_idle_prompts(suite: Table, models: Mapping[str, Model]) -> None:
    used = {model.prompt_place for model in models.values()}
    for key in suite.entries("prompts"):
        if f"[prompts.{key}]" not in used:
            raise suite.error_in("prompts", key, "is no model's: each has a prompt of its own, or answers from a file")
