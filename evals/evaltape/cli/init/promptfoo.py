"""Reads a promptfoo configuration: its providers, prompts and tests, and the assertions that have a metric here.

`read_config` returns everything that a suite can hold, and a note for each part that it can't. Nothing is run.
Source of the format: https://www.promptfoo.dev/docs/configuration/reference/
"""

import csv
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.text import visible

Json = Any
"""A value as YAML or JSON holds it; only this module reads them."""
TEXT_CHECKS = (
    "contains", "icontains", "contains-all", "contains-any", "icontains-all", "icontains-any", "equals", "regex", "starts-with",
)  # fmt: skip
"""Assertions on the text alone; each may begin with `not-`."""
RUBRIC, ROUGE = "llm-rubric", "rouge-n"
INSTEAD = {
    "latency": "name latency_s under [metrics] and give it a gate",
    "cost": "name cost_usd under [metrics] and give it a gate",
    "is-json": "read the answer with [answer] json",
    "contains-json": "read the answer with [answer] json",
    "bleu": "name bleu under [metrics] and give it a gate",
    "factuality": "write it as a judge",
    "g-eval": "write it as a judge",
}
"""A suite's own way to an assertion that isn't taken over."""
OPENAI = re.compile(r"openai:(?:(?:chat|responses):)?(?P<model>[^:].*)")
LOCAL = {"ollama": "http://127.0.0.1:11434/v1", "localai": "http://127.0.0.1:8080/v1"}
"""Providers that serve OpenAI's chat API at an address of their own."""
REQUEST_KEYS = {
    "temperature": "temperature", "top_p": "top_p", "max_tokens": "max_completion_tokens", "seed": "seed", "stop": "stop",
    "max_completion_tokens": "max_completion_tokens", "reasoning_effort": "reasoning_effort",
    "presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty", "response_format": "response_format",
}  # fmt: skip
_PLACEHOLDER = re.compile(r"\{\{-?\s*([\w.-]+)\s*-?\}\}|[{}]")
"""`{{ name }}`, or a brace that is text."""
_LOGIC = re.compile(r"\{%|\{\{[^}]*[^\w\s.}-][^}]*\}\}")


class Model(msgspec.Struct, frozen=True):
    """A model that is asked by OpenAI's chat API."""

    key: str
    """Its key in the suite."""
    name: str
    """The name that its API knows it by."""
    base_url: str | None = None
    """None: OpenAI's."""
    api_key_env: str | None = None
    request: Mapping[str, Json] = {}


Turns = tuple[tuple[str, str], ...]
"""The messages of a prompt as (role, template); `{name}` stands for a variable."""


class Case(msgspec.Struct, frozen=True):
    """A test."""

    variables: Mapping[str, Json]
    checks: tuple[tuple[str, Json], ...]
    """Its assertions as (kind, value): of `TEXT_CHECKS`, perhaps with `not-`; of `rouge-n` or `llm-rubric`."""

    @property
    def text_checks(self) -> list[tuple[str, Json]]:
        """The assertions on the text alone."""
        return [check for check in self.checks if check[0] not in (RUBRIC, ROUGE)]

    def values(self, kind: str) -> list[Json]:
        """Return the values of the assertions of a kind."""
        return [value for own, value in self.checks if own == kind]


class Config(msgspec.Struct, frozen=True):
    """All that was read."""

    file: Path
    models: tuple[Model, ...]
    """The providers that a suite can ask."""
    prompts: tuple[tuple[str, Turns], ...]
    """By the key that each has in the suite."""
    cases: tuple[Case, ...]
    grader: Model | None
    """The provider that grades rubrics, if the file names it."""
    notes: tuple[str, ...]
    """The parts that were left, a sentence each."""


def read_config(file: Path) -> Config:
    """Return the content of a promptfoo configuration. Raises `UserError` for another file, or without a test or prompt."""
    return _Reader(file).config()


