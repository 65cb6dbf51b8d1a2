"""One job's drive: the tools of its steps, and the results that they hand on.

A step takes the drive and the result of the step before, and returns the next: a `Looking`, `Ordering`, `Sent`, `Waiting`
or `Succeeded` with everything it needs, or an `End`.
"""

import time
from collections.abc import Callable

import msgspec

from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.intent import Intent
from evaltape.finetuning.jobs import PreparedJob, service_of
from evaltape.finetuning.recorded_job import Job, Recorded
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.budget import Budget, Hold
from evaltape.recorder.tuning.asking import Asking, Patience
from evaltape.recorder.tuning.hosts import Served, host_for
from evaltape.recorder.tuning.messages import Messages
from evaltape.recorder.tuning.rivals import Rivals
from evaltape.recorder.tuning.search import Found, Search
from evaltape.recorder.tuning.states import State
from evaltape.recording.cassettes import Exchange
from evaltape.text import visible


class Assignment(msgspec.Struct, frozen=True):
    """The job to drive, and how."""

    prepared: PreparedJob
    endpoint: Endpoint
    budget: Budget
    note: Callable[[str], None]
    """Receives notes to the user, a line each."""
    show: Callable[[str], None]
    """Receives the job's state while it is waited for."""
    retrain: bool = False
    """Pay for a job although the same data, base and settings have a job."""
    may_replace: bool = True
    """Pay for a job although `job.yaml` holds a job of other data, base or settings."""
    patience: Patience = Patience()
    same: str | None = None
    """The id of the same job, which another table or suite of this session has driven."""


# ---------------------------------------------------------------- steps


class Looking(msgspec.Struct, frozen=True):
    """Nothing is known yet."""

    seen: tuple[RemoteJob, ...] = ()
    """Jobs of the same data that were looked at one by one, listed or not."""


class Ordering(msgspec.Struct, frozen=True):
    """A job is to be ordered."""

    found: Found
    """The jobs that are there already."""


class Sent(msgspec.Struct, frozen=True):
    """An order went out, and no answer came."""

    intent: Intent
    problem: str = ""
    """The failure that came in place of the answer."""


class Waiting(msgspec.Struct, frozen=True):
    """A job is waited for."""

    job: RemoteJob
    since_s: float
    """By the monotonic clock."""
    was_known: bool = False
    """Whether the API has answered a question for its state."""
    missing_since_s: float | None = None
    """Since when the API doesn't know it."""


class Succeeded(msgspec.Struct, frozen=True):
    """A job has succeeded."""

    job: RemoteJob
    exchanges: tuple[Exchange, ...]
    """The call that told so."""


class End(msgspec.Struct, frozen=True):
    """The drive is over."""

    state: State
    error: str | None = None
    """The reason why there is no tuned model to ask, and the next command; None with a tuned model."""
    job: RemoteJob | None = None
    served: Served | None = None
    """The tuned model, if this session has found or made its name."""


Step = Looking | Ordering | Sent | Waiting | Succeeded | End
STATES: dict[type[Step], State] = {
    Looking: State.LOOKING,
    Ordering: State.ORDERING,
    Sent: State.SENT,
    Waiting: State.WAITING,
    Succeeded: State.SUCCEEDED,
}


def state_of(step: Step) -> State:
    """Return the row of the table that a step stands in."""
    return step.state if isinstance(step, End) else STATES[type(step)]


class Result(msgspec.Struct, frozen=True):
    """How a drive ended."""

    state: State
    error: str | None = None
    """The reason why there is no tuned model to ask, and the next command; None with a tuned model."""
    job: str | None = None
    """The job's id, if it is known."""
    served: Served | None = None
    """The tuned model, if this session has found or made its name."""


# ---------------------------------------------------------------- beyond a single step


class Order(msgspec.Struct):
    """The job that this session has ordered."""

    intent: Intent
    hold: Hold
    exchanges: tuple[Exchange, ...] = ()
    """The uploads and the order, if it was answered."""

    def owns(self, job: RemoteJob) -> bool:
        """Return whether it created a job, as far as can be known."""
        created = self.intent.created
        return job.id in created or job.order == self.intent.order or not (created or job.order)


class Drive:
    """The tools and the state that all steps of one job share."""

    def __init__(self, assignment: Assignment) -> None:
        prepared = assignment.prepared
        self.assignment = assignment
        self.prepared = prepared
        self.job = prepared.job
        self.service = service_of(prepared.job)
        self.patience = assignment.patience
        self.retrain = assignment.retrain
        asked_with = self.service.asked_with
        self.asking = Asking(assignment.endpoint, self.patience, self.show, prepared.job.extra, asked_with)
        self.host = host_for(prepared.job, self.asking, prepared.root)
        self.search = Search(prepared, self.host, self.service.stale_listing)
        self.intents = prepared.intents
        self.messages = Messages(prepared)
        self.recorded: Recorded = prepared.recorded()
        self.intent: Intent | None = None
        """The order on disk that is gone on with."""
        self.order: Order | None = None
        self.rivals: Rivals | None = None

    @property
    def digest(self) -> str:
        """The identity of the job."""
        return self.prepared.identity.digest

    def note(self, text: str) -> None:
        """Tell the user something about the job."""
        self.assignment.note(f"{self.job.key}: {visible(text)}")

    def show(self, text: str) -> None:
        """Show the reason of a wait."""
        self.assignment.show(visible(text))

    def wait_for(self, job: RemoteJob) -> Waiting:
        """Write down this job as the open order's; return the step that waits for it."""
        if self.intent is not None and self.intent.job != job.id:
            self.write_intent(job=job.id)
        if self.intent is not None and self.rivals is None:
            self.rivals = Rivals(self.intent, self.search, self.host, self.patience, self.note)
        return Waiting(job, time.monotonic())

    def keep_recorded(self, job: Job, why: str) -> End:
        """End with the job that is recorded already."""
        self.note(f"using {job.id} as it is recorded: {why}. To pay for another: {self.prepared.how_to_retrain}")
        return End(State.KEPT)

    def write_intent(self, **changes: object) -> None:
        """Change the order on disk."""
        assert self.intent is not None
        self.intent = msgspec.structs.replace(self.intent, **changes)
        self.intents.write(self.digest, self.intent)

    def forget_intent(self) -> None:
        """Remove the order: its job is recorded."""
        self.intents.remove(self.digest)
        self.intent = None
