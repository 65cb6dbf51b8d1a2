"""What a training needs to continue after an epoch exactly as if it had not been interrupted.

One safetensors file: the trainable weights, AdamW's state, PyTorch's random state, and in its header as JSON the step,
the metrics of all steps so far and the state of the generator that shuffles the examples.
"""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

# What AdamW keeps for each weight.
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Progress:
    """A training after a step that ended an epoch."""

    step: int
    """Steps done."""
    history: list[dict[str, Any]]
    """The metrics of each step, as they were reported."""


def save(path: Path, progress: Progress, model: Any, optimizer: torch.optim.Optimizer, order: random.Random) -> None:
    """Write the file, whole or not at all."""
    tensors = {RANDOM: torch.get_rng_state()}
    for name, weight in trainable(model):
        tensors[f"weight.{name}"] = weight.detach().contiguous()
        tensors |= {f"{moment}.{name}": optimizer.state[weight][moment].contiguous() for moment in MOMENTS}
    version, numbers, following = order.getstate()
    about = {"step": progress.step, "history": progress.history, "order": [version, numbers, following]}
    partial = path.with_suffix(".partial")
    try:
        save_file(tensors, partial, {"about": json.dumps(about)})
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def restore(path: Path, model: Any, optimizer: torch.optim.Optimizer, order: random.Random) -> Progress:
    """Bring model, optimizer and both generators to the state of the file; without a usable one, change nothing."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (OSError, SafetensorError):
        return Progress(0, [])
    with torch.no_grad():
        for name, weight in trainable(model):
            weight.copy_(tensors[f"weight.{name}"])
            # The count of steps stays on the CPU, as AdamW has it.
            moments = {moment: tensors[f"{moment}.{name}"] for moment in MOMENTS}
            optimizer.state[weight] = {
                key: value if key == "step" else value.to(weight.device) for key, value in moments.items()
            }
    torch.set_rng_state(tensors[RANDOM])
    version, numbers, following = about["order"]
    order.setstate((version, tuple(numbers), following))
    return Progress(about["step"], about["history"])


def trainable(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Yield the weights that are trained, with their names."""
    return ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)
