"""The states that a session takes a fine-tuning job through: the knowledge in each, the payment it allows, the next step.

`TABLE` is the only place that decides this. The driver takes every step through `advance` and orders a job only after
`check_payable`, so a step or a payment that the table doesn't list is an error.
"""

import enum

import msgspec


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

    @property
    def ends(self) -> bool:
        """Whether the driver is done."""
        return not TABLE[self].next

    @property
    def is_usable(self) -> bool:
        """Whether there is a recorded job with a tuned model that can be asked."""
        return self in (State.RECORDED, State.KEPT)


class Row(msgspec.Struct, frozen=True):
    """One state of the table."""

    known: str
    may_pay: bool
    next: frozenset[State]
    then: str
    """The next step, in words; of a state that ends the drive, the user's choices."""

    @property
    def payment(self) -> str:
        """The payment that the state allows, in words."""
        return "one job" if self.may_pay else "nothing"


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


def as_markdown() -> str:
    """Return the table for the documentation."""
    rows = [f"| {state.value} | {row.known} | {row.payment} | {row.then} |" for state, row in TABLE.items()]
    return "\n".join(["| state | what is known | may be paid | what comes next |", "| --- | --- | --- | --- |", *rows])
