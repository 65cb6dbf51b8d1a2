"""Builds the results of a session from its findings, the files on disk and the recorder's counts.

The only place that knows both a session and its results.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from evaltape.errors import RecordingError
from evaltape.evaluation import Evaluation
from evaltape.hooks.collect_models import (
    SuiteView,
    against_results,
    comparison_results,
    computed,
    job_results,
    judge_results,
    model_results,
)
from evaltape.recorder.wire import Tally, place_of
from evaltape.reporting.model_results import JudgeResults
from evaltape.reporting.remarks import left_lines, retirement_lines
from evaltape.reporting.results import Cause, Results, SuiteResults
from evaltape.samples.sample import Failure
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.references import outvoted
from evaltape.settings import REPLAY
from evaltape.suite.prompt import PromptChange, prompt_change
from evaltape.text import counted

if TYPE_CHECKING:
    from evaltape.recorder.process import RecorderProcess


NOT_RECORDED = "Nothing was recorded: no selected test asks a model for a sample. The scores are a replay's"


def collect(evaluation: Evaluation, recorder: "RecorderProcess | None", is_red: bool) -> Results:
    """Return the results of a session; `is_red` says that it fails. A session that looked at nothing has no suites."""
    if not evaluation.findings.predictions and recorder is None and not evaluation.findings.unasked:
        return Results({}, is_red)
    tally = recorder.tally if recorder else Tally()
    mode = evaluation.settings.mode if recorder else REPLAY
    suites = (_suite(SuiteView(evaluation, workspace), tally, mode) for workspace in evaluation.workspaces.values())
    return Results(
        {suite.name: suite for suite in suites},
        is_red,
        other_failures=sum(not suite for suite in evaluation.findings.failures.values()),
        spend=tally.spend,
        budget_usd=evaluation.settings.budget_usd,
        stopped=tally.stopped,
        notes=(*tally.notes, *([NOT_RECORDED] if recorder is None and evaluation.settings.records else [])),
    )


def _suite(view: SuiteView, tally: Tally, mode: str) -> SuiteResults:
    workspace, findings, judges = view.workspace, view.evaluation.findings, judge_results(view)
    comparisons = comparison_results(view)
    ways = [f"{name}: {it.scores.ways}" for name, it in comparisons.items() if it.scores.ways]
    looked_at, histories = view.looked_at, view.evaluation.histories
    models = workspace.suite.models.items()
    unseen = [model for key, model in models if key not in looked_at]
    ending = {key: notice for key, model in models if (notice := tally.notices.get(place_of(model))) and notice.is_near}
    return SuiteResults(
        workspace.name,
        mode,
        metrics=view.shown_metrics,
        models={key: model_results(view, scores) for key, scores in looked_at.items()},
        samples={sample.id: sample for sample in view.samples},
        commands=workspace.commands,
        shown_beside=tuple(name for name in view.shown_metrics if name not in workspace.metrics),
        slices=workspace.suite.dataset.slices,
        test_ids={(key[1], key[2]): test for key, test in findings.test_ids.items() if key[0] == workspace.name},
        unseen_gates=sum(len(model.gates) + len(model.slice_gates) for model in unseen),
        computed=computed(view),
        jobs=job_results(view),
        judges=judges,
        comparisons=comparisons,
        against=against_results(view),
        history=histories.of([it.model for it in looked_at.values()], workspace) if histories else {},
        references=outvoted(list(looked_at.values())) if view.evaluation.settings.writes_files else (),
        mutants={key: mutants for (suite, key), mutants in findings.mutants.items() if suite == workspace.name},
        tests={test_id: test for test_id, test in findings.tests.items() if test.suite == workspace.name},
        lost=sum(suite == workspace.name for suite, _, _ in findings.lost),
        other_failures=sum(suite == workspace.name for suite in findings.failures.values()),
        causes=tuple(_causes(view, judges.values())),
        orphans=tuple(workspace.recordings.orphans(workspace.samples)),
        retirements=tuple(retirement_lines(workspace, ending)),
        left=tuple(left_lines(workspace, tally.left)),
        notes=(*workspace.notes, *ways),
    )


def _causes(view: SuiteView, judges: Iterable[JudgeResults]) -> Iterator[Cause]:
    """Yield why samples of a suite failed, most samples first, then which verdicts of judges are missing."""
    groups: dict[tuple[str, bool, str, str | None], list[tuple[str, str]]] = {}
    """Per kind of failure: the noun to count, whether a verb follows it, the words behind it, and the remedy."""
    costs: dict[str | None, str] = {}
    for scores in view.looked_at.values():
        for prediction in scores.failures:
            command, cost = _remedy(view, prediction)
            costs[command] = cost
            group = (*_words(prediction.answer.failure), command)
            groups.setdefault(group, []).append((prediction.model.key, prediction.sample.id))
    for (suite, model, sample), reason in view.evaluation.findings.unasked.items():
        if suite == view.workspace.name:
            groups.setdefault(("sample", False, f" not asked for: {reason}", None), []).append((model, sample))
    for (noun, has_verb, words, command), predictions in sorted(groups.items(), key=lambda each: -len(each[1])):
        verb = "" if not has_verb else " is" if len(predictions) == 1 else " are"
        text = f"{counted(len(predictions), noun)}{verb}{words}"
        yield Cause(text, command, tuple(predictions), costs.get(command, ""), _prompt(view, *predictions[0]))
    for judge in (judge for judge in judges if judge.missing):
        lacking, verb = len(judge.missing), "is" if len(judge.missing) == 1 else "are"
        text = f"{counted(lacking, 'verdict')} of the judge {judge.key} {verb} missing, or of another request"
        cost = f"costs {counted(lacking, 'call')} of the judge"
        yield Cause(text, view.workspace.commands.record_missing(), judge.missing, cost)


def _prompt(view: SuiteView, model: str, sample: str) -> PromptChange | None:
    """Return the recorded prompt of a sample beside that of the suite; None if they are equal or unknown."""
    workspace = view.workspace
    asked, of = workspace.suite.models[model], workspace.samples_by_id[sample]
    with contextlib.suppress(RecordingError):
        recorded = workspace.recordings.of(asked.key).read(of.name)
        return prompt_change(sample, recorded[0].asked, workspace.recordings.request(asked, of)) if recorded else None
    return None


def _remedy(view: SuiteView, prediction: Prediction) -> tuple[str | None, str]:
    """Return the remedy of a failure and the cost: a single command where each kind of model has its own."""
    failure = prediction.answer.failure
    if failure is None or failure.command is None:
        return None, ""
    if failure.command == view.workspace.commands.record_missing(prediction.model.kind):
        advice = view.workspace.to_record()
        return advice.command, advice.cost.strip(" ()")
    return failure.command, failure.cost.strip(" ()")


def _words(failure: Failure | None) -> tuple[str, bool, str]:
    """Return the noun to count for a kind of failure, whether a verb follows it, and the words behind it."""
    assert failure is not None
    match failure.kind:
        case "not fetched":
            return "recording", True, " not fetched"
        case "not recorded":
            return "sample", True, " not recorded"
        case "recorded otherwise":
            return "recording", True, f" of {failure.cause}"
        case "unreadable":
            return "recording", False, " can't be read"
        case "call" | "job" | "holds a key":
            return "sample", False, f" not recorded: {failure.in_short}"
    return "sample", False, f": {failure.cause or failure.in_short}"
