"""The places a model comes from: a folder, a `.gguf` file, or the Hugging Face Hub."""

import hashlib
import re
import sys
from pathlib import Path

from evaltape.errors import UserError
from evaltape.local.model.weights import check_room, first_line
from evaltape.local.state.disk import is_full, remove

WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
"""The files needed of a model on the Hub: no pickles, no code."""


def find(name: str, cache: Path) -> Path:
    """Return the folder with the weights of a Hub id, a folder or a `.gguf` file. Raise `UserError` if there is none."""
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return _converted(path.resolve(), cache)
    if path.is_dir():
        return _checked(path.resolve())
    if path.exists():
        raise UserError(f"--model {name}: a file, but not a .gguf. Valid: a Hub id, a model's folder, a .gguf file")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith(".") or name.endswith(".gguf"):
        raise UserError(f"--model {name}: no such file or folder")
    return _checked(_downloaded(name))


def _checked(folder: Path) -> Path:
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
        raise UserError(f"{path}: can't be read as a model: {first_line(error)}") from None
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
        reason = f"no such folder here, and the Hugging Face Hub can't be reached ({first_line(error)})"
    raise UserError(f"--model {name}: {reason}") from None
