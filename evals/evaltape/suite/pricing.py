"""Money and tokens: the cost of calls, and its upper bound."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from evaltape.suite.definition import Model, Price, TrainingPrice
from evaltape.suite.tokens import Count, bytes_of

DEFAULT_ANSWER_TOKENS = 4_096
"""Assumed where the request sets no limit on the answer: good for an estimate, not for a budget."""
OVERHEAD_TOKENS = 80
"""The chat format's own tokens per message. Templates of open models take 20 to 70 for a message: roles, a date, a system
prompt of their own."""
MOST_USD = 1e15
"""Amounts over this are cut to it, so that sums stay finite."""
USUAL_EPOCHS, MOST_EPOCHS, FEW_EXAMPLES = 3, 25, 100
"""Epochs that OpenAI's API chooses where a job sets none: 3, but up to 25 so that training sees 100 examples."""
LIMITS = ("max_completion_tokens", "max_tokens")
"""What a request can limit the length of its answer by."""


def call_usd(price: Price | None, prompt_tokens: int, completion_tokens: int) -> float:
    """Return the cost of a call, in USD; 0 if the suite states no price."""
    if price is None:
        return 0.0
    return min(_usd(prompt_tokens, price.input) + _usd(completion_tokens, price.output), MOST_USD)


def batch_price(price: Price | None) -> Price | None:
    """Return the price of calls through the Batch API."""
    return price and msgspec.structs.replace(
        price, input=price.input * price.batch, output=price.output * price.batch, batch=1.0
    )


def training_usd(price: TrainingPrice | None, trained_tokens: int) -> float | None:
    """Return the cost of a job, in USD; None if the suite states no price for training."""
    return _usd(trained_tokens, price.training) if price else None


def most_epochs(asked: object, rows: int) -> int:
    """Return the most epochs that a job on so many rows has: those asked for, or the most that an API chooses by itself."""
    if isinstance(asked, int):
        return asked
    return MOST_EPOCHS if rows * USUAL_EPOCHS < FEW_EXAMPLES else USUAL_EPOCHS


def _usd(tokens: int, per_million: float) -> float:
    return min(min(tokens, 1e18) / 1e6 * per_million, MOST_USD)


def answer_limit(body: Mapping[str, Any]) -> int | None:
    """Return the most tokens a request lets its answer have; None if it sets no limit.

    Some servers take a negative number for none. Of two limits the larger counts: an API may know only one of them.
    """
    values = [body[key] for key in LIMITS if key in body]
    if not all(type(value) is int and value >= 0 for value in values):
        return None
    return max(values, default=None)


def most_tokens(body: Mapping[str, Any], count: Count = bytes_of) -> tuple[int, int]:
    """Return an upper bound of the (prompt, completion) tokens of a call, its texts measured by `count`.

    What stands beside the messages and isn't a plain value (tools, a schema of the answer) is a part of the prompt.
    """
    prompt = sum(count(_text(turn["content"])) + OVERHEAD_TOKENS for turn in body["messages"])
    more = [value for key, value in body.items() if key != "messages" and isinstance(value, dict | list)]
    limit = answer_limit(body)
    return prompt + sum(count(_text(value)) for value in more), DEFAULT_ANSWER_TOKENS if limit is None else limit


def training_tokens(jsonl: str, count: Count = bytes_of) -> int:
    """Return an upper bound of the tokens that an epoch over a training file has, its texts measured by `count`."""
    turns = [turn for line in jsonl.split("\n") if line for turn in json.loads(line)["messages"]]
    return sum(count(_text(turn["content"])) + OVERHEAD_TOKENS for turn in turns)


def most_usd(model: Model, body: Mapping[str, Any]) -> float:
    """Return an upper bound of the cost of a call, in USD; 0 if the suite states no price."""
    return call_usd(model.price, *most_tokens(body)) if model.price else 0.0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
