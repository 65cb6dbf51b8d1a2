"""Chat completions: a request to the engine, and its answer as OpenAI's objects."""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import Request
from starlette.responses import Response

from evaltape.local.errors import ApiError, server_error, unknown_model
from evaltape.local.ids import new_id, now
from evaltape.local.inference.adapters import MissingAdapter
from evaltape.local.inference.answer import Answer
from evaltape.local.inference.engine import Engine, Generation
from evaltape.local.inference.prompt import Prompts
from evaltape.local.inference.sampling import Sampling
from evaltape.local.model.weights import Loaded
from evaltape.local.requests.body import parse, read_json
from evaltape.local.requests.chat import ChatRequest

LOG = logging.getLogger("evaltape.local")
CHECK_S = 0.5
"""How often a waiting answer checks that its client is still connected."""


class Chat:
    """Answers chat requests with an engine. `folder_of` returns the folder of a tuned model's adapter, None for the base."""

    endpoints = ("/v1/chat/completions",)

    def __init__(self, loaded: Loaded, engine: Engine, folder_of: Callable[[str], Path | None]) -> None:
        self._tokenizer, self._fingerprint, self._ends = loaded.tokenizer, loaded.fingerprint, loaded.ends
        self._engine, self._folder_of = engine, folder_of
        self._prompts = Prompts(loaded)
        self.in_flight = engine.most_rows
        """Requests of a batch that are asked at once."""

    async def respond(self, _path: str, request: Request) -> Response:
        """Answer a client's request, as a stream where it asks for one."""
        body = await read_json(request, ChatRequest)
        reply = await self._start(body)
        if body.stream:
            return StreamingResponse(reply.stream(), media_type="text/event-stream")
        return JSONResponse(await reply.whole(request.is_disconnected))

    async def answer(self, _path: str, raw: bytes) -> tuple[int, dict[str, Any]]:
        """Return the status and the body with which a request of a batch is answered."""
        try:
            request = await asyncio.to_thread(parse, raw, ChatRequest)
            if request.stream:
                raise ApiError("A batch's answers can't be streamed.", param="stream", code="unsupported_value")
            return 200, await (await self._start(request)).whole()
        except ApiError as error:
            return error.status, error.body()

    async def forget(self, model: str) -> None:
        """Nothing to do for a tuned model that was deleted: the engine looks for its file."""

    def close(self) -> None:
        """Let go of the threads."""
        self._prompts.close()
        self._engine.close()

    async def _start(self, request: ChatRequest) -> "Reply":
        """Hand a request to the engine. Raise `ApiError` if it can't be answered."""
        adapter = await asyncio.to_thread(self._folder_of, request.model)
        request.check()
        self._engine.check_queue()
        prompt = await self._prompts.tokens(request.messages)
        most_tokens = self._prompts.most_tokens(len(prompt), request.most_tokens)
        streamed = bool(request.stream)
        answer = Answer(self._tokenizer, self._ends, most_tokens, request.stops, streamed=streamed)
        reply = Reply(request, answer, len(prompt), self._fingerprint)
        reply.generation = Generation(
            prompt, adapter, answer, most_tokens, _sampling(request), reply.on_progress, streamed=streamed
        )
        self._engine.submit(reply.generation)
        return reply


class Reply:
    """An answer on its way from the engine's thread to the event loop."""

    generation: Generation

    def __init__(self, request: ChatRequest, answer: Answer, prompt_tokens: int, fingerprint: str) -> None:
        self._request, self._answer, self._prompt_tokens, self._fingerprint = request, answer, prompt_tokens, fingerprint
        self._id, self._created = new_id("chatcmpl-", 29), now()
        self._loop = asyncio.get_running_loop()
        self._progress: asyncio.Queue[tuple[str, str | None] | BaseException] = asyncio.Queue()

    def on_progress(self, error: BaseException | None) -> None:
        """Pass on what the engine has added. Called from its thread."""
        progress = error or (self._answer.unsent(), self._answer.finish)
        try:
            self._loop.call_soon_threadsafe(self._progress.put_nowait, progress)
        except RuntimeError:  # the event loop is closed: nobody is waiting
            self.generation.cancelled = True

    async def pieces(self, is_gone: Callable[[], Awaitable[bool]] | None = None) -> AsyncIterator[tuple[str, str | None]]:
        """Yield each new piece of text, with the finish reason at the last; end early if the client has gone."""
        finish = None
        try:
            while finish is None:
                try:
                    progress = await asyncio.wait_for(self._progress.get(), CHECK_S)
                except TimeoutError:
                    if is_gone is not None and await is_gone():
                        return
                    continue
                if isinstance(progress, MissingAdapter):  # deleted since the request was read
                    raise unknown_model(self._request.model)
                if isinstance(progress, BaseException):
                    raise server_error() from progress
                finish = progress[1]
                yield progress
        finally:
            self.generation.cancelled = finish is None

    async def whole(self, is_gone: Callable[[], Awaitable[bool]] | None = None) -> dict[str, Any]:
        """Return the `chat.completion` object."""
        async for _piece in self.pieces(is_gone):
            pass
        message: dict[str, Any] = {"role": "assistant", "content": self._answer.text, "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._answer.finish}
        return self._object("chat.completion", choices=[choice], usage=self._usage())

    async def stream(self) -> AsyncIterator[str]:
        """Yield the `chat.completion.chunk` objects as server-sent events."""
        try:
            yield self._chunk({"role": "assistant", "content": "", "refusal": None})
            async for text, finish in self.pieces():
                if text:
                    yield self._chunk({"content": text})
                if finish:
                    yield self._chunk({}, finish)
            if self._wants_usage:
                yield _event(self._object("chat.completion.chunk", choices=[], usage=self._usage()))
        except ApiError as error:
            yield _event(error.body())
        except Exception:  # the status is sent already: the error can only follow as an event
            LOG.exception("a streamed answer failed")
            yield _event(server_error().body())
        yield "data: [DONE]\n\n"

    @property
    def _wants_usage(self) -> bool:
        options = self._request.stream_options
        return bool(options and options.include_usage)

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        # With include_usage every chunk has the field, null in all but the last.
        usage = {"usage": None} if self._wants_usage else {}
        return _event(self._object("chat.completion.chunk", choices=[choice], **usage))

    def _object(self, kind: str, **parts: Any) -> dict[str, Any]:
        about = {"id": self._id, "object": kind, "created": self._created, "model": self._request.model}
        return {**about, **parts, "service_tier": "default", "system_fingerprint": self._fingerprint}

    def _usage(self) -> dict[str, Any]:
        completion = len(self._answer.tokens)
        counts = {"prompt_tokens": self._prompt_tokens, "completion_tokens": completion}
        return {**counts, "total_tokens": self._prompt_tokens + completion}


def _sampling(request: ChatRequest) -> Sampling:
    seed = secrets.randbits(62) if request.seed is None else request.seed
    temperature = 1.0 if request.temperature is None else request.temperature
    return Sampling(temperature, request.top_p or 1.0, seed)


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
