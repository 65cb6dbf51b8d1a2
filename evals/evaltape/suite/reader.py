"""The suite: what is evaluated, read from a TOML file and checked before anything else happens.

A `Suite` is built of frozen dataclasses that mirror the tables of the file. Whatever is wrong with the file is a
`UserError` naming file, key, value found and what is valid.
"""

import json
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaltape.errors import UserError
from evaltape.names import is_safe_key, nearest, shown
from evaltape.suite import prompt
from evaltape.suite.table import Table

METRICS = ("rouge1", "rouge2", "rouge3", "rouge4", "rougeL", "rougeLsum")
OWN_KEYS = ("messages", "model", "stream", "n")


@dataclass(frozen=True)
class Fields:
    """The data set's columns that hold the id, the input and the reference of a sample."""

    id: str = "id"
    input: str = "dialogue"
    reference: str = "summary"


@dataclass(frozen=True)
class Split:
    """A selection of one split: all rows, or `samples` of them, after datasets' `shuffle(seed=seed)` if there is a seed."""

    name: str
    samples: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Dataset:
    """Where samples come from: a Hub data set, one local file, or a local folder with a file per split."""

    path: str
    fields: Fields
    split: Split
    revision: str | None = None


@dataclass(frozen=True)
class Price:
    """USD per million tokens; `training` for a job's trained tokens."""

    input: float
    output: float
    training: float | None = None


@dataclass(frozen=True, repr=False)
class Model:
    """A model under test. `request` is complete: the suite's request with the model's overrides applied."""

    key: str
    served: str
    request: dict[str, Any]
    suite: str = ""
    base_url: str | None = None
    api_key_env: str | None = None
    price: Price | None = None
    gates: dict[str, float] = field(default_factory=dict)
    allow_failed: int = 0
    job: "Finetune | None" = None

    def __repr__(self) -> str:
        return f"<model {self.key}>"

    @property
    def kind(self) -> str:
        """`baseline`, or `finetuned` for a tuned model, whose `served` name is learned from its job."""
        return "finetuned" if self.job else "baseline"


@dataclass(frozen=True)
class Finetune:
    """A fine-tuning job; its tuned model is a model under test under the same key."""

    key: str
    base: Model
    train: Split
    suite: str = ""
    leaks: str = "error"
    validation: Split | None = None
    suffix: str | None = None
    seed: int | None = None
    hyperparameters: dict[str, int | float | str] = field(default_factory=dict)
    poll_seconds: float = 30.0
    price: Price | None = None


@dataclass(frozen=True)
class Comparison:
    """A paired assertion between two models: a least gain or a greatest drop in mean score, per metric."""

    name: str
    baseline: str
    candidate: str
    min_gain: dict[str, float]
    max_drop: dict[str, float]
    confidence: float = 0.95
    suite: str = ""

    @property
    def bounds(self) -> dict[str, float]:
        """Per metric the difference, candidate less baseline, that has to be reached."""
        return {**self.min_gain, **{metric: -drop for metric, drop in self.max_drop.items()}}


@dataclass(frozen=True)
class Suite:
    """Everything a suite file says."""

    file: Path
    dataset: Dataset
    user: str
    system: str | None
    metrics: tuple[str, ...]
    stemmer: bool
    models: dict[str, Model]
    comparisons: dict[str, Comparison]

    @property
    def name(self) -> str:
        """The file's stem: the name of the suite's folder under the cassettes."""
        return self.file.stem

    def models_of(self, kind: str) -> list[Model]:
        """The models under test of one kind, `baseline` or `finetuned`, in the order of the file."""
        return [model for model in self.models.values() if model.kind == kind]


def load_suite(file: Path) -> Suite:
    """Read and check a suite file.

    Raises `UserError` for a file that is missing, not TOML, or wrong in any key.
    """
    top = Table(file, "", _read_toml(file))
    if not is_safe_key(file.stem):
        raise UserError(f"{shown(file)}: the file's name is the folder of its recordings; use letters, digits, _ and -")
    dataset = _dataset(top.table("dataset", required=True))
    user, system = _prompt(top.table("prompt", required=True))
    request = _request(top.table("request"))
    metrics, stemmer = _rouge(top.table("rouge"))
    models = _models(top.table("models", required=True), request, metrics)
    jobs = _jobs(top.table("finetune"), models, metrics)
    models = _distinct_folders(top, {**models, **jobs})
    comparisons = _comparisons(top.table("compare"), models, metrics)
    top.close()
    return Suite(file, dataset, user, system, metrics, stemmer, models, comparisons)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = ", ".join(sorted(shown(path) for path in file.parent.glob("*.toml"))) or "none in that folder"
        raise UserError(f"{shown(file)}: there is no such suite file. Suites there: {there}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{shown(file)}: not a readable TOML file: {error}") from None


def _dataset(table: Table) -> Dataset:
    names = table.table("fields")
    fields = Fields(*(names.take(key, str, getattr(Fields, key)) for key in ("id", "input", "reference")))
    names.close()
    dataset = Dataset(table.take("path", str), fields, _split(table, "validation"), table.take("revision", str, None))
    table.close()
    return dataset


