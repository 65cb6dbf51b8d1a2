"""Prompts are read beside the event loop, and not at all if they can't fit."""

import asyncio
import threading
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.local_service import CONTEXT, NEEDS_EXTRA, PATIENCE_S, make_tokenizer

pytestmark = NEEDS_EXTRA


class Tokenizer:
    """A tokenizer that waits for the test before it answers."""

    def __init__(self) -> None:
        self._tokenizer = make_tokenizer()
        self.calls = 0
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()

    def __call__(self, text: str, **options: Any) -> Any:
        self.calls += 1
        self.has_begun.set()
        assert self.may_go_on.wait(PATIENCE_S), "the event loop is held up"
        return self._tokenizer(text, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def prompts(tokenizer: Tokenizer) -> Any:
    from evaltape.local.inference.chat import Prompts
    from evaltape.local.model import Loaded

    return Prompts(Loaded(None, tokenizer, None, "fp_1", CONTEXT, frozenset()))  # type: ignore[arg-type]


def messages(*contents: str) -> Any:
    from evaltape.local.requests import Message

    return [Message(role="user", content=content) for content in contents]


def test_the_event_loop_goes_on_while_a_prompt_is_tokenised() -> None:
    tokenizer = Tokenizer()

    async def both() -> list[int]:
        reading = asyncio.create_task(prompts(tokenizer).tokens(messages("Hi")))
        while not tokenizer.has_begun.is_set():
            await asyncio.sleep(0)
        tokenizer.may_go_on.set()
        return await reading

    assert len(asyncio.run(both())) == 1 + len("user\nHi") + 2 + 1 + len("assistant\n")


@pytest.mark.parametrize("contents", [["x" * 2_000_000], ["x" * 1000] * 100, [""] * (CONTEXT + 1)])
def test_a_prompt_that_cannot_fit_is_refused_without_being_tokenised(contents: list[str]) -> None:
    from evaltape.local.errors import ApiError

    tokenizer = Tokenizer()
    with pytest.raises(ApiError, match=r"maximum context length is 512 tokens\. However, you sent") as refused:
        asyncio.run(prompts(tokenizer).tokens(messages(*contents)))
    assert refused.value.code == "context_length_exceeded"
    assert tokenizer.calls == 0


def test_a_prompt_of_two_megabytes_is_refused_by_the_service(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="you sent 2,000,000 characters in 1 message") as refused:
        client.chat.completions.create(model="tiny-1.5", messages=[{"role": "user", "content": "x" * 2_000_000}])
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")
    assert "reduce the length of the messages" in refused.value.message
