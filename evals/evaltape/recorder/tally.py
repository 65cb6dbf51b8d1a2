"""The tally of a recording: how far it has come. The recorder keeps it and sends it to the controller, which shows it."""

import datetime

import msgspec

from evaltape.suite.definition import Judge, Model
from evaltape.text import counted, visible

WITHIN_DAYS = 90


class Notice(msgspec.Struct, frozen=True):
    """What the API says of a model's end."""

    served: str
    """The name that was asked for; empty for a tuned model that no job has made yet."""
    date: str | None = None
    """As the API states it."""
    problem: str | None = None
    """Why it states no date."""

    @property
    def days(self) -> int | None:
        """Days that are left, under 0 when it is past; None without a valid date."""
        try:
            return (datetime.date.fromisoformat((self.date or "")[:10]) - datetime.date.today()).days
        except ValueError:
            return None

    @property
    def is_near(self) -> bool:
        """Whether it is so near that every recording warns of it."""
        return self.days is not None and self.days <= WITHIN_DAYS

    def in_short(self) -> str:
        """Return when the model ends, in a few words."""
        if self.date is None:
            return f"not stated{f' ({visible(self.problem)})' if self.problem else ''}"
        days = self.days
        if days is None:
            return f"shuts down on {visible(self.date)[:40]}"
        when = f"in {counted(days, 'day')}" if days > 0 else "today" if days == 0 else f"{counted(-days, 'day')} ago"
        return f"shuts down on {self.date[:10]}, {when}"


def place_of(model: Model | Judge) -> str:
    """Return the name of a model among all suites' models: `chats/gpt-4o-mini`."""
    return f"{model.suite}/{model.key}"


class Spend(msgspec.Struct):
    """What a session has cost. The recorder counts it, the controller shows it."""

    usd: float = 0.0
    """By the API's own counts and the suite's prices."""
    perhaps_usd: float = 0.0
    """What the API may have billed beyond that."""
    broke_off: int = 0
    """Calls and jobs that ended in doubt."""
    uncounted: int = 0
    """Answers that didn't say their cost."""

    @property
    def doubts(self) -> str:
        """Why there is a `perhaps_usd`, as in `3 calls broke off`; empty without doubt."""
        parts = [f"{counted(self.broke_off, 'call')} broke off"] if self.broke_off else []
        parts += [f"{counted(self.uncounted, 'answer')} without token counts"] if self.uncounted else []
        return ", ".join(parts)


class LaneTally(msgspec.Struct):
    """The calls to one model: how many there are, have ended (failed ones included), and are in flight."""

    model: str
    total: int = 0
    done: int = 0
    failed: int = 0
    in_flight: int = 0
    tokens: int = 0
    has_price: bool = False


class Tally(msgspec.Struct):
    """The counts of a whole recording: its calls by model, its cost, and the rest to do."""

    lanes: list[LaneTally] = []
    spend: Spend = msgspec.field(default_factory=Spend)
    statuses: dict[str, str] = {}
    """What each fine-tuning job and batch is doing, by `job KEY` and `batch of KEY`."""
    waits: dict[str, str] = {}
    """Why each model that isn't asked for a while is waited for, by its key."""
    notes: list[str] = []
    notices: dict[str, Notice] = {}
    """When the API retires each model, by its `place_of`."""
    stopped: str | None = None
    left: dict[str, list[str]] = {}
    """The samples that a recording which `stopped` early has not asked for, by their model's `place_of`."""

    @property
    def total(self) -> int:
        """All calls."""
        return sum(lane.total for lane in self.lanes)

    @property
    def done(self) -> int:
        """Calls that have ended."""
        return sum(lane.done for lane in self.lanes)

    @property
    def failed(self) -> int:
        """Calls that have ended without an answer."""
        return sum(lane.failed for lane in self.lanes)

    @property
    def in_flight(self) -> int:
        """Calls in flight, over all models."""
        return sum(lane.in_flight for lane in self.lanes)

    @property
    def tokens(self) -> int:
        """Tokens of prompts and answers."""
        return sum(lane.tokens for lane in self.lanes)
