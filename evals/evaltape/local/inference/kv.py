"""Key-value caches of a running batch: rows join and leave between two steps while the others stay in place.

All rows end at the same cell and begin where their length says, so a step writes one column and no row waits for
another. What lies left of a row is masked. Positions are given with each token, so it makes no difference to
a row in which cells it lies; sliding windows count back from the common end and so hold too.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

ROOM, LEAST = 256, 512
"""When cells are laid out: how many to the right of the last token, and the least to its left."""


class Rows(Protocol):
    """The cache of a batch."""

    @property
    def lengths(self) -> list[int]:
        """Tokens in each row."""

    @property
    def state(self) -> Any:
        """The cache as the model takes it."""

    def admit(self, prefilled: Cache, length: int) -> None:
        """Add a row: a prompt that the model has read on its own."""

    def advance(self) -> None:
        """Count the token that the model has written into every row."""

    def release(self, row: int) -> None:
        """Drop a row; the last row takes its number."""


@dataclass(slots=True)
class Span:
    """The cells in use, the same in every layer: `rows` rows, the longest from `start` to `end`."""

    most_rows: int
    rows: int = 0
    start: int = 0
    end: int = 0
    cells: int = 0
    lengths: list[int] = field(default_factory=list)


class SharedCells(DynamicLayer):  # type: ignore[misc]  # mypy doesn't read transformers
    """One layer's keys and values, shaped (most_rows, heads, cells, size)."""

    def __init__(self, span: Span) -> None:
        super().__init__()
        self.keys: Any = None
        self.values: Any = None
        self.span = span
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write each row's new token; return views of all rows' tokens."""
        span = self.span
        self.keys[: span.rows, :, span.end] = key_states[:, :, 0]
        self.values[: span.rows, :, span.end] = value_states[:, :, 0]
        used = slice(span.start, span.end + 1)
        return self.keys[: span.rows, :, used], self.values[: span.rows, :, used]

    def get_seq_length(self) -> int:
        """Return the tokens in the longest row."""
        return self.span.end - self.span.start

    def lay_out(self, like: DynamicLayer, cells: int, end: int) -> None:
        """Allocate `cells` cells and copy the rows so that they end at `end`."""
        self.keys = self._moved(self.keys, like.keys, cells, end)
        self.values = self._moved(self.values, like.values, cells, end)

    def _moved(self, old: torch.Tensor | None, like: torch.Tensor, cells: int, end: int) -> torch.Tensor:
        span = self.span
        new = like.new_empty((span.most_rows, like.shape[1], cells, like.shape[3]))
        # What is masked is still multiplied, by 0: it must not be NaN.
        new[:, :, :end].zero_()
        if old is not None and span.rows:
            kept = old[: span.rows, :, span.start : span.end]
            new[: span.rows, :, end - kept.shape[2] : end] = kept
        return new

    def write(self, row: int, filled: DynamicLayer) -> None:
        """Write a prompt's tokens into a row."""
        for own, given in ((self.keys, filled.keys), (self.values, filled.values)):
            own[row, :, self.span.end - given.shape[2] : self.span.end] = given[0]

    def move(self, source: int, target: int) -> None:
        """Copy one row over another."""
        used = slice(self.span.start, self.span.end)
        for own in (self.keys, self.values):
            own[target, :, used] = own[source, :, used]


class SharedRows:
    """The cache of a batch of several rows, for models whose layers keep every token."""

    def __init__(self, most_rows: int) -> None:
        self._span = Span(most_rows)
        self._layers: list[SharedCells | DynamicLayer] = []

    @property
    def lengths(self) -> list[int]:
        """Tokens in each row."""
        return self._span.lengths

    @property
    def state(self) -> Cache:
        """The cache as the model takes it."""
        return Cache(layers=self._layers)

    def admit(self, prefilled: Cache, length: int) -> None:
        """Add a row: a prompt that the model has read on its own."""
        span = self._span
        if not self._layers:
            # A layer that shares another's tokens has none of its own.
            self._layers = [SharedCells(span) if layer.is_initialized else layer for layer in prefilled.layers]
        if length > span.end or span.end == span.cells:
            self._lay_out(prefilled, max(length, LEAST))
        for own, filled in self._pairs(prefilled):
            own.write(span.rows, filled)
        span.rows += 1
        span.lengths.append(length)
        self._trim()

    def advance(self) -> None:
        """Count the token that the model has written into every row."""
        span = self._span
        span.end += 1
        span.lengths[:] = [length + 1 for length in span.lengths]
        if span.end == span.cells:
            self._lay_out(Cache(layers=self._layers), max(*span.lengths, LEAST))

    def release(self, row: int) -> None:
        """Drop a row; the last row takes its number."""
        span = self._span
        if row != span.rows - 1:
            for layer in self._layers:
                if isinstance(layer, SharedCells):
                    layer.move(span.rows - 1, row)
        span.lengths[row] = span.lengths[-1]
        span.lengths.pop()
        span.rows -= 1
        self._trim()

    def _trim(self) -> None:
        self._span.start = self._span.end - max(self._span.lengths, default=0)

    def _lay_out(self, like: Cache, end: int) -> None:
        span = self._span
        end = max([end, *span.lengths])
        for own, filled in self._pairs(like):
            own.lay_out(filled, end + ROOM, end)
        span.end, span.cells = end, end + ROOM
        self._trim()

    def _pairs(self, other: Cache) -> list[tuple[SharedCells, DynamicLayer]]:
        pairs = zip(self._layers, other.layers, strict=True)
        return [(own, filled) for own, filled in pairs if isinstance(own, SharedCells)]


class SoloRow:
    """The cache of one row, for models that carry other state than keys and values of every token."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.state: Cache | None = None

    def admit(self, prefilled: Cache, length: int) -> None:
        """Take the row as it is."""
        self.state, self.lengths = prefilled, [length]

    def advance(self) -> None:
        """Count the token that the model has written."""
        self.lengths[0] += 1

    def release(self, row: int) -> None:
        """Drop the row."""
        self.state, self.lengths = None, []


def can_share(config: Any) -> bool:
    """Return whether rows of this model may lie in one batch: its layers keep keys and values, and nothing else."""
    kinds = set(getattr(config.get_text_config(), "layer_types", None) or ["full_attention"])
    chunked = getattr(config.get_text_config(), "attention_chunk_size", None)
    plain = all(isinstance(layer, DynamicLayer) for layer in DynamicCache(config=config).layers)
    return kinds <= {"full_attention", "sliding_attention"} and not chunked and plain


def argument(model: Any) -> str:
    """Return the name under which the model takes its cache: transformers renamed it in 5.24."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def fresh(config: Any, shared: bool) -> Cache:
    """Return an empty cache for one prompt."""
    return DynamicCache() if shared else DynamicCache(config=config)


def mask(lengths: Sequence[int], device: Any) -> torch.Tensor:
    """Return the attention mask, shaped (rows, longest + 1): 1 for a row's tokens and the one about to be written."""
    longest = max(lengths) + 1
    starts = torch.tensor([[longest - length - 1] for length in lengths])
    return (torch.arange(longest)[None, :] >= starts).long().to(device)
