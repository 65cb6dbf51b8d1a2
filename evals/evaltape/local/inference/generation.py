"""A request on its way through the engine: how its tokens are chosen, the text they make, and where it ends."""

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch

COLDEST = 1e-5
"""Below this temperature a division would overflow; the choice is greedy long before."""


class Generation(msgspec.Struct, eq=False, kw_only=True):
    """A prompt and its answer. The engine's thread alone changes it until `finish` is set."""

    prompt: list[int]
    """Its tokens."""
    adapter: Path | None = None
    """The folder of the adapter to answer with; None for the base model."""
    tokenizer: Any
    """Turns tokens into text."""
    ends: Set[int]
    """The tokens that end an answer."""
    most_tokens: int
    """The longest that the answer may become."""
    stops: Sequence[str] = ()
    """Strings that end the answer before them."""
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    """Only the likeliest tokens that together reach this probability are drawn from."""
    seed: int = 0
    """Same seed, same draws."""
    streamed: bool = False
    """Whether the answer is sent while it is generated."""
    on_progress: Callable[[BaseException | None], None] = lambda _error: None
    """Called from the engine's thread after each token of a streamed answer, after the last token of any answer, or with
    the exception that ended it."""
    tokens: list[int] = msgspec.field(default_factory=list)
    """The answer so far, without its end token."""
    text: str = ""
    """The answer's text; while it grows, known only if it is streamed or has stop strings."""
    finish: Literal["stop", "length"] | None = None
    """Why the answer ended."""
    cancelled: bool = False
    """Set once nobody wants the answer any more; the engine then drops it."""
    _shown: int = 0
    _random: torch.Generator | None = None

    @property
    def ids(self) -> list[int]:
        """The tokens so far, of prompt and answer."""
        return self.prompt + self.tokens

    @property
    def is_over(self) -> bool:
        """Whether it needs no further token."""
        return self.cancelled or self.finish is not None

    def add(self, token: int) -> None:
        """Take the next token; set `finish` if it is the last."""
        if token in self.ends:
            self.finish = "stop"
        else:
            self.tokens.append(token)
            if len(self.tokens) >= self.most_tokens:
                self.finish = "length"
        if self.streamed or self.stops or self.finish:
            self.text = self.tokenizer.decode(self.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            positions = [position for stop in self.stops if (position := self.text.find(stop)) >= 0]
            if positions:
                self.text, self.finish = self.text[: min(positions)], "stop"

    def unsent(self) -> str:
        """Return the text that may be shown and was not returned before."""
        held_back = 0
        if not self.finish:  # half a character, or the beginning of a stop string
            half = len(self.text) - len(self.text.rstrip("\ufffd"))
            held_back = max([half, *(_overlap(self.text, stop) for stop in self.stops)])
        start, self._shown = self._shown, max(self._shown, len(self.text) - held_back)
        return self.text[start : self._shown]

    def draw(self, logits: torch.Tensor) -> int:
        """Return a token by its probability, from logits shaped (vocabulary,); the draws depend on the seed alone."""
        if self._random is None:  # on the CPU wherever the model runs
            self._random = torch.Generator().manual_seed(self.seed % 2**63)
        odds = torch.softmax(logits.float().cpu() / self.temperature, dim=-1)
        if self.top_p < 1:
            ranked, order = odds.sort(descending=True, stable=True)
            dropped = ranked.cumsum(0) - ranked >= self.top_p
            dropped[0] = False
            odds[order[dropped]] = 0
        return int(torch.multinomial(odds, 1, generator=self._random))


def choose(scores: torch.Tensor, rows: Sequence[Generation]) -> torch.Tensor:
    """Return scores, shaped (rows, vocabulary), in which the highest of each row is the token that was drawn for it."""
    for index, row in enumerate(rows):
        if row.temperature > COLDEST:
            token = row.draw(scores[index])
            scores[index] = -torch.inf
            scores[index, token] = 0
    return scores


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` with which `stop` begins, but doesn't end."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
