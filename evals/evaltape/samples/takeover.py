"""Reads samples that the first version froze, with one reference each and no digest, so that they are taken over."""

import json
from pathlib import Path
from typing import Any

from evaltape.samples.frozen import ORIGIN, SAMPLES, Frozen
from evaltape.samples.origin import Origin
from evaltape.samples.sample import Sample


def is_old(folder: Path) -> bool:
    """Whether a folder's samples were frozen by the first version."""
    return _old_origin(folder) is not None


def read_old(folder: Path, path: str) -> Frozen | None:
    """Return old samples in today's form, `path` being what the suite names today; None if there are none."""
    old = _old_origin(folder)
    if old is None:
        return None
    try:
        lines = (folder / SAMPLES).read_text(encoding="utf-8").split("\n")
        return Frozen([_sample(json.loads(line)) for line in lines if line], _converted(old, path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _old_origin(folder: Path) -> dict[str, Any] | None:
    try:
        value = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        is_old = "samples_sha256" not in value and isinstance(value["dataset"]["split"], dict)
        return value if is_old else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _converted(old: dict[str, Any], path: str) -> Origin:
    """Return an old origin in today's form. The old one had of a local path its last part alone."""
    dataset, split, fields = old["dataset"], old["dataset"]["split"], old["dataset"]["fields"]
    is_same_folder = bool(old["sha256"]) and Path(path).name == dataset["path"]
    selection = {
        "path": path if is_same_folder else dataset["path"],
        "revision": dataset["revision"],
        "split": split["name"],
        "samples": split["samples"],
        "seed": split["seed"],
        "fields": {**fields, "reference": [fields["reference"]]},
    }
    file = path if Path(path).suffix else f"{split['name']}.jsonl"
    return Origin(selection, tuple(dataset["columns"]), {Path(file).name: old["sha256"]} if old["sha256"] else {})


def _sample(row: dict[str, Any]) -> Sample:
    sample = Sample(row["id"], row["input"], (row["reference"],), row.get("columns", {}))
    if not all(isinstance(text, str) for text in (sample.id, sample.input, *sample.references)):
        raise TypeError("id, input and reference are texts")
    return sample
