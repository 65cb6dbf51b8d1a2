"""Inference servers that answer in place of this process: vLLM, or any that speaks its adapter routes.

A request goes to the server with the fewest in flight. A tuned model's adapter is loaded there before its first answer, and
again after the server has forgotten it. Only the body is passed on: no key, cookie or other header of a client's.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from evaltape.errors import UserError
from evaltape.local.errors import ApiError
from evaltape.local.inference.chat import render
from evaltape.local.model import Loaded
from evaltape.local.requests import Fields, parse, read_json

TIMEOUT = httpx2.Timeout(None, connect=5)
"""Answers take their time; a server that is away is noticed at once."""
PROBE = [{"role": "user", "content": "Name three colours."}]
"""A prompt after which all servers must have the same likeliest tokens."""
COUNT = 5
CHAT = "/v1/chat/completions"
MOST_DIFFERENCE = 0.25
"""In nats, on average: bfloat16 against float32 is a tenth of that, other weights many times."""
Likeliest = dict[str, float]
"""The likeliest first tokens of an answer, with their log probabilities."""


class Server(msgspec.Struct, eq=False):
    """An inference server."""

    url: str
    """Its address, without `/v1`."""
    base: str
    """The id by which it serves the base model."""
    in_flight: int = 0
    loaded: set[str] = msgspec.field(default_factory=set)
    """The tuned models that it is known to have."""
    mixes: bool = False
    """Whether the base model's answers changed when it loaded a tuned model."""


class Unfit(Exception):
    """A server that answers, but not as its model would."""


class Upstream:
    """Hands requests to servers.

    `folder_of` returns the folder of a tuned model's adapter, None for the base model. `expected` are its likeliest
    tokens after the probe's prompt; None leaves them unchecked.
    """

    endpoints = (CHAT, "/v1/responses")
    in_flight = 64
    """Requests of a batch that are asked at once."""

    def __init__(self, servers: Sequence[Server], expected: Likeliest | None, folder_of: Callable[[str], Path | None]) -> None:
        self._servers, self._expected, self._folder_of = servers, expected, folder_of
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64)
        self._client = httpx2.AsyncClient(timeout=TIMEOUT, limits=limits, trust_env=False)

    async def respond(self, path: str, request: Request) -> Response:
        """Answer a client's request, streamed if it asks for that."""
        body = (await read_json(request, Fields)).model_dump()
        server, answer = await self._ask(path, body)
        media_type = answer.headers.get("content-type", "application/json")
        if "text/event-stream" in media_type:
            return StreamingResponse(self._events(server, answer, body["model"]), answer.status_code, media_type=media_type)
        return Response(await self._whole(server, answer, body["model"]), answer.status_code, media_type=media_type)

    async def answer(self, path: str, raw: bytes) -> tuple[int, dict[str, Any]]:
        """Return the status and the body with which a request of a batch is answered."""
        try:
            body = parse(raw, Fields).model_dump()
            if body.get("stream"):
                raise ApiError("A batch's answers can't be streamed.", param="stream", code="unsupported_value")
            server, answer = await self._ask(path, body)
            return answer.status_code, json.loads(await self._whole(server, answer, body["model"]))
        except ApiError as error:
            return error.status, error.body()
        except ValueError as error:
            unread = ApiError(f"The inference server's answer can't be read: {error}", status=500, kind="server_error")
            return 500, unread.body()

    async def forget(self, model: str) -> None:
        """Unload a tuned model that was deleted; a server that is away forgets it by itself."""
        for server in self._servers:
            server.loaded.discard(model)
            try:
                await self._client.post(f"{server.url}/v1/unload_lora_adapter", json={"lora_name": model})
            except httpx2.TransportError:
                continue

    def close(self) -> None:
        """Do nothing: connections end with the process."""

    # ------------------------------------------------------------ asking

    async def _ask(self, path: str, body: dict[str, Any]) -> tuple[Server, httpx2.Response]:
        """Return the answer of the first server that is there, yet to be read."""
        folder = await asyncio.to_thread(self._folder_of, body["model"])
        reasons = []
        for server in sorted(self._servers, key=lambda one: one.in_flight):
            server.in_flight += 1
            try:
                return server, await self._ask_one(server, path, body, folder)
            except (httpx2.TransportError, Unfit) as error:
                reasons.append(f"{server.url} ({str(error) or type(error).__name__})")
                server.in_flight -= 1
            except BaseException:
                server.in_flight -= 1
                raise
        raise ApiError(f"No inference server answers: {', '.join(reasons)}", status=502, kind="server_error")

    async def _ask_one(self, server: Server, path: str, body: dict[str, Any], folder: Path | None) -> httpx2.Response:
        if folder is None:
            if server.mixes and await self._changed(server):
                raise Unfit("it answers for the base model with a tuned model; start it anew, and ask the base model first")
            return await self._post(server, path, {**body, "model": server.base})
        if body["model"] in server.loaded:
            answer = await self._post(server, path, body)
            if answer.status_code != 404:
                return answer
            await answer.aclose()  # it was started anew since
        await self._load(server, body["model"], folder)
        return await self._post(server, path, body)

    async def _post(self, server: Server, path: str, body: dict[str, Any]) -> httpx2.Response:
        try:
            content = json.dumps(body, allow_nan=False)
        except ValueError as error:
            raise ApiError(f"Invalid value: {error}", code="invalid_value") from None
        headers = {"content-type": "application/json"}
        request = self._client.build_request("POST", server.url + path, content=content, headers=headers)
        return await self._client.send(request, stream=True)

    async def _load(self, server: Server, model: str, folder: Path) -> None:
        order = {"lora_name": model, "lora_path": str(folder)}
        answer = await self._client.post(f"{server.url}/v1/load_lora_adapter", json=order)
        if answer.status_code != 200 and "already been loaded" not in answer.text:
            hint = "vLLM needs --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and has to reach that folder"
            message = f"{server.url} can't load {folder} (status {answer.status_code}: {answer.text[:200]}): {hint}"
            raise ApiError(message, status=502, kind="server_error", code="adapter_not_loaded")
        server.loaded.add(model)
        await self._changed(server)

    async def _changed(self, server: Server) -> bool:
        """Ask for the base model's likeliest tokens anew: vLLM on a CPU adds a tuned model's adapter to all answers."""
        if self._expected is not None:
            answer = await self._client.post(f"{server.url}{CHAT}", json=_probe(server))
            try:
                server.mixes = not _agree(self._expected, _tokens(answer.raise_for_status()))
            except (httpx2.HTTPStatusError, ValueError, KeyError, IndexError, TypeError):
                server.mixes = True  # Unknown is never fine.
        return server.mixes

    # ------------------------------------------------------------ answers

    async def _whole(self, server: Server, answer: httpx2.Response, model: str) -> bytes:
        try:
            return _renamed(await answer.aread(), model)
        except httpx2.TransportError as error:
            message = f"{server.url} broke off its answer ({error or type(error).__name__})"
            raise ApiError(message, status=502, kind="server_error") from None
        finally:
            server.in_flight -= 1
            await answer.aclose()

    async def _events(self, server: Server, answer: httpx2.Response, model: str) -> AsyncIterator[bytes]:
        try:
            async for line in answer.aiter_lines():
                kind, colon, data = line.partition(": ")
                yield (kind + colon).encode() + (_renamed(data.encode(), model) if kind == "data" else data.encode()) + b"\n"
        finally:
            server.in_flight -= 1
            await answer.aclose()


