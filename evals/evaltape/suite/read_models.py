"""Reads `[models]` and `[finetune]`: what is under test, and the jobs that yield some of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaltape.names import is_safe_key, nearest
from evaltape.suite.address import address_problem
from evaltape.suite.definition import Fields, Finetune, Model, Price
from evaltape.suite.keys import HYPERPARAMETERS
from evaltape.suite.prompt import Prompt
from evaltape.suite.read_dataset import read_split
from evaltape.suite.read_metrics import Metrics, read_bounds
from evaltape.suite.read_prompt import read_prompt
from evaltape.suite.table import Table

BESIDE = ("samples.jsonl", "dataset.json", "batches.json", "samples.jsonl.next", "dataset.json.next")
"""Files that lie beside the models' cassette folders."""


@dataclass(frozen=True)
class _Shared:
    """What the suite says for all of its models."""

    suite: str
    fields: Fields
    prompt: Prompt | None
    request: Mapping[str, Any]
    metrics: Metrics


def read_models(suite: Table, name: str, fields: Fields, metrics: Metrics) -> dict[str, Model]:
    """Return the models under test by key, those that jobs yield last."""
    table = suite.table("prompt")
    prompt = None if table is None else read_prompt(table, fields)
    shared = _Shared(name, fields, prompt, suite.entries("request"), metrics)
    models = {key: _model(suite, table, key, shared) for key, table in suite.tables("models").items()}
    jobs = {key: _tuned_model(suite, table, key, models, shared) for key, table in suite.tables("finetune").items()}
    _refuse_shared_folders(suite, list(models), list(jobs))
    return {**models, **jobs}


def check_key(suite: Table, table: str, key: str) -> str:
    """Return a key that the user chose, if it can be part of a test id and name a folder."""
    if not is_safe_key(key):
        raise suite.error_in(table, key, "can't be a test id and a folder's name; use letters, digits, _, - and .")
    return key


# ---------------------------------------------------------------- models


def _model(suite: Table, table: Table, key: str, shared: _Shared) -> Model:
    check_key(suite, "models", key)
    file = table.take("predictions")
    return Model(
        key=key,
        suite=shared.suite,
        served=table.take("model") or "",
        request=_merged(shared.request, table.entries("request")) if file is None else {},
        prompt=_prompt(suite, table, shared) if file is None else Prompt(),
        base_url=_base_url(table),
        api_key_env=_variable(table),
        price=_price(table),
        gates=read_bounds(table, "gates", shared.metrics),
        slice_gates=_slice_gates(suite, table, shared.metrics),
        allow_failed=table.take("allow_failed"),
        predictions=None if file is None else table.file.parent / file,
    )


def _prompt(suite: Table, table: Table, shared: _Shared) -> Prompt:
    own = table.table("prompt")
    if own is None and shared.prompt is None:
        raise suite.error("prompt", f"is missing; it takes a table, as [{table.place}] has no prompt of its own")
    return read_prompt(own, shared.fields) if own is not None else shared.prompt or Prompt()


def _merged(request: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**request, **overrides}.items() if value != "omit"}


def _base_url(table: Table) -> str | None:
    url: str | None = table.take("base_url")
    problem = address_problem(url) if url is not None else None
    if problem is not None:
        raise table.error("base_url", problem)
    return url


def _variable(table: Table) -> str | None:
    name: str | None = table.take("api_key_env") if "api_key_env" in table else None
    if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise table.error("api_key_env", "takes the name of an environment variable, never a key")
    return name


def _price(table: Table) -> Price | None:
    price = table.table("price")
    return None if price is None else Price(**{key: price.take(key) for key in price.section.keys})


def _slice_gates(suite: Table, table: Table, metrics: Metrics) -> dict[str, float]:
    bounds = read_bounds(table, "slice_gates", metrics)
    if bounds and "slices" not in suite.values["dataset"]:
        raise table.error("slice_gates", "bounds slices, and [dataset] names none, as in slices = ['topic']")
    return bounds


# ---------------------------------------------------------------- jobs


def _tuned_model(suite: Table, table: Table, key: str, models: Mapping[str, Model], shared: _Shared) -> Model:
    check_key(suite, "finetune", key)
    base, price = _base(table, models), _price(table)
    return Model(
        key=key,
        suite=shared.suite,
        served="",
        request=base.request,
        prompt=base.prompt,
        base_url=base.base_url,
        api_key_env=base.api_key_env,
        price=price,
        gates=read_bounds(table, "gates", shared.metrics),
        slice_gates=_slice_gates(suite, table, shared.metrics),
        allow_failed=table.take("allow_failed"),
        job=_job(table, key, base, price),
    )


def _job(table: Table, key: str, base: Model, price: Price | None) -> Finetune:
    train, validation = table.table("train"), table.table("validation")
    assert train is not None
    return Finetune(
        key=key,
        suite=base.suite,
        base=base,
        train=read_split(train),
        leaks=train.take("leaks"),
        validation=None if validation is None else read_split(validation),
        suffix=table.take("suffix"),
        seed=table.take("seed"),
        hyperparameters=_hyperparameters(table),
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


def _hyperparameters(table: Table) -> dict[str, int | float | str]:
    values = table.table("hyperparameters")
    return {} if values is None else {key: values.take(key) for key in HYPERPARAMETERS if key in values}


# ---------------------------------------------------------------- folders


def _refuse_shared_folders(suite: Table, models: list[str], jobs: list[str]) -> None:
    seen = {name: name for name in BESIDE}
    for table, keys in (("models", models), ("finetune", jobs)):
        for key in keys:
            other = seen.setdefault(key.lower(), f"[{table}.{key}]")
            if other != f"[{table}.{key}]":
                raise suite.error_in(table, key, f"and {other} would share one cassette folder; rename one")
