"""Chat completions: a request's messages into the model's tokens, and the answer into OpenAI's objects."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from evaltape.local.answer import Answer
from evaltape.local.engine import Engine, Generation
from evaltape.local.errors import ApiError
from evaltape.local.requests import ChatRequest
from evaltape.local.sampling import Sampling
from evaltape.local.store import new_id, now
from evaltape.local.weights import Loaded

# How often a waiting answer looks whether its client has gone.
CHECK_S = 0.5


class Chat:
    """Answers chat requests with an engine."""

    def __init__(self, loaded: Loaded, engine: Engine) -> None:
        self._loaded, self._engine = loaded, engine
        self._ends = end_tokens(loaded)

    def start(self, request: ChatRequest, adapter: Path | None) -> "Reply":
        """Hands a request to the engine. Raises `ApiError` where it can't be answered."""
        request.check()
        prompt = render(self._loaded.tokenizer, [message.rendered() for message in request.messages])
        reply = Reply(request, len(prompt), self._loaded.fingerprint)
        most = self._most(len(prompt), request.most)
        reply.answer = Answer(self._loaded.tokenizer, self._ends, most, request.stops, streamed=bool(request.stream))
        reply.generation = Generation(
            prompt, adapter, reply.answer, most, _sampling(request), reply.hear, streamed=bool(request.stream)
        )
        self._engine.submit(reply.generation)
        return reply

    def _most(self, prompt: int, asked: int | None) -> int:
        """The length limit of an answer, in tokens."""
        context = self._loaded.context
        if prompt >= context:
            message = f"Your messages resulted in {prompt} tokens. Please reduce the length of the messages."
        elif prompt + (asked or 1) > context:
            total = prompt + (asked or 1)
            message = f"You requested {total} tokens ({prompt} in the messages, {asked} in the completion)."
        else:
            return asked or context - prompt
        message = f"This model's maximum context length is {context} tokens. However, {message[0].lower()}{message[1:]}"
        raise ApiError(message, param="messages", code="context_length_exceeded")


class Reply:
    """An answer on its way: heard of from the engine's thread, awaited on the event loop."""

    answer: Answer
    generation: Generation

    def __init__(self, request: ChatRequest, prompt_tokens: int, fingerprint: str) -> None:
        self._request, self._prompt_tokens, self._fingerprint = request, prompt_tokens, fingerprint
        self._id, self._created = new_id("chatcmpl-", 29), now()
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[tuple[str, str | None] | BaseException] = asyncio.Queue()

    def hear(self, error: BaseException | None) -> None:
        """Called from the engine's thread after a step."""
        news = error or (self.answer.news(), self.answer.finish)
        try:
            self._loop.call_soon_threadsafe(self._news.put_nowait, news)
        except RuntimeError:  # the event loop has gone: nobody listens
            self.generation.cancelled = True

    async def pieces(self, gone: Callable[[], Awaitable[bool]] | None = None) -> AsyncIterator[tuple[str, str | None]]:
        """Each new piece of text, with the finish reason at the last; ends early where the client has gone."""
        finish = None
        try:
            while finish is None:
                try:
                    news = await asyncio.wait_for(self._news.get(), CHECK_S)
                except TimeoutError:
                    if gone is not None and await gone():
                        return
                    continue
                if isinstance(news, BaseException):
                    message = "The server had an error while processing your request"
                    raise ApiError(message, status=500, kind="server_error") from news
                finish = news[1]
                yield news
        finally:
            self.generation.cancelled = finish is None

    async def whole(self, gone: Callable[[], Awaitable[bool]]) -> dict[str, Any]:
        """The `chat.completion` object."""
        async for _piece in self.pieces(gone):
            pass
        message: dict[str, Any] = {"role": "assistant", "content": self.answer.text, "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.answer.finish}
        return self._object("chat.completion", choices=[choice], usage=self._usage())

    async def stream(self) -> AsyncIterator[str]:
        """The `chat.completion.chunk` objects as server-sent events."""
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
        completion = len(self.answer.tokens)
        counts = {"prompt_tokens": self._prompt_tokens, "completion_tokens": completion}
        return {**counts, "total_tokens": self._prompt_tokens + completion}


def render(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    """The tokens of a chat, up to where the assistant is to speak. Raises `ApiError` where the template refuses."""
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except (TemplateError, ValueError, TypeError) as error:
        message = f"The model's chat template refuses these messages: {error}"
        raise ApiError(message, param="messages", code="invalid_value") from None
    # The template writes all special tokens itself.
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def end_tokens(loaded: Loaded) -> frozenset[int]:
    """The tokens that end an answer."""
    named = loaded.model.generation_config.eos_token_id
    ends = {loaded.tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])}
    return frozenset(end for end in ends if end is not None)


def _sampling(request: ChatRequest) -> Sampling:
    seed = secrets.randbits(62) if request.seed is None else request.seed
    temperature = 1.0 if request.temperature is None else request.temperature
    return Sampling(temperature, request.top_p or 1.0, seed)


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