def _split(table: Table, default: str) -> Split:
    split = Split(table.take("split", str, default), table.take("samples", int, None), table.take("seed", int, None))
    if split.samples is not None and split.samples < 1:
        raise table.error("samples", f"= {split.samples}: at least 1; leave it out to use all")
    if split.seed is not None and split.seed < 0:
        raise table.error("seed", f"= {split.seed}: it takes a whole number from 0")
    return split


def _prompt(table: Table) -> tuple[str, str | None]:
    texts = {"user": table.take("user", str), "system": table.take("system", str, None)}
    for key, template in texts.items():
        if template is not None:
            try:
                prompt.columns(template)
            except ValueError as error:
                raise table.error(key, f": {error}") from None
    if "input" not in prompt.columns(texts["user"]) | prompt.columns(texts["system"] or ""):
        raise table.error("user", "never names {input}, so every sample would be asked the same")
    table.close()
    return texts["user"], texts["system"]


def _request(table: Table) -> dict[str, Any]:
    for key, value in table.values.items():
        if key in OWN_KEYS:
            raise table.error(key, f"= {value!r}: Evaltape sends this one itself; leave it out")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise table.error(key, f"= {value!r}: a request is JSON, which has no such value") from None
    return dict(table.values)


def _rouge(table: Table) -> tuple[tuple[str, ...], bool]:
    metrics = table.take("metrics", list, ["rouge1", "rouge2", "rougeL"])
    for metric in metrics:
        if metric not in METRICS:
            hint = nearest(str(metric), METRICS)
            raise table.error("metrics", f"names {metric!r}, which is no metric here.{hint} Valid: {', '.join(METRICS)}")
    if not metrics or len(set(metrics)) != len(metrics):
        raise table.error("metrics", f"= {metrics!r}: name one metric or more, each once")
    stemmer = table.take("stemmer", bool, False)
    table.close()
    return tuple(metrics), stemmer


def _models(tables: Table, request: dict[str, Any], metrics: tuple[str, ...]) -> dict[str, Model]:
    models = {key: _model(tables.table(key), key, request, metrics) for key in tables.values}
    if not models:
        raise UserError(f"{shown(tables.file)}: [models] is empty; a suite needs at least one model")
    return models


def _model(table: Table, key: str, request: dict[str, Any], metrics: tuple[str, ...]) -> Model:
    model = Model(
        key=_key(table, key),
        served=table.take("model", str),
        request=_merged(request, _request(table.table("request"))),
        suite=table.file.stem,
        base_url=_base_url(table),
        api_key_env=_variable(table),
        price=_price(table.table("price")) if "price" in table.values else None,
        gates=_gates(table.table("gates"), metrics),
        allow_failed=_at_least_0(table, "allow_failed", int, 0),
    )
    table.take("price", dict, None)
    table.close()
    return model


def _merged(request: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**request, **overrides}.items() if value != "omit"}


def _base_url(table: Table) -> str | None:
    url: str | None = table.take("base_url", str, None)
    if url is not None and not url.startswith(("http://", "https://")):
        raise table.error("base_url", f"= {url!r}: it takes an address like http://127.0.0.1:8000/v1")
    if url is not None and "@" in url.split("//", 1)[1].split("/", 1)[0]:
        raise table.error("base_url", "holds a user name or password; put the key into a variable and name it in api_key_env")
    return url


def _variable(table: Table) -> str | None:
    name: str | None = table.take("api_key_env", str, None)
    if name is not None and (not name.replace("_", "a").isalnum() or name.startswith("sk-")):
        raise table.error("api_key_env", "takes the name of an environment variable, never a key")
    return name


def _price(table: Table, training: bool = False) -> Price:
    keys = ("input", "output", "training") if training else ("input", "output")
    price = Price(**{key: _at_least_0(table, key, float) for key in keys})
    table.close()
    return price


def _gates(table: Table, metrics: tuple[str, ...]) -> dict[str, float]:
    gates = {}
    for metric in table.values:
        if metric not in metrics:
            hint = "" if metric in METRICS else nearest(metric, metrics)
            raise table.error(metric, f"is no metric of this suite.{hint} [rouge] metrics: {', '.join(metrics)}")
        gates[metric] = value = table.take(metric, float)
        if not 0 <= value <= 1:
            hint = f" Did you mean {value / 100:g}?" if 1 < value <= 100 else ""
            raise table.error(metric, f"= {table.values[metric]!r}: a gate is an F1 score between 0 and 1.{hint}")
    return gates


def _at_least_0(table: Table, key: str, kind: type, default: Any = None) -> Any:
    value = table.take(key, kind, default) if default is not None else table.take(key, kind)
    if not 0 <= value < math.inf:
        what = "it can't be negative" if value < 0 else "it takes a finite number"
        raise table.error(key, f"= {table.values[key]!r}: {what}")
    return value


