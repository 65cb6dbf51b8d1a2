"""`--inference`: vLLM servers answer, tuned models included."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.local_service import NEEDS_EXTRA, ROOT, InProcess, make_model, upload_batch, wait_for_batch
from tests.support.vllm import FakeVLLM

pytestmark = NEEDS_EXTRA
NAME = "tiny-1.5"
TUNED = f"ft:{NAME}:local::abcdefgh"
HI: Any = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def servers(tiny_model: Path) -> Iterator[list[FakeVLLM]]:
    made = [FakeVLLM(tiny_model), FakeVLLM(tiny_model, "another-name")]
    yield made
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def before(tiny_model: Path, servers: list[FakeVLLM], tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """A service before both servers, with a tuned model in its state."""
    state = tmp_path_factory.mktemp("before")
    running = InProcess(tiny_model, state, inference=",".join(server.url for server in servers))
    _add(running, TUNED, "adapter")
    yield running
    running.stop()


def _add(service: InProcess, model: str, folder: str) -> None:
    """Add a tuned model to a service's state."""
    path = service.store.path("models", folder)
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(b"")
    about = {"object": "model", "created": 1, "owned_by": "org-local", "folder": folder}
    service.store.add("models", {"id": model, **about, "fingerprint": service.fingerprint})


@pytest.fixture
def client(before: InProcess) -> OpenAI:
    return before.client("a key of the client's")


@pytest.fixture(autouse=True)
def _forget(servers: list[FakeVLLM]) -> None:
    for server in servers:
        server.requests.clear()


def ask(client: OpenAI, model: str = NAME, **settings: Any) -> Any:
    return client.chat.completions.create(model=model, messages=HI, **settings)


def test_a_request_is_passed_on_whole_and_without_a_key(client: OpenAI, servers: list[FakeVLLM]) -> None:
    settings: Any = {"n": 2, "logprobs": True, "top_logprobs": 3, "response_format": {"type": "json_object"}, "stop": ["x"]}
    answer = ask(client, extra_body={"top_k": 4}, extra_headers={"cookie": "c=1", "openai-organization": "org"}, **settings)
    assert (answer.model, len(answer.choices)) == (NAME, 2)
    assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 3
    ((_, body, headers),) = [request for server in servers for request in server.requests]
    assert body == {"model": servers[0].name, "messages": HI, "top_k": 4, **settings}
    assert not {"authorization", "cookie", "openai-organization"} & headers.keys()
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    assert ask(client, tools=tools).choices[0].message.tool_calls[0].function.name == "look"
    assert client.responses.create(model=NAME, input="Hi").model == NAME


