"""The suites that `evaltape init` writes: for a user's rows and model, and for a promptfoo configuration."""

import json
import re
from collections import Counter

from evaltape.cli.init.data import Guess
from evaltape.cli.init.promptfoo import ROUGE, RUBRIC, Config, Model, Turns, as_key
from evaltape.errors import UserError
from evaltape.suite.endpoint import address_problem, is_local

DEFAULT_MODEL = Model("gpt-6-luna", "gpt-6-luna")
DEFAULT_REQUEST = 'request = { reasoning_effort = "none" }    # answers at once; leave it out to let it reason\n'
SAMPLES = 200
"""Rows evaluated of a larger data set, until the user says otherwise."""
SUMMARIZE = "Summarize the following text in one or two sentences.\n\n{input}"


def chosen_model(name: str | None, base_url: str | None) -> Model | None:
    """Return the model that the command line names. Raises `UserError` for a name or an address that can't be asked."""
    if base_url is not None and name is None:
        raise UserError("--base-url says where a model is served: add --model NAME")
    problem = address_problem(base_url) if base_url is not None else None
    if problem is not None:
        raise UserError(f"--base-url {problem}")
    if name is not None and not (name.strip() and name.isprintable()):
        raise UserError(f"--model {name!r}: it takes the name that the API knows the model by")
    return Model(as_key(name), name, base_url) if name else None


def model_table(model: Model | None, metric: str = "rougeL") -> str:
    """Return the `[models.KEY]` table of a model that is called, with a gate on *metric* to fill in."""
    chosen = model or DEFAULT_MODEL
    price = "# price = { input = 0.00, output = 0.00 }   # USD per million tokens: --estimate and --budget need it\n"
    gate = f"# gates = {{ {metric} = 0.30 }}   # the least mean that passes: set it once you have seen the scores\n"
    return _declared(chosen) + ("" if model else DEFAULT_REQUEST) + ("" if is_local(chosen.base_url or "") else price) + gate


def _declared(model: Model) -> str:
    return f"[models.{toml_key(model.key)}]\nmodel = {toml_text(model.name)}\n{_address(model)}"


def _address(model: Model) -> str:
    url = f"base_url = {toml_text(model.base_url)}\n" if model.base_url else ""
    return url + (f"api_key_env = {toml_text(model.api_key_env)}\n" if model.api_key_env else "")


def suite_text(path: str, split: str | None, rows: int, guess: Guess, model: Model | None) -> str:
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
    return "\n".join([f"[{name}]", *lines, ""])


def toml_key(key: str) -> str:
    """Return a key as TOML spells it: quoted if it has dots."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_text(key)


def toml_text(text: str) -> str:
    """Return a TOML string: JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


CHECKS, RUBRICS, REFERENCE, ID = "checks", "rubrics", "reference", "id"
"""Columns of the rows that are written, beside the variables."""
PASSES = "passes"
"""The metric that decides the assertions on the text."""
JUDGE = "rubric"


def imported_suite(config: Config, data: str, module: str) -> str:
    """Return the suite for a configuration; `data` is the rows' path as the suite spells it, `module` that of the metrics."""
    metrics = _imported_metrics(config, module)
    asserted = {metric: column for metric, column in ((PASSES, CHECKS), (JUDGE, RUBRICS)) if metric in metrics}
    gates = ", ".join(f"{metric} = 1.0" for metric in asserted)
    gates = f"gates = {{ {gates} }}    # every test passes, as promptfoo asks\n" if gates else ""
    column = _input_column(config)
    dataset = [
        f"path = {toml_text(data)}",
        f'fields = {{ id = "{ID}", input = {toml_text(column)}, reference = "{REFERENCE}" }}',
        f"keep = [{', '.join(map(toml_text, asserted.values()))}]",
    ]
    parts = [
        f"# Taken over from {config.file.name}. Paths are relative to this file. Every key: evaltape schema\n",
        _table("dataset", dataset),
        *(_prompt_table(*prompt, column, is_first=number == 0) for number, prompt in enumerate(config.prompts)),
        _table("metrics", [f"{name} = {declared}" for name, declared in metrics.items()]),
        *([_judge_table(config)] if JUDGE in metrics else []),
        *(_declared(model) + _request(model) + gates for model in config.models or (DEFAULT_MODEL,)),
    ]
    return "\n".join(parts)


