"""The process that trains: `evaltape serve.trainer CONFIG.json`, started by the service for one job.

It reads examples in tokens, trains a LoRA adapter, and reports on standard output, a JSON object a line. It ends as
soon as its standard input does, so that it never outlives the service. Nothing in it depends on time or on what else
runs: the same configuration on the same machine gives the same adapter, byte for byte.
"""

import contextlib
import json
import math
import os
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from evaltape.local import recipe
from evaltape.local.training_file import Example, read_encoded
from evaltape.local.weights import load_model

# Padded tokens computed at once. A batch is split into such parts, which changes its gradient by rounding only: on a
# CPU small parts of like length are as fast as large ones, waste nothing on padding and need a quarter of the memory.
PART_TOKENS = {"cpu": 512}
PART_TOKENS_GPU = 4096
KEPT_CHECKPOINTS = 3


class Trainer:
    """Trains one adapter."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._out = Path(config["out"])
        self._plan = recipe.Plan(**config["plan"])
        self._examples = read_encoded(Path(config["examples"]))
        self._validation = read_encoded(Path(config["validation"])) if config["validation"] else []
        self._order = random.Random(config["seed"])
        torch.manual_seed(config["seed"])
        torch.use_deterministic_algorithms(True, warn_only=True)
        self._model = _with_adapter(load_model(Path(config["weights"]), "float32"))
        self._weights = [weight for weight in self._model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(self._weights, lr=self._plan.learning_rate, weight_decay=0.0)
        self._part_tokens = PART_TOKENS.get(self._model.device.type, PART_TOKENS_GPU)
        self._saved: list[Path] = []

    def run(self) -> None:
        """Trains to the end."""
        steps, step = self._plan.steps(len(self._examples)), 0
        for _epoch in range(self._plan.n_epochs):
            for batch in self._batches():
                loss, accuracy = self._step(batch, self._plan.rate(step, steps))
                step += 1
                if not math.isfinite(loss):
                    report("failed", message=f"The training diverged at step {step}: lower the learning_rate_multiplier")
                    return
                report("step", step=step, steps=steps, train_loss=loss, train_accuracy=accuracy)
            self._end_epoch(step)
        report("done")

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
        """Summed loss of the tokens to be learnt, and how many of them would have been chosen."""
        ids, mask, rows, columns = padded(part, self._model.device)
        # Logits only where there is something to learn: at all positions they would need most of the memory.
        kept, places = torch.unique(columns - 1, return_inverse=True)
        with _autocast(self._model.device.type):
            out = self._model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=kept)
        logits = out.logits[rows, places].float()
        wanted = ids[rows, columns]
        return cross_entropy(logits, wanted, reduction="sum"), int((logits.argmax(-1) == wanted).sum())

    def _validate(self) -> tuple[float, float]:
        self._model.eval()
        targets = sum(len(example.targets) for example in self._validation)
        with torch.no_grad():
            scored = [self._forward(part) for part in parts(self._validation, self._part_tokens)]
        loss = sum(part_loss.item() for part_loss, _ in scored)
        return loss / targets, sum(right for _, right in scored) / targets

    def _end_epoch(self, step: int) -> None:
        if self._validation:
            loss, accuracy = self._validate()
            report("validation", step=step, valid_loss=loss, valid_mean_token_accuracy=accuracy)
        folder = self._out / f"step-{step}"
        self._model.save_pretrained(folder, save_embedding_layers=False)
        self._saved.append(folder)
        while len(self._saved) > KEPT_CHECKPOINTS:
            for path in (gone := self._saved.pop(0)).iterdir():
                path.unlink()
            gone.rmdir()
        report("checkpoint", step=step, folder=folder.name)


def parts(batch: list[Example], most_tokens: int) -> list[list[Example]]:
    """Splits a batch into parts of like length, of at most so many padded tokens (or one example)."""
    made: list[list[Example]] = []
    for example in sorted(batch, key=lambda one: len(one.ids)):
        if made and (len(made[-1]) + 1) * len(example.ids) <= most_tokens:
            made[-1].append(example)
        else:
            made.append([example])
    return made


def padded(part: list[Example], target: torch.device) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor]:
    """Token ids shaped (examples, longest), padded right; the mask, if one is needed; rows and columns to be learnt."""
    longest = max(len(example.ids) for example in part)
    ids = torch.tensor([example.ids + [0] * (longest - len(example.ids)) for example in part])
    lengths = torch.tensor([[len(example.ids)] for example in part])
    mask = (torch.arange(longest)[None, :] < lengths).long()
    rows = torch.tensor([row for row, example in enumerate(part) for _ in example.targets])
    columns = torch.tensor([column for example in part for column in example.targets])
    needed = None if bool(mask.all()) else mask.to(target)
    return ids.to(target), needed, rows.to(target), columns.to(target)


def report(kind: str, **values: Any) -> None:
    """Tells the service."""
    print(json.dumps({"type": kind, **values}), flush=True)


def main(config: Path) -> None:
    """Trains as the configuration says."""
    threading.Thread(target=_end_with_service, daemon=True).start()
    # Chat answers come first.
    os.nice(10)
    import transformers

    transformers.utils.logging.disable_progress_bar()
    Trainer(json.loads(config.read_text(encoding="utf-8"))).run()


def _with_adapter(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    # All linear layers of the blocks, whatever the model calls them; PEFT leaves the head out.
    lora = LoraConfig(
        r=recipe.RANK, lora_alpha=recipe.ALPHA, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return get_peft_model(model, lora)


def _autocast(kind: str) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 where the processor computes in it; where it doesn't, it is three times slower than float32."""
    if kind == "cpu":
        able = torch.cpu.get_capabilities()
        fast = bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    else:
        fast = kind == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(kind, torch.bfloat16) if fast else contextlib.nullcontext()


def _end_with_service() -> None:
    # Not by way of sys.stdin: its lock, held here, would end the interpreter's shutdown with an abort.
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
