"""A fine-tuning job as it was recorded in `job.yaml`: what it yielded, and of what it was made."""

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaltape.errors import RecordingError
from evaltape.files import write_whole
from evaltape.names import shown
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange, canonical
from evaltape.suite.definition import Finetune, Split, Suite

CASSETTE = "job.yaml"
ORIGIN = "training.json"
_JOB_PATH = re.compile(r"/fine_tuning/jobs/[^/]+$")
_EVENTS_PATH = re.compile(r"/fine_tuning/jobs/[^/]+/events$")
_CONTENT_PATH = re.compile(r"/files/[^/]+/content$")


@dataclass(frozen=True)
class Identity:
    """What makes two jobs the same: the training file, the base and the settings.

    It travels in the job's `metadata`. `recipe` digests what the file is made of (prompt, selection, evaluated
    samples), `source` the local files it comes from: with both unchanged the training file need not be made again.
    """

    training: str
    settings: str
    recipe: str
    source: str

    def __post_init__(self) -> None:
        if not all(isinstance(value, str) for value in asdict(self).values()):
            raise TypeError("what identifies it is not text")

    @property
    def digest(self) -> str:
        """One SHA-256 over training file, base and settings, by which a job is found again."""
        return _sha256([self.training, self.settings])

    def metadata(self) -> dict[str, str]:
        """The key-value pairs attached to the job."""
        return {"evaltape_digest": self.digest, **{f"evaltape_{key}": value for key, value in asdict(self).items()}}


@dataclass(frozen=True)
class Job:
    """A succeeded job: `metrics` has a row per step of the result file, `events` the API's messages, oldest first."""

    id: str
    status: str
    base: str
    tuned_model: str
    trained_tokens: int
    identity: Identity
    metrics: list[dict[str, float | None]]
    events: list[dict[str, Any]]

    def as_result(self) -> dict[str, Any]:
        """The job as the results file tells it."""
        return {
            "id": self.id,
            "status": self.status,
            "tuned_model": self.tuned_model,
            "trained_tokens": self.trained_tokens,
        }


def settings_of(job: Finetune) -> str:
    """Base, hyperparameters and seed, as one line of JSON that is matched and can be read."""
    return canonical({"base": job.base.served, "hyperparameters": job.hyperparameters, "seed": job.seed})


def settings_difference(recorded: str, asked: str) -> str:
    """How recorded settings differ from those asked for, in the words of the suite file."""
    try:
        then, now = _by_key(recorded), _by_key(asked)
    except (ValueError, KeyError, TypeError):
        return f"other settings ({recorded!r}; the suite asks for {asked})"
    changed = [key for key in {**now, **then} if then.get(key, "none") != now.get(key, "none")]
    told = (f"another {key} ({then.get(key, 'none')}; the suite asks for {now.get(key, 'none')})" for key in changed)
    return "; ".join(told)


def _by_key(settings: str) -> dict[str, str]:
    told = json.loads(settings)
    values = {"base": told["base"], "seed": told["seed"], **told["hyperparameters"]}
    return {key: json.dumps(value) for key, value in values.items() if value is not None}


def recipe_of(suite: Suite, job: Finetune, evaluated: list[str]) -> str:
    """The digest of what, beside its rows, decides the training file; `evaluated` are the inputs that may leak."""
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
    }
    return _sha256(recipe)


def _selection(split: Split) -> dict[str, Any]:
    return {"split": split.name, "samples": split.samples, "seed": split.seed}


def read_job(path: Path) -> Job:
    """The job of a cassette. Raises `RecordingError` where there is none or it did not succeed."""
    exchanges = cassettes.read(path)
    try:
        found = _last(exchanges, _JOB_PATH)
        if found is None or found["status"] != "succeeded":
            raise ValueError("it records no job that succeeded")
        return Job(
            id=str(found["id"]),
            status=str(found["status"]),
            base=str(found["model"]),
            tuned_model=_tuned_model(found),
            trained_tokens=int(found.get("trained_tokens") or 0),
            identity=_identity(path, found.get("metadata") or _created_with(exchanges)),
            metrics=_metrics(exchanges),
            events=_events(exchanges),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordingError(f"{shown(path)}: not the recording of a job ({error})") from None


def write_job(path: Path, exchanges: list[Exchange], identity: Identity, secrets: tuple[str, ...]) -> None:
    """Record a job, and beside it of what its training file is made today.

    A job that is found again tells in its metadata what the same file was made of when the job was created, which may
    since have changed without changing the file.
    """
    cassettes.write(path, exchanges, secrets)
    write_whole(path.with_name(ORIGIN), json.dumps(asdict(identity), indent=1) + "\n")


def _identity(path: Path, metadata: Mapping[str, str]) -> Identity:
    at_creation = Identity(**{key: metadata[f"evaltape_{key}"] for key in Identity.__dataclass_fields__})
    try:
        beside = Identity(**json.loads(path.with_name(ORIGIN).read_text(encoding="utf-8")))
        return beside if beside.digest == at_creation.digest else at_creation
    except (OSError, ValueError, TypeError):
        return at_creation


def _tuned_model(job: Mapping[str, Any]) -> str:
    if not isinstance(job["fine_tuned_model"], str):
        raise ValueError(f"its fine_tuned_model is {job['fine_tuned_model']!r}")
    return job["fine_tuned_model"]


def _created_with(exchanges: list[Exchange]) -> Any:
    orders = [exchange.asked for exchange in exchanges if exchange.path.endswith("/fine_tuning/jobs")]
    return orders[-1]["metadata"] if orders else {}


def _last(exchanges: list[Exchange], path: re.Pattern[str]) -> Any:
    found = [exchange.answered for exchange in exchanges if exchange.method == "GET" and path.search(exchange.path)]
    return found[-1] if found else None


def _events(exchanges: list[Exchange]) -> list[dict[str, Any]]:
    pages = [exchange.answered["data"] for exchange in exchanges if _EVENTS_PATH.search(exchange.path)]
    newest_first = [event for page in pages for event in page]
    return [{key: event.get(key) for key in ("created_at", "level", "message")} for event in reversed(newest_first)]


def _metrics(exchanges: list[Exchange]) -> list[dict[str, float | None]]:
    content = _last(exchanges, _CONTENT_PATH)
    return read_metrics(content) if isinstance(content, str) else []


def read_metrics(content: str) -> list[dict[str, float | None]]:
    """The rows of a result file: `step`, `train_loss` and `valid_loss` (None where not measured at that step).

    Some services give the CSV in base64.
    """
    if not content.lstrip().startswith("step"):
        try:
            content = base64.b64decode(content, validate=True).decode()
        except ValueError:
            return []
    rows = csv.DictReader(io.StringIO(content))
    return [{key: _number(row, key) for key in ("step", "train_loss", "valid_loss")} for row in rows]


def _number(row: Mapping[str, str | None], key: str) -> float | None:
    try:
        return float(row.get(key) or "")
    except ValueError:
        return None


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
