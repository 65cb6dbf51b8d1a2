"""The protocol a job is driven by, and its records: the order for a host, and the host's answers.

Evaltape's own host speaks OpenAI's fine-tuning API (`recorder.tuning.hosts`), in the ways that `services` declares.
A suite names another host as `service = "acme.tuning:Together"`: a class that inherits from `Host` and is made with an `Api`.
The state machine, the budget, resuming, `job.yaml` and replay are the same for all of them.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from evaltape.finetuning.services import FilePhase, Phase, file_phase_of, phase_of
from evaltape.text import visible


def as_text(value: Any) -> str | None:
    """Return a text of a host's answer; None for an empty text, or another value in its place."""
    return value if isinstance(value, str) and value else None


class Upload(msgspec.Struct, frozen=True):
    """A file to train or to validate on: chat JSONL."""

    name: str
    """Made of its content's digest, `evaltape-<digest>.jsonl`: a file of this name is the same file."""
    content: bytes

    @property
    def sha256(self) -> str:
        """Of the content, as hex."""
        return hashlib.sha256(self.content).hexdigest()


class FileState(msgspec.Struct, frozen=True):
    """A file as a host describes it."""

    id: str
    name: str | None = None
    """None: the host keeps no names."""
    size: int | None = None
    """In bytes; None if it isn't told."""
    status: str = ""
    """In the host's own word; empty if it gives no word."""

    @property
    def phase(self) -> FilePhase:
        """Whether a job can be ordered on it."""
        return file_phase_of(self.status)


class Order(msgspec.Struct, frozen=True):
    """An order for a job."""

    base: str
    training_file: str
    """The id that the host gave the upload."""
    validation_file: str | None = None
    hyperparameters: Mapping[str, Any] = {}
    """As the suite names them; `auto` leaves a value to the host."""
    seed: int | None = None
    suffix: str | None = None
    metadata: Mapping[str, str] = {}
    """Texts by which the job is found again, for a host that keeps them."""
    extra: Mapping[str, Any] = {}
    """The suite's further keys, for the order as they stand."""


class RemoteJob(msgspec.Struct, frozen=True):
    """A job as a host describes it. Only id and status must be told; None is "not told" everywhere."""

    id: str
    status: str
    """The host's own word."""
    created: float = 0.0
    """Unix time; 0 if it isn't told."""
    base: str = ""
    tuned_model: str | None = None
    trained_tokens: int | None = None
    """Over all epochs."""
    trained_steps: int | None = None
    """0: it hasn't trained, though its status may say so."""
    training_file: str | None = None
    """The id, or the name, of its training file."""
    seed: int | None = None
    suffix: str | None = None
    method: str | None = None
    """`supervised`, or another."""
    hyperparameters: Mapping[str, Any] = {}
    """By the suite's names."""
    metadata: Mapping[str, Any] = {}
    reason: str = ""
    """Why it ended, in the host's own words."""
    result_files: tuple[str, ...] = ()

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return phase_of(self.status)

    @property
    def is_untrained(self) -> bool:
        """Whether it surely hasn't trained yet, so that it costs nothing if it is cancelled now."""
        return self.phase is Phase.WAITING or (self.phase is Phase.TRAINING and self.trained_steps == 0)

    @property
    def age(self) -> tuple[float, str]:
        """Sorts the oldest job first, alike for every session."""
        return self.created, self.id

    @property
    def digest(self) -> str | None:
        """The identity in its metadata, if the host keeps metadata and the job is Evaltape's."""
        return as_text(self.metadata.get("evaltape_digest"))

    @property
    def order(self) -> str | None:
        """The order in its metadata that created it."""
        return as_text(self.metadata.get("evaltape_order"))

    @property
    def run(self) -> int:
        """1 for a first job and one more for each retraining; 0 if its metadata doesn't say."""
        text = str(self.metadata.get("evaltape_run", ""))
        return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0

    def __str__(self) -> str:
        model = f", {self.tuned_model}" if self.tuned_model else ""
        return visible(f"{self.id} ({self.status}{model})")

    @property
    def why_ended(self) -> str:
        """Say that it ended, with the host's own reason, if any."""
        ended = f"{self.id} {'failed' if self.phase is Phase.FAILED else 'was cancelled'}"
        return visible(f"{ended}: {self.reason}" if self.reason else ended)


class Listing(msgspec.Struct, frozen=True):
    """Jobs that a host lists."""

    jobs: tuple[RemoteJob, ...] = ()
    unfinished: str | None = None
    """Why the list couldn't be read to its end; there may be more jobs then, so nothing is paid."""


class Event(msgspec.Struct, frozen=True):
    """A message of a host about a job."""

    message: str
    level: str = "info"
    created_at: float | None = None
    """Unix time."""


class Api(Protocol):
    """How a host's class asks its API: with the suite's address and key, within the time limit, every failure classified.

    A path that begins with `/` stands under the base URL; `https://...` stands alone. Answers are JSON. Each method raises
    `CallFailed` (`evaltape.recorder.api.failures`), with the `status` of the answer.
    """

    @property
    def base_url(self) -> str:
        """The API's address."""

    @property
    def extra(self) -> Mapping[str, Any]:
        """The suite's `extra`."""

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Ask until there is an answer, while failures are of a kind that passes."""

    async def post(self, path: str, body: Any = None, *, again: bool = False) -> Any:
        """Send once; with `again`, for a call that does no harm twice, until there is an answer."""

    async def upload(self, path: str, file: Upload, fields: Mapping[str, str]) -> Any:
        """Send a file as a form, again until there is an answer: two equal files cost nothing."""

    async def content(self, path: str) -> str:
        """Return a file's content."""

    async def wait(self, what: str, seconds: float) -> None:
        """Sleep, and show the reason."""


class Host(Protocol):
    """A host that trains. Every method may raise `CallFailed`; the first six are all that a host needs."""

    def __init__(self, api: Api) -> None: ...

    async def upload(self, file: Upload) -> FileState:
        """Upload a file, or use the host's file of this name."""

    async def order(self, order: Order) -> RemoteJob:
        """Create a job, by a `post` that is sent once."""

    async def find(self, digest: str) -> Listing:
        """Return the host's jobs with this digest in their metadata, or simply all jobs."""

    async def look(self, job_id: str) -> RemoteJob:
        """Return a job as it stands now."""

    async def cancel(self, job_id: str) -> None:
        """Cancel a job."""

    async def events(self, job_id: str, newest: bool = False) -> list[Event]:
        """Return a job's messages, oldest first; with `newest`, the last message is enough."""

    async def files(self) -> list[FileState]:
        """Return the uploaded files. They tell which jobs train on a file of ours where metadata isn't kept."""
        return []

    async def file(self, file_id: str) -> FileState:
        """Return a file as it stands now; it is waited for until it is processed."""
        return FileState(file_id)

    async def file_content(self, file_id: str) -> str | None:
        """Return the content of an uploaded file; None if the host doesn't give it."""
        return None

    async def metrics(self, job: RemoteJob) -> list[dict[str, float | None]]:
        """Return the losses of a job that has succeeded, a row a step: `step`, `train_loss`, `valid_loss`."""
        return []

    async def serve(self, job: RemoteJob) -> str | None:
        """Return the name to ask the tuned model by, once it can be asked; None: the host serves no model."""
        return job.tuned_model
