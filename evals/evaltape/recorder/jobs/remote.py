"""A fine-tuning job as an API describes it, read leniently: only id and status must be there."""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evaltape.finetuning.recorded_job import token_count
from evaltape.text import visible

SUCCEEDED = "succeeded"
ENDED = ("failed", "cancelled")
PAUSED = "paused"
UNTRAINED = ("validating_files", "queued")
"""Statuses before the training: a job cancelled in one of them costs nothing."""
DOCUMENTED = (*UNTRAINED, "running", SUCCEEDED, *ENDED, PAUSED)
_SPELLINGS = {"canceled": "cancelled"}


@dataclass(frozen=True)
class RemoteJob:
    """What an API says of a job."""

    id: str
    status: str
    created: float = 0.0
    """Unix time; 0 if not stated."""
    base: str = ""
    tuned_model: str | None = None
    trained_tokens: int = 0
    training_file: str | None = None
    """The id of its training file."""
    seed: int | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    result_files: tuple[str, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether it will never yield a tuned model."""
        return self.status in ENDED

    @property
    def has_succeeded(self) -> bool:
        """Whether it has yielded a tuned model."""
        return self.status == SUCCEEDED

    @property
    def is_under_way(self) -> bool:
        """Whether it may yet yield a tuned model."""
        return not self.has_ended and not self.has_succeeded

    @property
    def is_untrained(self) -> bool:
        """Whether its training surely hasn't begun."""
        return self.status in UNTRAINED

    @property
    def age(self) -> tuple[float, str]:
        """Sorts the oldest job first; the same for whoever asks."""
        return self.created, self.id

    @property
    def digest(self) -> str | None:
        """The identity in its metadata, if an API keeps metadata and the job is one of Evaltape's."""
        return _text(self.metadata.get("evaltape_digest"))

    @property
    def order(self) -> str | None:
        """The order in its metadata that created it."""
        return _text(self.metadata.get("evaltape_order"))

    @property
    def run(self) -> int:
        """1 for a first job and one more for each retraining; 0 if its metadata doesn't say."""
        text = str(self.metadata.get("evaltape_run", ""))
        return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0

    def __str__(self) -> str:
        model = f", {self.tuned_model}" if self.tuned_model else ""
        return visible(f"{self.id} ({self.status}{model})")

    @property
    def reason(self) -> str:
        """Why it ended, in the API's own words where it has any."""
        ended = f"{self.id} {'failed' if self.status == 'failed' else 'was cancelled'}"
        return visible(f"{ended}: {self.error}" if self.error else ended)


def remote_job(value: Any) -> RemoteJob:
    """Read a job from an API's JSON. Raise `ValueError` for what isn't a job."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), str) or not isinstance(value.get("status"), str):
        raise ValueError("it describes no fine-tuning job")
    status = value["status"].lower()
    files = value.get("result_files")
    seed = value.get("seed")
    return RemoteJob(
        id=value["id"],
        status=_SPELLINGS.get(status, status),
        created=_unix_time(value.get("created_at")),
        base=_text(value.get("model")) or "",
        tuned_model=_text(value.get("fine_tuned_model")),
        trained_tokens=token_count(value.get("trained_tokens")),
        training_file=_text(value.get("training_file")),
        seed=seed if isinstance(seed, int) else None,
        hyperparameters=_hyperparameters(value),
        metadata=_mapping(value.get("metadata")),
        error=_text(_mapping(value.get("error")).get("message")) or "",
        result_files=tuple(file for file in files if isinstance(file, str)) if isinstance(files, list) else (),
    )


def _hyperparameters(value: Mapping[str, Any]) -> Mapping[str, Any]:
    supervised = _mapping(_mapping(value.get("method")).get("supervised"))
    return {**_mapping(value.get("hyperparameters")), **_mapping(supervised.get("hyperparameters"))}


def _unix_time(value: Any) -> float:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    try:
        return datetime.datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
