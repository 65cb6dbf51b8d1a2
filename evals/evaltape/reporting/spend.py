"""What a session has spent, what the recordings it looked at have cost, and what a recording cut short has left undone.

Costs are told only where prices and tokens are known.
"""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from evaltape.settings import RECORD
from evaltape.suite.pricing import most_usd
from evaltape.text import counted, usd

if TYPE_CHECKING:
    from evaltape.hooks.suite_run import SuiteRun

Results = Mapping[str, Any]


def spend_lines(session: "SuiteRun", found: Results) -> Iterator[str]:
    """What was spent here, and unless all of it was recorded just now, what the whole recording cost."""
    spent_usd, budget_usd = session.recorder.tally.spent_usd if session.recorder else 0.0, session.settings.budget_usd
    tally = session.recorder.tally if session.recorder else None
    if tally is not None and (spent_usd > 0 or tally.perhaps_usd > 0):
        perhaps = f", perhaps {usd(tally.perhaps_usd)} more: {tally.doubt}" if tally.perhaps_usd else ""
        yield f"Spent in this session: {usd(spent_usd)}{f' of a budget of ${budget_usd:g}' if budget_usd else ''}{perhaps}."
    if session.settings.mode == RECORD:
        return
    costs = dict(recording_costs(found))
    if costs:
        parts = f": {', '.join(f'{name} {usd(cost)}' for name, cost in costs.items())}" if len(costs) > 1 else ""
        yield f"The recording cost {usd(sum(costs.values()))}{parts}."


def recording_costs(found: Results) -> Iterator[tuple[str, float]]:
    """What each model's recorded calls and each recorded job have cost in USD, by today's prices of the suite."""
    for kind, prefix in (("models", ""), ("jobs", "the job ")):
        for key, told in found[kind].items():
            if told["cost_usd"]:
                yield prefix + key, told["cost_usd"]


def left_lines(session: "SuiteRun") -> Iterator[str]:
    """Why a recording ended early, what is left of it, what that can cost, and how to go on."""
    tally = session.recorder.tally if session.recorder else None
    if tally is None or tally.stopped is None:
        return
    yield f"The recording stopped: {tally.stopped}. What was answered before is recorded."
    left = [(session.suite.models[key], samples) for key, samples in tally.left.items()]
    for kind in ("baseline", "finetuned"):
        calls = [(model, session.sample(sample)) for model, samples in left if model.kind == kind for sample in samples]
        most = sum(most_usd(model, session.recordings.request(model, sample)) for model, sample in calls)
        if calls:
            cost = f", which can cost up to {usd(most)}" if most else ""
            budget = f" --budget {_rounded_up(most):g}" if most and session.settings.budget_usd else ""
            yield f"{counted(len(calls), 'call')} left{cost}. Go on: {session.commands.record_all(kind, True)}{budget}"


def _rounded_up(amount: float) -> float:
    unit = 10.0 ** (math.floor(math.log10(amount)) - 1)
    return math.ceil(amount / unit) * unit
