"""`evaltape` itself: its commands, its help, and how it answers what isn't one."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.commands import evaltape


def test_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert evaltape(tmp_path, "--version").output == f"evaltape {version('evaltape')}\n"


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_names_every_command(tmp_path: Path, words: tuple[str, ...]) -> None:
    run = evaltape(tmp_path, *words)
    assert run.exit_code == 0
    for command in ("init", "schema", "serve"):
        assert f"\n  {command} " in run.output


def test_a_command_that_is_not_one_gets_the_nearest_and_exit_code_4(tmp_path: Path) -> None:
    run = evaltape(tmp_path, "int", "--data", "x")
    assert run.exit_code == 4
    assert run.errors.startswith("evaltape: 'int' is not a command. Did you mean 'init'?\n")
    assert run.output == ""


@pytest.mark.parametrize("command", ["init", "schema", "serve"])
def test_every_command_has_help(tmp_path: Path, command: str) -> None:
    run = evaltape(tmp_path, command, "--help")
    assert run.exit_code == 0
    assert f"usage: evaltape {command}" in run.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dta", "x.jsonl"), "unrecognized arguments: --dta x.jsonl"),
        (("--data",), "argument --data: expected one argument"),
        (("--base-url", "http://127.0.0.1:8000/v1"), "--base-url says where a model is served: add --model NAME"),
        (("--model", "m", "--base-url", "127.0.0.1:8000"), "it takes an address like http://127.0.0.1:8000/v1"),
        (("--model", "m", "--base-url", "https://me:secret@host/v1"), "--base-url holds a user name or password"),
        (
            ("--model", "m", "--base-url", "http://host/v1?key=x"),
            "paths are added behind it, so it takes neither ? nor #; a key goes into api_key_env",
        ),
        (("--model", "a\nb"), "it takes the name that the API knows the model by"),
    ],
)
def test_options_of_init_that_make_no_sense_are_refused_and_nothing_is_written(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    run = evaltape(tmp_path, "init", *words)
    assert run.exit_code == 4
    assert message in run.errors
    assert "Traceback" not in run.errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_letters_that_the_terminal_lacks_are_escaped(tmp_path: Path, encoding: str) -> None:
    rows = [{"id": n, "text": f"日本語のテキスト {n}", "summary": f"まとめ {n}"} for n in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "evaltape", "init", "--data", "rows.jsonl", "--model", "m"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0 and done.stderr == b""
    assert b"\\u65e5\\u672c\\u8a9e" in done.stdout
