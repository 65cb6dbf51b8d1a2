"""Money and tokens: what calls have cost, and what they can cost at most."""

from collections.abc import Mapping
from typing import Any

from evals.harness.suite import Model, Price

DEFAULT_ANSWER_TOKENS = 4_096
"""Where the request sets no limit on the answer."""
OVERHEAD_TOKENS = 16
"""The chat format's own tokens per message, with room to spare."""


def call_usd(price: Price | None, prompt_tokens: int, completion_tokens: int) -> float:
    """What a call cost, in USD; 0 where the suite states no price."""
    if price is None:
        return 0.0
    return (prompt_tokens * price.input + completion_tokens * price.output) / 1e6


def most_tokens(body: Mapping[str, Any]) -> tuple[int, int]:
    """An upper bound of (prompt, completion) tokens of a call: no tokeniser yields more tokens than UTF-8 bytes."""
    texts = [turn["content"] for turn in body["messages"]]
    prompt = sum(len(text.encode()) + OVERHEAD_TOKENS for text in texts)
    limits = [body[key] for key in ("max_completion_tokens", "max_tokens") if isinstance(body.get(key), int)]
    return prompt, min(limits, default=DEFAULT_ANSWER_TOKENS)


def most_usd(model: Model, body: Mapping[str, Any]) -> float:
    """An upper bound of what a call can cost, in USD."""
    return call_usd(model.price, *most_tokens(body))

