"""The choice of each row's next token, from its own logits and its own random numbers only."""

from collections.abc import Sequence

import msgspec
import torch

COLDEST = 1e-5
"""Below this temperature a division would overflow; the choice is the greedy one long before."""


class Sampling(msgspec.Struct):
    """How a request wants its tokens chosen."""

    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    """The likeliest tokens that together reach this probability are drawn from."""
    seed: int = 0
    """Same seed, same draws."""
    _random: torch.Generator | None = None

    @property
    def random(self) -> torch.Generator:
        """The request's own random numbers, on the CPU wherever the model runs."""
        if self._random is None:
            self._random = torch.Generator().manual_seed(self.seed % 2**63)
        return self._random


def choose(scores: torch.Tensor, rows: Sequence[Sampling]) -> torch.Tensor:
    """Return scores, shaped (rows, vocabulary), in which the highest of each row is the token that was drawn for it."""
    for row, sampling in enumerate(rows):
        if sampling.temperature > COLDEST:
            token = _draw(scores[row], sampling)
            scores[row] = -torch.inf
            scores[row, token] = 0
    return scores


def _draw(logits: torch.Tensor, sampling: Sampling) -> int:
    odds = torch.softmax(logits.float().cpu() / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        ranked, order = odds.sort(descending=True, stable=True)
        # The likeliest tokens that together reach top_p; the first always stays.
        dropped = ranked.cumsum(0) - ranked >= sampling.top_p
        dropped[0] = False
        odds[order[dropped]] = 0
    return int(torch.multinomial(odds, 1, generator=sampling.random))
