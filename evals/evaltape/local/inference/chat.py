"""Chat completions: messages to tokens, tokens to the engine, and its answer as OpenAI's objects."""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi.responses import JSONResponse, StreamingResponse
from jinja2 import TemplateError
from starlette.requests import Request
from starlette.responses import Response

from evaltape.local.errors import ApiError, server_error, unknown_model
from evaltape.local.inference.engine import Engine, MissingAdapter
from evaltape.local.inference.generation import Generation
from evaltape.local.model import Loaded
from evaltape.local.requests import ChatRequest, Message, parse, read_json
from evaltape.local.state import new_id, now

LOG = logging.getLogger("evaltape.local")
CHECK_S = 0.5
"""How often a waiting answer checks that its client is still connected."""


class Chat:
    """Answers chat requests with an engine. `folder_of` returns the folder of a tuned model's adapter, or None."""

    endpoints = ("/v1/chat/completions",)

    def __init__(self, loaded: Loaded, engine: Engine, folder_of: Callable[[str], Path | None]) -> None:
        self._loaded, self._engine, self._folder_of, self._prompts = loaded, engine, folder_of, Prompts(loaded)
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
        """Do nothing for a tuned model that was deleted: the engine looks for its file."""

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
        generation = Generation(
            prompt=prompt,
            adapter=adapter,
            tokenizer=self._loaded.tokenizer,
            ends=self._loaded.ends,
            most_tokens=self._prompts.most_tokens(len(prompt), request.most_tokens),
            stops=request.stops,
            temperature=1.0 if request.temperature is None else request.temperature,
            top_p=request.top_p or 1.0,
            seed=secrets.randbits(62) if request.seed is None else request.seed,
            streamed=bool(request.stream),
        )
        reply = Reply(request, generation, self._loaded.fingerprint)
        self._engine.submit(generation)
        return reply


class Reply:
    """An answer on its way from the engine's thread to the event loop."""

    def __init__(self, request: ChatRequest, generation: Generation, fingerprint: str) -> None:
        self._request, self._generation, self._loop = request, generation, asyncio.get_running_loop()
        self._about = {"id": new_id("chatcmpl-", 29), "created": now(), "model": request.model}
        self._fingerprint = fingerprint
        self._wants_usage = bool(request.stream_options and request.stream_options.include_usage)
        self._progress: asyncio.Queue[tuple[str, str | None] | BaseException] = asyncio.Queue()
        generation.on_progress = self._on_progress

    def _on_progress(self, error: BaseException | None) -> None:
        progress = error or (self._generation.unsent(), self._generation.finish)
        try:
            self._loop.call_soon_threadsafe(self._progress.put_nowait, progress)
        except RuntimeError:  # the event loop is closed: nobody is waiting
            self._generation.cancelled = True

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
            self._generation.cancelled = finish is None

    async def whole(self, is_gone: Callable[[], Awaitable[bool]] | None = None) -> dict[str, Any]:
        """Return the `chat.completion` object."""
        async for _piece in self.pieces(is_gone):
            pass
        message: dict[str, Any] = {"role": "assistant", "content": self._generation.text, "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._generation.finish}
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

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        # With include_usage every chunk has the field, null in all but the last.
        usage = {"usage": None} if self._wants_usage else {}
        return _event(self._object("chat.completion.chunk", choices=[choice], **usage))

    def _object(self, kind: str, **parts: Any) -> dict[str, Any]:
        return {**self._about, "object": kind, **parts, "service_tier": "default", "system_fingerprint": self._fingerprint}

    def _usage(self) -> dict[str, int]:
        asked, answered = len(self._generation.prompt), len(self._generation.tokens)
        return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


class Prompts:
    """Turns chats into tokens in threads beside the event loop, and refuses chats that can't fit before reading them."""

    def __init__(self, loaded: Loaded) -> None:
        self._tokenizer, self._context = loaded.tokenizer, loaded.context
        # No token stands for more characters than the longest piece of text in the vocabulary has.
        self._most_characters = loaded.context * max(map(len, loaded.tokenizer.get_vocab()))
        # One long prompt leaves a thread to the others; more threads would take time from the engine.
        self._threads = ThreadPoolExecutor(2, "prompts")

    async def tokens(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens of a chat, up to where the assistant is to speak. Raise `ApiError` if that can't be."""
        characters = sum(len(message.content) for message in messages)
        # A message takes a token at least.
        if characters > self._most_characters or len(messages) > self._context:
            sizes = f"{characters:,} characters in {len(messages):,} message(s)"
            raise self._too_long(f"you sent {sizes}. Please reduce the length of the messages.")
        chat = [message.for_template() for message in messages]
        return await asyncio.get_running_loop().run_in_executor(self._threads, render, self._tokenizer, chat)

    def most_tokens(self, prompt_tokens: int, requested: int | None) -> int:
        """Return the longest that the answer may become. Raise `ApiError` if it doesn't fit into the context."""
        total = prompt_tokens + (requested or 1)
        if prompt_tokens >= self._context:
            raise self._too_long(f"your messages resulted in {prompt_tokens} tokens. Please reduce the length of the messages.")
        if total > self._context:
            sizes = f"{prompt_tokens} in the messages, {requested} in the completion"
            raise self._too_long(f"you requested {total} tokens ({sizes}).")
        return requested or self._context - prompt_tokens

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _too_long(self, reason: str) -> ApiError:
        message = f"This model's maximum context length is {self._context} tokens. However, {reason}"
        return ApiError(message, param="messages", code="context_length_exceeded")


def render(tokenizer: Any, chat: list[dict[str, str]]) -> list[int]:
    """Return the tokens of a chat. Raise `ApiError` if the model's template refuses it."""
    try:
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    except (TemplateError, ValueError, TypeError) as error:
        message = f"The model's chat template refuses these messages: {error}"
        raise ApiError(message, param="messages", code="invalid_value") from None
    # The template writes all special tokens itself.
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
