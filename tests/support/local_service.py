"""A tiny model with random weights, and the local service as a user starts it: a process of its own."""

import http.client
import importlib.util
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from evaltape.recorder.api.transport import certificates
from openai import DefaultHttpxClient, OpenAI

from tests.support.local_forks import FORKS, from_nothing

MISSING = [
    name for name in ("torch", "transformers", "peft", "fastapi", "uvicorn", "trl") if importlib.util.find_spec(name) is None
]
NEEDS_EXTRA = pytest.mark.skipif(bool(MISSING), reason="needs the extras: pip install evaltape[local,train]")
ROOT = Path(__file__).parents[2]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTEXT = 512
# Each process imports PyTorch first: seconds on a quiet machine, a minute on a busy one.
PATIENCE_S = 240


def make_tokenizer(template: str | None = TEMPLATE) -> Any:
    """Return a tokenizer with a token for each byte, and two special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.chat_template = template
    return fast


def make_model(folder: Path, *, template: str | None = TEMPLATE, window: int | None = None, seed: int = 1) -> Path:
    """Save a model of two layers; with a sliding window, one of the kind that has it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "vocab_size": 258, "max_position_embeddings": CONTEXT}
    ends = {"bos_token_id": None, "eos_token_id": 257, "pad_token_id": 257, "initializer_range": 0.3}
    model: Any
    if window is None:
        model = LlamaForCausalLM(LlamaConfig(**sizes, **ends))
    else:
        model = MistralForCausalLM(MistralConfig(**sizes, **ends, sliding_window=window))
    model.save_pretrained(folder)
    make_tokenizer(template).save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Answer:
    """An answer as it came over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The error of OpenAI's shape that it carries; nothing else may be in its place."""
        assert self.headers["content-type"] == "application/json", self
        assert self.headers["x-request-id"].startswith("req_")
        body = json.loads(self.body)
        assert body.keys() == {"error"}, body
        error: dict[str, Any] = body["error"]
        assert error.keys() == {"message", "type", "param", "code"}, body
        assert error["message"], body
        return error


class Asked:
    """A service at `base_url` that asks for `key`, or for none."""

    base_url: str
    key: str | None = None

    def client(self, key: str | None = None) -> OpenAI:
        """Return the official client, with nothing but its base URL (and a key) changed. Certificates are read once for all."""
        http_client = DefaultHttpxClient(verify=certificates(None, None))
        given = key or self.key or "none"
        return OpenAI(base_url=self.base_url, api_key=given, max_retries=0, timeout=PATIENCE_S, http_client=http_client)

    def send(
        self, method: str, path: str, body: bytes | str = b"", headers: Sequence[tuple[str, str]] = (), *, root: str = "/v1/"
    ) -> Answer:
        """Send a request with these headers, each as often as it is given, and no other but what HTTP needs."""
        content = body.encode() if isinstance(body, str) else body
        address = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_S)
        names = {name.lower() for name, _ in headers}
        connection.putrequest(method, f"{root}{path}", skip_host="host" in names, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode("latin-1"))
        if not names & {"content-length", "transfer-encoding"}:
            connection.putheader("content-length", str(len(content)))
        connection.endheaders(content)
        answer = connection.getresponse()
        received = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return received

    def post(self, path: str, body: bytes | str) -> Answer:
        """Send a body as JSON, whatever it is."""
        return self.send("POST", path, body, [("content-type", "application/json")])