class _Reader:
    """Reads a file, and gathers a note for each part that is left."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.folder = file.parent
        self._notes: dict[str, None] = {}
        self._grading: Json = None
        """The provider that grades rubrics, as the file names it."""

    def config(self) -> Config:
        """Return the whole file."""
        data = self._yaml(self.file)
        if not isinstance(data, dict) or not {"prompts", "providers", "targets", "tests"} & set(data):
            raise self._error("it isn't a promptfoo configuration: it has none of prompts, providers and tests")
        for key in ("scenarios", "redteam", "extensions", "nunjucksFilters", "transform"):
            if data.get(key):
                self._note(f"{key}: not taken over")
        default = self._default(data.get("defaultTest"))
        cases = tuple(self._cases(data.get("tests"), default))
        prompts = tuple(self._prompts(data.get("prompts")))
        if not cases or not prompts:
            raise self._error(f"there is no {'test with variables' if not cases else 'prompt'} in it that could be taken over")
        models: dict[str, Model] = {}
        for model in filter(None, map(self._model, _list(data.get("providers", data.get("targets"))))):
            models.setdefault(model.key, model)
        grader = self._model(self._grading) if self._grading else None
        if any(case.values(ROUGE) for case in cases) and not all(case.values(ROUGE) for case in cases):
            self._note("rouge-n: only some tests have it, so it isn't a metric of the suite")
        return Config(self.file, tuple(models.values()), prompts, cases, grader, tuple(self._notes))

    def _note(self, text: str) -> None:
        self._notes[visible(text)] = None

    def _error(self, what: str) -> UserError:
        return UserError(f"{shown(self.file)}: {what}")

    def _model(self, entry: Json) -> Model | None:
        if isinstance(entry, dict) and "id" not in entry and len(entry) == 1:
            name, options = next(iter(entry.items()))
            entry = {"id": name, **_table(options)}
        options = entry if isinstance(entry, dict) else {"id": entry}
        name, config = str(options.get("id") or ""), options.get("config") or {}
        model, base_url = self._address(name, config)
        if model is None:
            self._note(f"provider {name}: not taken over. Name an address that speaks OpenAI's chat API under [models]")
            return None
        request = {ours: config[theirs] for theirs, ours in REQUEST_KEYS.items() if config.get(theirs) is not None}
        for key in sorted(set(config) - set(REQUEST_KEYS) - {"apiBaseUrl", "apiHost", "apiKeyEnvar", "apiKey"}):
            self._note(f"provider {name}: {key} not taken over")
        if config.get("apiKey"):
            self._note(f"provider {name}: its apiKey is not taken over. Put the key into a variable and name it by api_key_env")
        return Model(as_key(str(options.get("label") or model)), model, base_url, config.get("apiKeyEnvar"), request)

    def _address(self, name: str, config: Mapping[str, Json]) -> tuple[str | None, str | None]:
        base = config.get("apiBaseUrl") or (f"https://{config['apiHost']}/v1" if config.get("apiHost") else None)
        kind, _, rest = name.partition(":")
        if match := OPENAI.fullmatch(name):
            return match["model"], base
        if kind in LOCAL and rest:
            return rest.removeprefix("chat:"), base or LOCAL[kind]
        return (rest.removeprefix("chat:"), base) if base and rest else (None, None)

    def _prompts(self, value: Json) -> Iterator[tuple[str, Turns]]:
        entries = [text for entry in _list(value) for text in self._texts(entry)]
        for number, (label, text) in enumerate(entries, 1):
            turns = self._turns(text, number)
            if turns:
                yield as_key(label) if label else f"prompt-{number}", turns

    def _texts(self, entry: Json) -> Iterator[tuple[str, str]]:
        label = ""
        if isinstance(entry, dict):
            label = str(entry.get("label") or "")
            entry = entry.get("raw") or entry.get("id") or ""
        text = str(entry)
        path = self._path(text)
        if path is None:
            yield label, text
        elif path.suffix in (".txt", ".md", ".json", ".yaml", ".yml", ".j2"):
            whole = self._read(path)
            for part in whole.split("\n---\n") if path.suffix in (".txt", ".md") else [whole]:
                yield label or path.stem, part
        else:
            self._note(f"prompt {text}: a program's prompt isn't taken over")

    def _turns(self, text: str, number: int) -> Turns:
        if _LOGIC.search(text):
            self._note(f"prompt {number}: its template logic isn't taken over. Put what it makes into a column of the data")
            return ()
        try:
            data = yaml.safe_load(text) if text.lstrip().startswith(("[", "{", "- ")) else None
        except yaml.YAMLError:
            data = None
        if isinstance(data, list) and all(isinstance(turn, dict) and "role" in turn for turn in data):
            return tuple((str(turn["role"]), _template(_content(turn.get("content")))) for turn in data)
        return (("user", _template(text)),)

    def _default(self, value: Json) -> Case:
        value = self._loaded(value)
        self._grading = _table(value.get("options")).get("provider")
        return Case(dict(value.get("vars") or {}), tuple(self._checks(value.get("assert"))))

    def _cases(self, value: Json, default: Case) -> Iterator[Case]:
        for entry in self._entries(value):
            variables = {**default.variables, **self._loaded(entry.get("vars"))}
            checks = (*default.checks, *self._checks(entry.get("assert")))
            # A case for each combination of the values in lists.
            as_they_are = bool(_table(entry.get("options")).get("disableVarExpansion"))
            lists = {} if as_they_are else {name: value for name, value in variables.items() if isinstance(value, list)}
            for values in itertools.product(*lists.values()):
                each = {**variables, **dict(zip(lists, values, strict=True))}
                if each:
                    yield Case({name: self._value(item) for name, item in each.items()}, checks)

    def _entries(self, value: Json) -> Iterator[dict[str, Json]]:
        for entry in _list(value):
            if isinstance(entry, str):
                yield from self._from_file(self._path(entry) or self.folder / entry)
            elif isinstance(entry, dict):
                yield entry

    def _from_file(self, path: Path) -> Iterator[dict[str, Json]]:
        if path.suffix == ".csv":
            for row in csv.DictReader(self._read(path).splitlines()):
                checks = [row[name] for name in row if name and name.startswith("__expected") and row[name]]
                variables = {name: text for name, text in row.items() if name and not name.startswith("__")}
                yield {"vars": variables, "assert": [_spelled_out(text) for text in checks]}
        elif path.suffix == ".jsonl":
            yield from (json.loads(line) for line in self._read(path).splitlines() if line.strip())
        elif path.suffix in (".json", ".yaml", ".yml"):
            yield from self._entries(self._yaml(path))
        else:
            self._note(f"tests {path.name}: a program's tests aren't taken over")

    def _loaded(self, value: Json) -> dict[str, Json]:
        """Return a table, which may stand in a file of its own."""
        return _table(self._yaml(self._path(value) or self.folder / value) if isinstance(value, str) else value)

    def _value(self, value: Json) -> Json:
        path = self._path(value) if isinstance(value, str) else None
        return self._read(path) if path is not None and path.suffix in (".txt", ".md", ".json", ".csv") else value

    def _checks(self, value: Json) -> Iterator[tuple[str, Json]]:
        for entry in value if isinstance(value, list) else []:
            entry = _table(entry)
            kind, given = str(entry.get("type") or ""), entry.get("value")
            if kind == "assert-set":
                self._note("assert-set: its assertions are taken over one by one, its threshold isn't")
                yield from self._checks(entry.get("assert"))
            elif kind.removeprefix("not-") in TEXT_CHECKS or kind in (ROUGE, RUBRIC):
                if kind == RUBRIC and entry.get("provider"):
                    self._grading = entry["provider"]
                yield kind, self._value(given)
            elif kind in ("javascript", "python"):
                self._note(f"{kind} assertion: write it as a function of (sample, answer) and name it under [metrics]: {given}")
            else:
                instead = f". Instead, {INSTEAD[kind]}" if kind in INSTEAD else ""
                self._note(f"{kind or 'an assertion without a type'}: not taken over{instead}")

    def _path(self, text: str) -> Path | None:
        """Return the file that `file://` names, which lies in the configuration's folder; None for another text."""
        if not text.startswith("file://"):
            return None
        path = (self.folder / text.removeprefix("file://").split(":")[0]).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise self._error(f"{text} leads out of the configuration's folder")
        return path

    def _read(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._error(f"{path.name} can't be read: {error}") from None

    def _yaml(self, path: Path) -> Json:
        try:
            return yaml.safe_load(self._read(path))
        except (yaml.YAMLError, RecursionError) as error:
            raise UserError(f"{shown(path)}: not YAML: {visible(' '.join(str(error).split()))}") from None


def _table(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value] if value else []


def as_key(name: str) -> str:
    """Return the key of a model or prompt in the suite: letters, digits, `_`, `-` and inner dots."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name.split("/")[-1]).strip("-.") or "model"


def _content(value: Json) -> str:
    if isinstance(value, list):
        return "\n".join(str(part.get("text", "")) for part in value if isinstance(part, dict))
    return str(value or "")


def _template(text: str) -> str:
    """Return a template of `{{ name }}` as a template of `{name}`, other braces doubled."""
    return _PLACEHOLDER.sub(lambda found: f"{{{found[1]}}}" if found[1] else 2 * found[0], text)


def _spelled_out(text: str) -> dict[str, Json]:
    """Return the assertion that a cell of a CSV file's column `__expected` stands for."""
    kind, separator, value = text.partition(":")
    name = kind.split("(")[0].strip()
    if name in ("grade", "llm-rubric") and separator:
        return {"type": RUBRIC, "value": value.strip()}
    if separator and (name.removeprefix("not-") in TEXT_CHECKS or name in ("javascript", "python", ROUGE)):
        listed = [part.strip() for part in value.split(",")] if name.endswith(("-all", "-any")) else value.strip()
        return {"type": name, "value": listed}
    return {"type": "equals", "value": text}
