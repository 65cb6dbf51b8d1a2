"""What the steps of one job's drive share: what it works with, and what it has learned so far."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from evaltape.finetuning.intent import Intent
from evaltape.finetuning.jobs import PreparedJob
from evaltape.finetuning.recorded_job import Recorded
from evaltape.recorder.budget import Budget, Hold
from evaltape.recorder.client import Endpoint
from evaltape.recorder.jobs.api import JobApi
from evaltape.recorder.jobs.patience import Patience
from evaltape.recorder.jobs.remote import RemoteJob
from evaltape.recorder.jobs.result import Messages
from evaltape.recorder.jobs.rivals import Rivals
from evaltape.recorder.jobs.search import Found, Search
from evaltape.recorder.jobs.states import State
from evaltape.recording.cassettes import Exchange
from evaltape.text import visible


@dataclass(frozen=True)
class Assignment:
    """The job to drive, and how."""

    prepared: PreparedJob
    endpoint: Endpoint
    budget: Budget
    note: Callable[[str], None]
    """Receives what the user should know, a line each."""
    show: Callable[[str], None]
    """Receives the job's state while it is waited for."""
    retrain: bool = False
    """Pay for a job although one of the same data, base and settings exists."""
    may_replace: bool = True
    """Pay for a job although `job.yaml` holds one of other data, base or settings."""
    patience: Patience = field(default_factory=Patience)


class Drive:
    """What is known of one job while it is driven through its states."""

    def __init__(self, assignment: Assignment) -> None:
        prepared = assignment.prepared
        self.assignment = assignment
        self.prepared = prepared
        self.patience = assignment.patience
        self.retrain = assignment.retrain
        self.api = JobApi(assignment.endpoint, self.patience, self.show)
        self.search = Search(prepared, self.api)
        self.intents = prepared.intents
        self.messages = Messages(prepared)
        self.recorded = Recorded()
        self.found = Found(())
        self.intent: Intent | None = None
        self.job: RemoteJob | None = None
        self.state_exchange: Exchange | None = None
        """The last answer about the job's state."""
        self.order_exchanges: tuple[Exchange, ...] = ()
        """The uploads and the order, if this session ordered a job."""
        self.problem = ""
        """What came in place of the answer to an order."""
        self.ordered: Intent | None = None
        """The order of this session."""
        self.hold: Hold | None = None
        """The most that the order can cost, once the budget has covered it."""
        self.rivals: Rivals | None = None
        self.seen: dict[str, RemoteJob] = {}
        """Jobs of the same data whose state was asked for, listed or not."""
        self.error: str | None = None
        self.started_s = time.monotonic()
        self._unknown_since_s: float | None = None

    @property
    def digest(self) -> str:
        """The identity of the job."""
        return self.prepared.identity.digest

    def note(self, text: str) -> None:
        """Tell the user something about the job."""
        self.assignment.note(f"{self.prepared.job.key}: {visible(text)}")

    def show(self, text: str) -> None:
        """Show what the drive waits for."""
        self.assignment.show(visible(text))

    def use(self, job: RemoteJob) -> State:
        """Wait for this job from now on."""
        self.job = self.seen[job.id] = job
        self.started_s = time.monotonic()
        self.state_exchange = None
        if self.intent is not None:
            self._follow(self.intent, job)
        return State.WAITING

    def poll(self, job: RemoteJob, exchange: Exchange) -> None:
        """Take in the state that the API gave of the job that is waited for."""
        self.job = self.seen[job.id] = job
        self.state_exchange = exchange

    def unknown_for_s(self, is_unknown: bool) -> float:
        """Return how long the status has been an undocumented one, given whether it is now."""
        now = time.monotonic()
        self._unknown_since_s = (self._unknown_since_s or now) if is_unknown else None
        return 0.0 if self._unknown_since_s is None else now - self._unknown_since_s

    def end(self, state: State, error: str) -> State:
        """End in a state without a usable job, with a message."""
        self.error = error
        return state

    def keep_recorded(self, why: str) -> State:
        """End with the job that is recorded already."""
        job = self.recorded.job
        assert job is not None
        self.note(f"using {job.id} as it is recorded: {why}. To pay for another: {self.prepared.how_to_retrain}")
        return State.KEPT

    def write_intent(self, **changes: object) -> None:
        """Change what is on disk about the order."""
        assert self.intent is not None
        self.intent = replace(self.intent, **changes)  # type: ignore[arg-type]
        self.intents.write(self.digest, self.intent)

    def forget_intent(self) -> None:
        """Remove the order: its job is recorded."""
        self.intents.remove(self.digest)
        self.intent = None

    def owns(self, job: RemoteJob) -> bool:
        """Return whether this session's order created the job, as far as can be known."""
        if self.ordered is None:
            return False
        was_answered = bool(self.ordered.created)
        return job.id in self.ordered.created or job.order == self.ordered.order or not (was_answered or job.order)

    def _follow(self, intent: Intent, job: RemoteJob) -> None:
        if intent.job != job.id:
            self.write_intent(job=job.id)
        if self.rivals is None:
            self.rivals = Rivals(intent, self.search, self.api, self.patience, self.note)
