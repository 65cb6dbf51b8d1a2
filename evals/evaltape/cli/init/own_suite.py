"""The suite for a user's own rows and model, with comments where a newcomer would ask."""

import json
import re
from dataclasses import dataclass

from evaltape.cli.init.data import Guess
from evaltape.errors import UserError
from evaltape.suite.endpoint import address_problem, is_local

DEFAULT_MODEL = "gpt-6-luna"
DEFAULT_REQUEST = 'request = { reasoning_effort = "none" }    # answers at once; leave it out to let it reason'
SAMPLES = 200
"""Rows evaluated of a larger data set, until the user says otherwise."""
SUMMARIZE = "Summarize the following text in one or two sentences.\n\n{input}"


@dataclass(frozen=True)
class ChosenModel:
    """The model that `--model` and `--base-url` name."""

    name: str
    """The name the API knows it by."""
    base_url: str | None = None
    """The address of its API; None for OpenAI's."""

    @property
    def key(self) -> str:
        """Its key in the suite: letters, digits, `_`, `-` and inner dots."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", self.name.split("/")[-1]).strip("-.") or "model"

    @property
    def toml_key(self) -> str:
        """The key as TOML spells it."""
        return toml_key(self.key)

    @property
    def is_here(self) -> bool:
        """Whether it is served on this machine, where a call costs nothing and needs no key."""
        return is_local(self.base_url or "")


def chosen_model(name: str | None, base_url: str | None) -> ChosenModel | None:
    """Return the model that the command line names. Raises `UserError` for anything that can't be one."""
    if base_url is not None and name is None:
        raise UserError("--base-url says where a model is served: add --model NAME")
    problem = address_problem(base_url) if base_url is not None else None
    if problem is not None:
        raise UserError(f"--base-url {problem}")
    if name is not None and not (name.strip() and name.isprintable()):
        raise UserError(f"--model {name!r}: it takes the name that the API knows the model by")
    return ChosenModel(name, base_url) if name else None


def model_table(model: ChosenModel | None, metric: str = "rougeL") -> str:
    """Return the `[models.KEY]` table of a model that is called, with a gate on *metric* to fill in."""
    chosen = model or ChosenModel(DEFAULT_MODEL)
    lines = [f"[models.{chosen.toml_key}]", f"model = {toml_text(chosen.name)}"]
    if chosen.base_url:
        lines.append(f"base_url = {toml_text(chosen.base_url)}")
    if model is None:
        lines.append(DEFAULT_REQUEST)
    if not chosen.is_here:
        lines.append("# price = { input = 0.00, output = 0.00 }   # USD per million tokens: --estimate and --budget need it")
    lines.append(f"# gates = {{ {metric} = 0.30 }}   # the least mean that passes: set it once you have seen the scores")
    return "\n".join(lines) + "\n"


def suite_text(path: str, split: str | None, rows: int, guess: Guess, model: ChosenModel | None) -> str:
    """Return the suite for a data set of so many rows; *path* is as the suite spells it."""
    dataset = [f"path = {toml_text(path)}"]
    if split:
        dataset.append(f"split = {toml_text(split)}")
    if rows > SAMPLES:
        dataset.append(f"samples = {SAMPLES}                   # of {rows:,}; drop this line and the next to use all")
        dataset.append("seed = 42                       # which ones")
    dataset.append(f"fields = {{ {', '.join(_fields(guess))} }}")
    metrics = _metrics(guess)
    parts = [
        "# What is evaluated. Paths are relative to this file. Every key: evaltape schema\n",
        _table("dataset", dataset),
        _table("prompt", _prompt(guess)),
        _table("request", ["max_completion_tokens = 256     # bounds the length and the cost of an answer"]),
        _table("metrics", metrics),
        model_table(model, metrics[-1].split()[0]),
    ]
    return "\n".join(parts)


def asked(guess: Guess, row: dict[str, object]) -> list[tuple[str, str]]:
    """Return (role, text) of the messages that a row is asked with."""
    if guess.conversation:
        turns = row[guess.conversation]
        assert isinstance(turns, list)
        return [(str(turn.get("role")), str(turn.get("content"))) for turn in turns]
    template = SUMMARIZE if guess.summarises else "{input}"
    return [("user", template.replace("{input}", str(row[str(guess.input)])))]


def _prompt(guess: Guess) -> list[str]:
    if guess.conversation:
        return [f"conversation = {toml_text(guess.conversation)}       # a column that holds the messages"]
    if guess.summarises:
        return ['user = """', SUMMARIZE, '"""']
    return ['user = "{input}"                # put your instructions around {input}; other columns can be named, too']


def _fields(guess: Guess) -> list[str]:
    references = [toml_text(column) for column in guess.references]
    reference = references[0] if len(references) == 1 else f"[{', '.join(references)}]"
    fields = {"id": guess.id and toml_text(guess.id), "input": guess.input and toml_text(guess.input), "reference": reference}
    return [f"{key} = {value}" for key, value in fields.items() if value]


def _metrics(guess: Guess) -> list[str]:
    if guess.short:
        return ["exact = {}                      # 1 where the answer is the reference, 0 elsewhere"]
    options = '{ tokenizer = "unicode" }' if guess.unicode else "{}"
    return [f"{metric} = {options}" for metric in ("rouge1", "rougeL")]


def _table(name: str, lines: list[str]) -> str:
    return "\n".join([f"[{name}]", *lines]) + "\n"


def toml_key(key: str) -> str:
    """Return a key as TOML spells it: quoted if it has dots."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_text(key)


def toml_text(text: str) -> str:
    """Return a TOML string: JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
