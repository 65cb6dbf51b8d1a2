"""The model's weights: whether they can be served here, and how they are loaded.

Only safetensors are read, never pickles, and no code that comes with a model is run.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from evaltape.errors import UserError

if TYPE_CHECKING:
    import torch

_CGROUP = Path("/sys/fs/cgroup")
_GIB = 2**30


class Loaded(msgspec.Struct, frozen=True, eq=False):
    """A model that is ready to generate."""

    model: Any
    """The transformers model; None where inference servers have it."""
    tokenizer: Any
    """Its tokenizer, with a chat template."""
    folder: Path
    """Where both were read from."""
    fingerprint: str
    """Tells one set of weights from another."""
    context: int
    """The most tokens of a prompt and its answer together."""
    ends: frozenset[int]
    """The tokens that end an answer."""


def load(folder: Path, *, name: str, dtype: str = "auto", context: int | None = None) -> Loaded:
    """Load a model and its tokenizer to answer chats. Raise `UserError` if it has no chat template or doesn't fit."""
    from safetensors import SafetensorError

    described = describe(folder, name, context)
    try:
        check_memory(folder, name, bytes_per_weight(dtype))
        model = load_model(folder, dtype)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise UserError(f"the weights of {name} in {folder} can't be loaded: {first_line(error)}") from None
    if model.device.type == "cpu":
        store_transposed(model)
    return msgspec.structs.replace(described, model=model.eval())


def describe(folder: Path, name: str, context: int | None = None) -> Loaded:
    """Read all of a model but its weights. Raise `UserError` if it has no chat template."""
    from transformers import AutoConfig, GenerationConfig

    tokenizer, config = _tokenizer(folder, name), AutoConfig.from_pretrained(folder, local_files_only=True)
    longest = getattr(config.get_text_config(), "max_position_embeddings", None) or 4096
    if context and context > longest:
        raise UserError(f"--context {context}: {name} reads at most {longest} tokens")
    try:
        named = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
    except OSError:
        named = config.get_text_config().eos_token_id
    ends = {tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])} - {None}
    return Loaded(None, tokenizer, folder, fingerprint(folder), context or min(longest, 4096), frozenset(ends))


def load_model(folder: Path, dtype: str) -> Any:
    """Load the bare model onto the device it will run on."""
    import torch
    from transformers import AutoModelForCausalLM

    kind = torch.float32 if dtype_name(dtype) == "float32" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=kind, use_safetensors=True, local_files_only=True)
    return model.to(device())


def device() -> "torch.device":
    """Return the accelerator, or the CPU if there is none."""
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


def dtype_name(dtype: str) -> str:
    """Replace "auto": float32 keeps a text the same in any batch, and a CPU seldom computes faster in less."""
    if dtype != "auto":
        return dtype
    return "bfloat16" if device().type == "cuda" else "float32"


def computes_fast_in_bfloat16(kind: str) -> bool:
    """Return whether a kind of device does; a CPU that doesn't is three times slower in it than in float32."""
    import torch

    if kind == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return kind == "cuda" and torch.cuda.is_bf16_supported()


def bytes_per_weight(dtype: str) -> int:
    """Return the bytes that a weight takes once loaded."""
    return 4 if dtype_name(dtype) == "float32" else 2


def store_transposed(module: Any) -> None:
    """Lay the matrices of linear layers out by column.

    With 4 to 32 rows, a decoding step's size, the CPU multiplies 3 to 4 times faster that way: by row, every call first
    copies the whole matrix. Values, shapes and memory are the same.
    """
    import torch

    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear) and layer.weight.is_contiguous():
            layer.weight.data = layer.weight.data.t().contiguous().t()


def fingerprint(folder: Path) -> str:
    """Return a digest of the weights: of each file's tensor list, size, beginning and end."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        with path.open("rb") as file:
            digest.update(f"{path.name} {size}".encode() + file.read(2**20))
            file.seek(max(0, size - 2**20))
            digest.update(file.read())
    return "fp_" + digest.hexdigest()[:10]


def count_weights(folder: Path) -> int:
    """Return how many weights a folder's safetensors hold, read from their headers."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        total += sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    return total


def check_memory(folder: Path, name: str, weight_bytes: int) -> None:
    """Raise `UserError` if the weights don't fit into the free memory, with some room to compute."""
    check_room(count_weights(folder) * weight_bytes, name)


def free_memory() -> int:
    """Return the bytes of memory that are free: on the accelerator if there is one, within a container's limit."""
    import psutil  # type: ignore[import-untyped]  # it has no annotations
    import torch

    if device().type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    free = int(psutil.virtual_memory().available)
    try:
        return min(free, _container_memory())
    except (OSError, ValueError, KeyError):  # no container, or one without a limit
        return free


def _container_memory() -> int:
    counts = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    used = int((_CGROUP / "memory.current").read_text())
    # Pages of files count as used, but are given up when memory is asked for.
    reclaimable = int(counts["inactive_file"]) + int(counts["active_file"])
    return int((_CGROUP / "memory.max").read_text()) - used + reclaimable


def check_room(weights: int, name: str) -> None:
    """Raise `UserError` if weights of so many bytes don't fit into the free memory, with some room to compute."""
    needed, free = weights * 1.1 + 0.25 * _GIB, free_memory()
    if needed > free:
        raise UserError(
            f"not enough memory for {name}: it needs about {needed / _GIB:.1f} GiB, {free / _GIB:.1f} GiB are free. "
            "Choose a smaller model, or serve it elsewhere and name its address as the base_url"
        )


def _tokenizer(folder: Path, name: str) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"the tokenizer of {name} can't be loaded: {first_line(error)}") from None
    if not tokenizer.chat_template:
        raise UserError(f"{name} has no chat template, so it can't answer chats. Choose its instruct or chat version")
    return tokenizer


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
