"""The identity of a fine-tuning job: training file, base and settings."""

import hashlib
import json
from typing import Any

import msgspec

from evaltape.recording.cassettes import canonical
from evaltape.suite.definition import Finetune, Split, Suite

LONGEST_METADATA = 512
"""Characters of a value in a job's metadata, by OpenAI's documentation."""


class Identity(msgspec.Struct, frozen=True):
    """Two jobs of the same identity are the same: training file, base and settings are equal."""

    training: str
    """SHA-256 of the training file."""
    settings: str
    """Base, hyperparameters, seed and further keys of the order as canonical JSON."""
    recipe: str
    """Digest of prompt, selection and evaluated samples, which make the file of its rows."""
    source: str
    """Digests of the local files it is made of. With the same recipe and source the training file need not be built again."""

    @property
    def digest(self) -> str:
        """One SHA-256 over training file, base and settings, by which a job is recognised."""
        return _sha256([self.training, self.settings])

    def metadata(self) -> dict[str, str]:
        """Return the key-value pairs that are attached to the job; the digest alone is read again."""
        settings = self.settings[:LONGEST_METADATA]
        return {"evaltape_digest": self.digest, "evaltape_training": self.training, "evaltape_settings": settings}


def settings_of(job: Finetune) -> str:
    """Return base, hyperparameters, seed and further keys of the order as one line of JSON, to be compared and read."""
    extra = {"extra": job.extra} if job.extra else {}
    return canonical({"base": job.base.served, "hyperparameters": job.hyperparameters, "seed": job.seed, **extra})


def settings_difference(recorded: str, current: str) -> str:
    """Return how recorded settings differ from the suite's, in the words of the suite file."""
    try:
        then, now = _by_key(recorded), _by_key(current)
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"other settings ({recorded!r}; the suite asks for {current})"
    changed = [key for key in {**now, **then} if then.get(key, "none") != now.get(key, "none")]
    return "; ".join(f"another {key} ({then.get(key, 'none')}; the suite asks for {now.get(key, 'none')})" for key in changed)


def recipe_of(suite: Suite, job: Finetune, evaluated: list[str]) -> str:
    """Return the digest of all that decides the training file beside its rows; `evaluated` are the inputs that may leak."""
    fields = suite.dataset.fields
    recipe = {
        "prompt": job.base.prompt.as_json(),
        "path": suite.dataset.path,
        "revision": suite.dataset.revision,
        "fields": {"id": fields.id, "input": fields.input, "reference": list(fields.reference)},
        "train": _selection(job.train),
        "validation": _selection(job.validation) if job.validation else None,
        "leaks": job.leaks,
        "evaluated": evaluated,
        **({"recorded": [job.recorded.suite, job.recorded.model]} if job.recorded else {}),
    }
    return _sha256(recipe)


def _selection(split: Split) -> dict[str, Any]:
    return {"split": split.name, "samples": split.samples, "seed": split.seed}


def _by_key(settings: str) -> dict[str, str]:
    content = json.loads(settings)
    values = {"base": content["base"], "seed": content["seed"], **content["hyperparameters"], **content.get("extra", {})}
    return {key: json.dumps(value) for key, value in values.items() if value is not None}


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
