"""The suite, the rows and the metrics that `evaltape init --from promptfooconfig.yaml` writes."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from evaltape.cli.init.own_suite import DEFAULT_MODEL, DEFAULT_REQUEST, toml_key, toml_text
from evaltape.cli.init.promptfoo import RUBRIC, Case, Check, Config, Prompt, Provider

CHECKS, RUBRICS, REFERENCE, ID = "checks", "rubrics", "reference", "id"
"""Columns of the rows that are written, beside the variables."""
PASSES = "passes"
"""The metric that decides the assertions on the text."""
JUDGE = "rubric"


class Imported(msgspec.Struct, frozen=True):
    """The texts of the files."""

    suite: str
    rows: str
    count: int
    metrics: str | None
    """None if no assertion looks at the text alone."""
    notes: tuple[str, ...]


def imported(config: Config, data: str, module: str) -> Imported:
    """Return the files for a configuration; `data` is the rows' path as the suite spells it, `module` that of the metrics."""
    notes = list(config.notes)
    column = _input_column(config)
    has_checks = any(_text_checks(case) for case in config.cases)
    has_rubrics = any(_rubrics(case) for case in config.cases)
    has_equals = all(_values(case, "equals") for case in config.cases)
    has_rouge = all(_values(case, "rouge-n") for case in config.cases)
    if not has_rouge and any(_values(case, "rouge-n") for case in config.cases):
        notes.append("rouge-n: only some tests have it, so it isn't a metric of the suite")
    gates = {PASSES: has_checks, JUDGE: has_rubrics}
    parts = [
        f"# Taken over from {config.file.name}. Paths are relative to this file. Every key: evaltape schema\n",
        f"[dataset]\npath = {toml_text(data)}\n"
        f'fields = {{ id = "{ID}", input = {toml_text(column)}, reference = "{REFERENCE}" }}\n'
        f"keep = [{', '.join(toml_text(name) for name in _kept(has_checks, has_rubrics))}]\n",
        *_prompt_tables(config.prompts, column),
        "[metrics]\n" + "".join(f"{line}\n" for line in _metric_lines(module, has_checks, has_rubrics, has_equals, has_rouge)),
        *([_judge_table(config)] if has_rubrics else []),
        *_model_tables(config.providers, [name for name, there in gates.items() if there]),
    ]
    rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(config, column))
    return Imported("\n".join(parts), rows, len(config.cases), METRICS if has_checks else None, tuple(notes))


def _input_column(config: Config) -> str:
    """Return the variable that is the input: of those in a prompt the one with the longest texts."""
    lengths: dict[str, int] = {}
    for case in config.cases:
        for name, value in case.variables.items():
            if any("{" + name + "}" in template for prompt in config.prompts for _, template in prompt.turns):
                lengths[name] = lengths.get(name, 0) + len(str(value))
    named = lengths or {name: len(str(value)) for name, value in config.cases[0].variables.items()}
    return max(named, key=lambda name: named[name])


def _rows(config: Config, column: str) -> Iterator[dict[str, object]]:
    names = dict.fromkeys(name for case in config.cases for name in case.variables)
    for number, case in enumerate(config.cases, 1):
        row: dict[str, object] = {ID: f"test-{number}", **{name: case.variables.get(name, "") for name in names if name != ID}}
        row[column] = str(row[column])
        row[CHECKS] = [{"kind": check.kind, "value": check.value} for check in _text_checks(case)]
        row[RUBRICS] = "\n".join(_rubrics(case)) or "nothing"
        row[REFERENCE] = _reference(case)
        yield row


def _reference(case: Case) -> object:
    """Return the answer that is wanted: in a test's own words where it has no text to be equal or like to."""
    exact = _values(case, "equals") or _values(case, "rouge-n")
    return exact[0] if exact else ", ".join([*map(str, _values(case, "contains")), *_rubrics(case)]) or "(none)"


def _text_checks(case: Case) -> list[Check]:
    return [check for check in case.checks if check.kind not in (RUBRIC, "rouge-n")]


def _rubrics(case: Case) -> list[str]:
    return [str(value) for value in _values(case, RUBRIC)]


def _values(case: Case, kind: str) -> list[object]:
    return [check.value for check in case.checks if check.kind == kind]


def _kept(has_checks: bool, has_rubrics: bool) -> list[str]:
    return [name for name, there in ((CHECKS, has_checks), (RUBRICS, has_rubrics)) if there]


