"""The command as a user types it."""

import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import evaltape
import pytest

from tests.support.local_service import NEEDS_EXTRA, Service, examples, upload, wait_for

SOURCE_ROOT = Path(evaltape.__file__).parents[1]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with this package and nothing else: no extra, not even what the package depends on."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "evaltape.pth").write_text(f"{SOURCE_ROOT}\n")
    return folder / "bin" / "python"


def run(python: Path | str, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(python), "-m", "evaltape", "serve", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd="/")


def test_help_works_without_the_extra(bare: Path) -> None:
    result = run(bare, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "usage: evaltape serve" in result.stdout
    assert "pip install 'evaltape[local]'" in result.stdout


def test_serving_without_the_extra_names_what_to_install(bare: Path) -> None:
    result = run(bare, "--model", "m")
    assert (result.returncode, result.stdout) == (4, "")
    assert result.stderr.startswith("evaltape serve: not installed: torch, transformers, ")
    assert result.stderr.endswith("Install the extra: pip install 'evaltape[local]'\n")


@pytest.mark.parametrize("words", [[], ["--model"], ["--model", "m", "--port", "http"], ["--model", "m", "--nothing"]])
def test_a_wrong_command_line_is_an_error_of_the_user_s(words: list[str]) -> None:
    result = run(sys.executable, *words)
    assert (result.returncode, result.stdout) == (4, "")
    assert result.stderr.startswith("usage: evaltape serve")
    assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def started(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that was started, and starts its trainings, from nothing, as for a user."""
    running = Service(tiny_model, tmp_path_factory.mktemp("started"), forks=False)
    yield running
    assert running.stop() == 0


@NEEDS_EXTRA
def test_nothing_but_the_address_is_printed_at_the_start(started: Service) -> None:
    from openai.types.chat import ChatCompletion

    answer = started.client().chat.completions.create(
        model="tiny-1.5", messages=[{"role": "user", "content": "Hi"}], max_tokens=2
    )
    assert isinstance(answer, ChatCompletion)
    log = started.log.read_text()
    assert "Warning" not in log
    assert "deprecated" not in log


@NEEDS_EXTRA
def test_a_training_starts_in_a_process_of_its_own(started: Service) -> None:
    client = started.client()
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1, "batch_size": 12}}}
    job = client.fine_tuning.jobs.create(model="tiny-1.5", training_file=upload(client, examples()), method=method)
    done = wait_for(client, job.id, "succeeded")
    answer = client.chat.completions.create(
        model=done.fine_tuned_model, messages=[{"role": "user", "content": "Hi"}], max_tokens=2
    )
    assert answer.choices
