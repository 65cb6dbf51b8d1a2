"""The cost of a session, of the recordings that it looked at, and of calls that a stopped recording left out.

Costs are shown only if prices and tokens are known.
"""

import math
from collections.abc import Iterator

from evaltape.reporting.results import LeftOver, Results, SuiteResults
from evaltape.settings import RECORD
from evaltape.text import counted, usd


def spent_lines(results: Results) -> Iterator[str]:
    """Yield the cost of the session's own calls, and the most that may have been billed beyond."""
    spend = results.spend
    if not spend.usd and not spend.perhaps_usd:
        return
    perhaps = f", perhaps {usd(spend.perhaps_usd)} more: {spend.doubt}" if spend.perhaps_usd else ""
    budget = f" of a budget of ${spend.budget_usd:g}" if spend.budget_usd else ""
    yield f"Spent in this session: {usd(spend.usd)}{budget}{perhaps}."


def recording_lines(suite: SuiteResults) -> Iterator[str]:
    """Yield the cost of the whole recording, unless all of it was recorded just now."""
    costs = dict(recording_costs(suite))
    if costs and suite.mode != RECORD:
        parts = f": {', '.join(f'{name} {usd(cost)}' for name, cost in costs.items())}" if len(costs) > 1 else ""
        yield f"The recording cost {usd(sum(costs.values()))}{parts}."


def recording_costs(suite: SuiteResults) -> Iterator[tuple[str, float]]:
    """Yield the cost in USD of each model's recorded calls and of each recorded job, by today's prices of the suite."""
    costs = [(key, model.cost_usd) for key, model in suite.models.items()]
    costs += [(f"the job {key}", job.cost_usd) for key, job in suite.jobs.items()]
    yield from ((name, cost) for name, cost in costs if cost)


def left_lines(results: Results) -> Iterator[str]:
    """Yield why a recording ended early, how many calls are left, their most cost, and how to go on."""
    if results.stopped is None:
        return
    yield f"The recording stopped: {results.stopped}. What was answered before is recorded."
    for suite in results:
        yield from (_left(left, bool(results.spend.budget_usd)) for left in suite.left)


def _left(left: LeftOver, has_budget: bool) -> str:
    cost = f", which can cost up to {usd(left.most_usd)}" if left.most_usd else ""
    budget = f" --budget {_rounded_up(left.most_usd):g}" if left.most_usd and has_budget else ""
    return f"{counted(left.calls, 'call')} left{cost}. Go on: {left.command}{budget}"


def _rounded_up(amount: float) -> float:
    unit = 10.0 ** (math.floor(math.log10(amount)) - 1)
    return math.ceil(amount / unit) * unit
