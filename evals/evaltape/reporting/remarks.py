"""Remarks beneath the tables, for terminal and Markdown alike: judges, costs, calls that are left, models that end."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from evaltape.errors import RecordingError, UserError
from evaltape.recorder.wire import Notice, place_of
from evaltape.reporting.results import JudgeResults, Results, SuiteResults
from evaltape.settings import RECORD
from evaltape.suite.commands import Advice
from evaltape.suite.cost import most_usd
from evaltape.suite.definition import Model
from evaltape.text import counted, usd, visible
from evaltape.workspace import Workspace

if TYPE_CHECKING:  # Only a suite with judges needs it.
    from evaltape.judging.agreement import Agreement


def judge_lines(suite: SuiteResults) -> Iterator[str]:
    """Yield the lines that belong beside judges' numbers: corrections, exams not passed, agreement with people, flips."""
    bounded = [(f"{key} {name}", gate) for key, model in suite.models.items() for name, gate in model.gates.items()]
    bounded += [(f"{it.bound.subject} {name}", it) for of in suite.comparisons.values() for name, it in of.metrics.items()]
    for about, decision in bounded if suite.judges else ():
        yield from (f"{about}: {note}" for note in decision.notes if note.startswith("corrected by "))
    for judge in suite.judges.values():
        yield from standing_line(judge)
        if judge.examined.agreement is not None:
            yield _agreement(judge, judge.examined.agreement)
        if judge.flips is not None:
            flips = judge.flips
            yield (
                f"{judge.key} was asked up to {flips.verdicts} times about each of {flips.answers:,} answers: two verdicts on "
                f"one answer differ in {flips.share:.1%} of cases"
            )


def standing_line(judge: JudgeResults) -> Iterator[str]:
    """Yield the judge's standing, and whether a gate may rest on it; nothing for a judge that passed its exam."""
    examined = judge.examined
    if examined.passed or not judge.metrics:
        return
    rests = "gates may rest on it all the same (unexamined = true)" if examined.judge.unexamined else "no gate may rest on it"
    yield f"{', '.join(judge.metrics)}: {examined.standing}; {rests}. {examined.in_short()}"


def _agreement(judge: JudgeResults, found: "Agreement") -> str:
    agrees = f"{judge.key} agrees with {found.agreed:.0%} of {found.labels:,} labels"
    shares = {"sensitivity": found.sensitivity, "specificity": found.specificity}
    parts = [agrees, f"always the commonest: {found.commonest:.0%}"]
    parts += [f"{name} {share.mean:.2f}" for name, share in shares.items() if share is not None]
    people = {"people agree with each other by kappa": found.people, "and with themselves by": judge.examined.oneself}
    parts += [f"{words} {kappa.value:.2f}" for words, kappa in people.items() if kappa and kappa.value is not None]
    return "; ".join(parts)


def spent_lines(results: Results) -> Iterator[str]:
    """Yield the cost of the session's own calls, and the most that may have been billed beyond."""
    spend = results.spend
    if not spend.usd and not spend.perhaps_usd:
        return
    perhaps = f", perhaps {usd(spend.perhaps_usd)} more: {spend.doubts}" if spend.perhaps_usd else ""
    budget = f" of a budget of ${results.budget_usd:g}" if results.budget_usd else ""
    yield f"Spent in this session: {usd(spend.usd)}{budget}{perhaps}."


def recording_lines(suite: SuiteResults) -> Iterator[str]:
    """Yield the cost of the whole recording, unless all of it was recorded just now."""
    costs = {key: model.cost_usd for key, model in suite.models.items() if model.cost_usd}
    costs |= {f"the job {key}": job.cost_usd for key, job in suite.jobs.items() if job.cost_usd}
    if costs and suite.mode != RECORD:
        parts = f": {', '.join(f'{name} {usd(cost)}' for name, cost in costs.items())}" if len(costs) > 1 else ""
        yield f"The recording cost {usd(sum(costs.values()))}{parts}."


def stopped_lines(results: Results) -> Iterator[str]:
    """Yield why a recording ended early, and the rest of it."""
    if results.stopped is not None:
        yield f"The recording stopped: {results.stopped}. Earlier answers are recorded."
        yield from (line for suite in results for line in suite.left)


def left_lines(workspace: Workspace, left: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield how many calls a stopped recording has left, by kind of model, their highest cost, and how to go on.

    `left` are the samples by `place_of` a model or judge.
    """
    commands, has_budget = workspace.commands, workspace.settings.budget_usd is not None
    for kind in ("baseline", "finetuned"):
        models = [model for model in workspace.suite.models.values() if model.kind == kind]
        costs = [_most_usd(workspace, model, sample) for model in models for sample in left.get(place_of(model), ())]
        if costs:
            yield left_line(len(costs), sum(costs), commands.record_all(kind, missing=True), has_budget)
    for verdicts in (left[place_of(judge)] for judge in workspace.judges if left.get(place_of(judge))):
        yield left_line(len(verdicts), 0.0, commands.record_missing(), has_budget)


def left_line(calls: int, most_usd: float, command: str, has_budget: bool) -> str:
    """Return how many calls are left, and the command that makes them, with a budget if the session had one."""
    cost, budget = "", ""
    if most_usd:
        cost = f", which can cost up to {usd(most_usd)}"
        unit = 10.0 ** (math.floor(math.log10(most_usd)) - 1)
        budget = f" --budget {math.ceil(most_usd / unit) * unit:g}" if has_budget else ""
    return f"{counted(calls, 'call')} left{cost}. Go on: {command}{budget}"


def _most_usd(workspace: Workspace, model: Model, sample: str) -> float:
    with contextlib.suppress(RecordingError, UserError):  # Its job has no tuned model yet.
        return most_usd(workspace.priced(model), workspace.recordings.request(model, workspace.samples_by_id[sample]))
    return 0.0


def retirement_lines(workspace: Workspace, notices: Mapping[str, Notice]) -> list[str]:
    """Return each model with an end that the API announced, and the number of its samples without a recording.

    Then follow the commands that record the missing calls, each once.
    """
    lines, commands = [], []
    for key, notice in notices.items():
        model, missing, total = workspace.suite.models[key], 0, 0
        with contextlib.suppress(UserError):  # Nothing of the suite is recorded.
            missing = sum(not workspace.is_recorded(model, sample) for sample in workspace.samples)
            total = len(workspace.samples)
        samples = counted(total, "sample") if total else "samples"
        recorded = f"all {samples} recorded" if not missing else f"{missing:,} of {samples} not recorded"
        name = key if notice.served in ("", key) else f"{key} ({visible(notice.served)})"
        lines.append(f"{name}: {notice.in_short()}; {recorded if total else 'nothing of it is recorded'}")
        if not total:
            commands.append(str(Advice(workspace.commands.record_missing(model.kind))))
        elif missing:
            commands.append(str(workspace.to_record(model.kind)))
    return [*lines, *(f"Record the rest: {command}" for command in dict.fromkeys(commands))]
