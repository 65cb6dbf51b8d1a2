"""The choice of each row's next token, from its own logits and its own random numbers only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

COLDEST = 1e-5
"""Below this temperature a division would overflow; the choice is the greedy one long before."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a request wants its tokens chosen."""

    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    """The likeliest tokens that together reach this probability are drawn from."""
    seed: int = 0
    """Same seed, same draws."""

    def generator(self) -> torch.Generator:
        """Return the request's own random numbers, on the CPU wherever the model runs."""
        return torch.Generator().manual_seed(self.seed % 2**63)


def choose(logits: torch.Tensor, requests: Sequence[tuple[Sampling, torch.Generator]]) -> list[int]:
    """Return one token for each row of `logits`, shaped (rows, vocabulary)."""
    chosen: list[Any] = logits.argmax(-1).tolist()
    for row, (sampling, generator) in enumerate(requests):
        if sampling.temperature > COLDEST:
            chosen[row] = _draw(logits[row], sampling, generator)
    return chosen


def _draw(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    odds = torch.softmax(logits.float().cpu() / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        ranked, order = odds.sort(descending=True, stable=True)
        # The likeliest tokens that together reach top_p; the first always stays.
        dropped = ranked.cumsum(0) - ranked >= sampling.top_p
        dropped[0] = False
        odds[order[dropped]] = 0
    return int(torch.multinomial(odds, 1, generator=generator))
