"""Files written whole or not at all."""

import contextlib
import os
import secrets
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, so that a reader, or a run killed midway, sees the old file or the new one."""
    data = text.encode()
    try:
        _replace(path, data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data)


def remove_unfinished(folder: Path) -> None:
    """Remove what writes that were killed midway have left anywhere in a folder. Nobody else may be writing there."""
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)


def _replace(path: Path, data: bytes) -> None:
    temporary = f"{path.parent}{os.sep}.{path.name[:80]}.{secrets.token_hex(4)}.part"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
