"""A fine-tuning job as `job.yaml` records it: the upload, the order and the last state as the API had them, and our summary.

The summary is a further interaction of the cassette, at `evaltape:///fine_tuning/jobs/ID`, written by `write_job` alone. Replay
reads nothing else, so it is the same for every service. The summary holds the job's `Identity`: training file, base and
settings.
"""

import base64
import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import RecordingError
from evaltape.files import write_whole
from evaltape.names import shown
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange, canonical
from evaltape.suite.definition import Finetune, Split, Suite

CASSETTE = "job.yaml"
ORIGIN = "training.json"
"""Beside the cassette: the job's identity of today, and its id."""
SUMMARY = "evaltape:///fine_tuning/jobs/"
_SUMMARY_PATH = re.compile(r"^evaltape:/+fine_tuning/jobs/[^/]+$")
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
        """The SHA-256 over training file, base and settings, by which a job is recognised."""
        return _sha256([self.training, self.settings])

    def metadata(self) -> dict[str, str]:
        """Return the key-value pairs that are attached to the job; the digest alone is read again."""
        settings = self.settings[:LONGEST_METADATA]
        return {"evaltape_digest": self.digest, "evaltape_training": self.training, "evaltape_settings": settings}


def settings_of(job: Finetune) -> str:
    """Return base, hyperparameters, seed and further keys of the order as a line of JSON, to be compared and read."""
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
        "leaks": job.train.leaks,
        "evaluated": evaluated,
        **({"recorded": job.train.recorded.split("/")} if job.train.recorded else {}),
    }
    return _sha256(recipe)


def _selection(split: Split) -> dict[str, Any]:
    return {"split": split.split, "samples": split.samples, "seed": split.seed}


def _by_key(settings: str) -> dict[str, str]:
    content = json.loads(settings)
    values = {"base": content["base"], "seed": content["seed"], **content["hyperparameters"], **content.get("extra", {})}
    return {key: json.dumps(value) for key, value in values.items() if value is not None}


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class Job(msgspec.Struct, frozen=True):
    """A job that succeeded."""

    id: str
    """The API's id of the job."""
    status: str
    """`succeeded`; the service may have another word."""
    base: str
    """The model that was trained, as the API names it."""
    tuned_model: str
    """The name that the tuned model is asked by."""
    trained_tokens: int | None
    """Over all epochs; None if the API doesn't tell."""
    most_tokens: int
    """The most it can have trained."""
    identity: Identity
    """Two jobs with the same training file, base and settings are the same."""
    base_url: str | None = None
    """Where the tuned model is asked; None: where its base is."""
    trained: Mapping[str, Any] = {}
    """As the API says it trained: hyperparameters, seed, method."""
    differences: tuple[str, ...] = ()
    """How that differs from the suite."""
    is_undeployed: bool = False
    """It was deployed for the session alone: a later recording deploys it again."""
    metrics: tuple[dict[str, float | None], ...] = ()
    """A row for each step of the result file: `step`, `train_loss`, `valid_loss`; None where nothing was measured."""
    events: tuple[dict[str, Any], ...] = ()
    """The API's messages, oldest first: `created_at`, `level`, `message`."""


class Recorded(msgspec.Struct, frozen=True):
    """The state of `job.yaml` before its job is driven. All None: there is no such file."""

    job: Job | None = None
    """The recorded job, if it was made of the same training file, base and settings."""
    mismatch: str | None = None
    """How the recorded job differs, if it was made of others."""
    problem: str | None = None
    """Why the file can't be read."""


def read_job(path: Path) -> Job:
    """Read the job of a cassette. Raise `RecordingError` without a job."""
    exchanges = cassettes.read(path)
    summary = next((one.answered for one in reversed(exchanges) if _SUMMARY_PATH.match(one.url)), None)
    try:
        if summary is None:
            raise ValueError("it records no job that succeeded")
        job = msgspec.convert(summary, Job)
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{shown(path)}: not the recording of a job ({error})") from None
    today = read_origin(path)
    if today is not None and today[1] == job.id and today[0].digest == job.identity.digest:
        return msgspec.structs.replace(job, identity=today[0])
    return job


def orders_of(path: Path, job_id: str) -> list[Exchange]:
    """Return the upload and the order that a cassette holds of a job; empty if it is of another job or can't be read."""
    try:
        exchanges, job = cassettes.read(path), read_job(path)
    except RecordingError:
        return []
    return [exchange for exchange in exchanges if exchange.method == "POST"] if job.id == job_id else []


def read_origin(path: Path) -> tuple[Identity, str] | None:
    """Return the identity and the id of a job from the file beside its cassette; None if it can't be read."""
    try:
        content = json.loads(path.with_name(ORIGIN).read_text(encoding="utf-8"))
        return msgspec.convert(content, Identity), str(content["job"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def token_count(value: Any) -> int | None:
    """Return a count of tokens; None for null, a negative or infinite number, or anything else in its place."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e15:
        return None
    return int(value)


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


def write_job(path: Path, job: Job, exchanges: list[Exchange], secrets: tuple[str, ...]) -> None:
    """Record a job: its calls, our summary, and its identity beside it. Raises as `cassettes.write`."""
    summary = Exchange("GET", f"{SUMMARY}{job.id.replace('/', '%2F')}", None, 200, msgspec.to_builtins(job))
    cassettes.write(path, [*exchanges, summary], secrets)
    write_origin(path, job.id, job.identity)


def write_origin(path: Path, job_id: str, identity: Identity) -> None:
    """Write a job's identity of today beside its recording.

    The same file may be made of other samples today than when the job was recorded.
    """
    content = {**msgspec.to_builtins(identity), "job": job_id}
    write_whole(path.with_name(ORIGIN), json.dumps(content, indent=1) + "\n")


def copy_job(source: Path, path: Path) -> None:
    """Record at `path` the job that is recorded at `source`."""
    job = read_job(source)
    write_whole(path, source.read_text(encoding="utf-8"))
    write_origin(path, job.id, job.identity)
