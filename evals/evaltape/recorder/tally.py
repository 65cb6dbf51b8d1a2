"""The tally of a recording: how far it has come. The recorder keeps it and sends it to the controller, which shows it.

It consists of builtins, so that it travels as JSON.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from evaltape.suite.definition import Model
from evaltape.text import counted


def place_of(model: Model) -> str:
    """Return what names a model among those of all suites: `chats/gpt-4o-mini`."""
    return f"{model.suite}/{model.key}"


@dataclass
class LaneTally:
    """The calls to one model: how many there are, have ended (failed ones included), and are in flight; what they cost."""

    model: str
    total: int = 0
    done: int = 0
    failed: int = 0
    in_flight: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    has_price: bool = False


@dataclass
class Tally:
    """The counts of a whole recording: its calls by model, what it cost, and what is left to do."""

    lanes: list[LaneTally] = field(default_factory=list)
    statuses: dict[str, str] = field(default_factory=dict)
    """What each fine-tuning job is doing, by its key."""
    waits: dict[str, str] = field(default_factory=dict)
    """What each model that isn't asked for a while waits for, by its key."""
    notes: list[str] = field(default_factory=list)
    notices: dict[str, dict[str, Any]] = field(default_factory=dict)
    """When the API retires each model, by its `place_of`."""
    job_cost_usd: float = 0.0
    perhaps_usd: float = 0.0
    """What calls may have cost beyond what the API said: those that broke off, and those it didn't say it of."""
    broke_off: int = 0
    """Calls and jobs that may have been billed without an answer."""
    uncounted: int = 0
    """Calls that were answered without token counts."""
    stopped: str | None = None
    left: dict[str, list[str]] = field(default_factory=dict)
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

    @property
    def spent_usd(self) -> float:
        """What the session has cost so far by the API's own counts, as far as there are prices."""
        return sum(lane.cost_usd for lane in self.lanes) + self.job_cost_usd

    @property
    def doubt(self) -> str:
        """Why `perhaps_usd` is in doubt, as `3 calls broke off`; empty if nothing is."""
        parts = [f"{counted(self.broke_off, 'call')} broke off"] if self.broke_off else []
        parts += [f"{counted(self.uncounted, 'answer')} without token counts"] if self.uncounted else []
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the tally as builtins."""
        return asdict(self)

    @classmethod
    def of_dict(cls, values: Mapping[str, Any]) -> "Tally":
        """Return the tally that `as_dict` made these builtins of."""
        return cls(**{**values, "lanes": [LaneTally(**lane) for lane in values["lanes"]]})
