"""A fine-tuning job as `job.yaml` records it: what it yielded, and what it was made of."""

import base64
import csv
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaltape.errors import RecordingError
from evaltape.files import write_whole
from evaltape.finetuning.identity import Identity, settings_difference
from evaltape.names import shown
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange

CASSETTE = "job.yaml"
ORIGIN = "training.json"
"""Beside the cassette: the identity of the job, and the job's id."""
_JOB_PATH = re.compile(r"/fine_tuning/jobs/[^/]+$")
_EVENTS_PATH = re.compile(r"/fine_tuning/jobs/[^/]+/events$")
_CONTENT_PATH = re.compile(r"/files/[^/]+/content$")


@dataclass(frozen=True)
class Job:
    """A job that succeeded."""

    id: str
    status: str
    base: str
    tuned_model: str
    trained_tokens: int
    identity: Identity
    metrics: list[dict[str, float | None]]
    """A row for each step of the result file: `step`, `train_loss`, `valid_loss`; None for what wasn't measured."""
    events: list[dict[str, Any]]
    """The API's messages, oldest first."""

    def as_result(self) -> dict[str, Any]:
        """Return the job as it stands in the results file."""
        return {
            "id": self.id,
            "status": self.status,
            "tuned_model": self.tuned_model,
            "trained_tokens": self.trained_tokens,
        }


@dataclass(frozen=True)
class Recorded:
    """What `job.yaml` says about a job that is about to be driven. All None: there is no such file."""

    job: Job | None = None
    """The recorded job, if it was made of the same training file, base and settings."""
    mismatch: str | None = None
    """How the recorded job differs, if it was made of others."""
    problem: str | None = None
    """Why the file can't be read."""


# ---------------------------------------------------------------- reading


