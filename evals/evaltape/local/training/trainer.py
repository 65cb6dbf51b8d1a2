"""The process that trains: `python -m evaltape.local.training.trainer CONFIG.json`, started by the service for one job.

It reads examples in tokens, trains a LoRA adapter, and reports on standard output, a JSON object a line. It ends as
soon as its standard input does, so it never outlives the service. Started again, it continues after the last epoch
that it saved. Nothing depends on time, on what else runs or on interruptions: the same configuration on the same
machine gives the same adapter, byte for byte. While the disk is full it waits, the weights in memory.
"""

import contextlib
import json
import math
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from evaltape.local.model.weights import load_model
from evaltape.local.state.disk import is_full, remove
from evaltape.local.training import progress, recipe
from evaltape.local.training.patience import RETRY_S
from evaltape.local.training.training_file import Example, read_encoded

PART_TOKENS = {"cpu": 512}
"""Padded tokens computed at once, by device. A batch is split into such parts, which changes its gradient by rounding
only: on a CPU small parts of like length are as fast as large ones, waste nothing on padding and need a quarter of the
memory."""
PART_TOKENS_GPU = 4096

Report = Callable[[dict[str, Any]], None]


class Trainer:
    """Trains one adapter; `report` receives what the service is to know."""

    def __init__(self, config: dict[str, Any], report: Report) -> None:
        self._report = report
        self._out = Path(config["out"])
        self._kept_checkpoints = config["kept_checkpoints"]
        self._plan = recipe.Plan(**config["plan"])
        self._examples = read_encoded(Path(config["examples"]))
        self._validation = read_encoded(Path(config["validation"])) if config["validation"] else []
        self._order = random.Random(config["seed"])
        torch.manual_seed(config["seed"])
        torch.use_deterministic_algorithms(True, warn_only=True)
        self._model = _with_adapter(load_model(Path(config["weights"]), "float32"))
        self._weights = [weight for _, weight in progress.trainable(self._model)]
        self._optimizer = torch.optim.AdamW(self._weights, lr=self._plan.learning_rate, weight_decay=0.0)
        self._part_tokens = PART_TOKENS.get(self._model.device.type, PART_TOKENS_GPU)

    def run(self) -> None:
        """Train to the end, or until the loss is no longer a number."""
        steps = self._plan.steps(len(self._examples))
        step, history = self._continue()
        for _epoch in range(step * self._plan.n_epochs // steps, self._plan.n_epochs):
            for batch in self._batches():
                loss, accuracy = self._step(batch, self._plan.rate(step, steps))
                step += 1
                if not math.isfinite(loss):
                    return self._fail(step)
                history.append({"step": step, "train_loss": loss, "train_accuracy": accuracy})
                self._report({"type": "step", "steps": steps, **history[-1]})
            if self._validation:
                loss, accuracy = self._validate()
                if not math.isfinite(loss):
                    return self._fail(step)
                validation = {"valid_loss": loss, "valid_mean_token_accuracy": accuracy}
                history[-1] |= validation
                self._report({"type": "validation", "step": step, **validation})
            self._end_epoch(step, history)
        self._report({"type": "done"})

    def _continue(self) -> tuple[int, list[dict[str, Any]]]:
        """Take up an interrupted training; return the steps done and their metrics."""
        saved = progress.restore(self._progress, self._model, self._optimizer, self._order)
        self._report({"type": "start", "step": saved.step, "history": saved.history})
        for step, folder in self._checkpoints():
            if step <= saved.step:
                self._report({"type": "checkpoint", "step": step, "folder": folder.name})
            else:
                remove(folder)
        return saved.step, saved.history

    def _fail(self, step: int) -> None:
        message = f"The training diverged at step {step}: lower the learning_rate_multiplier"
        self._report({"type": "failed", "message": message})

    def _batches(self) -> Iterator[list[Example]]:
        order = list(self._examples)
        self._order.shuffle(order)
        for start in range(0, len(order), self._plan.batch_size):
            yield order[start : start + self._plan.batch_size]

    def _step(self, batch: list[Example], rate: float) -> tuple[float, float]:
        targets = sum(len(example.targets) for example in batch)
        loss, right = 0.0, 0
        self._model.train()
        for part in parts(batch, self._part_tokens):
            part_loss, part_right = self._forward(part)
            (part_loss / targets).backward()
            loss, right = loss + part_loss.item(), right + part_right
        torch.nn.utils.clip_grad_norm_(self._weights, recipe.CLIP_NORM)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss / targets, right / targets

    def _forward(self, part: list[Example]) -> tuple[torch.Tensor, int]:
        """Return the summed loss of the tokens to be learnt, and how many of them would have been chosen."""
        ids, mask, rows, columns = padded(part, self._model.device)
        # Logits only where there is something to learn: at all positions they would need most of the memory.
        kept, places = torch.unique(columns - 1, return_inverse=True)
        with _autocast(self._model.device.type):
            out = self._model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=kept)
        logits = out.logits[rows, places].float()
        expected = ids[rows, columns]
        return cross_entropy(logits, expected, reduction="sum"), int((logits.argmax(-1) == expected).sum())

    def _validate(self) -> tuple[float, float]:
        self._model.eval()
        targets = sum(len(example.targets) for example in self._validation)
        with torch.no_grad():
            scored = [self._forward(part) for part in parts(self._validation, self._part_tokens)]
        loss = sum(part_loss.item() for part_loss, _ in scored)
        return loss / targets, sum(right for _, right in scored) / targets

    def _end_epoch(self, step: int, history: list[dict[str, Any]]) -> None:
        """Save the checkpoint first, then the progress that counts on it."""
        folder = self._out / f"step-{step}"
        self._save(step, lambda: self._save_adapter(folder))
        done = progress.Progress(step, history)
        self._save(step, lambda: progress.save(self._progress, done, self._model, self._optimizer, self._order))
        for _, oldest in self._checkpoints()[: -self._kept_checkpoints]:
            remove(oldest)
        self._report({"type": "checkpoint", "step": step, "folder": folder.name})

    def _save_adapter(self, folder: Path) -> None:
        partial = self._out / "partial"
        remove(partial)
        try:
            self._model.save_pretrained(partial, save_embedding_layers=False)
            partial.rename(folder)
        except BaseException:
            remove(partial)
            raise

    def _save(self, step: int, action: Callable[[], None]) -> None:
        """Save something; on a full disk, report it once and try again until there is room."""
        reported = False
        while True:
            try:
                return action()
            except Exception as error:
                if not is_full(error):
                    raise
            if not reported:
                self._report({"type": "waiting", "step": step})
                reported = True
            time.sleep(RETRY_S)

    def _checkpoints(self) -> list[tuple[int, Path]]:
        """Return the saved checkpoints by their steps, the oldest first."""
        return sorted((int(path.name.removeprefix("step-")), path) for path in self._out.glob("step-*"))

    @property
    def _progress(self) -> Path:
        return self._out / "progress.safetensors"


