"""The states that a session takes a fine-tuning job through, the steps between them, and the drive that takes them.

`TABLE` alone decides the payment that a state allows, and the states that may follow. The driver takes every step through
`advance` and orders a job only after `check_payable`, so a step or a payment outside the table is an error. A step is a record
with everything that the next function needs: `Looking`, `Ordering`, `Sent`, `Waiting`, `Succeeded`, or an `End`.
"""

import enum
import time
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.intent import Intent
from evaltape.finetuning.jobs import PreparedJob
from evaltape.finetuning.recorded_job import Job
from evaltape.finetuning.services import service_of
from evaltape.recorder.api.asking import Asking, Patience
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.budget import Budget, Hold
from evaltape.recorder.tuning.hosts import host_for
from evaltape.recorder.tuning.matching import Found, Rivals, Search
from evaltape.recording.cassettes import Exchange
from evaltape.samples.sample import Failure
from evaltape.text import visible


class State(enum.Enum):
    """Where a job stands for the session that drives it."""

    LOOKING = "looking"
    ORDERING = "ordering"
    SENT = "sent"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    RECORDED = "recorded"
    KEPT = "kept"
    ENDED = "ended"
    PAUSED = "paused"
    GONE = "gone"
    NAMELESS = "nameless"
    UNCLEAR = "unclear"
    STOPPED = "stopped"


class Row(msgspec.Struct, frozen=True):
    """A state of the table."""

    known: str
    then: str
    """The next step, in words; of a state that ends the drive, the user's choices."""
    next: frozenset[State] = frozenset()
    may_pay: bool = False


class ForbiddenStep(Exception):
    """The driver tried a step or a payment that the table doesn't allow. Nothing was sent."""


S = State
TABLE: dict[State, Row] = {
    S.LOOKING: Row(
        "nothing yet",
        "the job of an order on disk, of job.yaml, or of the API's listing (by digest, else by training file) is used; an "
        "order that got no answer is looked for; with none of these, or with --retrain, a job is ordered; a job on our file "
        "that may be ours is left to the user",
        frozenset({S.ORDERING, S.SENT, S.WAITING, S.ENDED, S.KEPT, S.GONE, S.UNCLEAR, S.STOPPED}),
    ),
    S.ORDERING: Row(
        "there is no such job, or --retrain asks for another",
        "the budget is asked, files are uploaded and waited for, the order is written to disk and sent once; an answer that "
        "would cost more than asked is cancelled before it trains",
        frozenset({S.WAITING, S.SENT, S.ENDED, S.STOPPED}),
        may_pay=True,
    ),
    S.SENT: Row(
        "an order went out, and no answer came: there may be a job",
        "the listing is looked through until the job shows up or patience ends",
        frozenset({S.WAITING, S.ORDERING, S.KEPT, S.UNCLEAR, S.STOPPED}),
    ),
    S.WAITING: Row(
        "the job's id",
        "it is polled. While a job of ours hasn't begun to train, an older one of the same data, from a session at the same "
        "time, takes its place, and ours is cancelled",
        frozenset({S.WAITING, S.SUCCEEDED, S.LOOKING, S.ENDED, S.PAUSED, S.GONE, S.STOPPED}),
    ),
    S.SUCCEEDED: Row(
        "the job has succeeded",
        "its tuned model gets the name it is asked by, from the API or from deploy; the job is recorded, with its events and "
        "metrics if they can be had",
        frozenset({S.RECORDED, S.KEPT, S.NAMELESS, S.STOPPED}),
    ),
    S.RECORDED: Row("job.yaml holds it", "its tuned model is asked"),
    S.KEPT: Row(
        "job.yaml holds a job of this data, but the API doesn't have it, or can't list its jobs",
        "the tuned model that job.yaml names is asked; --retrain pays for another job",
    ),
    S.ENDED: Row("it failed or was cancelled", "its tests fail with the API's reason; --retrain pays for another"),
    S.PAUSED: Row("it is paused at the API", "resume it there; --record-missing goes on with it"),
    S.GONE: Row("the API had it and doesn't any more", "--retrain pays for another"),
    S.NAMELESS: Row(
        "it succeeded, but the API names no tuned model",
        "name a function that deploys it in deploy; --record-missing then records it without paying again",
    ),
    S.UNCLEAR: Row(
        "there may be a job that the API doesn't show, or one that may be ours",
        "the user looks at the API: --record-missing looks again, --record --retrain pays for another",
    ),
    S.STOPPED: Row(
        "the API or the disk refused something, or the budget doesn't cover the job",
        "once the named problem is mended, --record-missing goes on where this session stopped",
    ),
}


def advance(state: State, following: State) -> State:
    """Return the following state. Raise `ForbiddenStep` if the table doesn't lead there."""
    if following not in TABLE[state].next:
        raise ForbiddenStep(f"no step leads from {state.value} to {following.value}")
    return following


def check_payable(state: State) -> None:
    """Raise `ForbiddenStep` unless a job may be paid for in this state."""
    if not TABLE[state].may_pay:
        raise ForbiddenStep(f"nothing may be paid in the state {state.value}")


class Looking(msgspec.Struct, frozen=True):
    """Nothing is known yet."""

    state: ClassVar[State] = State.LOOKING
    job: ClassVar[None] = None
    seen: tuple[RemoteJob, ...] = ()
    """Jobs of the same data that were looked at singly, listed or not."""


class Ordering(msgspec.Struct, frozen=True):
    """A job is to be ordered."""

    state: ClassVar[State] = State.ORDERING
    job: ClassVar[None] = None
    found: Found
    """The jobs that are there already."""


