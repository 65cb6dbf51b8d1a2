"""The engine: a thread that answers all requests with transformers' `generate`, up to `batch` of them at once.

`generate` runs on the rows under way, padded on the left, until all are done or others may join. Their prompts are then read
together, their cache is put beside that of the remaining rows, and `generate` goes on. Each row's numbers come from that row
alone, so other rows change them by rounding at most.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, GenerationConfig, StoppingCriteriaList
from transformers.cache_utils import DynamicLayer
from transformers.generation.logits_process import LogitsProcessorList

from evaltape.errors import UserError
from evaltape.local.errors import ApiError
from evaltape.local.inference.generation import Generation, choose
from evaltape.local.model import Loaded, free_memory, store_transposed

LOG = logging.getLogger("evaltape.local")
STEPS = 4
"""Tokens between two looks for requests that may join: so that several prompts are read together."""
READ_TOKENS = 4096
"""Tokens of prompts, padding included, that are read at once: more would need much memory and be no faster."""
PADDED = 1.1
"""How much longer than the shortest of them the longest may be: padding takes as long to read as text."""
MOST_WAITING = 1024
"""Requests that may wait for a row."""
MOST_ADAPTERS = 8
"""Adapters kept in memory; the longest unused is dropped first."""


class MissingAdapter(Exception):
    """The model of an adapter was deleted."""


class Adapters:
    """LoRA adapters over a single copy of the base weights, read on first use. PEFT mixes them in a batch."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._names: dict[Path, str] = {}  # the adapter used last is the last
        self._read_count = 0

    def load(self, folder: Path | None, in_use: Set[Path | None]) -> None:
        """Read an adapter, if it isn't there. Raise `MissingAdapter`."""
        if folder is None:
            return
        if folder not in self._names:
            if not (folder / "adapter_model.safetensors").is_file():
                raise MissingAdapter(str(folder))
            unused = [other for other in self._names if other not in in_use]
            if len(self._names) >= MOST_ADAPTERS and unused:
                self.model.delete_adapter(self._names.pop(unused[0]))
            self._names[folder] = self._read(folder)
        self._names[folder] = self._names.pop(folder)

    def names(self, folders: Sequence[Path | None]) -> dict[str, list[str]]:
        """Return the argument that tells PEFT the adapter of each row; nothing while no adapter is loaded."""
        if not self._read_count:
            return {}
        return {"adapter_names": [self._names[folder] if folder else "__base__" for folder in folders]}

    def _read(self, folder: Path) -> str:
        from peft import PeftModel

        self._read_count += 1
        name = f"tuned{self._read_count}"  # not the model's id: PyTorch takes no dot in a module's name
        if isinstance(self.model, PeftModel):
            self.model.load_adapter(folder, name)
        else:
            self.model = PeftModel.from_pretrained(self.model, folder, adapter_name=name)
        store_transposed(self.model.eval())
        return name


