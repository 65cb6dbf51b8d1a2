"""Tokens and money: counted by an API, bounded before a call is made."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from evaltape.suite.definition import Model
from evaltape.suite.endpoint import Price, TrainingPrice

Count = Callable[[str], int]
MOST_TOKENS = 10**9
"""No call has more; an API that says so has miscounted."""
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Billed(msgspec.Struct, frozen=True):
    """The tokens of a call that an API bills, by its own counts; `samples.sample.Usage` holds those that are recorded."""

    prompt: int = 0
    answer: int = 0
    """The most that any count implies: tokens of reasoning often stand outside `completion_tokens`."""
    is_whole: bool = False
    """Whether the counts are there and add up. Otherwise the call may be billed for the most that its request allows."""


def read_usage(usage: Any, has_text: bool) -> Billed:
    """Return the tokens in the `usage` of an answer, which `has_text` or not. Nothing is too broken to be read.

    >>> read_usage({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 2025}, True)
    Billed(prompt=20, answer=2005, is_whole=True)
    """
    if not isinstance(usage, dict):
        return Billed()
    prompt, answer, total = (_count(usage, key) for key in _COUNTS)
    details = usage.get("completion_tokens_details")
    thought = _count(details, "reasoning_tokens") if isinstance(details, dict) else 0
    if -1 in (prompt, answer, total, thought):
        return Billed()
    stated = usage.get("total_tokens") is not None
    # Beside a total, reasoning is in the answer's count or in the total's rest; without a total it may be in neither.
    billed = max(answer, thought, total - prompt) if stated else answer + thought
    adds_up = not stated or total >= prompt + answer
    return Billed(prompt, billed, prompt > 0 and (billed > 0 or not has_text) and adds_up)


def _count(values: Any, key: str) -> int:
    """Return a count; 0 if it is absent, -1 if it can't be a count."""
    value = values.get(key)
    if value is None:
        return 0
    if type(value) not in (int, float) or not 0 <= value <= MOST_TOKENS or value != int(value):
        return -1
    return int(value)


def bytes_of(text: str) -> int:
    """An upper bound of any text's tokens: no tokeniser yields more of them than UTF-8 bytes."""
    return len(text.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=8)
def counter_of(served: str) -> Count | None:
    """Return the function that counts a text's tokens as a model does; None without its data on this machine."""
    try:
        import tiktoken  # type: ignore[import-not-found,unused-ignore]
        import tiktoken.load  # type: ignore[import-not-found,unused-ignore]

        fetch = tiktoken.load.read_file
        tiktoken.load.read_file = _refuse  # It finds data that it has fetched before, and fetches nothing.
        try:
            encoding = tiktoken.encoding_for_model(served)
            encoding.encode("")
        finally:
            tiktoken.load.read_file = fetch
    except Exception:  # Not installed, a model it doesn't know, or data it would have to fetch: all the same here.
        return None
    return lambda text: len(encoding.encode(text, disallowed_special=()))


def _refuse(*_: object, **__: object) -> bytes:
    raise OSError("not at hand")


DEFAULT_ANSWER_TOKENS = 4_096
"""Assumed where the request sets no limit on the answer: good for an estimate, not for a budget."""
OVERHEAD_TOKENS = 80
"""The chat format's own tokens per message. Templates of open models take 20 to 70 for a message: roles, a date, a system
prompt of their own."""
MOST_USD = 1e15
"""Amounts over this are cut to it, so that sums stay finite."""
USUAL_EPOCHS, MOST_EPOCHS, FEW_EXAMPLES = 3, 25, 100
"""Epochs that OpenAI's API chooses by itself: 3, but up to 25 so that training sees 100 examples."""
LIMITS = ("max_completion_tokens", "max_tokens")
"""The keys of a request that limit the length of its answer."""


def call_usd(price: Price | None, prompt_tokens: int, completion_tokens: int) -> float:
    """Return the cost of a call, in USD; 0 if the suite states no price."""
    if price is None:
        return 0.0
    return min(_usd(prompt_tokens, price.input) + _usd(completion_tokens, price.output), MOST_USD)


def batch_price(price: Price | None) -> Price | None:
    """Return the price of calls through the Batch API."""
    return price and Price(price.input * price.batch, price.output * price.batch)


def training_usd(price: TrainingPrice | None, trained_tokens: int) -> float | None:
    """Return the cost of a job, in USD; None if the suite states no price for training."""
    return _usd(trained_tokens, price.training) if price else None


def most_epochs(asked: object, rows: int) -> int:
    """Return the most epochs of a job on so many rows: as asked for, or the most that an API chooses by itself."""
    if isinstance(asked, int):
        return asked
    return MOST_EPOCHS if rows * USUAL_EPOCHS < FEW_EXAMPLES else USUAL_EPOCHS


def _usd(tokens: int, per_million: float) -> float:
    return min(min(tokens, 1e18) / 1e6 * per_million, MOST_USD)


def answer_limit(body: Mapping[str, Any]) -> int | None:
    """Return the most tokens a request lets its answer have; None if it sets no limit.

    To some servers a negative number means no limit. Of two limits the larger counts: an API may know only this key.
    """
    values = [body[key] for key in LIMITS if key in body]
    if not all(type(value) is int and value >= 0 for value in values):
        return None
    return max(values, default=None)


def most_tokens(body: Mapping[str, Any], count: Count = bytes_of) -> tuple[int, int]:
    """Return an upper bound of the (prompt, completion) tokens of a call, its texts measured by `count`.

    Lists and tables beside the messages (tools, a schema of the answer) are a part of the prompt.
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