class Sent(msgspec.Struct, frozen=True):
    """An order went out, and no answer came."""

    state: ClassVar[State] = State.SENT
    job: ClassVar[None] = None
    intent: Intent
    problem: str = ""
    """The failure that came in place of the answer."""


class Waiting(msgspec.Struct, frozen=True):
    """A job is waited for."""

    state: ClassVar[State] = State.WAITING
    job: RemoteJob
    since_s: float
    """By the monotonic clock."""
    was_known: bool = False
    """Whether the API has answered a question for its state."""
    missing_since_s: float | None = None
    """Since when the API doesn't know it."""


class Succeeded(msgspec.Struct, frozen=True):
    """A job has succeeded."""

    state: ClassVar[State] = State.SUCCEEDED
    job: RemoteJob
    exchanges: tuple[Exchange, ...]
    """The call that told so."""


class Served(msgspec.Struct, frozen=True):
    """A tuned model that can be asked."""

    name: str
    base_url: str | None = None
    """Where; None: where its base is."""
    undeploy: Callable[[], Any] | None = None
    """Ends the deployment."""


class End(msgspec.Struct, frozen=True):
    """The drive is over."""

    state: State
    failure: Failure | None = None
    """Why there is no tuned model to ask, and the next command; None with a tuned model."""
    job: RemoteJob | None = None
    served: Served | None = None
    """The tuned model, if this session has found or made its name."""


Step = Looking | Ordering | Sent | Waiting | Succeeded | End


class Drive(msgspec.Struct, dict=True, eq=False):
    """A job on its way: how it is driven, and the tools and the state that all its steps share."""

    prepared: PreparedJob
    endpoint: Endpoint
    budget: Budget
    tell: Callable[[str], None]
    """Receives notes to the user, a line each."""
    tell_state: Callable[[str], None]
    """Receives the job's state while it is waited for."""
    retrain: bool = False
    """Pay for a job although the same data, base and settings have a job."""
    may_replace: bool = True
    """Pay for a job although `job.yaml` holds a job of other data, base or settings."""
    patience: Patience = Patience()
    same: str | None = None
    """The id of the same job, which another table or suite of this session has driven."""
    intent: Intent | None = None
    """The order on disk that is gone on with."""
    ordered: Intent | None = None
    """The order that this session has sent."""
    hold: Hold | None = None
    """The most that its job can cost."""
    exchanges: tuple[Exchange, ...] = ()
    """The uploads and the order, if it was answered."""
    rivals: Rivals | None = None

    def open(self) -> None:
        """Make its tools and read its recording. Raises `UserError` for a class of the user's that can't be used."""
        self.digest, self.job = self.prepared.identity.digest, self.prepared.job
        self.service = service_of(self.job.service)
        self.asking = Asking(self.endpoint, self.patience, self.show, self.job.extra, self.service.asked_with)
        self.host = host_for(self.job, self.asking, self.prepared.root)
        self.search = Search(self.prepared, self.host, self.service.stale_listing)
        self.intents, self.recorded = self.prepared.intents, self.prepared.recorded()

    def note(self, text: str) -> None:
        """Tell the user something about the job."""
        self.tell(f"{self.prepared.job.key}: {visible(text)}")

    def show(self, text: str) -> None:
        """Show the reason of a wait."""
        self.tell_state(visible(text))

    def wait_for(self, job: RemoteJob) -> Waiting:
        """Write down this job as the open order's; return the step that waits for it."""
        if self.intent is not None and self.intent.job != job.id:
            self.write_intent(job=job.id)
        if self.intent is not None and self.rivals is None:
            self.rivals = Rivals(self.intent, self.search, self.host, self.patience, self.note)
        return Waiting(job, time.monotonic())

    def owns(self, job: RemoteJob) -> bool:
        """Return whether this session's order created a job, as far as can be known."""
        if self.ordered is None:
            return False
        created = self.ordered.created
        return job.id in created or job.order == self.ordered.order or not (created or job.order)

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

    def failed(self, reason: str, remedy: str = "", command: str | None = None, cost: str = "") -> Failure:
        """Return a failure of this job, fit for a terminal."""
        named = visible(f"[finetune.{self.job.key}] {reason}")
        return Failure("job", named, command=command, cost=cost, remedy=visible(remedy))

    def then_go_on(self, reason: str, remedy: str) -> Failure:
        """Return a failure after which the next session goes on; it ends with the free command."""
        return self.failed(reason, remedy, self.prepared.how_to_go_on)

    def then_retrain(self, reason: str, remedy: str = "To pay for another") -> Failure:
        """Return a failure after which a job has to be paid for; it ends with that command."""
        retrain = self.prepared.how_to_retrain
        return self.failed(reason, remedy, retrain.command, retrain.cost)

    def cancelled_for(self, job: RemoteJob, differences: tuple[str, ...]) -> End:
        """End with our own job, which was cancelled because it would have cost more than asked."""
        reason = (
            f"{job.id} was cancelled before its training, nothing is paid: the API would train otherwise than asked "
            f"({'; '.join(differences)}), which can cost more"
        )
        return End(
            State.ENDED, self.then_retrain(reason, "Ask for it in the suite, or pay for a job with these differences"), job
        )

    def gone(self, job_id: str, failure: CallFailed) -> End:
        """End without a job that the API had and has lost."""
        reason = (
            f"{job_id} is gone: {failure.message}. It was deleted, or this key is of another project. Nothing more is paid. If "
            f"it comes back, this goes on with it: {self.prepared.how_to_go_on}"
        )
        return End(State.GONE, self.then_retrain(reason, "To pay for another job"))
