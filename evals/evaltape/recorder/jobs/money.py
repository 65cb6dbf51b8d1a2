"""What a job's driver tells the session's budget."""

from typing import Protocol

from evaltape.recorder.loop import Recorder
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
        """Hold nothing any more; without effect if nothing is held."""


class RecorderMoney:
    """The money of one job within a recorder's budget."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._held_usd = 0.0

    def hold(self, most_usd: float | None) -> None:
        """Keep the job's cost from other calls. Raise `OverBudget`."""
        budget_usd = self._recorder.budget_usd
        if budget_usd is not None and most_usd is None:
            raise OverBudget("the suite states no price.training of it, so --budget can't bound what it costs; not started")
        self._held_usd = most_usd or 0.0
        if budget_usd is not None and self._recorder.committed_usd + self._held_usd > budget_usd:
            most, self._held_usd = self._held_usd, 0.0
            raise OverBudget(f"it can cost up to ${most:.2f}, more than the budget of ${budget_usd:g} covers; not started")
        self._recorder.job_held_usd += self._held_usd

    def spend(self, amount_usd: float) -> None:
        """Count what the job cost."""
        self.release()
        self._recorder.tally.job_cost_usd += amount_usd

    def count_as_perhaps_spent(self) -> None:
        """Count what is held as spent, and say so."""
        held_usd = self._held_usd
        self.spend(held_usd)
        if held_usd:
            self._recorder.tally.notes.append(f"Of what was spent, {usd(held_usd)} are for a job that may not be charged.")

    def release(self) -> None:
        """Hold nothing any more."""
        self._recorder.job_held_usd -= self._held_usd
        self._held_usd = 0.0
