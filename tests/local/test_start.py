"""What the service refuses to start with: one message, exit code 4, no traceback."""

import importlib.util
import socket
from pathlib import Path
from typing import Any

import pytest
from evaltape.cli.serve import main

from tests.support.local_service import NEEDS_EXTRA, make_model

pytestmark = NEEDS_EXTRA


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main([*argv]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALTAPE_LOCAL_KEY", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com"])
def test_without_a_key_it_listens_on_loopback_only(capsys: pytest.CaptureFixture[str], host: str) -> None:
    said = refused(capsys, "--model", "m", "--host", host)
    assert f"--host {host} can be reached from other machines" in said
    assert "export EVALTAPE_LOCAL_KEY=" in said


def test_a_named_key_must_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "names MY_KEY, but this variable is empty" in refused(capsys, "--model", "m", "--api-key-env", "MY_KEY")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--batch", "0"], "--batch is 0: it must be at least 1"),
        (["--port", "70000"], "--port is 70000"),
        (["--name", "a/b"], "'a/b' can't be a model's id"),
    ],
)
def test_numbers_and_names_are_checked(capsys: pytest.CaptureFixture[str], options: list[str], words: str) -> None:
    assert words in refused(capsys, "--model", "m", *options)


def test_without_the_extra_it_says_what_to_install(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec: Any = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "peft" else find_spec(name))
    assert "not installed: peft. Install the extra: pip install 'evaltape[local]'" in refused(capsys, "--model", "m")


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"can't listen on 127.0.0.1:{port}" in refused(capsys, "--model", "m", "--port", port)


def test_a_state_folder_in_use_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from evaltape.local.state import State

    store = State(tmp_path)
    said = refused(capsys, "--model", "m", "--port", "0", "--state", str(tmp_path))
    assert "another service is using it" in said
    store.close()


def test_a_model_without_a_chat_template_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "base", template=None)
    said = refused(capsys, "--model", str(folder), "--port", "0", "--state", str(tmp_path / "state"))
    assert "base has no chat template" in said


def test_a_model_that_does_not_fit_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaltape.local import model

    monkeypatch.setattr(model, "free_memory", lambda: 2**20)
    said = refused(capsys, "--model", str(tiny_model), "--port", "0", "--state", str(tmp_path))
    assert "not enough memory for tiny-1.5: it needs about 0.3 GiB, 0.0 GiB are free" in said


def test_pickled_weights_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    said = refused(capsys, "--model", str(tmp_path), "--port", "0", "--state", str(tmp_path / "state"))
    assert "Pickled weights" in said


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/model.gguf", "model.gguf"])
def test_a_path_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    said = refused(capsys, "--model", name, "--port", "0", "--state", str(tmp_path))
    assert f"--model {name}: no such file or folder" in said


def test_a_hub_that_cannot_be_reached_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = refused(capsys, "--model", "someone/model", "--port", "0", "--state", str(tmp_path))
    assert "no such folder here, and the Hugging Face Hub can't be reached" in said


def test_a_gated_model_is_explained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx2
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError

    def gated(*_args: Any, **_kwargs: Any) -> None:
        request = httpx2.Request("GET", "https://huggingface.co")
        raise GatedRepoError("gated", response=httpx2.Response(403, request=request))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", gated)
    said = refused(capsys, "--model", "meta/llama", "--port", "0", "--state", str(tmp_path))
    assert "gated on the Hugging Face Hub. Accept its licence at https://huggingface.co/meta/llama" in said
    assert "HF_TOKEN" in said


def test_help_needs_no_heavy_import(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "EVALTAPE_LOCAL_KEY" in capsys.readouterr().out
