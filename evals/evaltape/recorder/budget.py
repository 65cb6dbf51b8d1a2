"""The session's money: the sums that the API could bill for calls and jobs.

Everything that costs holds its most before it starts. The hold ends once: `settle` if the API answered, `release` if it surely
charges nothing (the request never left this machine, or was refused: HTTP 3xx, 4xx), `doubt` if nobody knows: it timed out,
broke off, or the API failed. A hold in doubt may still be settled or released later in the session, once the API has said more.

A call takes a hold at once or not at all. An order of a job waits until the calls in flight, each of which holds its highest
cost, leave room for it.
"""

import asyncio

from evaltape.recorder.wire import Spend
from evaltape.suite.cost import MOST_USD
from evaltape.text import usd


class OverBudget(Exception):
    """The limit doesn't cover the next call or job; the text says by how much. Nothing was sent."""


class Hold:
    """The most that a call or job can cost, set aside until it has ended: in doubt at a context's end, if not before."""

    def __init__(self, budget: "Budget", most_usd: float, *, lasts: bool) -> None:
        self.most_usd = most_usd
        self.lasts = lasts
        """It is a job's: it may take hours, so nothing waits for its end."""
        self._budget = budget
        self._is_in_doubt = False

    @property
    def has_ended(self) -> bool:
        """Whether it no longer sets money aside."""
        return self not in self._budget.holds

    def settle(self, cost_usd: float | None) -> None:
        """Count the API's charge; None if its answer doesn't say. A cost over `most_usd` counts whole."""
        spend = self._leave()
        if cost_usd is None:
            spend.perhaps_usd += self.most_usd
            spend.uncounted += 1
        else:
            spend.usd += min(cost_usd, MOST_USD)

    def release(self) -> None:
        """Give it back: the API surely charges nothing."""
        self._leave()

    def doubt(self) -> None:
        """Count the most as perhaps billed."""
        assert not self._is_in_doubt, "a hold is in doubt once"
        spend = self._leave()
        spend.perhaps_usd += self.most_usd
        spend.broke_off += 1
        self._is_in_doubt = True

    def change(self, most_usd: float) -> bool:
        """Hold another amount from now on; return False if the limit doesn't cover it, though it is held all the same."""
        self.most_usd, more_usd = min(most_usd, MOST_USD), most_usd - self.most_usd
        self._budget.changed.set()
        return more_usd <= 0 or self._budget.covers(0.0)

    def __enter__(self) -> "Hold":
        return self

    def __exit__(self, *_: object) -> None:
        if not self.has_ended:
            self.doubt()

    def _leave(self) -> Spend:
        """End it; return the session's spend, without the sum of an earlier doubt."""
        spend = self._budget.spend
        if self._is_in_doubt:
            self._is_in_doubt = False
            spend.broke_off -= 1
            spend.perhaps_usd = spend.perhaps_usd - self.most_usd if spend.broke_off or spend.uncounted else 0.0
        else:
            self._budget.holds.remove(self)
        self._budget.changed.set()
        return spend


class Budget:
    """The limit of a session in USD, and all that counts against it. Without a limit everything is covered and counted."""

    def __init__(self, limit_usd: float | None = None) -> None:
        self.limit_usd = limit_usd
        self.spend = Spend()
        self.holds: set[Hold] = set()
        """Of everything under way."""
        self.changed = asyncio.Event()
        """Set when a hold changes or ends."""
        self._orders = 0
        """How many orders wait for money."""
        self._turn = asyncio.Lock()

    @property
    def held_usd(self) -> float:
        """The most that everything under way can cost."""
        return sum(hold.most_usd for hold in self.holds)

    @property
    def committed_usd(self) -> float:
        """The most that the session can have cost once everything under way has ended."""
        return self.spend.usd + self.spend.perhaps_usd + self.held_usd

    def covers(self, most_usd: float, *, beside_calls: bool = True) -> bool:
        """Return whether the limit leaves room for so much; without `beside_calls`, if the calls in flight turned out free."""
        held_usd = sum(hold.most_usd for hold in self.holds if hold.lasts or beside_calls)
        return self.limit_usd is None or self.spend.usd + self.spend.perhaps_usd + held_usd + most_usd <= self.limit_usd

    def hold(self, most_usd: float) -> Hold | None:
        """Set a call's most aside; None if the limit doesn't cover it now, or orders wait for money before it."""
        return self._taken(most_usd, lasts=False) if not self._orders and self.covers(most_usd) else None

    async def hold_in_turn(self, most_usd: float) -> Hold:
        """Set a job's most aside, as soon as calls in flight leave room for it; no call starts meanwhile.

        Raises `OverBudget` if the limit doesn't cover it even if these calls cost nothing.
        """
        self._orders += 1
        try:
            async with self._turn:
                while not self.covers(most_usd):
                    if not self.covers(most_usd, beside_calls=False):
                        raise OverBudget(self._refusal(most_usd))
                    self.changed.clear()
                    await self.changed.wait()
                return self._taken(most_usd, lasts=True)
        finally:
            self._orders -= 1

    def _taken(self, most_usd: float, *, lasts: bool) -> Hold:
        hold = Hold(self, min(most_usd, MOST_USD), lasts=lasts)
        self.holds.add(hold)
        return hold

    def _refusal(self, most_usd: float) -> str:
        spend, held_usd = self.spend, sum(hold.most_usd for hold in self.holds if hold.lasts)
        parts = [f"{usd(spend.usd)} is spent"] if spend.usd else []
        parts += [f"{usd(spend.perhaps_usd)} perhaps ({spend.doubts})"] if spend.perhaps_usd else []
        parts += [f"another job may cost {usd(held_usd)}"] if held_usd else []
        beside = f": {', '.join(parts)}" if parts else ""
        return f"it can cost up to {usd(most_usd)}, more than the budget of ${self.limit_usd:g} covers{beside}; not started"
