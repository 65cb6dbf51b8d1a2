"""Builds the results of a session from its findings, the files on disk and the recorder's counts.

The only place that knows both a session and its results.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evaltape.errors import RecordingError, UserError
from evaltape.evaluation import Evaluation
from evaltape.hooks.collect_causes import causes
from evaltape.hooks.collect_models import SuiteView, computed, job_results, metric_facts, model_results
from evaltape.hooks.collect_pairs import against_results, comparison_notes, comparison_results
from evaltape.hooks.retirement import retirements
from evaltape.recorder.tally import Notice, Tally, place_of
from evaltape.reporting.results import Cause, LeftOver, OwnGate, Results, Spend, SuiteResults
from evaltape.settings import REPLAY
from evaltape.suite.cost import most_usd
from evaltape.workspace import Workspace

if TYPE_CHECKING:
    from evaltape.recorder.process import RecorderProcess
    from evaltape.reporting.judge_results import JudgeResults


def collect(evaluation: Evaluation, recorder: "RecorderProcess | None", is_red: bool) -> Results:
    """Return the results of a session; `is_red` says that it fails. A session that looked at nothing has no suites."""
    if not evaluation.findings.predictions and recorder is None and not evaluation.findings.unasked:
        return Results({}, is_red)
    tally = recorder.tally if recorder else Tally()
    mode = evaluation.settings.mode if recorder else REPLAY
    suites = (_suite(evaluation, workspace, tally, mode) for workspace in evaluation.workspaces.values())
    return Results(
        {suite.name: suite for suite in suites},
        is_red,
        other_failures=sum(not suite for suite in evaluation.findings.failures.values()),
        spend=_spend(tally, evaluation.settings.budget_usd),
        stopped=tally.stopped,
        notes=(*tally.notes, *_unasked(evaluation, recorder)),
    )


def _unasked(evaluation: Evaluation, recorder: "RecorderProcess | None") -> Iterator[str]:
    if recorder is None and evaluation.settings.records:
        yield "Nothing was recorded: no selected test asks a model for a sample. What is shown is a replay"


def _spend(tally: Tally, budget_usd: float | None) -> Spend:
    return Spend(tally.spend.usd, tally.spend.perhaps_usd, tally.spend.doubts, budget_usd)


def _suite(evaluation: Evaluation, workspace: Workspace, tally: Tally, mode: str) -> SuiteResults:
    view = SuiteView(evaluation, workspace)
    judges = _judges(view)
    findings = evaluation.findings
    return SuiteResults(
        workspace.name,
        mode,
        metrics={name: metric_facts(view, metric) for name, metric in view.shown_metrics.items()},
        models={key: model_results(view, scores) for key, scores in view.looked_at.items()},
        samples={sample.id: sample for sample in view.samples},
        predictions=tuple(each for scores in view.looked_at.values() for each in scores.predictions),
        commands=workspace.commands,
        slices=workspace.suite.dataset.slices,
        test_ids={(key[1], key[2]): test for key, test in findings.test_ids.items() if key[0] == workspace.name},
        unseen_gates=sum(
            len(model.gates) + len(model.slice_gates)
            for model in workspace.suite.models.values()
            if model.key not in view.looked_at
        ),
        computed=tuple(computed(view)),
        jobs=job_results(view),
        judges=judges,
        comparisons=comparison_results(view),
        against=against_results(view),
        mutants={key: mutants for (suite, key), mutants in findings.mutants.items() if suite == workspace.name},
        tests=tuple(
            OwnGate(test_id, test.model, test.passed)
            for test_id, test in findings.tests.items()
            if test.suite == workspace.name
        ),
        lost=sum(suite == workspace.name for suite, _, _ in findings.lost),
        other_failures=sum(suite == workspace.name for suite in findings.failures.values()),
        causes=(*causes(view), *_verdict_causes(view, judges)),
        orphans=tuple(workspace.recordings.orphans(workspace.samples)),
        retirements=tuple(retirements(workspace, _near_ends(workspace, tally))),
        left=tuple(_left(workspace, tally)),
        notes=(*workspace.notes, *comparison_notes(view)),
    )


def _judges(view: SuiteView) -> "dict[str, JudgeResults]":
    if not view.workspace.suite.judges:
        return {}
    from evaltape.hooks.collect_judges import judge_results

    return judge_results(view)


def _verdict_causes(view: SuiteView, judges: "dict[str, JudgeResults]") -> Iterator[Cause]:
    if judges:
        from evaltape.hooks.collect_judges import verdict_causes

        yield from verdict_causes(view, judges)


def _near_ends(workspace: Workspace, tally: Tally) -> dict[str, Notice]:
    """Return the notices of the suite's models that were recorded in this session and end soon."""
    models = workspace.suite.models.values()
    notices = {model.key: tally.notices[place_of(model)] for model in models if place_of(model) in tally.notices}
    return {key: notice for key, notice in notices.items() if notice.is_near}


def _left(workspace: Workspace, tally: Tally) -> Iterator[LeftOver]:
    """Yield the calls that a stopped recording has not made, by kind of model."""
    models = workspace.suite.models
    left = {key: tally.left.get(place_of(model), []) for key, model in models.items()}
    for kind in ("baseline", "finetuned"):
        calls = [(key, sample) for key, samples in left.items() if models[key].kind == kind for sample in samples]
        if calls:
            most = sum(_most_usd(workspace, key, sample) for key, sample in calls)
            yield LeftOver(len(calls), most, workspace.commands.record_all(kind, missing=True))
    for judge in workspace.judges:
        verdicts = tally.left.get(place_of(judge), [])
        if verdicts:
            yield LeftOver(len(verdicts), 0.0, workspace.commands.record_missing())


def _most_usd(workspace: Workspace, key: str, sample: str) -> float:
    model = workspace.suite.models[key]
    with contextlib.suppress(RecordingError, UserError):  # Its job has no tuned model yet.
        return most_usd(workspace.priced(model), workspace.recordings.request(model, workspace.sample(sample)))
    return 0.0