def _renamed(content: bytes, model: str) -> bytes:
    """Return an answer with the id by which the client asked, in place of the server's own."""
    try:
        body = json.loads(content)
    except ValueError:
        return content
    for part in (body, body.get("response") if isinstance(body, dict) else None):
        if isinstance(part, dict) and "model" in part:
            part["model"] = model
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")


# ---------------------------------------------------------------- at the start


def find(urls: Sequence[str], folder: Path, expected: Likeliest | None) -> list[Server]:
    """Return the servers at these addresses. Raise `UserError` for a server that is away, or that has other weights.

    `expected` are the likeliest tokens after the probe's prompt; without them weights aren't checked.
    """
    return [_find(url.rstrip("/").removesuffix("/v1"), folder, expected) for url in urls]


def likeliest(loaded: Loaded) -> Likeliest:
    """Return the likeliest tokens of a loaded model after the probe's prompt."""
    import torch

    with torch.inference_mode():
        ids = torch.tensor([render(loaded.tokenizer, PROBE)], device=loaded.model.device)
        odds = torch.log_softmax(loaded.model(input_ids=ids, logits_to_keep=1).logits[0, -1].float(), dim=-1)
    values, tokens = odds.topk(COUNT)
    return {loaded.tokenizer.decode([token]): value for token, value in zip(tokens.tolist(), values.tolist(), strict=True)}


def _find(url: str, folder: Path, expected: Likeliest | None) -> Server:
    try:
        with httpx2.Client(timeout=60, trust_env=False) as client:
            models = client.get(f"{url}/v1/models").raise_for_status().json()["data"]
            server = Server(url, next(model["id"] for model in models if not model.get("parent")))
            found = expected and _tokens(client.post(f"{url}{CHAT}", json=_probe(server)).raise_for_status())
    except (httpx2.HTTPError, ValueError, KeyError, IndexError, TypeError, StopIteration) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = f"Start one: vllm serve {folder} --enable-lora"
        raise UserError(f"--inference {url}: no inference server answers there ({reason}). {hint}") from None
    if expected and found and not _agree(expected, found):
        raise UserError(
            f"--inference {url}: serves other weights than --model: after the same prompt its likeliest tokens are "
            f"{_listed(found)}, those of {folder} are {_listed(expected)}. Start it on the same weights: "
            f"vllm serve {folder} --enable-lora"
        )
    return server


def _probe(server: Server) -> dict[str, Any]:
    """Return the request for the base model's likeliest tokens."""
    return {"model": server.base, "messages": PROBE, "temperature": 0, "max_tokens": 1, "logprobs": True, "top_logprobs": COUNT}


def _tokens(answer: httpx2.Response) -> Likeliest:
    """Return the likeliest tokens of an answer to the probe."""
    first = answer.json()["choices"][0]["logprobs"]["content"][0]
    return {entry["token"]: entry["logprob"] for entry in first["top_logprobs"]}


def _agree(one: Likeliest, other: Likeliest) -> bool:
    """Return whether two models give most of their likeliest tokens the same probabilities."""
    both = one.keys() & other.keys()
    return len(both) * 2 > COUNT and sum(abs(one[token] - other[token]) for token in both) / len(both) <= MOST_DIFFERENCE


def _listed(tokens: Likeliest) -> str:
    return ", ".join(f"{token!r} ({value:.2f})" for token, value in tokens.items())
