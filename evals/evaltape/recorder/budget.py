"""The session's money: what is spent, what may have been, and what calls and jobs under way can cost at most.

Everything that costs holds its most before it starts, and ends in one of three ways:

    settle   the API answered and said what it cost
    doubt    nobody knows: it timed out, broke off, or the API answered with an error of its own
    release  it surely costs nothing: the request was never sent, or refused (HTTP 3xx, 4xx)

What is in doubt counts for its most from then on. So however often a call is tried again, and whatever becomes of it,
nothing starts that could take the session past its limit.
"""

from dataclasses import dataclass


@dataclass
class Budget:
    """Amounts in USD. Without a limit everything is covered, and only counted."""

    limit_usd: float | None = None
    spent_usd: float = 0.0
    """What the API has charged, by its own counts."""
    perhaps_usd: float = 0.0
    """What it may have charged beyond that."""
    held_usd: float = 0.0
    """The most that what is under way can cost."""
    under_way: int = 0
    broke_off: int = 0
    """How many calls and jobs have ended in doubt."""
    uncounted: int = 0
    """How many were answered without saying what they cost."""

    @property
    def committed_usd(self) -> float:
        """What the session can have cost by the time that everything under way has ended."""
        return self.spent_usd + self.perhaps_usd + self.held_usd

    def covers(self, most_usd: float) -> bool:
        """Return whether the limit leaves room for something that can cost so much."""
        return self.limit_usd is None or self.committed_usd + most_usd <= self.limit_usd

    def hold(self, most_usd: float) -> bool:
        """Set aside the most that something can cost, before it starts; return False if the limit doesn't cover it."""
        if not self.covers(most_usd):
            return False
        self.held_usd += most_usd
        self.under_way += 1
        return True

    def settle(self, most_usd: float, cost_usd: float | None) -> None:
        """End what held `most_usd` and was answered. None as its cost: the answer doesn't say, so it counts for its most."""
        self.release(most_usd)
        if cost_usd is None:
            self.perhaps_usd += most_usd
            self.uncounted += 1
        else:
            self.spent_usd += cost_usd

    def doubt(self, most_usd: float) -> None:
        """End what held `most_usd` and may have been billed for it."""
        self.release(most_usd)
        self.perhaps_usd += most_usd
        self.broke_off += 1

    def release(self, most_usd: float) -> None:
        """End what held `most_usd` and surely costs nothing."""
        self.under_way -= 1
        self.held_usd = self.held_usd - most_usd if self.under_way else 0.0
