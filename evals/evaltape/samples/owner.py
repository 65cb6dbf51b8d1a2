"""Whose recordings a folder holds: `dataset.json` names the suite file, relative to itself, so that a clone can lie anywhere.

Two suite files of one name in two folders would otherwise replace each other's samples and recordings.
"""

import json
import os
from pathlib import Path

from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.text import visible

ORIGIN, OWNER = "dataset.json", "suite"


def owner_entry(folder: Path, suite_file: Path) -> str:
    """Return what `dataset.json` in `folder` says of its suite file."""
    return Path(os.path.relpath(suite_file.resolve(), folder.resolve())).as_posix()


def owner_of(folder: Path) -> Path | None:
    """Return the suite file that the recordings in `folder` are of; None if none is named, or it is gone."""
    try:
        named = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))[OWNER]
        path = (folder / named).resolve()
        return path if path.is_file() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_owner(folder: Path, suite_file: Path) -> None:
    """Raise `UserError` if `folder` holds the recordings of another suite file. One that was moved takes its own along."""
    owner = owner_of(folder)
    if owner is not None and owner != suite_file.resolve():
        raise UserError(
            f"{shown(folder)} belongs to {visible(shown(owner))}: recording {shown(suite_file)} would replace its samples. "
            "Rename one of the two, or give this one another folder with --cassettes"
        )