def _jobs(tables: Table, models: dict[str, Model], metrics: tuple[str, ...]) -> dict[str, Model]:
    return {key: _tuned_model(tables.table(key), key, models, metrics) for key in tables.values}


def _tuned_model(table: Table, key: str, models: dict[str, Model], metrics: tuple[str, ...]) -> Model:
    base = models.get(table.take("base", str))
    if base is None:
        hint = nearest(table.values["base"], models)
        raise table.error("base", f"= {table.values['base']!r}: no such model.{hint} Under [models]: {', '.join(models)}")
    train = table.table("train", required=True)
    leaks = train.take("leaks", str, "error")
    if leaks not in ("error", "drop"):
        raise train.error("leaks", f"= {leaks!r}: it takes 'error' or 'drop'")
    price = _price(table.table("price"), training=True) if "price" in table.values else None
    table.take("price", dict, None)
    job = Finetune(
        key=_key(table, key),
        base=base,
        train=_closed_split(train, "train"),
        suite=table.file.stem,
        leaks=leaks,
        validation=_closed_split(table.table("validation"), "validation") if "validation" in table.values else None,
        suffix=table.take("suffix", str, None),
        seed=table.take("seed", int, None),
        hyperparameters=_hyperparameters(table.table("hyperparameters")),
        poll_seconds=_at_least_0(table, "poll_seconds", float, 30.0),
        price=price,
    )
    table.take("validation", dict, None)
    gates = _gates(table.table("gates"), metrics)
    allow_failed = _at_least_0(table, "allow_failed", int, 0)
    table.close()
    return Model(key, "", base.request, base.suite, base.base_url, base.api_key_env, price, gates, allow_failed, job)


def _closed_split(table: Table, default: str) -> Split:
    split = _split(table, default)
    table.close()
    return split


def _hyperparameters(table: Table) -> dict[str, int | float | str]:
    values: dict[str, int | float | str] = {}
    for key, kind in (("n_epochs", int), ("batch_size", int), ("learning_rate_multiplier", float)):
        if table.values.get(key) == "auto":
            values[key] = table.take(key, str)
        elif key in table.values:
            values[key] = table.take(key, kind)
            if table.values[key] <= 0:
                raise table.error(key, f"= {table.values[key]!r}: it takes a number over 0, or 'auto'")
        else:
            table.take(key, kind, None)
    table.close()
    return values


def _key(table: Table, key: str) -> str:
    if not is_safe_key(key):
        raise UserError(
            f"{shown(table.file)}: [{table.key}]: {key!r} can't be a test id and a folder's name; "
            "use letters, digits, _, - and ."
        )
    return key


def _distinct_folders(top: Table, models: dict[str, Model]) -> dict[str, Model]:
    tables = {**dict.fromkeys(top.values["models"], "models"), **dict.fromkeys(top.values.get("finetune", {}), "finetune")}
    both = [key for key in top.values["models"] if key in top.values.get("finetune", {})]
    if both:
        raise UserError(f"{shown(top.file)}: [models.{both[0]}] and [finetune.{both[0]}] would share one cassette folder")
    seen: dict[str, str] = {"samples.jsonl": "samples.jsonl", "dataset.json": "dataset.json"}
    for key in models:
        other = seen.setdefault(key.lower(), key)
        if other != key or key.lower() in ("samples.jsonl", "dataset.json"):
            raise UserError(
                f"{shown(top.file)}: [{tables[key]}.{key}] and {other!r} would share one cassette folder; rename one"
            )
    return models


def _comparisons(tables: Table, models: dict[str, Model], metrics: tuple[str, ...]) -> dict[str, Comparison]:
    return {name: _comparison(tables.table(name), name, models, metrics) for name in tables.values}


def _comparison(table: Table, name: str, models: dict[str, Model], metrics: tuple[str, ...]) -> Comparison:
    sides = {side: table.take(side, str) for side in ("baseline", "candidate")}
    for side, key in sides.items():
        if key not in models:
            raise table.error(side, f"= {key!r}: no such model.{nearest(key, models)} Models: {', '.join(models)}")
    if sides["baseline"] == sides["candidate"]:
        raise table.error("candidate", f"= {sides['candidate']!r}: it is the baseline, too; compare two models")
    gains, drops = _gates(table.table("min_gain"), metrics), _gates(table.table("max_drop"), metrics)
    if not gains and not drops:
        raise table.error("min_gain", "is missing; it or max_drop takes a bound per metric, e.g. { rougeL = 0.05 }")
    if set(gains) & set(drops):
        raise table.error("max_drop", f"and min_gain both bound {min(set(gains) & set(drops))}; keep one")
    confidence = table.take("confidence", float, 0.95)
    if not 0.5 <= confidence < 1:
        raise table.error("confidence", f"= {table.values['confidence']!r}: it takes a number from 0.5 to under 1")
    table.close()
    return Comparison(_key(table, name), sides["baseline"], sides["candidate"], gains, drops, confidence, table.file.stem)
