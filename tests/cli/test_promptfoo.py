"""`evaltape init --from promptfooconfig.yaml`: a suite for what another tool's configuration asks."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from evaltape.cli.init.templates import template

from tests.support.commands import Command, evaltape, files_of
from tests.support.repository import Repository
from tests.support.server import ApiServer

CONFIG: dict[str, Any] = {
    "providers": [
        "openai:gpt-4o-mini",
        {
            "id": "openai:chat:gpt-6-luna",
            "label": "luna",
            "config": {"temperature": 0.2, "max_tokens": 64, "apiKey": "sk-secret"},
        },
        {"ollama:chat:llama3.2": {"config": {"temperature": 0}}},
        "anthropic:messages:claude",
    ],
    "prompts": ["Sum up for {{reader}}: {{ ticket }} {literal}", "file://chat.json", "{% if x %}{{ticket}}{% endif %}"],
    "defaultTest": {"assert": [{"type": "llm-rubric", "value": "names the customer", "provider": "openai:gpt-5"}]},
    "tests": [
        {
            "vars": {"ticket": "Ann: the printer is broken", "reader": "the boss"},
            "assert": [{"type": "icontains", "value": "Printer"}, {"type": "javascript", "value": "output.length < 9"}],
        },
        {
            "vars": {"ticket": "Cid: where is it?", "reader": ["the boss", "the client"]},
            "assert": [{"type": "not-regex", "value": "sorr(y|ow)"}, {"type": "latency", "threshold": 5}, {"type": "similar"}],
        },
    ],
}
CHAT = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "{{ticket}}"}]


def taken_over(folder: Path, config: Any = None) -> Command:
    (folder / "promptfooconfig.yaml").write_text(yaml.safe_dump(CONFIG if config is None else config))
    (folder / "chat.json").write_text(json.dumps(CHAT))
    return evaltape(folder, "init", "--from", "promptfooconfig.yaml")


def suite_of(folder: Path) -> Any:
    return tomllib.loads((folder / "evals/suites/promptfoo.toml").read_text())


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "evals/data/promptfoo.jsonl").read_text().splitlines()]


def test_providers_prompts_tests_and_assertions_become_a_suite(tmp_path: Path) -> None:
    assert taken_over(tmp_path).exit_code == 0
    suite = suite_of(tmp_path)
    assert suite["dataset"]["fields"] == {"id": "id", "input": "ticket", "reference": "reference"}
    assert suite["prompt"] == {"user": "Sum up for {reader}: {input} {{literal}}"}
    assert suite["prompts"] == {"chat": {"system": "Be short.", "user": "{input}"}}
    gates = {"passes": 1.0, "rubric": 1.0}
    assert suite["models"] == {
        "gpt-4o-mini": {"model": "gpt-4o-mini", "gates": gates},
        "luna": {"model": "gpt-6-luna", "request": {"temperature": 0.2, "max_completion_tokens": 64}, "gates": gates},
        "llama3.2": {
            "model": "llama3.2",
            "base_url": "http://127.0.0.1:11434/v1",
            "request": {"temperature": 0},
            "gates": gates,
        },
    }
    assert suite["judges"]["rubric"]["model"] == "gpt-5" and suite["judges"]["rubric"]["unexamined"] is True
    assert [row["reader"] for row in rows_of(tmp_path)] == ["the boss", "the boss", "the client"]
    assert rows_of(tmp_path)[0]["checks"] == [{"kind": "icontains", "value": "Printer"}]
    assert "sk-secret" not in "".join(map(str, files_of(tmp_path / "evals").values()))


def test_what_was_left_is_named_with_the_next_step(tmp_path: Path) -> None:
    output = " ".join(taken_over(tmp_path).output.split())
    for note in (
        "provider anthropic:messages:claude: not taken over. Name an address that speaks OpenAI's chat API under [models]",
        "javascript assertion: write it as a function of (sample, answer) and name it under [metrics]: output.length < 9",
        "latency: not taken over. Instead, name latency_s under [metrics] and give it a gate",
        "similar: not taken over",
        "prompt 3: its template logic isn't taken over. Put what it makes into a column of the data",
        "its apiKey is not taken over. Put the key into a variable and name it by api_key_env",
    ):
        assert note in output


def test_a_csv_of_tests_with_expected_values(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(
        'text,__expected,__expected2\none,contains:a,grade: is kind\ntwo,"icontains-any: X, y",\nthree,Exactly this,\n'
    )
    config = {"providers": ["openai:gpt-4o-mini"], "prompts": ["{{text}}"], "tests": "file://cases.csv"}
    assert taken_over(tmp_path, config).exit_code == 0
    assert [row["checks"] for row in rows_of(tmp_path)] == [
        [{"kind": "contains", "value": "a"}],
        [{"kind": "icontains-any", "value": ["X", "y"]}],
        [{"kind": "equals", "value": "Exactly this"}],
    ]
    assert [row["rubrics"] for row in rows_of(tmp_path)] == ["is kind", "nothing", "nothing"]


def test_equal_texts_and_rouge_of_every_test_become_metrics_of_ours(tmp_path: Path) -> None:
    asserts = [{"type": "equals", "value": "yes"}, {"type": "rouge-n", "value": "yes"}]
    config = {"prompts": ["{{q}}"], "tests": [{"vars": {"q": "is it?"}, "assert": asserts}]}
    taken_over(tmp_path, config)
    assert list(suite_of(tmp_path)["metrics"]) == ["passes", "exact", "rouge1"]
    assert rows_of(tmp_path)[0]["reference"] == "yes"
    assert list(suite_of(tmp_path)["models"]) == ["gpt-6-luna"]


@pytest.mark.parametrize(
    ("answer", "kind", "value", "held"),
    [
        ("a Printer", "icontains", "pRINTER", True),
        ("a Printer", "contains", "printer", False),
        ("a b", "contains-all", ["a", "c"], False),
        ("a b", "contains-any", ["a", "c"], True),
        ("A B", "icontains-all", ["a", "b"], True),
        ("sorrow", "not-regex", "sorr(y|ow)", False),
        ("yes", "equals", "yes", True),
        ("yes.", "not-equals", "yes", True),
        ("yes.", "starts-with", "ye", True),
    ],
)
def test_the_written_metric_decides_as_promptfoo_does(tmp_path: Path, answer: str, kind: str, value: Any, held: bool) -> None:
    names: dict[str, Any] = {}
    exec(template("promptfoo_metrics.py"), names)
    assert names["holds"](kind, value, answer) is held


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("hello", "it isn't a promptfoo configuration: it has none of prompts, providers and tests"),
        ("prompts: ['{{a}}']\ntests: []", "there is no test with variables in it that could be taken over"),
        ("prompts: [file:///etc/hostname]\ntests: [{vars: {a: b}}]", "leads out of the configuration's folder"),
        ("prompts: [file://gone.txt]\ntests: [{vars: {a: b}}]", "gone.txt can't be read"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    run = evaltape(tmp_path, "init", "--from", "config.yaml")
    assert run.exit_code == 4 and message in run.errors and "Traceback" not in run.errors
    assert list(files_of(tmp_path)) == ["config.yaml"]


def test_what_was_taken_over_records_and_gates(tmp_path: Path, api: ApiServer) -> None:
    provider = {"id": "openai:chat:small", "config": {"apiBaseUrl": api.base_url, "max_tokens": 64}}
    tests = [
        {
            "vars": {"ticket": f"Ann: the printer {n} is broken\nBob: ok"},
            "assert": [{"type": "contains", "value": f"printer {n}"}],
        }
        for n in range(3)
    ]
    config = {"providers": [provider], "prompts": ["Sum up: {{ticket}}", "In a word: {{ticket}}"], "tests": tests}
    folder = Repository(tmp_path / "own")
    taken_over(folder.root, config)
    run = folder.pytest(
        "evals", "--record", "--snapshot-update", "-p", "no:xdist", environment={"OPENAI_API_KEY": "of-the-test"}
    )
    assert run.exit_code == 0 and "All 2 gates hold" in run.output, run.output
    assert sorted(path.name for path in (folder.root / "cassettes/promptfoo").glob("small*")) == ["small", "small-prompt-2"]


def test_its_rows_and_models_are_its_own(tmp_path: Path) -> None:
    run = evaltape(tmp_path, "init", "--from", "x.yaml", "--data", "rows.jsonl")
    assert run.exit_code == 4 and "--from x.yaml brings its own rows and models: leave --data out" in run.errors
