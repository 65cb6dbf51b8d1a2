"""The numbers of the recipe, and the meaning of "auto" for a file of a given length."""

from typing import Any

# Measured on SmolLM2-135M-Instruct with 300 dialogues: ROUGE-1 from 24.5 to 37.0 in one epoch; no other rate was tried.
LEARNING_RATE = 5e-4
DPO_LEARNING_RATE = 5e-5
RANK, ALPHA = 16, 32
WARM_UP = 0.1
CLIP_NORM = 1.0
KEPT_EPOCHS = 3
"""As at OpenAI: the checkpoints of the last epochs become models."""
CHOSEN = {"batch_size": 8, "learning_rate_multiplier": 1.0, "beta": 0.1}
"""What "auto" means, where the file doesn't matter."""
# OpenAI's rule for "auto" (from their cookbook): three epochs, more for small files, one for huge ones.
EPOCHS, LEAST_SEEN, MOST_SEEN, MOST_EPOCHS = 3, 100, 25_000, 25


def resolve(hyperparameters: dict[str, Any], examples: int) -> dict[str, Any]:
    """Replace "auto" by a number that suits so many examples."""
    chosen = {**CHOSEN, "n_epochs": _epochs(examples)}
    return {name: chosen[name] if value == "auto" else value for name, value in hyperparameters.items()}


def _epochs(examples: int) -> int:
    if examples * EPOCHS < LEAST_SEEN:
        return min(MOST_EPOCHS, LEAST_SEEN // examples)
    if examples * EPOCHS > MOST_SEEN:
        return max(1, MOST_SEEN // examples)
    return EPOCHS
