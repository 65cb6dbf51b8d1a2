"""A small inference server that speaks vLLM's routes for adapters, on a real socket, over a tiny model.

`python tests/support/vllm.py serve FOLDER --port N ...` runs it as `vllm serve` is run.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class FakeVLLM:
    """Answers with what it was asked; its first token's log probabilities are those of its model."""

    def __init__(self, model: Path, name: str = "served-base", port: int = 0) -> None:
        self.name, self.model = name, model
        self.adapters: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.is_closed = False
        self.mixes = False
        """Whether an adapter changes the base model's answers, as on a CPU."""
        self.may_finish = threading.Event()
        self.may_finish.set()
        handler = type("Handler", (Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening, and drop the connections that are open."""
        self.is_closed = True
        self._server.shutdown()
        self._server.server_close()

    def asked(self, path: str) -> list[dict[str, Any]]:
        """Return the bodies that a route was sent."""
        return [body for route, body, _ in self.requests if route == path]

    def top_logprobs(self, messages: Any) -> list[dict[str, Any]]:
        """Return the likeliest first tokens by the model itself."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        tokenizer, model = AutoTokenizer.from_pretrained(self.model), AutoModelForCausalLM.from_pretrained(self.model)
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        with torch.inference_mode():
            ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
            values, tokens = torch.log_softmax(model(ids).logits[0, -1], -1).topk(5)
        shift = 1.0 if self.mixes and self.adapters else 0.0
        pairs = zip(tokens.tolist(), (values - shift).tolist(), strict=True)
        return [{"token": tokenizer.decode([token]), "logprob": value, "bytes": None} for token, value in pairs]


class Handler(BaseHTTPRequestHandler):
    """The routes."""

    fake: FakeVLLM
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path == "/health":
            return self.reply(200, "")
        assert self.path == "/v1/models"
        base = {"id": self.fake.name, "object": "model", "root": str(self.fake.model), "parent": None}
        tuned = [{"id": name, "object": "model", "parent": self.fake.name} for name in self.fake.adapters]
        self.reply(200, {"object": "list", "data": [*tuned, base]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.fake.is_closed:
            self.close_connection = True
            return
        self.fake.requests.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
        if self.path == "/v1/load_lora_adapter":
            return self.load(body)
        if self.path == "/v1/unload_lora_adapter":
            self.fake.adapters.pop(body["lora_name"], None)
            return self.reply(200, "unloaded")
        if body["model"] not in (self.fake.name, *self.fake.adapters):
            return self.reply(404, {"error": {"message": "no such model", "type": "NotFoundError", "param": None, "code": 404}})
        if self.path == "/v1/responses":
            return self.reply(200, {"id": "resp_1", "object": "response", "model": body["model"], "output": []})
        if body.get("stream"):
            return self.stream(body["model"])
        self.reply(200, self.completion(body))

    def load(self, body: dict[str, Any]) -> None:
        if body["lora_name"] in self.fake.adapters:
            return self.reply(400, {"error": {"message": f"The lora adapter '{body['lora_name']}' has already been loaded."}})
        if not (Path(body["lora_path"]) / "adapter_model.safetensors").is_file():
            return self.reply(404, {"error": {"message": "no adapter in that folder"}})
        self.fake.adapters[body["lora_name"]] = body["lora_path"]
        self.reply(200, "loaded")

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": json.dumps(sorted(body))}
        if body.get("tools"):
            call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        logprobs = None
        if body.get("logprobs"):
            first = self.fake.top_logprobs(body["messages"])
            logprobs = {"content": [{**first[0], "top_logprobs": first[: body.get("top_logprobs", 0)]}]}
        choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        about = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
        return {**about, "choices": [choice] * (body.get("n") or 1), "usage": usage}

    def stream(self, model: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("connection", "close")
        self.end_headers()
        for piece in ("Ann ", "has ", "🍐."):
            choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
            chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.flush()
        self.fake.may_finish.wait(60)
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def reply(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main(words: list[str]) -> None:
    """Serve until the process is ended."""
    if not Path(words[1], "config.json").is_file():
        sys.exit(f"ValueError: no model in {words[1]}")
    assert os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert "--enable-lora" in words
    FakeVLLM(Path(words[1]), port=int(words[words.index("--port") + 1]))
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
