"""The engine: one thread that generates the answers of all requests, as many at once as `batch` allows.

A prompt is read on its own, then its row joins the running batch of its model; every step gives each row one token; a
row that is done leaves at once. Each row's numbers come from that row alone, so what else is in the batch changes them
by rounding at most.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from evaltape.errors import UserError
from evaltape.local.errors import ApiError
from evaltape.local.inference import kv
from evaltape.local.inference.adapters import Adapters, MissingAdapter
from evaltape.local.inference.answer import Answer
from evaltape.local.inference.sampling import Sampling, choose
from evaltape.local.model.weights import Loaded, free_memory

LOG = logging.getLogger("evaltape.local")
READ_AT_ONCE = 4
"""Prompts read between two steps: more would stall the answers under way, fewer would leave the batch half empty."""
MOST_WAITING = 1024
"""Requests that may wait for a row."""


@dataclass(eq=False, slots=True)
class Generation:
    """One request on its way through the engine."""

    prompt: list[int]
    """Its tokens."""
    adapter: Path | None
    """The adapter to answer with; None for the base model."""
    answer: Answer
    """Collects the tokens."""
    most_tokens: int
    """The longest that the answer can become."""
    sampling: Sampling
    """How its tokens are chosen."""
    on_progress: Callable[[BaseException | None], None]
    """Called from the engine's thread after every token of a streamed answer and after the last of any answer, or with
    the exception that ended it."""
    streamed: bool = False
    """Whether the answer is sent while it is generated."""
    cancelled: bool = False
    """Set by whoever no longer wants the answer; the engine then drops it."""
    random: torch.Generator = field(init=False)
    """Its own random numbers."""

    def __post_init__(self) -> None:
        self.random = self.sampling.generator()

    @property
    def longest(self) -> int:
        """The cells that the request may come to need."""
        return len(self.prompt) + self.most_tokens


class Batch:
    """The requests that are answered with one adapter, a row each."""

    def __init__(self, rows: kv.Rows) -> None:
        self.rows = rows
        self.running: list[Generation] = []

    def join(self, generation: Generation, prefilled: Any) -> None:
        """Add a request whose prompt has been read and whose first token has been chosen."""
        self.rows.admit(prefilled, len(generation.prompt))
        self.running.append(generation)

    def leave(self, row: int) -> None:
        """Drop a request; the last takes its row."""
        self.rows.release(row)
        self.running[row] = self.running[-1]
        self.running.pop()


class Engine:
    """Answers requests with a model and its adapters, in a thread of its own that computes with `threads` threads."""

    def __init__(self, loaded: Loaded, batch: int, threads: int = 1) -> None:
        self._loaded, self._most_rows, self._threads = loaded, batch, threads
        self._adapters = Adapters(loaded.model)
        self._shared = kv.can_share(loaded.model.config)
        self._cache_argument = kv.argument(loaded.model)
        self._batches: dict[Path | None, Batch] = {}
        self._waiting: deque[Generation] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._cell_bytes = self._measure()
        self._memory = self._check_room()
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
        """Stop after the step under way."""
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
                    self._wake.wait_for(lambda: self._closing or self._waiting or self._batches)
                    if self._closing:
                        return
                self._admit()
                for adapter, batch in list(self._batches.items()):
                    self._step(adapter, batch)

    def _admit(self) -> None:
        for _ in range(READ_AT_ONCE):
            with self._wake:
                if not self._waiting or not self._fits(self._waiting[0]):
                    return
                generation = self._waiting.popleft()
            if not generation.cancelled:
                self._read(generation)

    def _fits(self, generation: Generation) -> bool:
        """Return whether there is a row for it, and memory if it and all others grow to their full length."""
        running = [other for batch in self._batches.values() for other in batch.running]
        if not running:
            return True
        if len(running) >= (self._most_rows if self._shared else 1):
            return False
        longest = max(other.longest for other in [*running, generation])
        return (len(running) + 1) * longest * self._cell_bytes <= self._memory

    def _read(self, generation: Generation) -> None:
        try:
            self._adapters.use(generation.adapter)
            prefilled, logits = self._prefill(generation.prompt)
            generation.answer.add(choose(logits, [(generation.sampling, generation.random)])[0])
            if not generation.answer.finish:
                self._batch(generation.adapter).join(generation, prefilled)
        except MissingAdapter as error:
            generation.on_progress(error)
        except Exception as error:  # whatever it is, it must not end the thread that answers all
            LOG.exception("a request failed")
            generation.on_progress(error)
        else:
            self._report(generation)

    def _batch(self, adapter: Path | None) -> Batch:
        if adapter not in self._batches:
            self._batches[adapter] = Batch(kv.SharedRows(self._most_rows) if self._shared else kv.SoloRow())
        return self._batches[adapter]

    def _step(self, adapter: Path | None, batch: Batch) -> None:
        try:
            self._drop(batch)
            if batch.running:
                self._adapters.use(adapter)
                self._advance(batch)
        except Exception as error:  # the requests of this batch fail, the service goes on
            LOG.exception("a batch failed")
            for generation in batch.running:
                generation.on_progress(error)
            batch.running.clear()
        if not batch.running:
            del self._batches[adapter]

    def _advance(self, batch: Batch) -> None:
        logits = self._forward(batch)
        batch.rows.advance()
        tokens = choose(logits, [(generation.sampling, generation.random) for generation in batch.running])
        for generation, token in zip(batch.running, tokens, strict=True):
            generation.answer.add(token)
            self._report(generation)
        self._drop(batch)

    def _drop(self, batch: Batch) -> None:
        for row in reversed(range(len(batch.running))):
            if batch.running[row].answer.finish or batch.running[row].cancelled:
                batch.leave(row)

    def _report(self, generation: Generation) -> None:
        if generation.streamed or generation.answer.finish:
            generation.on_progress(None)

    # ------------------------------------------------------------ the model

    def _prefill(self, prompt: list[int]) -> tuple[Any, torch.Tensor]:
        """Read a prompt alone, so unpadded; return its cache and the logits of the token that follows."""
        cache = kv.fresh(self._loaded.model.config, self._shared)
        ids = torch.tensor([prompt], device=self._loaded.model.device)
        into = {self._cache_argument: cache}
        out = self._adapters.model(input_ids=ids, use_cache=True, logits_to_keep=1, **into)
        return cache, out.logits[:, -1]

    def _forward(self, batch: Batch) -> torch.Tensor:
        device, lengths = self._loaded.model.device, batch.rows.lengths
        out = self._adapters.model(
            input_ids=torch.tensor([[generation.answer.tokens[-1]] for generation in batch.running], device=device),
            attention_mask=kv.mask(lengths, device),
            position_ids=torch.tensor([[length] for length in lengths], device=device),
            use_cache=True,
            **{self._cache_argument: batch.rows.state},
        )
        logits: torch.Tensor = out.logits[:, -1]
        return logits

    def _measure(self) -> int:
        """Return the bytes that a token takes in the cache; reading one also warms the model up."""
        with torch.inference_mode():
            cache, _ = self._prefill([0])
        tensors = [part for layer in cache.layers for part in (getattr(layer, "keys", None), getattr(layer, "values", None))]
        return sum(part.numel() * part.element_size() for part in tensors if part is not None)

    def _check_room(self) -> int:
        """Return the bytes that caches may take, half of what is free. Raise `UserError` if one request needs more."""
        memory = free_memory() // 2
        if self._loaded.context * self._cell_bytes > memory:
            fits = memory // self._cell_bytes
            raise UserError(f"not enough memory for requests of {self._loaded.context} tokens: --context {fits} fits")
        return memory
