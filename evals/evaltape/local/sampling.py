"""Choosing the next token of each row, from its own logits and its own random numbers only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

# Below this a division would overflow; the choice is the greedy one long before.
COLDEST = 1e-5


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a request wants its tokens chosen; temperature 0 is greedy."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def generator(self) -> torch.Generator:
        """The request's own random numbers, on the CPU wherever the model runs."""
        return torch.Generator().manual_seed(self.seed % 2**63)


def choose(logits: torch.Tensor, wanted: Sequence[tuple[Sampling, torch.Generator]]) -> list[int]:
    """One token for each row of `logits`, shaped (rows, vocabulary)."""
    chosen: list[Any] = logits.argmax(-1).tolist()
    for row, (sampling, generator) in enumerate(wanted):
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
