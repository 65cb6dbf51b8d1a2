"""What a job's driver tells the session's budget."""

from typing import Protocol

from evaltape.recorder.budget import Budget
from evaltape.recorder.tally import Tally
from evaltape.text import usd


class OverBudget(Exception):
    """The budget doesn't cover the job; the text says by how much."""


class JobMoney(Protocol):
    """The money of one job."""

    def hold(self, most_usd: float | None) -> None:
        """Keep what the job can cost (None: no price is known) from other calls. Raise `OverBudget`."""

    def spend(self, amount_usd: float) -> None:
        """Count what the job cost; nothing is held for it any more."""

    def count_as_perhaps_spent(self) -> None:
        """Count what is held as perhaps spent: the API may charge it, and nobody knows yet."""

    def release(self) -> None:
        """Give back what is held for the job, if anything is."""


class RecorderMoney:
    """The money of one job within a recorder's budget."""

    def __init__(self, budget: Budget, tally: Tally) -> None:
        self._budget = budget
        self._tally = tally
        self._held_usd: float | None = None
        """None: nothing is held."""

    def hold(self, most_usd: float | None) -> None:
        """Keep the job's cost from other calls. Raise `OverBudget`."""
        limit_usd = self._budget.limit_usd
        if limit_usd is not None and most_usd is None:
            raise OverBudget("the suite states no price.training of it, so --budget can't bound what it costs; not started")
        most = most_usd or 0.0
        if not self._budget.hold(most):
            raise OverBudget(f"it can cost up to {usd(most)}, more than the budget of ${limit_usd:g} covers; not started")
        self._held_usd = most

    def spend(self, amount_usd: float) -> None:
        """Count what the job cost."""
        self._tally.job_cost_usd += amount_usd
        if self._held_usd is None:
            self._budget.spent_usd += amount_usd
        else:
            self._budget.settle(self._held_usd, amount_usd)
            self._held_usd = None

    def count_as_perhaps_spent(self) -> None:
        """Count what is held as perhaps spent."""
        if self._held_usd is not None:
            self._budget.doubt(self._held_usd)
            self._held_usd = None

    def release(self) -> None:
        """Hold nothing any more."""
        if self._held_usd is not None:
            self._budget.release(self._held_usd)
            self._held_usd = None
