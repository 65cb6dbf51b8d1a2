"""Beneath the tables, for terminal and Markdown alike: remarks on judges, costs and calls that are left, and the samples that
hurt a failed gate or comparison most, for a person to look at first.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.metrics.metric import Metric
from evaltape.metrics.scorers import misses
from evaltape.recorder.wire import Notice, place_of
from evaltape.reporting.model_results import JudgeResults, ModelResults, PairResults
from evaltape.reporting.results import Results, SuiteResults
from evaltape.reporting.tables import shown
from evaltape.samples.sample import Sample
from evaltape.scoring.prediction import Pair
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
    parts += [f"{words} {kappa.mean:.2f}" for words, kappa in people.items() if kappa]
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


# ---------------------------------------------------------------- the worst samples


MOST_CASES = 5


class Case(msgspec.Struct, frozen=True):
    """A sample."""

    sample: str
    score: str
    texts: dict[str, str]
    """References and answers, unchanged, by their names."""


class Worst(msgspec.Struct, frozen=True):
    """The samples behind a failure."""

    title: str
    """The failed gate, comparison or model."""
    cases: tuple[Case, ...]
    """Worst first."""
    command: str | None = None
    """The command that runs their tests again; None for tests that passed or weren't collected."""


def worst_samples(suite: SuiteResults) -> Iterator[Worst]:
    """Yield the worst samples of each failed gate and comparison, and the failed samples of models that fail for them."""
    for key, model in suite.models.items():
        yield from _of_model(suite, key, model)
    for it in suite.comparisons.values():
        about = f"where {it.scores.comparison.candidate} lost most"
        yield from _of_pairs(it, about, "baseline", "candidate")
    for past in suite.against.models.values() if suite.against else ():
        about = f"what {past.scores.side.ref} answered better"
        yield from _of_pairs(past, about, "before", "after")


def lost_most(suite: SuiteResults, most: int) -> Iterator[tuple[str, ...]]:
    """Yield the samples that lost most against an earlier recording, by the suite's first metric.

    Of each its model, its id, its score before and after in a few words, its first reference and both answers.
    """
    if suite.against is None or not suite.named_metrics:
        return
    metric = suite.named_metrics[0]
    for pair in _lost(suite.against.pairs, metric)[:most]:
        score, reference = f"{metric.name} {_change(metric, pair)}", next(iter(pair.after.sample.references), "")
        yield pair.after.model.key, pair.sample, score, reference, pair.before.text, pair.after.text


def _of_model(suite: SuiteResults, key: str, model: ModelResults) -> Iterator[Worst]:
    means, scores = model.means, model.scores
    for name, gate in model.gates.items():
        mean, metric = means.get(name), gate.metric
        if gate.outcome is False and mean and misses(mean.mean, gate.bound.limit, metric.higher_is_better):
            scored = [each for each in scores.answered if name in each.scores]
            scored.sort(key=lambda each: each.scores[name], reverse=not metric.higher_is_better)
            cases = (_case(it.sample, shown(it.scores[name], metric), prediction=it.text) for it in scored[:MOST_CASES])
            yield Worst(f"{key} {name}: what hurt most", tuple(cases))
    # Only their answers explain these; causes with a remedy are told elsewhere.
    mended = {of for cause in suite.causes if cause.command for of in cause.predictions}
    failed = [each for each in scores.failures if (key, each.sample.id) not in mended][:MOST_CASES]
    if failed and model.too_many_failed:
        tests = [suite.test_ids.get((key, each.sample.id)) for each in failed]
        command = suite.commands.replay([test for test in tests if test is not None]) if None not in tests else None
        cases = (_case(each.sample, "failed", reason=each.failure or "") for each in failed)
        yield Worst(f"{key}: failed samples", tuple(cases), command)


def _case(sample: Sample, score: str, **texts: str) -> Case:
    several = len(sample.references) > 1
    references = {f"reference {n}" if several else "reference": text for n, text in enumerate(sample.references, 1)}
    return Case(sample.id, score, {**references, **texts})


def _of_pairs(results: PairResults, about: str, before: str, after: str) -> Iterator[Worst]:
    for name, decision in results.metrics.items():
        metric, pairs = decision.metric, _lost(results.scores.pairs, decision.metric)[:MOST_CASES]
        if pairs and decision.outcome is False:
            texts = [{before: pair.before.text, after: pair.after.text} for pair in pairs]
            cases = (_case(it.after.sample, _change(metric, it), **both) for it, both in zip(pairs, texts, strict=True))
            yield Worst(f"{decision.bound.subject} {name}: {about}", tuple(cases))


def _lost(pairs: Iterable[Pair], metric: Metric) -> list[Pair]:
    """Return the pairs that became worse, the greatest loss first."""
    gains = [((pair.change(metric.name) or 0.0) * (1 if metric.higher_is_better else -1), pair) for pair in pairs]
    return [pair for gain, pair in sorted(gains, key=lambda each: each[0]) if gain < 0]


def _change(metric: Metric, pair: Pair) -> str:
    before, after = (each.scores[metric.name] for each in (pair.before, pair.after))
    return f"{shown(after - before, metric, signed=True)} ({shown(before, metric)} to {shown(after, metric)})"
