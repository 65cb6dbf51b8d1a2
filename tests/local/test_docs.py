"""What docs/local-service.md says is so."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from evaltape.cli.serve import parser
from evaltape.local.errors import NOT_SERVED

from tests.support.local_service import NEEDS_EXTRA, ROOT, Service, wait_for_batch

PAGE = (ROOT / "docs" / "local-service.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if "evaltape serve" in line]


@pytest.mark.parametrize("command", commands())
def test_each_command_is_understood(command: str) -> None:
    words = shlex.split(command)
    options = parser().parse_args(words[words.index("serve") + 1 :])
    assert options.model


def test_each_option_is_described() -> None:
    options = {word for action in parser()._actions for word in action.option_strings if word.startswith("--")}
    assert options - {"--help"} == set(re.findall(r"--[a-z-]+", "".join(re.findall(r"^\| `--.*? \|", PAGE, re.MULTILINE)))) | {
        "--model"
    }


def test_each_route_that_is_refused_is_named() -> None:
    assert set(NOT_SERVED) <= set(re.findall(r"`(/v1/[a-z_/]+)`", PAGE))


@NEEDS_EXTRA
def test_the_examples_run(
    service: Service, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    body = {"model": "tiny-1.5", "messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 2}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    (tmp_path / "requests.jsonl").write_text(json.dumps(line))
    code = "".join(blocks("python")).replace("http://127.0.0.1:8000/v1", service.base_url)
    code = code.replace("SmolLM2-135M-Instruct", "tiny-1.5")
    assert code.count(service.base_url) == code.count("tiny-1.5") == 1
    names: dict[str, Any] = {}
    exec(compile(code, str(Path("docs/local-service.md")), "exec"), names)
    assert capsys.readouterr().out.strip()
    assert wait_for_batch(names["client"], names["batch"].id, "completed").output_file_id
