"""Money and tokens: what calls have cost, and what they can cost at most."""

from collections.abc import Mapping
from typing import Any

from evaltape.suite.definition import Model, Price
from evaltape.suite.tokens import Count, bytes_of

DEFAULT_ANSWER_TOKENS = 4_096
"""Where the request sets no limit on the answer."""
OVERHEAD_TOKENS = 16
"""The chat format's own tokens per message, with room to spare."""


def call_usd(price: Price | None, prompt_tokens: int, completion_tokens: int) -> float:
    """What a call cost, in USD; 0 where the suite states no price."""
    if price is None:
        return 0.0
    return (prompt_tokens * price.input + completion_tokens * price.output) / 1e6


def training_usd(price: Price | None, trained_tokens: int) -> float | None:
    """What a job cost, in USD; None where the suite states no price for training."""
    return trained_tokens * price.training / 1e6 if price and price.training is not None else None


def answer_limit(body: Mapping[str, Any]) -> int | None:
    """The most tokens a request lets its answer have; None where it sets no limit."""
    limits = [body[key] for key in ("max_completion_tokens", "max_tokens") if isinstance(body.get(key), int)]
    return min(limits, default=None)


def most_tokens(body: Mapping[str, Any], count: Count = bytes_of) -> tuple[int, int]:
    """An upper bound of the (prompt, completion) tokens of a call, its texts measured by `count`."""
    prompt = sum(count(turn["content"]) + OVERHEAD_TOKENS for turn in body["messages"])
    limit = answer_limit(body)
    return prompt, DEFAULT_ANSWER_TOKENS if limit is None else limit


def most_usd(model: Model, body: Mapping[str, Any]) -> float:
    """An upper bound of what a call can cost, in USD."""
    return call_usd(model.price, *most_tokens(body))
