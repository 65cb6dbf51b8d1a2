"""Tokens counted before a call is made: by tiktoken, where it is installed and its data is on this machine."""

import contextlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

Count = Callable[[str], int]


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
    """Let tiktoken find data that it has fetched before, and fetch none."""

    def refuse(*_: object, **__: object) -> bytes:
        raise OSError("not at hand")

    fetch = load.read_file
    load.read_file = refuse
    try:
        yield
    finally:
        load.read_file = fetch
