"""The tally of a recording: how far it is, kept by the recorder and told to the main process, which shows it.

It is builtins all through, so that it travels as JSON.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


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
    """All of a recording.

    `statuses` and `notes` are of fine-tuning jobs, by key and in order; `notices` say by model when the API retires it;
    `left` are the samples that a recording which `stopped` early has not asked for, by model.
    """

    lanes: list[LaneTally] = field(default_factory=list)
    statuses: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    notices: dict[str, dict[str, Any]] = field(default_factory=dict)
    job_cost_usd: float = 0.0
    stopped: str | None = None
    left: dict[str, list[str]] = field(default_factory=dict)

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
        """What the session has cost so far, as far as there are prices."""
        return sum(lane.cost_usd for lane in self.lanes) + self.job_cost_usd

    def as_dict(self) -> dict[str, Any]:
        """The tally as builtins."""
        return asdict(self)

    @classmethod
    def of_dict(cls, told: Mapping[str, Any]) -> "Tally":
        """The tally of such builtins."""
        return cls(**{**told, "lanes": [LaneTally(**lane) for lane in told["lanes"]]})
