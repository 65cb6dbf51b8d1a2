"""The settings of the service, and the checks that need no model."""

import importlib.util
import ipaddress
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from evaltape.errors import UserError

DEFAULT_KEY_ENV = "EVALTAPE_LOCAL_KEY"
REQUIRED = ("torch", "transformers", "peft", "gguf", "fastapi", "uvicorn", "python_multipart", "safetensors", "psutil")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `evaltape serve`; after `check`, with name, state and key filled in. Lengths are in tokens."""

    model: str
    name: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    state: Path | None = None
    api_key_env: str | None = None
    batch: int = 16
    context: int | None = None
    train_length: int = 512
    train_command: str | None = None
    inference: str | None = None
    max_upload_mb: int = 200
    dtype: str = "auto"
    api_key: str | None = None

    @property
    def served_name(self) -> str:
        """The id that requests name."""
        assert self.name is not None
        return self.name

    @property
    def state_folder(self) -> Path:
        """The folder that outlives the process."""
        assert self.state is not None
        return self.state

    @property
    def servers(self) -> list[str]:
        """The addresses of inference servers."""
        return [url.strip() for url in (self.inference or "").split(",") if url.strip()]

    def __repr__(self) -> str:
        return f"<settings for {self.model}>"


def check(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return the settings with their defaults filled in. Raise `UserError` for anything that can't be served."""
    _check_numbers(settings)
    launcher(settings.train_command)
    for url in settings.servers or ([settings.inference] if settings.inference is not None else []):
        if not re.fullmatch(r"https?://[^/\s]+(/.*)?", url):
            raise UserError(f"--inference {url}: not an address. Valid: http://HOST:PORT, several with commas between them")
    _check_extra()
    return replace(
        settings,
        name=_name(settings),
        state=(settings.state or _default_state(environ)).expanduser().absolute(),
        api_key=_key(settings, environ),
    )


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_numbers(settings: Settings) -> None:
    least = {"batch": 1, "context": 16, "train_length": 16, "max_upload_mb": 1}
    for name, smallest in least.items():
        value = getattr(settings, name)
        if value is not None and value < smallest:
            raise UserError(f"--{name.replace('_', '-')} is {value}: it must be at least {smallest}")
    if not 0 <= settings.port <= 65535:
        raise UserError(f"--port is {settings.port}: it must be from 0 to 65535")


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


def _check_extra() -> None:
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"not installed: {', '.join(missing)}. Install the extra: pip install 'evaltape[local]'")


def _name(settings: Settings) -> str:
    name = settings.name or re.sub(r"\.gguf$", "", settings.model.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1])
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name):
        raise UserError(f"'{name}' can't be a model's id (letters, digits, '.', '_', '-'): choose one with --name")
    return name


def _default_state(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "evaltape" / "local"


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
