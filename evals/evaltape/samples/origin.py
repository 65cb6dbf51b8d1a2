"""Where frozen samples come from: what `dataset.json` says, and whether it is what a suite asks for.

{"suite": the suite file, "dataset": {"path": ..., "revision": ..., "split": ..., "samples": ..., "seed": ..., "fields": {...}},
 "columns": [...], "sources": {"validation.jsonl": SHA-256}, "samples_sha256": SHA-256}
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict

from evaltape.samples import dataset as source
from evaltape.samples.owner import OWNER
from evaltape.suite.definition import Suite


class Origin(msgspec.Struct, frozen=True):
    """What samples were taken from."""

    dataset: Mapping[str, Any]
    """The selection, in the words of the suite file."""
    columns: tuple[str, ...]
    """The further columns that the samples carry."""
    sources: Mapping[str, str]
    """The digest of the local file by its name; empty for a Hub data set, or a file that isn't at hand."""

    @classmethod
    def asked_by(cls, suite: Suite) -> "Origin":
        """Return what a suite asks for today."""
        data = suite.dataset
        fields: dict[str, Any] = {"id": data.fields.id, "input": data.fields.input, "reference": list(data.fields.reference)}
        if data.fields.input is None:
            fields["conversation"] = suite.conversation
        selection = {
            "path": data.path,
            "revision": data.revision,
            "split": data.split.name,
            "samples": data.split.samples,
            "seed": data.split.seed,
            "fields": fields,
        }
        file = source.split_file(data, suite.file, data.split.name)
        is_at_hand = file is not None and file.is_file()
        return cls(selection, suite.columns, {file.name: source.digest(file)} if file and is_at_hand else {})

    @classmethod
    def of_json(cls, value: Any) -> "Origin":
        """Return what a file says. Raises `ValueError` for anything else."""
        try:
            dataset, columns, sources = value["dataset"], value["columns"], value["sources"]
            if not (isinstance(dataset, dict) and isinstance(columns, list) and isinstance(sources, dict)):
                raise TypeError("its parts are not what they should be")
            return cls(dataset, tuple(map(str, columns)), {str(name): str(sha256) for name, sha256 in sources.items()})
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from None

    def to_json(self, samples_sha256: str, owner: str = "") -> str:
        """Return the text of the file; `owner` is the suite file as `owner_entry` names it."""
        values = {**({OWNER: owner} if owner else {}), **asdict(self), "samples_sha256": samples_sha256}
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"

    @property
    def is_local(self) -> bool:
        """Whether it is known to be a local file."""
        return bool(self.sources)

    def has_bytes_of(self, asked: "Origin") -> bool:
        """Whether it is surely of the same file, or of the same selection of a Hub data set."""
        return sorted(self.sources.values()) == sorted(asked.sources.values())

    def difference(self, asked: "Origin") -> str | None:
        """Return how the selection differs from what is asked for, in the words of the suite; None if it doesn't.

        Where a local file lies doesn't matter while it is at hand: its digest says what is in it.
        """
        then, now = _flat(self.dataset), _flat(asked.dataset)
        if self.is_local and asked.is_local:
            then["path"] = now["path"]
        for key in {**now, **then}:
            if then.get(key) != now.get(key):
                return f"{key} is {_shown(now.get(key))}, the recording was made with {_shown(then.get(key))}"
        return None


def _flat(dataset: Mapping[str, Any]) -> dict[str, Any]:
    fields = dataset.get("fields")
    inside = {f"fields.{key}": value for key, value in fields.items()} if isinstance(fields, dict) else {}
    return {**{key: value for key, value in dataset.items() if key != "fields"}, **inside}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(map(repr, value))
    return "none" if value is None else repr(value)
