"""What a session has spent, what the recordings it looked at have cost, and what a recording cut short has left undone.

Costs are told only where prices and tokens are known.
"""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from evals.harness.cost import most_usd
from evals.harness.options import RECORD
from evals.harness.text import counted, usd

if TYPE_CHECKING:
    from evals.harness.session import EvalSession

Results = Mapping[str, Any]


def spend_lines(session: "EvalSession", found: Results) -> Iterator[str]:
    """What was spent here, and unless all of it was recorded just now, what the whole recording cost."""
    recorder = session.recorder
    if recorder is not None and recorder.spent_usd > 0:
        budget = f" of a budget of ${recorder.budget_usd:g}" if recorder.budget_usd else ""
        yield f"Spent in this session: {usd(recorder.spent_usd)}{budget}."
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


def left_lines(session: "EvalSession") -> Iterator[str]:
    """Why a recording ended early, what is left of it, what that can cost, and how to go on."""
    recorder = session.recorder
    if recorder is None or recorder.why_stopped is None:
        return
    yield f"The recording stopped: {recorder.why_stopped}. What was answered before is recorded."
    for kind in ("baseline", "finetuned"):
        lanes = [lane for lane in recorder.lanes if lane.model.kind == kind]
        calls = [(lane.model, call.sample) for lane in lanes for call in (*lane.waiting, *lane.delayed)]
        most = sum(most_usd(model, session.recordings.request(model, sample)) for model, sample in calls)
        if calls:
            cost = f", which can cost up to {usd(most)}" if most else ""
            budget = f" --budget {_rounded_up(most):g}" if most and recorder.budget_usd else ""
            yield f"{counted(len(calls), 'call')} left{cost}. Go on: {session.commands.record_all(kind, True)}{budget}"


def _rounded_up(amount: float) -> float:
    unit = 10.0 ** (math.floor(math.log10(amount)) - 1)
    return math.ceil(amount / unit) * unit