def test_a_stream_is_passed_on_piece_by_piece(client: OpenAI) -> None:
    chunks = list(ask(client, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["Ann ", "has ", "🍐."]
    assert {chunk.model for chunk in chunks} == {NAME}


def test_what_is_in_flight_is_shared_out(client: OpenAI, servers: list[FakeVLLM]) -> None:
    for server in servers:
        server.may_finish.clear()
    streams = [ask(client, stream=True) for _ in range(4)]
    assert [len(server.asked("/v1/chat/completions")) for server in servers] == [2, 2]
    for server in servers:
        server.may_finish.set()
    assert [len(list(stream)) for stream in streams] == [3] * 4


def test_an_adapter_is_loaded_again_after_a_restart_and_unloaded_with_its_model(
    client: OpenAI, before: InProcess, servers: list[FakeVLLM]
) -> None:
    first = servers[0]
    order = {"lora_name": TUNED, "lora_path": str(before.store.path("models", "adapter"))}
    assert ask(client, TUNED).model == TUNED
    assert ask(client, TUNED).model == TUNED
    assert first.asked("/v1/load_lora_adapter") == [order]
    first.adapters.clear()  # the server was started anew
    assert ask(client, TUNED).model == TUNED
    assert first.asked("/v1/load_lora_adapter") == [order] * 2
    before.inference._servers[0].loaded.clear()  # the service was started anew
    assert ask(client, TUNED).model == TUNED
    assert client.models.delete(TUNED).deleted
    assert TUNED not in first.adapters
    with pytest.raises(openai.NotFoundError, match=f"The model '{TUNED}' does not exist"):
        ask(client, TUNED)
    row = {"id": TUNED, "object": "model", "created": 1, "owned_by": "org-local", "folder": "gone"}
    before.store.add("models", {**row, "fingerprint": before.fingerprint})
    with pytest.raises(openai.InternalServerError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING=True") as refused:
        ask(client, TUNED)
    assert (refused.value.status_code, refused.value.code) == (502, "adapter_not_loaded")


def test_a_server_whose_base_model_changed_with_an_adapter_is_not_asked_for_it(
    client: OpenAI, before: InProcess, servers: list[FakeVLLM]
) -> None:
    tuned = f"{TUNED}-other"
    _add(before, tuned, "other")
    for server in servers:
        server.mixes = True
    first = before.inference._servers[0]
    assert ask(client, tuned).model == tuned and first.mixes
    assert (
        ask(client).model == NAME and servers[1].asked("/v1/chat/completions")[-1]["messages"] == HI
    )  # The other one answers.
    before.inference._servers[1].in_flight = -1
    assert ask(client, tuned).model == tuned
    before.inference._servers[1].in_flight = 0
    with pytest.raises(openai.InternalServerError, match="start it anew, and ask the base model first") as refused:
        ask(client)
    assert refused.value.status_code == 502
    for server in servers:
        server.mixes = False  # They were started anew.
    assert ask(client).model == NAME


def test_a_batch_asks_the_servers(client: OpenAI) -> None:
    body = {"model": NAME, "input": "Hi"}
    rows = [{"custom_id": f"r{number}", "method": "POST", "url": "/v1/responses", "body": body} for number in range(9)]
    batch = client.batches.create(input_file_id=upload_batch(client, rows), endpoint="/v1/responses", completion_window="24h")
    done = wait_for_batch(client, batch.id, "completed")
    lines = client.files.content(done.output_file_id).text.splitlines()
    assert {json.loads(line)["response"]["body"]["model"] for line in lines} == {NAME}
    assert len(lines) == 9


def test_a_server_that_is_away_is_replaced_by_another_or_named(tiny_model: Path, tmp_path: Path) -> None:
    first, second = FakeVLLM(tiny_model), FakeVLLM(tiny_model)
    running = InProcess(tiny_model, tmp_path / "state", inference=f"{first.url}/v1, {second.url}")
    client = running.client()
    first.close()
    assert ask(client).choices
    second.close()
    with pytest.raises(openai.InternalServerError, match=f"No inference server answers: {first.url} ") as refused:
        ask(client)
    assert refused.value.status_code == 502
    with pytest.raises(openai.BadRequestError, match="Missing required parameter: 'model'"):
        client.post("/chat/completions", body={"messages": []}, cast_to=object)
    running.stop()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("other weights", "serves other weights than --model: after the same prompt its likeliest tokens are "),
        ("away", "no inference server answers there ("),
        ("no address", "not an address. Valid: http://HOST:PORT"),
    ],
)
def test_a_server_that_cannot_serve_is_one_message(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, words: str
) -> None:
    import torch
    from evaltape.cli.serve import main

    server = FakeVLLM(make_model(tmp_path / "other", seed=2) if kind == "other weights" else tiny_model)
    if kind == "away":
        server.close()
    url = "localhost:8000" if kind == "no address" else server.url
    threads = torch.get_num_threads()
    assert main(["--model", str(tiny_model), "--port", "0", "--state", str(tmp_path / "state"), "--inference", url]) == 4
    torch.set_num_threads(threads)
    said = capsys.readouterr().err
    assert said.startswith(f"evaltape serve: --inference {url}: {words}")
    assert len(said.splitlines()) == 1


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `vllm` on the path, and nothing else."""
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho $$ >> {tmp_path}/pids\nexec {sys.executable} {ROOT}/tests/support/vllm.py "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path / "pids"


def test_vllm_is_started_and_ended(tiny_model: Path, tmp_path: Path, installed: Path) -> None:
    from evaltape.local.inference.vllm import started
    from evaltape.local.settings import Settings, check

    settings = check(Settings(model=str(tiny_model), state=tmp_path, inference="vllm", context=64), {})
    with started(settings, tiny_model) as found:
        client = OpenAI(base_url=f"{found.servers[0]}/v1", api_key="none", max_retries=0)
        assert ask(client, "served-base").choices[0].message.content
        os.kill(int(installed.read_text()), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(installed.read_text()), 0)


def test_a_vllm_that_does_not_start_is_one_message(
    tmp_path: Path, installed: Path, capsys: pytest.CaptureFixture[str], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaltape.cli.serve import main

    monkeypatch.delenv("EVALTAPE_LOCAL_KEY", raising=False)
    (installed.parent / "bin" / "vllm").write_text("#!/bin/sh\necho RuntimeError: no device; exit 3\n")
    command = ["--model", str(tiny_model), "--port", "0", "--state", str(tmp_path / "state"), "--inference", "vllm"]
    assert main(command) == 4
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("evaltape serve: --inference vllm: `vllm serve` ended with exit code 3: RuntimeError: no device")
    (installed.parent / "bin" / "vllm").unlink()
    assert main(command) == 4
    assert "--inference vllm: no program 'vllm' is installed here. Valid: pip install vllm, or" in capsys.readouterr().err