def read_job(path: Path) -> Job:
    """Read the job of a cassette. Raise `RecordingError` if there is none or it didn't succeed."""
    exchanges = cassettes.read(path)
    try:
        described = _last_answer(exchanges, _JOB_PATH)
        if described is None or described["status"] != "succeeded":
            raise ValueError("it records no job that succeeded")
        return Job(
            id=str(described["id"]),
            status=str(described["status"]),
            base=str(described["model"]),
            tuned_model=_tuned_model(described),
            trained_tokens=token_count(described.get("trained_tokens")),
            identity=_identity(path, described, exchanges),
            metrics=_metrics(exchanges),
            events=_events(exchanges),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordingError(f"{shown(path)}: not the recording of a job ({error})") from None


def read_recorded(path: Path, identity: Identity) -> Recorded:
    """Read what a cassette says about a job of this identity."""
    if not path.exists():
        return Recorded()
    try:
        job = read_job(path)
    except RecordingError as error:
        return Recorded(problem=str(error))
    if job.identity.digest == identity.digest:
        return Recorded(job)
    other_settings = job.identity.settings != identity.settings
    change = settings_difference(job.identity.settings, identity.settings) if other_settings else "other training data"
    return Recorded(mismatch=f"{shown(path)} was recorded with {change}")


def orders_of(path: Path, job_id: str) -> list[Exchange]:
    """Return the upload and the order that a cassette holds of a job; none if it is of another job or can't be read."""
    try:
        exchanges = cassettes.read(path)
        described = _last_answer(exchanges, _JOB_PATH)
        same = described is not None and described["id"] == job_id
    except (RecordingError, KeyError, TypeError):
        return []
    return [exchange for exchange in exchanges if exchange.method == "POST"] if same else []


def _identity(path: Path, described: Mapping[str, Any], exchanges: list[Exchange]) -> Identity:
    """Return what the job was made of, by its metadata, by its order, or by what was written beside the cassette.

    Not every API keeps metadata, and not every session that records a job has ordered it.
    """
    beside, job_id = _beside(path)
    for metadata in (described.get("metadata"), _ordered_metadata(exchanges)):
        at_creation = _of_metadata(metadata)
        if at_creation is not None:
            return beside if beside is not None and beside.digest == at_creation.digest else at_creation
    if beside is not None and job_id == described["id"]:
        return beside
    raise ValueError(f"neither its metadata nor its order nor {ORIGIN} says what it was trained on")


def _of_metadata(metadata: Any) -> Identity | None:
    try:
        identity = Identity(**{key: metadata[f"evaltape_{key}"] for key in Identity.__dataclass_fields__})
        return identity if identity.digest == metadata["evaltape_digest"] else None
    except (KeyError, TypeError):
        return None


def _ordered_metadata(exchanges: list[Exchange]) -> Any:
    orders = [exchange.asked for exchange in exchanges if exchange.path.endswith("/fine_tuning/jobs")]
    return orders[-1].get("metadata") if orders and isinstance(orders[-1], dict) else None


def _beside(path: Path) -> tuple[Identity | None, str | None]:
    try:
        content = json.loads(path.with_name(ORIGIN).read_text(encoding="utf-8"))
        return Identity(**{key: content[key] for key in Identity.__dataclass_fields__}), content.get("job")
    except (OSError, ValueError, TypeError, KeyError):
        return None, None


def _tuned_model(described: Mapping[str, Any]) -> str:
    if not isinstance(described["fine_tuned_model"], str):
        raise ValueError(f"its fine_tuned_model is {described['fine_tuned_model']!r}")
    return described["fine_tuned_model"]


def token_count(value: Any) -> int:
    """Return a count of tokens; 0 for what an API may put in its place (null, a negative or infinite number)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        return 0
    return int(value)


def _last_answer(exchanges: list[Exchange], path: re.Pattern[str]) -> Any:
    answers = [exchange.answered for exchange in exchanges if exchange.method == "GET" and path.search(exchange.path)]
    return answers[-1] if answers else None


def _events(exchanges: list[Exchange]) -> list[dict[str, Any]]:
    """Return the events; none if they aren't what the API documents, for they only decorate the job."""
    pages = [exchange.answered for exchange in exchanges if _EVENTS_PATH.search(exchange.path)]
    try:
        newest_first = [event for page in pages for event in page["data"]]
        return [{key: event.get(key) for key in ("created_at", "level", "message")} for event in reversed(newest_first)]
    except (KeyError, TypeError, AttributeError):
        return []


def _metrics(exchanges: list[Exchange]) -> list[dict[str, float | None]]:
    content = _last_answer(exchanges, _CONTENT_PATH)
    return read_metrics(content) if isinstance(content, str) else []


def read_metrics(content: str) -> list[dict[str, float | None]]:
    """Return the rows of a result file: `step`, `train_loss` and `valid_loss` (None if not measured at that step).

    Some services give the CSV in base64.
    """
    if not content.lstrip().startswith("step"):
        try:
            content = base64.b64decode(content, validate=True).decode()
        except ValueError:
            return []
    rows = csv.DictReader(io.StringIO(content))
    try:
        return [{key: _number(row, key) for key in ("step", "train_loss", "valid_loss")} for row in rows]
    except csv.Error:
        return []


def _number(row: Mapping[str, str | None], key: str) -> float | None:
    try:
        number = float(row.get(key) or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


# ---------------------------------------------------------------- writing


def write_job(path: Path, job_id: str, exchanges: list[Exchange], identity: Identity, secrets: tuple[str, ...]) -> None:
    """Record a job, and beside it what its training file is made of. Raises as `cassettes.write`."""
    cassettes.write(path, exchanges, secrets)
    write_origin(path, job_id, identity)


def write_origin(path: Path, job_id: str, identity: Identity) -> None:
    """Write beside a recording what the job's training file is made of today.

    The metadata of a job that is used again says what the same file was made of when the job was created; that may have
    changed since without changing the file.
    """
    write_whole(path.with_name(ORIGIN), json.dumps({**asdict(identity), "job": job_id}, indent=1) + "\n")
