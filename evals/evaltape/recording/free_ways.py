"""The ways to a recording that cost nothing: git has it, or it lies under another name."""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from evaltape.errors import RecordingError
from evaltape.git import repository_of, restored
from evaltape.names import shown
from evaltape.recording.cassettes import is_same
from evaltape.recording.model_calls import SUFFIX, ModelCalls

Asked = Sequence[tuple[str, dict[str, Any]]]
"""Calls by the names of their cassettes, with their requests."""


def free_way(folder: Path, model: str, models: Collection[str], asked: Asked, sources: Sequence[Path]) -> str | None:
    """Return the command that brings back missing recordings of a model in a suite's `folder`; None if no way is known.

    `models` are the suite's, `asked` some of the missing calls, and `sources` the files that requests are made of:
    the suite's and its data.
    """
    old = _other_name(folder, models, asked)
    if old is not None:
        return _moved(folder, old, model)
    return restored([folder / model, folder / f"{model}{SUFFIX}", *sources])


def _other_name(folder: Path, models: Collection[str], asked: Asked) -> str | None:
    """Return the folder or pack of no model of the suite that holds just these calls: the model was renamed."""
    keys = {path.stem for path in folder.glob(f"*{SUFFIX}")} | {path.name for path in folder.glob("*/") if path.is_dir()}
    for key in sorted(keys - set(models)):
        calls = ModelCalls(folder, key)
        try:
            if asked and all(is_same(calls.read(name)[0].asked, body) for name, body in asked):
                return key
        except RecordingError:
            continue
    return None


def _moved(folder: Path, old: str, new: str) -> str:
    move = "mv" if repository_of(folder) is None else "git mv"
    pack, calls = folder / f"{old}{SUFFIX}", folder / old
    pairs = [(pack, folder / f"{new}{SUFFIX}")] if pack.exists() else []
    pairs += [(calls, folder / new)] if calls.is_dir() else []
    return " && ".join(f"{move} {shlex.quote(shown(one))} {shlex.quote(shown(other))}" for one, other in pairs)
