"""The settings of the service, and the checks that need no model."""

import importlib.util
import ipaddress
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from evaltape.errors import UserError

DEFAULT_KEY_ENV = "EVALTAPE_LOCAL_KEY"
DEFAULT_STATE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "evaltape" / "local"
REQUIRED = ("torch", "transformers", "peft", "gguf", "fastapi", "uvicorn", "python_multipart", "safetensors", "psutil")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `evaltape serve`; `check` fills in name and key. Lengths are in tokens."""

    model: str
    name: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    state: Path = DEFAULT_STATE
    api_key_env: str | None = None
    batch: int = 16
    context: int | None = None
    train_length: int = 512
    train_command: str | None = None
    inference: str | None = None
    max_upload_mb: int = 200
    dtype: str = "auto"
    api_key: str | None = field(default=None, repr=False)

    @property
    def starts_vllm(self) -> bool:
        """Whether the service starts its own inference server."""
        return self.inference == "vllm"

    @property
    def servers(self) -> list[str]:
        """The addresses of inference servers."""
        return [url.strip() for url in (self.inference or "").split(",") if url.strip()]


def check(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return the settings with their defaults filled in. Raise `UserError` for anything that can't be served."""
    for name, least in {"batch": 1, "context": 16, "train_length": 16, "max_upload_mb": 1}.items():
        value = getattr(settings, name)
        if value is not None and value < least:
            raise UserError(f"--{name.replace('_', '-')} is {value}: it must be at least {least}")
    if not 0 <= settings.port <= 65535:
        raise UserError(f"--port is {settings.port}: it must be from 0 to 65535")
    launcher(settings.train_command)
    _check_inference(settings)
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"not installed: {', '.join(missing)}. Install the extra: pip install 'evaltape[local]'")
    return replace(
        settings, name=_name(settings), state=settings.state.expanduser().absolute(), api_key=_key(settings, environ)
    )


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def launcher(command: str | None) -> list[str]:
    """Return the words of `--train-command`, the program by its path. Raise `UserError` if it isn't there."""
    if command is None:
        return []
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(f"--train-command {command}: can't be read ({error})") from None
    program = shutil.which(words[0]) if words else None
    if program is None:
        hint = "a command that starts Python programs, such as 'accelerate launch --num_processes 2'"
        raise UserError(f"--train-command {command}: no program '{' '.join(words[:1])}' is installed here. Valid: {hint}")
    return [os.path.abspath(program), *words[1:]]


def _check_inference(settings: Settings) -> None:
    if settings.starts_vllm:
        if shutil.which("vllm") is None:
            hint = "pip install vllm, or name the address of a server that runs elsewhere"
            raise UserError(f"--inference vllm: no program 'vllm' is installed here. Valid: {hint}")
        return
    for url in settings.servers or ([settings.inference] if settings.inference is not None else []):
        if not re.fullmatch(r"https?://[^/\s]+(/.*)?", url):
            valid = "http://HOST:PORT, several with commas between them, or vllm to start one"
            raise UserError(f"--inference {url}: not an address. Valid: {valid}")


def _name(settings: Settings) -> str:
    name = settings.name or re.sub(r"\.gguf$", "", settings.model.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1])
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name):
        raise UserError(f"'{name}' can't be a model's id (letters, digits, '.', '_', '-'): choose one with --name")
    return name


def _key(settings: Settings, environ: Mapping[str, str]) -> str | None:
    name = settings.api_key_env or DEFAULT_KEY_ENV
    key = environ.get(name, "").strip()
    if settings.api_key_env and not key:
        raise UserError(f"--api-key-env names {name}, but this variable is empty: export {name}=<a key of your choice>")
    if not key and not is_loopback(settings.host):
        raise UserError(
            f"--host {settings.host} can be reached from other machines, so a key is needed: "
            f"export {name}=<a key of your choice>, or listen on 127.0.0.1"
        )
    return key or None
