"""The text of an answer while its tokens arrive: where it ends, and how much of it may already be shown."""

from collections.abc import Sequence, Set
from typing import Any, Literal

Finish = Literal["stop", "length"]


class Answer:
    """Tokens turned into text, up to an end token, a stop string or the length limit (in tokens).

    Used by the engine's thread only, until `finish` is set.
    """

    def __init__(self, tokenizer: Any, ends: Set[int], most_tokens: int, stops: Sequence[str], *, streamed: bool) -> None:
        self.tokens: list[int] = []
        self.text = ""
        self.finish: Finish | None = None
        self._tokenizer, self._ends, self._most_tokens, self._stops = tokenizer, ends, most_tokens, stops
        self._watched = streamed or bool(stops)
        self._shown = 0

    def add(self, token: int) -> None:
        """Take the next token; set `finish` if it is the last."""
        if token in self._ends:
            self.finish = "stop"
        else:
            self.tokens.append(token)
            if len(self.tokens) >= self._most_tokens:
                self.finish = "length"
        if self._watched or self.finish:
            self._read()

    def unsent(self) -> str:
        """Return the text that may be shown and was not returned before."""
        ready = len(self.text) if self.finish else len(self.text) - self._held_back()
        piece = self.text[self._shown : ready]
        self._shown = max(self._shown, ready)
        return piece

    def _read(self) -> None:
        self.text = self._tokenizer.decode(self.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        positions = [position for stop in self._stops if (position := self.text.find(stop)) >= 0]
        if positions:
            self.text, self.finish = self.text[: min(positions)], "stop"

    def _held_back(self) -> int:
        """Return how many characters at the end may yet change: half a character, or the beginning of a stop string."""
        half = len(self.text) - len(self.text.rstrip("\ufffd"))
        return max([half, *(_overlap(self.text, stop) for stop in self._stops)])


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` with which `stop` begins, but doesn't end."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
