"""The session's money: the sums that the API could bill for calls and jobs.

Everything that costs holds its most before it starts. The hold ends once:

    hold.settle(usd)    the API answered; it charges this much, or None: it didn't say, so the most counts as perhaps billed
    hold.release()      the API surely charges nothing: the request never left this machine, or was refused (HTTP 3xx, 4xx)
    hold.doubt()        nobody knows: it timed out, broke off, or the API failed; the most counts as perhaps billed

Used as a context manager, a hold that nothing else has ended is in doubt. Calls take a hold at once or not at all:

    hold = budget.hold(most_usd)           # None: the limit doesn't cover it now
    with hold:
        answer = await ask()
        hold.settle(cost_usd)

An order of a job waits until the calls in flight, each of which holds its highest cost, leave room for it:

    hold = await budget.hold_in_turn(most_usd)     # raises OverBudget
    try:
        ...
        hold.settle(cost_usd)
    finally:
        hold.doubt_unless_ended()

A hold in doubt may still be settled or released later in the session, once the API has said more.
"""

import asyncio
from collections import deque

from evaltape.recorder.wire import Spend
from evaltape.suite.cost import MOST_USD
from evaltape.text import usd


class OverBudget(Exception):
    """The limit doesn't cover the next call or job; the text says by how much. Nothing was sent."""


class Hold:
    """The most that a call or job can cost, set aside until it has ended."""

    def __init__(self, budget: "Budget", most_usd: float, *, lasts: bool) -> None:
        self.most_usd = most_usd
        self.lasts = lasts
        """It is a job's: it may take hours, so nothing waits for its end."""
        self._budget = budget
        self._end: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it no longer sets money aside."""
        return self._end is not None

    def settle(self, cost_usd: float | None) -> None:
        """Count the API's charge; None if its answer doesn't say. A cost over `most_usd` counts whole."""
        spend = self._leave("settled" if cost_usd is not None else "uncounted")
        if cost_usd is None:
            spend.perhaps_usd += self.most_usd
            spend.uncounted += 1
        else:
            spend.usd += min(cost_usd, MOST_USD)
        self._budget.serve()

    def release(self) -> None:
        """Give it back: the API surely charges nothing."""
        self._leave("released")
        self._budget.serve()

    def doubt(self) -> None:
        """Count the most as perhaps billed."""
        spend = self._leave("in doubt")
        spend.perhaps_usd += self.most_usd
        spend.broke_off += 1
        self._budget.serve()

    def change(self, most_usd: float) -> bool:
        """Hold another amount from now on; return False if the limit doesn't cover it, though it is held all the same."""
        self.most_usd, more_usd = min(most_usd, MOST_USD), most_usd - self.most_usd
        self._budget.serve()
        return more_usd <= 0 or self._budget.covers(0.0)

    def doubt_unless_ended(self) -> None:
        """Count the most as perhaps billed unless it has ended."""
        if not self.has_ended:
            self.doubt()

    def __enter__(self) -> "Hold":
        return self

    def __exit__(self, *_: object) -> None:
        self.doubt_unless_ended()

    def _leave(self, end: str) -> Spend:
        """End it; return the session's spend, without the sum of an earlier doubt."""
        spend = self._budget.spend
        if self._end is None:
            self._budget.give_back(self)
        elif self._end == "in doubt" and end != "in doubt":
            spend.broke_off -= 1
            spend.perhaps_usd = spend.perhaps_usd - self.most_usd if spend.broke_off or spend.uncounted else 0.0
        else:
            raise AssertionError(f"a hold that is {self._end} can't be {end}")
        self._end = end
        return spend


class Budget:
    """The limit of a session in USD, and all that counts against it. Without a limit everything is covered and counted."""

    def __init__(self, limit_usd: float | None = None) -> None:
        self.limit_usd = limit_usd
        self.spend = Spend()
        self._calls: set[Hold] = set()
        self._jobs: set[Hold] = set()
        self._waiting: deque[tuple[float, asyncio.Future[Hold]]] = deque()

    @property
    def held_usd(self) -> float:
        """The most that everything under way can cost."""
        return _sum_usd(self._calls) + _sum_usd(self._jobs)

    @property
    def committed_usd(self) -> float:
        """The most that the session can have cost once everything under way has ended."""
        return self.spend.usd + self.spend.perhaps_usd + self.held_usd

    @property
    def under_way(self) -> int:
        """How many holds haven't ended."""
        return len(self._calls) + len(self._jobs)

    def covers(self, most_usd: float) -> bool:
        """Return whether the limit leaves room for something that can cost so much."""
        return self.limit_usd is None or self.committed_usd + most_usd <= self.limit_usd

    def hold(self, most_usd: float) -> Hold | None:
        """Set a call's most aside; None if the limit doesn't cover it now, or orders wait for money before it."""
        if self._waiting or not self.covers(most_usd):
            return None
        return self._taken(most_usd, lasts=False)

    async def hold_in_turn(self, most_usd: float) -> Hold:
        """Set a job's most aside, as soon as calls in flight leave room for it; no call starts meanwhile.

        Raises `OverBudget` if the limit doesn't cover it even if these calls cost nothing.
        """
        future: asyncio.Future[Hold] = asyncio.get_running_loop().create_future()
        self._waiting.append((most_usd, future))
        self.serve()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().release()
            self.serve()
            raise

    def serve(self) -> None:
        """Give the orders that wait their hold, or refuse them, as far as that is decided by now."""
        while self._waiting:
            most_usd, future = self._waiting[0]
            if future.done():  # Cancelled.
                self._waiting.popleft()
            elif self.covers(most_usd):
                self._waiting.popleft()
                future.set_result(self._taken(most_usd, lasts=True))
            elif self._can_cover(most_usd):
                return
            else:
                self._waiting.popleft()
                future.set_exception(OverBudget(self._refusal(most_usd)))

    def give_back(self, hold: Hold) -> None:
        """Set nothing aside for a hold any more; for `Hold` alone."""
        (self._jobs if hold.lasts else self._calls).remove(hold)

    def _taken(self, most_usd: float, *, lasts: bool) -> Hold:
        hold = Hold(self, min(most_usd, MOST_USD), lasts=lasts)
        (self._jobs if lasts else self._calls).add(hold)
        return hold

    def _can_cover(self, most_usd: float) -> bool:
        """Whether the limit would cover it if the calls in flight turned out free."""
        lasting_usd = self.spend.usd + self.spend.perhaps_usd + _sum_usd(self._jobs)
        return bool(self._calls) and self.limit_usd is not None and lasting_usd + most_usd <= self.limit_usd

    def _refusal(self, most_usd: float) -> str:
        spend, held_usd = self.spend, _sum_usd(self._jobs)
        parts = [f"{usd(spend.usd)} is spent"] if spend.usd else []
        parts += [f"{usd(spend.perhaps_usd)} perhaps ({spend.doubts})"] if spend.perhaps_usd else []
        parts += [f"another job may cost {usd(held_usd)}"] if held_usd else []
        beside = f": {', '.join(parts)}" if parts else ""
        return f"it can cost up to {usd(most_usd)}, more than the budget of ${self.limit_usd:g} covers{beside}; not started"


def _sum_usd(holds: set[Hold]) -> float:
    return sum(hold.most_usd for hold in holds)