def _imported_metrics(config: Config, module: str) -> dict[str, str]:
    cases, metrics = config.cases, dict[str, str]()
    if any(case.text_checks for case in cases):
        metrics[PASSES] = f'{{ function = "{module}:{PASSES}" }}    # 1 where every assertion on the text holds'
    if any(case.values(RUBRIC) for case in cases):
        metrics[JUDGE] = f'{{ judge = "{JUDGE}" }}'
    if all(case.values("equals") for case in cases):
        metrics["exact"] = "{}"
    if not metrics or all(case.values(ROUGE) for case in cases):
        metrics["rouge1"] = "{}"
    return metrics


def imported_rows(config: Config) -> str:
    """Return the rows for a configuration's tests as JSON lines: the variables, the assertions and a reference."""
    column, lines = _input_column(config), []
    names = dict.fromkeys(name for case in config.cases for name in case.variables)
    for number, case in enumerate(config.cases, 1):
        row: dict[str, object] = {ID: f"test-{number}", **{name: case.variables.get(name, "") for name in names if name != ID}}
        row[column] = str(row[column])
        row[CHECKS] = [{"kind": kind, "value": value} for kind, value in case.text_checks]
        rubrics = [str(value) for value in case.values(RUBRIC)]
        row[RUBRICS] = "\n".join(rubrics) or "nothing"
        # The answer that is wanted is in a test's own words where it has no text to be equal or like to.
        exact, own = case.values("equals") or case.values(ROUGE), [*case.values("contains"), *rubrics]
        row[REFERENCE] = exact[0] if exact else ", ".join(map(str, own)) or "(none)"
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(lines)


def _input_column(config: Config) -> str:
    """Return the variable that is the input: the variable of a prompt with the longest texts."""
    templates = [template for _, turns in config.prompts for _, template in turns]
    lengths = Counter[str]()
    for case in config.cases:
        for name, value in case.variables.items():
            if any("{" + name + "}" in template for template in templates):
                lengths[name] += len(str(value))
    named = lengths or {name: len(str(value)) for name, value in config.cases[0].variables.items()}
    return max(named, key=lambda name: named[name])


def _prompt_table(key: str, turns: Turns, column: str, is_first: bool) -> str:
    turns = tuple((role, toml_text(template.replace("{" + column + "}", "{input}"))) for role, template in turns)
    if [role for role, _ in turns] in (["user"], ["system", "user"]):
        lines = [f"{role} = {text}" for role, text in turns]
    else:
        lines = ["messages = [", *(f"  {{ role = {toml_text(role)}, content = {text} }}," for role, text in turns), "]"]
    return _table("prompt" if is_first else f"prompts.{toml_key(key)}", lines)


def _judge_table(config: Config) -> str:
    grader = config.grader or DEFAULT_MODEL
    prompt = (
        "Decide whether the answer fulfils what is asked of it.\\n\\nThe input:\\n{input}\\n\\nThe answer:\\n{answer}\\n\\n"
        f'What is asked of it:\\n{{{RUBRICS}}}\\n\\nReply with JSON: {{{{"pass": true}}}} or {{{{"pass": false}}}}.'
    )
    quoted = prompt.replace('"', '\\"')
    return (
        f"[judges.{JUDGE}]\nmodel = {toml_text(grader.name)}\n{_address(grader)}"
        f'prompt = "{quoted}"\nverdict = {{ json = "pass" }}\n'
        "unexamined = true    # its verdicts are believed as they come: docs/judges.md says how to examine it\n"
    )


def _request(model: Model) -> str:
    if model is DEFAULT_MODEL:
        return DEFAULT_REQUEST
    keys = [f"{name} = {json.dumps(value)}" for name, value in model.request.items() if not isinstance(value, dict)]
    return f"request = {{ {', '.join(keys)} }}\n" if keys else ""
