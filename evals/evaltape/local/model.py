"""The model: where its weights come from, how they are loaded, and the models that are served.

Only safetensors are read, never pickles, and no code that comes with a model is run.
"""

import hashlib
import json
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from evaltape.errors import UserError
from evaltape.local.errors import ApiError, unknown_model
from evaltape.local.state import Row, State, is_full, remove

if TYPE_CHECKING:
    import torch

WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
"""The files needed of a model on the Hub: no pickles, no code."""
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
    """A digest of the weights."""
    context: int
    """The most tokens of a prompt and its answer together."""
    ends: frozenset[int]
    """The tokens that end an answer."""


class Models:
    """The models by the id that requests name: the base model, and the models tuned from its weights."""

    def __init__(self, state: State, loaded: Loaded, name: str) -> None:
        self._state, self._fingerprint = state, loaded.fingerprint
        created = int((loaded.folder / "config.json").stat().st_mtime)
        self.base: Row = {"id": name, "object": "model", "created": created, "owned_by": "local"}

    def all(self) -> list[Row]:
        """Return the base model and all models tuned from these weights."""
        rows = self._state.rows("models")
        return [self.base, *(_public(row) for row in rows if row["fingerprint"] == self._fingerprint)]

    def get(self, name: str) -> Row:
        """Return a model. Raise `ApiError` for an unknown id."""
        return self.base if name == self.base["id"] else _public(self._tuned(name))

    def adapter(self, name: str) -> Path | None:
        """Return the folder of a tuned model's adapter, or None for the base model."""
        return None if name == self.base["id"] else self._state.path("models", self._tuned(name)["folder"])

    def delete(self, name: str) -> Row:
        """Remove a tuned model, on a full disk too."""
        folder = self.adapter(name)
        if folder is None:
            raise ApiError("The base model can't be deleted.", status=403, param="model")
        self._state.delete("models", name)
        remove(folder)
        return {"id": name, "object": "model", "deleted": True}

    def _tuned(self, name: str) -> Row:
        row = self._state.get("models", name)
        if row is None or row["fingerprint"] != self._fingerprint:
            raise unknown_model(name)
        return row


def _public(row: Row) -> Row:
    return {key: row[key] for key in ("id", "object", "created", "owned_by")}


# ---------------------------------------------------------------- where weights come from


def find(name: str, cache: Path) -> Path:
    """Return the folder with the weights of a Hub id, a folder or a `.gguf` file. Raise `UserError` without such weights."""
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return _converted(path.resolve(), cache)
    if path.is_file():
        raise UserError(f"--model {name}: a file, but not a .gguf. Valid: a Hub id, a model's folder, a .gguf file")
    is_id = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) and not name.startswith(".") and not name.endswith(".gguf")
    if not path.is_dir() and not is_id:
        raise UserError(f"--model {name}: no such file or folder")
    folder = path.resolve() if path.is_dir() else _downloaded(name)
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: not a model's folder (no config.json)")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{folder}: no .safetensors file. Pickled weights (.bin, .pt) can run code and are not loaded")
    return folder


def _converted(path: Path, cache: Path) -> Path:
    """Return a folder with the weights of a `.gguf` file, made once: it loads 100 times faster than the file."""
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
    check_room(path.stat().st_size * 8, path.name)
    given = {"gguf_file": path.name, "quantization_config": GgufConfig(dequantize=True), "dtype": torch.float32}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        model = AutoModelForCausalLM.from_pretrained(path.parent, **given)
    except (OSError, ValueError, KeyError, IndexError, NotImplementedError) as error:
        raise UserError(f"{path}: can't be read as a model: {_first_line(error)}") from None
    try:
        tokenizer.save_pretrained(target)
        model.save_pretrained(target)
    except Exception as error:
        if not is_full(error):
            raise
        remove(target)
        raise UserError(f"{target}: the disk is full. Free some space, or choose another --state folder") from None


def _downloaded(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=WANTED))
    except GatedRepoError:
        reason = f"gated on the Hugging Face Hub. Accept its licence at https://huggingface.co/{name}, then export "
        reason += "HF_TOKEN=<your token>"
    except RepositoryNotFoundError:
        reason = "no such folder here, and no such model on the Hugging Face Hub (a private one needs HF_TOKEN)"
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = f"no such folder here, and the Hugging Face Hub can't be reached ({_first_line(error)})"
    raise UserError(f"--model {name}: {reason}") from None


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