def parts(batch: list[Example], most_tokens: int) -> list[list[Example]]:
    """Split a batch into parts of like length, of at most so many padded tokens (or one example)."""
    split: list[list[Example]] = []
    for example in sorted(batch, key=lambda example: len(example.ids)):
        if split and (len(split[-1]) + 1) * len(example.ids) <= most_tokens:
            split[-1].append(example)
        else:
            split.append([example])
    return split


def padded(part: list[Example], target: torch.device) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor]:
    """Return token ids shaped (examples, longest), padded right; the mask, if needed; rows and columns to be learnt."""
    longest = max(len(example.ids) for example in part)
    ids = torch.tensor([example.ids + [0] * (longest - len(example.ids)) for example in part])
    lengths = torch.tensor([[len(example.ids)] for example in part])
    mask = (torch.arange(longest)[None, :] < lengths).long()
    rows = torch.tensor([row for row, example in enumerate(part) for _ in example.targets])
    columns = torch.tensor([column for example in part for column in example.targets])
    needed = None if bool(mask.all()) else mask.to(target)
    return ids.to(target), needed, rows.to(target), columns.to(target)


def main(config: Path) -> None:
    """Train as the configuration says."""
    threading.Thread(target=_end_with_service, daemon=True).start()
    # What a library prints goes to the log: standard output is for reports.
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if hasattr(os, "nice"):  # chat answers come first, where the system can do that
        os.nice(10)
    import transformers

    transformers.utils.logging.disable_progress_bar()

    def report(values: dict[str, Any]) -> None:
        print(json.dumps(values, allow_nan=False), file=reports, flush=True)

    Trainer(json.loads(config.read_text(encoding="utf-8")), report).run()


def _with_adapter(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    # All linear layers of the blocks, whatever the model calls them; PEFT leaves the head out.
    lora = LoraConfig(
        r=recipe.RANK, lora_alpha=recipe.ALPHA, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return get_peft_model(model, lora)


def _autocast(kind: str) -> contextlib.AbstractContextManager[Any]:
    """Compute in bfloat16 if the processor can; if it can't, that is three times slower than float32."""
    if kind == "cpu":
        capabilities = torch.cpu.get_capabilities()
        fast = bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    else:
        fast = kind == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(kind, torch.bfloat16) if fast else contextlib.nullcontext()


def _end_with_service() -> None:
    # Not through sys.stdin: its lock, held here, would end the interpreter's shutdown with an abort.
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
