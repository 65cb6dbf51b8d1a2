"""A request's messages as the model's tokens, made in threads beside the event loop."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jinja2 import TemplateError

from evaltape.local.errors import ApiError
from evaltape.local.model.weights import Loaded
from evaltape.local.requests.chat import Message

# One long prompt leaves a thread to the others; more threads would only take time from the engine's.
THREADS = 2


class Prompts:
    """Turns chats into tokens, and refuses those that can't fit into the context before reading them."""

    def __init__(self, loaded: Loaded) -> None:
        self._tokenizer, self._context = loaded.tokenizer, loaded.context
        # A vocabulary of pieces of text: no token stands for more characters than its longest has.
        self._most_characters = loaded.context * max(map(len, loaded.tokenizer.get_vocab()))
        self._threads = ThreadPoolExecutor(THREADS, "prompts")

    async def tokens(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens of a chat, up to where the assistant is to speak. Raise `ApiError` if that can't be."""
        self._check_size(messages)
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

    def _check_size(self, messages: Sequence[Message]) -> None:
        characters = sum(len(message.content) for message in messages)
        # A message takes a token at least.
        if characters > self._most_characters or len(messages) > self._context:
            sizes = f"{characters:,} characters in {len(messages):,} message(s)"
            raise self._too_long(f"you sent {sizes}. Please reduce the length of the messages.")

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
