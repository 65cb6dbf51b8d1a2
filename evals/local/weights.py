"""The model's weights: where they are found, whether they can be served here, and how they are loaded.

Only safetensors are read, never pickles, and no code that comes with a model is run.
"""

import hashlib
import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.local.errors import UserError
from evals.local.store import remove

if TYPE_CHECKING:
    import torch

# What a model's folder on the Hub may hold that is needed here: no pickles, no code.
WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
_CGROUP_LIMIT, _CGROUP_USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
_GIB = 2**30


@dataclass(frozen=True)
class Loaded:
    """A model ready to generate: the module, its tokenizer, and the folder it came from."""

    model: Any
    tokenizer: Any
    folder: Path
    fingerprint: str
    context: int


def find(name: str, cache: Path) -> Path:
    """The folder with the weights of a Hub id, a folder or a `.gguf` file. Raises `UserError`."""
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return _converted(path.resolve(), cache)
    if path.is_dir():
        return _checked(path.resolve())
    if path.exists():
        raise UserError(f"--model {name}: a file that is no .gguf. Valid: a Hub id, a model's folder, a .gguf file")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith(".") or name.endswith(".gguf"):
        raise UserError(f"--model {name}: no such file or folder")
    return _checked(_downloaded(name))


def load(folder: Path, *, name: str, dtype: str = "auto", context: int | None = None) -> Loaded:
    """Loads a model and its tokenizer to answer chats. Raises `UserError` where it has no chat template or no room."""
    tokenizer = _tokenizer(folder, name)
    check_memory(folder, name, bytes_per_weight(dtype))
    model = load_model(folder, dtype)
    if model.device.type == "cpu":
        store_transposed(model)
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 4096
    if context and context > longest:
        raise UserError(f"--context {context}: {name} reads at most {longest} tokens")
    return Loaded(model.eval(), tokenizer, folder, fingerprint(folder), context or min(longest, 4096))


def load_model(folder: Path, dtype: str) -> Any:
    """The bare model on the device it will run on."""
    import torch
    from transformers import AutoModelForCausalLM

    kind = torch.float32 if dtype_name(dtype) == "float32" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=kind, use_safetensors=True, local_files_only=True)
    return model.to(device())


def device() -> "torch.device":
    """The accelerator, where there is one."""
    import torch

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")


def dtype_name(dtype: str) -> str:
    """What "auto" means here: float32 keeps a text the same in any batch, and a CPU seldom computes faster in less."""
    if dtype != "auto":
        return dtype
    return "bfloat16" if device().type == "cuda" else "float32"


def bytes_per_weight(dtype: str) -> int:
    """Bytes a weight takes once loaded."""
    return 4 if dtype_name(dtype) == "float32" else 2


def store_transposed(module: Any) -> None:
    """Lays the matrices of linear layers out by column.

    With 4 to 32 rows, a decoding step's size, the CPU multiplies 3 to 4 times faster that way: by row, every call first
    copies the whole matrix. Values, shapes and memory are the same.
    """
    import torch

    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear) and layer.weight.is_contiguous():
            layer.weight.data = layer.weight.data.t().contiguous().t()


def fingerprint(folder: Path) -> str:
    """Tells one set of weights from another: a digest of each file's tensor list, size, beginning and end."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        with path.open("rb") as file:
            digest.update(f"{path.name} {size}".encode() + file.read(2**20))
            file.seek(max(0, size - 2**20))
            digest.update(file.read())
    return "fp_" + digest.hexdigest()[:10]


def count_weights(folder: Path) -> int:
    """How many weights a folder's safetensors hold, read from their headers."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        total += sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    return total


def check_memory(folder: Path, name: str, weight_bytes: int) -> None:
    """Raises `UserError` where the weights don't fit into the memory that is free, with some room to compute."""
    _check_room(count_weights(folder) * weight_bytes, name)


def free_memory() -> int:
    """Bytes of memory that can be had, on the accelerator where there is one, and within a container's limit."""
    import psutil  # type: ignore[import-untyped]  # it has no annotations
    import torch

    if device().type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    free = int(psutil.virtual_memory().available)
    try:
        return min(free, int(_CGROUP_LIMIT.read_text()) - int(_CGROUP_USED.read_text()))
    except (OSError, ValueError):
        return free


def _check_room(weights: int, name: str) -> None:
    needed, free = weights * 1.1 + 0.25 * _GIB, free_memory()
    if needed > free:
        raise UserError(
            f"not enough memory for {name}: it needs about {needed / _GIB:.1f} GiB, {free / _GIB:.1f} GiB are free. "
            "Choose a smaller model, or another service (the README names some)"
        )


def _tokenizer(folder: Path, name: str) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"the tokenizer of {name} can't be loaded: {_first_line(error)}") from None
    if not tokenizer.chat_template:
        raise UserError(f"{name} has no chat template, so it can't answer chats. Choose its instruct or chat version")
    return tokenizer


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: not a model's folder (no config.json)")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{folder}: no .safetensors file. Pickled weights (.bin, .pt) can run code and are not loaded")
    return folder


# ---------------------------------------------------------------- .gguf files


def _converted(path: Path, cache: Path) -> Path:
    """A folder with the weights of a `.gguf` file, made once: it is loaded 100 times faster than the file."""
    about = path.stat()
    key = hashlib.sha256(f"{path} {about.st_size} {about.st_mtime_ns}".encode()).hexdigest()[:8]
    target = cache / f"{path.stem}-{key}"
    if not target.is_dir():
        print(f"Converting {path.name}, once, into {target}", file=sys.stderr)
        partial = cache / f"{target.name}.partial"
        remove(partial)
        _convert(path, partial)
        partial.rename(target)
    return target


def _convert(path: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Quantised weights are unpacked to float32: 4 to 8 times the file's size.
    _check_room(path.stat().st_size * 8, path.name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        unpacked = GgufConfig(dequantize=True)
        model = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, quantization_config=unpacked, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise UserError(f"{path}: can't be read as a model: {_first_line(error)}") from None
    tokenizer.save_pretrained(target)
    model.save_pretrained(target)


# ---------------------------------------------------------------- the Hub


def _downloaded(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        _check_before_download(name)
        return Path(snapshot_download(name, allow_patterns=WANTED))
    except GatedRepoError:
        raise UserError(
            f"--model {name}: gated on the Hugging Face Hub. Accept its licence at https://huggingface.co/{name}, then "
            "export HF_TOKEN=<your token>"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"--model {name}: no such folder here, and no such model on the Hugging Face Hub (a private one needs "
            "HF_TOKEN)"
        ) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise UserError(
            f"--model {name}: no such folder here, and the Hugging Face Hub can't be reached ({_first_line(error)})"
        ) from None


def _check_before_download(name: str) -> None:
    """Spares the download of a model that won't fit, where the Hub answers and knows its size."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        about = HfApi().model_info(name, timeout=10)
    except RepositoryNotFoundError:
        raise
    except Exception:  # whatever keeps the Hub from answering: the model may have been downloaded before
        return
    if about.safetensors is not None:
        _check_room(about.safetensors.total * bytes_per_weight("auto"), name)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
