"""A tiny model with random weights, and the service as a user starts it: a process of its own."""

import importlib.util
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

MISSING = [name for name in ("torch", "transformers", "peft", "fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
NEEDS_EXTRA = pytest.mark.skipif(bool(MISSING), reason="needs the extra: pip install evaltape[local]")
ROOT = Path(__file__).parents[2]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTEXT = 512
# Each process imports PyTorch first: seconds on a quiet machine, a minute on a busy one.
PATIENCE_S = 240


def make_tokenizer(template: str | None = TEMPLATE) -> Any:
    """A token for each byte, and two special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    made.chat_template = template
    return made


def make_model(folder: Path, *, template: str | None = TEMPLATE, window: int | None = None) -> Path:
    """Saves a model of two layers; with a sliding window, one of the kind that has it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    torch.manual_seed(1)
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


class Service:
    """`evaltape serve` on a free port."""

    def __init__(self, model: Path, state: Path, *options: str, key: str | None = None) -> None:
        self.model, self.state, self.options, self.key = model, state, options, key
        self.start()

    def start(self) -> None:
        """Starts the process and waits until it listens."""
        command = [sys.executable, "-m", "evaltape", "serve", "--model", str(self.model), "--port", "0"]
        command += ["--state", str(self.state), *self.options]
        environ = {name: value for name, value in os.environ.items() if name != "EVALTAPE_LOCAL_KEY"}
        # A tiny model needs no second thread, and many services run at once in the tests.
        environ["OMP_NUM_THREADS"] = "1"
        if self.key:
            environ["EVALTAPE_LOCAL_KEY"] = self.key
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environ, text=True)
        self.base_url = self._listening().split()[2]

    def _listening(self) -> str:
        assert self.process.stdout is not None
        heard: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: heard.put(self.process.stdout.readline()), daemon=True).start()  # type: ignore[union-attr]
        line = heard.get(timeout=PATIENCE_S)
        assert line.startswith("Listening on http://127.0.0.1:"), line
        return line

    def client(self, key: str | None = None) -> OpenAI:
        """The official client, nothing but its base URL (and a key) changed."""
        return OpenAI(base_url=self.base_url, api_key=key or self.key or "none", max_retries=0, timeout=PATIENCE_S)

    def stop(self) -> int:
        """Ends the process as Ctrl-C does; its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)


def examples(count: int = 12) -> list[dict[str, Any]]:
    """Rows of a training file."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"Sum up: Ann has {number} pears"},
                {"role": "assistant", "content": "Ann has pears."},
            ]
        }
        for number in range(count)
    ]


def jsonl(rows: list[Any]) -> bytes:
    """Rows as a file's content."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def upload(client: OpenAI, rows: list[Any], name: str = "train.jsonl") -> str:
    """Uploads rows; the file's id."""
    return client.files.create(file=(name, jsonl(rows)), purpose="fine-tune").id


def wait_for(client: OpenAI, job: str, *statuses: str, seconds: float = PATIENCE_S) -> Any:
    """Polls a job until it has one of the statuses, or has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = client.fine_tuning.jobs.retrieve(job)
        if found.status in statuses:
            return found
        assert found.status not in ("succeeded", "failed", "cancelled"), found
        time.sleep(0.1)
    raise AssertionError(f"{job} was never {statuses}")


def wait_for_step(client: OpenAI, job: str, seconds: float = PATIENCE_S) -> None:
    """Polls a job's events until a step has been trained."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if any(event.message.startswith("Step ") for event in client.fine_tuning.jobs.list_events(job).data):
            return
        time.sleep(0.1)
    raise AssertionError(f"{job} never trained a step")