class Engine:
    """Answers requests with a model and its adapters, in a thread of its own that computes with `threads` threads."""

    def __init__(self, loaded: Loaded, batch: int, threads: int = 1) -> None:
        self._loaded, self._threads = loaded, threads
        self._adapters = Adapters(loaded.model)
        self._can_join = can_join(loaded.model.config)
        self.most_rows = batch if self._can_join else 1
        self._rows: list[Generation] = []
        self._cache = DynamicCache()
        self._waiting: deque[Generation] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._cell_bytes, self._memory = self._measure()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, generation: Generation) -> None:
        """Queue a request. Raise `ApiError` if too many are waiting."""
        with self._wake:
            self.check_queue()
            self._waiting.append(generation)
            self._wake.notify()

    def check_queue(self) -> None:
        """Raise `ApiError` if too many requests are waiting."""
        if len(self._waiting) >= MOST_WAITING:
            message = f"Rate limit reached: {MOST_WAITING} requests are waiting already"
            raise ApiError(message, status=429, kind="rate_limit_error", code="rate_limit_exceeded")

    def close(self) -> None:
        """Stop after the tokens under way."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout=10)

    # ------------------------------------------------------------ the loop

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        with torch.inference_mode():
            while True:
                with self._wake:
                    self._wake.wait_for(lambda: self._closing or self._waiting or self._rows)
                    if self._closing:
                        return
                try:
                    self._admit()
                    self._generate()
                except Exception as error:  # the requests under way fail, the service goes on
                    LOG.exception("a batch failed")
                    for row in self._rows:
                        row.on_progress(error)
                    self._rows.clear()

    def _admit(self) -> None:
        """Read the prompts of the requests that fit; drop the rows that are done."""
        joining: list[Generation] = []
        with self._wake:
            while self._waiting and self._fits(self._waiting[0], joining):
                generation = self._waiting.popleft()
                if not generation.cancelled:
                    joining.append(generation)
        parts = [(self._cache, [index for index, row in enumerate(self._rows) if not row.is_over])]
        rows = [row for row in self._rows if not row.is_over]
        in_use = {row.adapter for row in [*self._rows, *joining]}
        for group in grouped(joining):
            for read, cache in self._read(group, in_use):
                parts.append((cache, list(range(len(read)))))
                rows += read
        self._rows = rows
        if self._can_join and rows:
            self._cache = joined([part for part in parts if part[1]], max(len(row.ids) for row in rows) - 1)

    def _fits(self, generation: Generation, joining: Sequence[Generation] = ()) -> bool:
        """Return whether there is a row for it, and memory if it and all others grow to their full length."""
        rows = [*(row for row in self._rows if not row.is_over), *joining, generation]
        if len(rows) == 1:
            return True
        # All rows end at the same cell, so the longest of them and the one with most to come decide together.
        longest = max(len(row.ids) for row in rows) + max(row.most_tokens - len(row.tokens) for row in rows)
        return len(rows) <= self.most_rows and len(rows) * longest * self._cell_bytes <= self._memory

    def _read(self, group: list[Generation], in_use: Set[Path | None]) -> Iterator[tuple[list[Generation], Any]]:
        """Read prompts together, or singly if that fails. Yield the requests that were read, with their cache."""
        try:
            cache = DynamicCache()
            for generation in group:
                self._adapters.load(generation.adapter, in_use)
            if self._can_join and len(group[-1].prompt) > 1:
                self._call(self._forward, [row.prompt[:-1] for row in group], group, cache=cache)
            yield group, cache
        except Exception as error:
            if len(group) > 1:
                for generation in group:
                    yield from self._read([generation], in_use)
                return
            if not isinstance(error, MissingAdapter):
                LOG.exception("a request failed")
            group[0].on_progress(error)

    def _generate(self) -> None:
        """Give each row tokens until all are done or others may join."""
        rows, steps = self._rows, 0
        if not rows:
            return

        def done(ids: torch.Tensor, _scores: Any, **_others: Any) -> torch.Tensor:
            nonlocal steps
            steps += 1
            for row, token in zip(rows, ids[:, -1].tolist(), strict=True):
                if not row.is_over:
                    row.add(token)
                    if row.streamed or row.finish:
                        row.on_progress(None)
            pause = self._closing or (self._can_join and steps % STEPS == 0 and self._may_join())
            return torch.tensor([pause or row.is_over for row in rows], device=ids.device)

        most = max(row.most_tokens - len(row.tokens) for row in rows)
        settings = GenerationConfig(max_new_tokens=most, do_sample=False)
        settings.pad_token_id = 0
        self._call(
            self._adapters.model.generate,
            [row.ids for row in rows],
            rows,
            generation_config=settings,
            logits_processor=LogitsProcessorList([lambda _ids, scores: choose(scores, rows)]),
            stopping_criteria=StoppingCriteriaList([done]),
            **({"cache": self._cache} if self._can_join else {}),
        )

    def _may_join(self) -> bool:
        with self._wake:
            return bool(self._waiting) and self._fits(self._waiting[0])

    def _call(self, function: Callable[..., Any], ids: list[list[int]], rows: list[Generation], **given: Any) -> Any:
        """Call the model on rows of tokens, padded on the left, each with its adapter."""
        longest, device = max(map(len, ids)), self._loaded.model.device
        padded = torch.tensor([[0] * (longest - len(row)) + row for row in ids], device=device)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids], device=device)
        adapters = self._adapters.names([row.adapter for row in rows])
        return function(input_ids=padded, attention_mask=mask, **adapters, **given)

    def _forward(self, attention_mask: torch.Tensor, **given: Any) -> None:
        """Read tokens into a cache. `generate` counts positions from the mask by itself, the model doesn't."""
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        self._adapters.model(attention_mask=attention_mask, position_ids=positions, use_cache=True, logits_to_keep=1, **given)

    def _measure(self) -> tuple[int, int]:
        """Return the bytes of a token in the cache, and the bytes that all caches may take: half of the free memory.

        Raise `UserError` if a single request needs more. Reading a token also warms the model up.
        """
        with torch.inference_mode():
            ids = torch.tensor([[0]], device=self._loaded.model.device)
            cache = self._loaded.model(input_ids=ids, use_cache=True, logits_to_keep=1).cache
        tensors = [part for layer in cache.layers for part in (getattr(layer, "keys", None), getattr(layer, "values", None))]
        cell_bytes = sum(part.numel() * part.element_size() for part in tensors if part is not None)
        memory = free_memory() // 2
        if self._loaded.context * cell_bytes > memory:
            fits = memory // cell_bytes
            raise UserError(f"not enough memory for requests of {self._loaded.context} tokens: --context {fits} fits")
        return cell_bytes, memory


def can_join(config: Any) -> bool:
    """Return whether rows may join a batch of this model: its layers keep keys and values, and nothing else."""
    kinds = set(getattr(config.get_text_config(), "layer_types", None) or ["full_attention"])
    chunked = getattr(config.get_text_config(), "attention_chunk_size", None)
    plain = all(isinstance(layer, DynamicLayer) for layer in DynamicCache(config=config).layers)
    return kinds <= {"full_attention", "sliding_attention"} and not chunked and plain


def grouped(joining: list[Generation]) -> list[list[Generation]]:
    """Return requests in groups of like length that may be read at once."""
    groups: list[list[Generation]] = []
    for generation in sorted(joining, key=lambda one: len(one.prompt)):
        length = len(generation.prompt)
        if groups and (len(groups[-1]) + 1) * length <= READ_TOKENS and length <= PADDED * len(groups[-1][0].prompt):
            groups[-1].append(generation)
        else:
            groups.append([generation])
    return groups


def joined(parts: list[tuple[Any, list[int]]], length: int) -> Any:
    """Join the given rows of several caches into a cache of `length` tokens; all rows end at the last."""
    cache = DynamicCache()
    for index, layers in enumerate(zip(*(part.layers for part, _ in parts), strict=True)):
        if layers[0].is_initialized:  # a layer that shares another's tokens has none of its own
            keys, values = (
                torch.cat([_fitted(getattr(layer, name), rows, length) for layer, (_, rows) in zip(layers, parts, strict=True)])
                for name in ("keys", "values")
            )
            cache.update(keys, values, index)
    return cache


def _fitted(tensor: torch.Tensor, rows: list[int], length: int) -> torch.Tensor:
    """Return some rows of keys or values, shaped (rows, heads, length, size), cut or filled up on the left."""
    kept = tensor[rows][:, :, -length:]
    return pad(kept, (0, 0, length - kept.shape[2], 0))