# ---------------------------------------------------------------- loading


def load(folder: Path, *, name: str, dtype: str = "auto", context: int | None = None) -> Loaded:
    """Load a model and its tokenizer to answer chats. Raise `UserError` if it has no chat template or doesn't fit."""
    from safetensors import SafetensorError

    described = describe(folder, name, context)
    try:
        check_memory(folder, name, 4 if dtype_name(dtype) == "float32" else 2)
        model = load_model(folder, dtype)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise UserError(f"the weights of {name} in {folder} can't be loaded: {_first_line(error)}") from None
    store_transposed(model)
    return msgspec.structs.replace(described, model=model.eval())


def describe(folder: Path, name: str, context: int | None = None) -> Loaded:
    """Read everything of a model except its weights. Raise `UserError` if it has no chat template."""
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"the tokenizer of {name} can't be loaded: {_first_line(error)}") from None
    if not tokenizer.chat_template:
        raise UserError(f"{name} has no chat template, so it can't answer chats. Choose its instruct or chat version")
    config = AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config()
    longest = getattr(config, "max_position_embeddings", None) or 4096
    if context and context > longest:
        raise UserError(f"--context {context}: {name} reads at most {longest} tokens")
    try:
        named = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
    except OSError:
        named = config.eos_token_id
    ends = {tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])} - {None}
    return Loaded(None, tokenizer, folder, fingerprint(folder), context or min(longest, 4096), frozenset(ends))


def load_model(folder: Path, dtype: str) -> Any:
    """Load the bare model onto the device it will run on."""
    import torch
    from transformers import AutoModelForCausalLM

    kind = getattr(torch, dtype_name(dtype))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=kind, use_safetensors=True, local_files_only=True)
    return model.to(device())


def device() -> "torch.device":
    """Return the accelerator, or else the CPU."""
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


def dtype_name(dtype: str) -> str:
    """Replace "auto": float32 keeps a text the same in any batch, and few CPUs compute faster in less."""
    return ("bfloat16" if device().type == "cuda" else "float32") if dtype == "auto" else dtype


def store_transposed(model: Any) -> None:
    """Lay the matrices of linear layers out by column on a CPU.

    With 4 to 32 rows, a decoding step's size, the CPU multiplies 3 to 4 times faster that way: by row, every call first
    copies the whole matrix. Values, shapes and memory stay the same.
    """
    import torch

    for layer in model.modules() if model.device.type == "cpu" else ():
        if isinstance(layer, torch.nn.Linear) and layer.weight.is_contiguous():
            layer.weight.data = layer.weight.data.t().contiguous().t()


# ---------------------------------------------------------------- memory


def check_memory(folder: Path, name: str, weight_bytes: int) -> None:
    """Raise `UserError` if the weights don't fit into the free memory, at so many bytes each."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        total += sum(math.prod(tensor["shape"]) for tensor_name, tensor in header.items() if tensor_name != "__metadata__")
    check_room(total * weight_bytes, name)


def check_room(weights: int, name: str) -> None:
    """Raise `UserError` if weights of so many bytes don't fit into the free memory, with some room to compute."""
    needed, free = weights * 1.1 + 0.25 * _GIB, free_memory()
    if needed > free:
        raise UserError(
            f"not enough memory for {name}: it needs about {needed / _GIB:.1f} GiB, {free / _GIB:.1f} GiB are free. "
            "Choose a smaller model, or serve it elsewhere and name its address as the base_url"
        )


def free_memory() -> int:
    """Return the free bytes: of the accelerator, or else of the machine or its container."""
    import psutil  # type: ignore[import-untyped]  # it has no annotations
    import torch

    if device().type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    free = int(psutil.virtual_memory().available)
    try:
        counts = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        used = int((_CGROUP / "memory.current").read_text())
        # Pages of files count as used, but are given up when memory is asked for.
        reclaimable = int(counts["inactive_file"]) + int(counts["active_file"])
        return min(free, int((_CGROUP / "memory.max").read_text()) - used + reclaimable)
    except (OSError, ValueError, KeyError):  # no container, or one without a limit
        return free


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
