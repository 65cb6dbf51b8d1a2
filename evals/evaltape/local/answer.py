"""The text of an answer as its tokens come in: where it ends, and how much of it may already be shown."""

from collections.abc import Set
from typing import Any, Literal

Finish = Literal["stop", "length"]


class Answer:
    """Tokens turned into text, up to an end token, a stop string or the length limit (in tokens)."""

    def __init__(self, tokenizer: Any, ends: Set[int], most: int, stops: list[str], *, streamed: bool) -> None:
        self.tokens: list[int] = []
        self.text = ""
        self.finish: Finish | None = None
        self._tokenizer, self._ends, self._most, self._stops = tokenizer, ends, most, stops
        self._watched = streamed or bool(stops)
        self._shown = 0

    def add(self, token: int) -> None:
        """Takes the next token; sets `finish` where it is the last."""
        if token in self._ends:
            self.finish = "stop"
        else:
            self.tokens.append(token)
            if len(self.tokens) >= self._most:
                self.finish = "length"
        if self._watched or self.finish:
            self._read()

    def news(self) -> str:
        """The text that may be shown and was not shown before."""
        ready = len(self.text) if self.finish else len(self.text) - self._held_back()
        piece = self.text[self._shown : ready]
        self._shown = max(self._shown, ready)
        return piece

    def _read(self) -> None:
        self.text = self._tokenizer.decode(self.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        found = [at for at in (self.text.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.text, self.finish = self.text[: min(found)], "stop"

    def _held_back(self) -> int:
        """Characters at the end that may yet change: half a character, or the beginning of a stop string."""
        half = len(self.text) - len(self.text.rstrip("\ufffd"))
        begun = [size for stop in self._stops for size in range(1, len(stop)) if self.text.endswith(stop[:size])]
        return max([half, *begun])