class Service(Asked):
    """`evaltape serve` on a free port; `log` is what it writes to standard error.

    It is forked, and its trainings are, or else started from nothing.
    """

    def __init__(self, model: Path, state: Path, *options: str, key: str | None = None, forks: bool = True) -> None:
        self.model, self.state, self.options, self.key = model, state, options, key
        self._popen = FORKS.popen() if forks else from_nothing
        self.log = model.parent / f"{state.name}.log"
        self.start()

    def start(self) -> None:
        """Start the process and wait until it listens."""
        command = [sys.executable, "-m", "evaltape", "serve", "--model", str(self.model), "--port", "0"]
        command += ["--state", str(self.state), *self.options]
        environ = {name: value for name, value in os.environ.items() if name != "EVALTAPE_LOCAL_KEY"}
        # A tiny model needs no second thread, and many services run at once in the tests.
        environ["OMP_NUM_THREADS"] = "1"
        if self.key:
            environ["EVALTAPE_LOCAL_KEY"] = self.key
        with self.log.open("a") as log:
            self.process = self._popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env=environ, text=True)
        self.base_url = self._listening().split()[2]

    def _listening(self) -> str:
        assert self.process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: lines.put(self.process.stdout.readline()), daemon=True).start()  # type: ignore[union-attr]
        line = lines.get(timeout=PATIENCE_S)
        assert line.startswith("Listening on http://127.0.0.1:"), (line, self.log.read_text())
        return line

    def stop(self) -> int:
        """End the process as Ctrl-C does; return its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)


class InProcess(Asked):
    """A service in a thread of this process: its state can be looked at, and nothing has to be imported again."""

    def __init__(self, model: Path, state: Path, *, key: str | None = None, **settings: Any) -> None:
        from evaltape.local.settings import Settings, check

        self.state, self.key = state, key
        environ = {"EVALTAPE_LOCAL_KEY": key} if key else {}
        self._settings = check(Settings(model=str(model), state=state, port=0, **settings), environ)
        self.start()

    def start(self) -> None:
        """Open the state folder and listen."""
        import uvicorn
        from evaltape.local.model import find
        from evaltape.local.server import Service as Parts
        from evaltape.local.state import State

        self.store = State(self._settings.state)
        self._parts = Parts(self._settings, self.store, find(self._settings.model, self.state / "weights"))
        self.inference: Any = self._parts.inference
        self.fingerprint: str = self._parts.fingerprint
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(self._parts.app, log_level="warning", access_log=False))
        self._thread = threading.Thread(target=self._server.run, args=([self._listening],), daemon=True)
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"

    def stop(self) -> None:
        """End the service."""
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)
        self.store.close()
        self._listening.close()


def examples(count: int = 12) -> list[dict[str, Any]]:
    """Return rows of a training file."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"Sum up: Ann has {number} pears"},
                {"role": "assistant", "content": "Ann has pears."},
            ]
        }
        for number in range(count)
    ]


def training_config(folder: Path, model: Path, *, n_epochs: int, validation: bool = False) -> dict[str, Any]:
    """Write what a training reads into a folder; return the configuration, of three steps an epoch."""
    folder.mkdir()
    (folder / "train.jsonl").write_bytes(jsonl(examples()))
    encoder().write(folder / "train.jsonl", folder / "examples.jsonl", "supervised")
    return {
        "weights": str(model),
        "examples": str(folder / "examples.jsonl"),
        "validation": str(folder / "examples.jsonl") if validation else None,
        "out": str(folder / "out"),
        "seed": 3,
        "method": "supervised",
        "plan": {"n_epochs": n_epochs, "batch_size": 4, "learning_rate_multiplier": 10},
        "train_length": 512,
        "kept_epochs": 3,
    }


def encoder(longest: int = 512) -> Any:
    """Return what makes rows of training files for the tiny model."""
    from evaltape.local.training.training_file import Encoder

    return Encoder(make_tokenizer(), frozenset([257]), longest)


def preferences(count: int = 12) -> list[dict[str, Any]]:
    """Return rows of a training file for the method dpo."""
    return [
        {
            "input": {"messages": row["messages"][:1]},
            "preferred_output": row["messages"][1:],
            "non_preferred_output": [{"role": "assistant", "content": "No idea"}],
        }
        for row in examples(count)
    ]


def jsonl(rows: list[Any]) -> bytes:
    """Return rows as a file's content."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def upload(client: OpenAI, rows: list[Any], name: str = "train.jsonl") -> str:
    """Upload rows; return the file's id."""
    return client.files.create(file=(name, jsonl(rows)), purpose="fine-tune").id


def upload_batch(client: OpenAI, rows: list[Any]) -> str:
    """Upload the requests of a batch; return the file's id."""
    return client.files.create(file=("batch.jsonl", jsonl(rows)), purpose="batch").id


def wait_for_batch(client: OpenAI, batch: str, status: str, seconds: float = PATIENCE_S) -> Any:
    """Poll a batch until it has this status."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        current = client.batches.retrieve(batch)
        if current.status == status:
            return current
        assert current.status in ("validating", "in_progress", "finalizing", "cancelling"), current
        time.sleep(0.05)
    raise AssertionError(f"{batch} was never {status}")


def wait_for(client: OpenAI, job: str, *statuses: str, seconds: float = PATIENCE_S) -> Any:
    """Poll a job until it has one of the statuses, or has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        current = client.fine_tuning.jobs.retrieve(job)
        if current.status in statuses:
            return current
        assert current.status not in ("succeeded", "failed", "cancelled"), current
        time.sleep(0.1)
    raise AssertionError(f"{job} was never {statuses}")


def wait_for_event(client: OpenAI, job: str, beginning: str, seconds: float = PATIENCE_S) -> None:
    """Poll a job's events until there is one that begins so."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if any(event.message.startswith(beginning) for event in client.fine_tuning.jobs.list_events(job, limit=50).data):
            return
        time.sleep(0.05)
    raise AssertionError(f"{job} never had an event {beginning!r}")


def wait_for_step(client: OpenAI, job: str) -> None:
    """Poll a job's events until a step has been trained."""
    wait_for_event(client, job, "Step ")