def _prompt_tables(prompts: tuple[Prompt, ...], column: str) -> Iterator[str]:
    for number, prompt in enumerate(prompts):
        turns = [(role, template.replace("{" + column + "}", "{input}")) for role, template in prompt.turns]
        head = "[prompt]" if number == 0 else f"[prompts.{toml_key(prompt.key)}]"
        yield head + "\n" + _messages(turns)


def _messages(turns: list[tuple[str, str]]) -> str:
    roles = [role for role, _ in turns]
    if roles in (["user"], ["system", "user"]):
        return "".join(f"{role} = {toml_text(template)}\n" for role, template in turns)
    lines = "".join(f"  {{ role = {toml_text(role)}, content = {toml_text(template)} }},\n" for role, template in turns)
    return f"messages = [\n{lines}]\n"


def _metric_lines(module: str, checks: bool, rubrics: bool, equals: bool, rouge: bool) -> Iterator[str]:
    if checks:
        yield f'{PASSES} = {{ function = "{module}:{PASSES}" }}    # 1 where every assertion on the text holds'
    if rubrics:
        yield f'{JUDGE} = {{ judge = "{JUDGE}" }}'
    if equals:
        yield "exact = {}"
    if rouge or not (checks or rubrics or equals):
        yield "rouge1 = {}"


def _judge_table(config: Config) -> str:
    grader = config.grader or Provider(JUDGE, DEFAULT_MODEL)
    prompt = (
        "Decide whether the answer fulfils what is asked of it.\\n\\nThe input:\\n{input}\\n\\nThe answer:\\n{answer}\\n\\n"
        f'What is asked of it:\\n{{{RUBRICS}}}\\n\\nReply with JSON: {{{{"pass": true}}}} or {{{{"pass": false}}}}.'
    )
    quoted = prompt.replace('"', '\\"')
    return (
        f"[judges.{JUDGE}]\nmodel = {toml_text(grader.model)}\n{_address(grader)}"
        f'prompt = "{quoted}"\nverdict = {{ json = "pass" }}\n'
        "unexamined = true    # its verdicts are believed as they come: docs/judges.md says how to examine it\n"
    )


def _model_tables(providers: tuple[Provider, ...], gated: list[str]) -> Iterator[str]:
    bounds = ", ".join(f"{name} = 1.0" for name in gated)
    gates = f"gates = {{ {bounds} }}    # every test passes, as promptfoo asks\n" if gated else ""
    if not providers:
        yield f"[models.{toml_key(DEFAULT_MODEL)}]\nmodel = {toml_text(DEFAULT_MODEL)}\n{DEFAULT_REQUEST}\n{gates}"
    for provider in providers:
        head = f"[models.{toml_key(provider.key)}]\nmodel = {toml_text(provider.model)}\n"
        yield f"{head}{_address(provider)}{_request(provider)}{gates}"


def _request(provider: Provider) -> str:
    keys = [f"{name} = {json.dumps(value)}" for name, value in provider.request.items() if not isinstance(value, dict)]
    return f"request = {{ {', '.join(keys)} }}\n" if keys else ""


def _address(provider: Provider) -> str:
    url = f"base_url = {toml_text(provider.base_url)}\n" if provider.base_url else ""
    return url + (f"api_key_env = {toml_text(provider.api_key_env)}\n" if provider.api_key_env else "")


def suite_name(file: Path) -> str:
    """Return the name of the suite for a configuration file."""
    return "promptfoo" if file.stem.startswith("promptfoo") else file.stem


METRICS = '''\
"""The assertions that were taken over: each sample carries its own under `checks`."""

import re

import evaltape


@evaltape.metric(bounds=(0, 1))
def passes(sample: evaltape.Sample, answer: str) -> float:
    """Return 1 if every assertion of the sample holds for the answer, else 0."""
    return float(all(holds(check["kind"], check["value"], answer) for check in sample.columns["checks"]))


def holds(kind: str, value: object, answer: str) -> bool:
    """Return whether one assertion holds."""
    if kind.startswith("not-"):
        return not holds(kind.removeprefix("not-"), value, answer)
    values = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    if kind.startswith("icontains"):
        return holds(kind.removeprefix("i"), [each.lower() for each in values], answer.lower())
    match kind:
        case "equals":
            return answer == values[0]
        case "regex":
            return re.search(values[0], answer) is not None
        case "starts-with":
            return answer.startswith(values[0])
        case "contains-any":
            return any(each in answer for each in values)
        case _:
            return all(each in answer for each in values)
'''
