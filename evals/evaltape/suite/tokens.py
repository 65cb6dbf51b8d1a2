"""Tokens counted before a call is made: by tiktoken, where it is installed and its data is on this machine."""

import contextlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

Count = Callable[[str], int]
MOST_TOKENS = 10**9
"""No call has more; an API that says so has miscounted."""
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Usage(msgspec.Struct, frozen=True):
    """The tokens of a call that an API bills, by its own counts."""

    prompt: int = 0
    answer: int = 0
    """The most that any count implies: tokens of reasoning often stand outside `completion_tokens`."""
    is_whole: bool = False
    """Whether the counts are there and add up. Otherwise the call may be billed for the most that its request allows."""


def read_usage(usage: Any, has_text: bool) -> Usage:
    """Return the tokens in the `usage` of an answer, which `has_text` or not. Nothing is too broken to be read.

    >>> read_usage({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 2025}, True)
    Usage(prompt=20, answer=2005, is_whole=True)
    """
    if not isinstance(usage, dict):
        return Usage()
    prompt, answer, total = (_count(usage, key) for key in _COUNTS)
    details = usage.get("completion_tokens_details")
    thought = _count(details, "reasoning_tokens") if isinstance(details, dict) else 0
    if -1 in (prompt, answer, total, thought):
        return Usage()
    stated = usage.get("total_tokens") is not None
    # Beside a total, reasoning is in the answer's count or in the total's rest; without one it may be in neither.
    billed = max(answer, thought, total - prompt) if stated else answer + thought
    adds_up = not stated or total >= prompt + answer
    return Usage(prompt, billed, prompt > 0 and (billed > 0 or not has_text) and adds_up)


def _count(values: Any, key: str) -> int:
    """Return a count; 0 for none, -1 for anything that can't be one."""
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
    """Counts the tokens of a text as a model does; None where only `bytes_of` can be told. Asks no network."""
    try:
        import tiktoken  # type: ignore[import-not-found,unused-ignore]
        import tiktoken.load  # type: ignore[import-not-found,unused-ignore]

        with _offline(tiktoken.load):
            encoding = tiktoken.encoding_for_model(served)
            encoding.encode("")
    except Exception:  # Not installed, a model it doesn't know, or data it would have to fetch: all the same here.
        return None
    return lambda text: len(encoding.encode(text, disallowed_special=()))


@contextlib.contextmanager
def _offline(load: Any) -> Iterator[None]:
    """Let tiktoken find data that it has fetched before, and fetch nothing."""

    def refuse(*_: object, **__: object) -> bytes:
        raise OSError("not at hand")

    fetch = load.read_file
    load.read_file = refuse
    try:
        yield
    finally:
        load.read_file = fetch
