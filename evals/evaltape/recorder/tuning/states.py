"""The states that a session takes a fine-tuning job through, the steps between them, and the messages at the end.

`TABLE` alone decides the payment that a state allows, and the states that may follow. The driver takes every step through
`advance` and orders a job only after `check_payable`, so a step or a payment outside the table is an error. A step is a record
with everything that the next function needs: `Looking`, `Ordering`, `Sent`, `Waiting`, `Succeeded`, or an `End`.
"""

import enum
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.intent import Intent
from evaltape.finetuning.jobs import PreparedJob, service_of
from evaltape.recorder.api.failures import NO_ROUTE, CallFailed
from evaltape.recorder.budget import OverBudget
from evaltape.recorder.tuning.matching import Found
from evaltape.recording.cassettes import Exchange
from evaltape.samples.sample import Failure
from evaltape.text import listed


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
    may_pay: bool
    next: frozenset[State]
    then: str
    """The next step, in words; of a state that ends the drive, the user's choices."""


class ForbiddenStep(Exception):
    """The driver tried a step or a payment that the table doesn't allow. Nothing was sent."""


def _row(known: str, then: str, *following: State, may_pay: bool = False) -> Row:
    return Row(known, may_pay, frozenset(following), then)


S = State
TABLE: dict[State, Row] = {
    S.LOOKING: _row(
        "nothing yet",
        "the job of an order on disk, of job.yaml, or of the API's listing (by digest, else by training file) is used; an "
        "order that got no answer is looked for; with none of these, or with --retrain, a job is ordered; a job on our file "
        "that may be ours is left to the user",
        *(S.ORDERING, S.SENT, S.WAITING, S.ENDED, S.KEPT, S.GONE, S.UNCLEAR, S.STOPPED),
    ),
    S.ORDERING: _row(
        "there is no such job, or --retrain asks for another",
        "the budget is asked, files are uploaded and waited for, the order is written to disk and sent once; an answer that "
        "would cost more than asked is cancelled before it trains",
        *(S.WAITING, S.SENT, S.ENDED, S.STOPPED),
        may_pay=True,
    ),
    S.SENT: _row(
        "an order went out, and no answer came: there may be a job",
        "the listing is looked through until the job shows up or patience ends",
        *(S.WAITING, S.ORDERING, S.KEPT, S.UNCLEAR, S.STOPPED),
    ),
    S.WAITING: _row(
        "the job's id",
        "it is polled. While a job of ours hasn't begun to train, an older one of the same data, from a session at the same "
        "time, takes its place, and ours is cancelled",
        *(S.WAITING, S.SUCCEEDED, S.LOOKING, S.ENDED, S.PAUSED, S.GONE, S.STOPPED),
    ),
    S.SUCCEEDED: _row(
        "the job has succeeded",
        "its tuned model gets the name it is asked by, from the API or from deploy; the job is recorded, with its events and "
        "metrics if they can be had",
        *(S.RECORDED, S.KEPT, S.NAMELESS, S.STOPPED),
    ),
    S.RECORDED: _row("job.yaml holds it", "its tuned model is asked"),
    S.KEPT: _row(
        "job.yaml holds a job of this data, but the API doesn't have it, or can't list its jobs",
        "the tuned model that job.yaml names is asked; --retrain pays for another job",
    ),
    S.ENDED: _row("it failed or was cancelled", "its tests fail with the API's reason; --retrain pays for another"),
    S.PAUSED: _row("it is paused at the API", "resume it there; --record-missing goes on with it"),
    S.GONE: _row("the API had it and doesn't any more", "--retrain pays for another"),
    S.NAMELESS: _row(
        "it succeeded, but the API names no tuned model",
        "name a function that deploys it in deploy; --record-missing then records it without paying again",
    ),
    S.UNCLEAR: _row(
        "there may be a job that the API doesn't show, or one that may be ours",
        "the user looks at the API: --record-missing looks again, --record --retrain pays for another",
    ),
    S.STOPPED: _row(
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
    seen: tuple[RemoteJob, ...] = ()
    """Jobs of the same data that were looked at singly, listed or not."""


class Ordering(msgspec.Struct, frozen=True):
    """A job is to be ordered."""

    state: ClassVar[State] = State.ORDERING
    found: Found
    """The jobs that are there already."""


class Sent(msgspec.Struct, frozen=True):
    """An order went out, and no answer came."""

    state: ClassVar[State] = State.SENT
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


class Messages:
    """Writes the failures at the end of a job's drive, each with the free way on or the command that pays for another."""

    def __init__(self, prepared: PreparedJob) -> None:
        self._prepared = prepared
        self._go_on, self._retrain = prepared.how_to_go_on, prepared.how_to_retrain

    def ended(self, job: RemoteJob) -> Failure:
        """Say that a job failed or was cancelled."""
        return self._or_retrain(job.why_ended)

    def cancelled_for(self, job: RemoteJob, differences: tuple[str, ...]) -> Failure:
        """Say that our own job was cancelled because it would have cost more than asked."""
        return self._or_retrain(
            f"{job.id} was cancelled before its training, nothing is paid: the API would train otherwise than asked "
            f"({'; '.join(differences)}), which can cost more",
            "Ask for it in the suite, or pay for a job with these differences",
        )

    def paused(self, job: RemoteJob) -> Failure:
        """Say that a job is paused."""
        return self._then(f"{job.id} is paused at the API", "Resume it there; this goes on with it")

    def gone(self, job_id: str, failure: CallFailed) -> Failure:
        """Say that the API has lost a job that it had."""
        return self._or_retrain(
            f"{job_id} is gone: {failure.message}. It was deleted, or this key is of another project. Nothing more is paid. If "
            f"it comes back, this goes on with it: {self._go_on}",
            "To pay for another job",
        )

    def nameless(self, job: RemoteJob) -> Failure:
        """Say that a job yields nothing that can be asked."""
        return self._then(
            f"{job.id} succeeded, but this API names no tuned model that could be asked",
            f"Name a function that deploys it in deploy under [finetune.{self._prepared.job.key}]; this then records the job, "
            "without paying again",
        )

    def no_answer(self, intent: Intent, problem: str) -> Failure:
        """Say that a job may have been created that doesn't show up."""
        why = f" ({problem})" if problem else ""
        return self._or_retrain(
            f"a job was ordered on {intent.sent} at {intent.address}, no answer came{why}, and the API's listing doesn't show "
            f"it. It may have been created, so nothing more is paid. {self._check()} If there is one, this looks again: "
            f"{self._go_on}",
            "If there is none, this pays for another",
        )

    def perhaps_ours(self, jobs: tuple[tuple[RemoteJob, tuple[str, ...]], ...]) -> Failure:
        """Say that there is a job on our training file that the API describes otherwise than it would be ordered."""
        named = listed([f"{job} with {'; '.join(differences)}" for job, differences in jobs])
        return self._or_retrain(
            f"there is {named}, on this very training file. It may be the job that is asked for, so nothing more is paid. To "
            f"use it, name in the suite what the API states, and run this: {self._go_on}"
        )

    def unreadable(self, problem: str) -> Failure:
        """Say that something that may tell of a paid job can't be read."""
        return self._or_retrain(
            f"{problem}. There may be a job that was paid for, so none is started. {self._check()} When that can be read, this "
            f"goes on: {self._go_on}",
            "To pay for a job all the same",
        )

    def other_data(self, mismatch: str) -> Failure:
        """Say that a part of the samples doesn't pay for another job."""
        some = "A run of some of the samples doesn't pay for another job: run all of them, or pay for it on purpose"
        return self._or_retrain(mismatch, some)

    def stopped(self, text: str, job: RemoteJob | None) -> Failure:
        """Say how to go on after an error outside the table, which left a job behind or nothing."""
        if job is None:
            return self._then(f"{text}. Nothing was ordered", "Once that is mended, this goes on")
        return self._then(text, _goes_on(job))

    def over_budget(self, error: OverBudget) -> Failure:
        """Say how to go on after a job that the budget doesn't cover."""
        return self._then(str(error), "With a larger --budget, or fewer n_epochs, this goes on")

    def interrupted(self, job: RemoteJob | None) -> str:
        """Say that a job, or an order, is left at the API after an interrupt."""
        left = _goes_on(job) if job else "a job may have been ordered just now; this looks for it and goes on with it"
        return f"{left}: {self._go_on}"

    def advice(self, failure: CallFailed) -> str:
        """Return advice about a refused order, to follow its reason."""
        job, base = self._prepared.job, self._prepared.job.base
        if failure.status == 403:
            return (
                ". This API lets the organisation start no fine-tuning job (OpenAI takes none after 6 January 2027). Name "
                f"another service in base_url of [models.{base.key}] (docs/hosts.md), or serve one: evaltape serve --help"
            )
        hint = service_of(job).advice
        if hint and failure.status in (400, 404, 422):
            return f". [finetune.{job.key}] service = {job.service!r}: {hint}"
        if failure.code in ("model_not_found", "model_not_available"):
            return f". [models.{base.key}] model = {base.served!r}: name a model that this API can fine-tune"
        if failure.status in NO_ROUTE:
            return f". The service of [models.{base.key}] seems to have no fine-tuning API (docs/hosts.md has those that do)"
        return ""

    def _then(self, reason: str, remedy: str) -> Failure:
        return Failure("job", reason, command=self._go_on, remedy=remedy)

    def _or_retrain(self, reason: str, remedy: str = "To pay for another") -> Failure:
        return Failure("job", reason, command=self._retrain.command, cost=self._retrain.cost, remedy=remedy)

    def _check(self) -> str:
        base = self._prepared.job.base.served
        return f"Look there for a job on {self._prepared.training.name} (base {base})."


def _goes_on(job: RemoteJob) -> str:
    if job.phase.is_under_way:
        return f"{job.id} goes on at the API, and this goes on with it"
    return f"{job.id} itself has succeeded, and this records it, without paying again"
