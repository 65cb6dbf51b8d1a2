"""Builds the results of a suite's judges from their recorded verdicts on the answers of this run."""

from collections.abc import Iterator, Mapping

from evaltape.errors import RecordingError
from evaltape.hooks.collect_models import SuiteView
from evaltape.judging.agreement import flips
from evaltape.recording.verdicts import Asked, RecordedVerdict
from evaltape.reporting.judge_results import Flips, JudgeResults
from evaltape.reporting.results import Cause
from evaltape.scoring.prediction import Prediction
from evaltape.suite.definition import Judge
from evaltape.text import counted
from evaltape.workspace import Workspace


def judge_results(view: SuiteView) -> dict[str, JudgeResults]:
    """Return each judge of the suite, with its verdicts on the answers that were looked at."""
    workspace = view.workspace
    answered = [each for scores in view.looked_at.values() for each in scores.answered]
    return {key: _results(view, judge, answered) for key, judge in workspace.suite.judges.items()}


def verdict_causes(view: SuiteView, judges: Mapping[str, JudgeResults]) -> Iterator[Cause]:
    """Yield which verdicts are missing, with the command that asks for them."""
    for judge in judges.values():
        lacking = len(judge.missing)
        if lacking:
            verb = "is" if lacking == 1 else "are"
            text = f"{counted(lacking, 'verdict')} of the judge {judge.key} {verb} missing, or of another request"
            command = view.workspace.commands.record_missing()
            yield Cause(text, command, judge.missing, f"costs {counted(lacking, 'call')} of the judge")


def _results(view: SuiteView, judge: Judge, answered: list[Prediction]) -> JudgeResults:
    workspace = view.workspace
    metrics = tuple(name for name, by in workspace.judged_by.items() if by.key == judge.key)
    found = [(each, _verdict(workspace, judge, each)) for each in answered] if metrics else []
    verdicts = [verdict for _, verdict in found if verdict is not None]
    costs = [verdict.cost_usd for verdict in verdicts if verdict.cost_usd is not None]
    return JudgeResults(
        judge.key,
        asked=len(verdicts),
        unread=sum(verdict.score is None for verdict in verdicts),
        examined=view.evaluation.examined(judge),
        metrics=metrics,
        missing=tuple((each.model.key, each.sample.id) for each, verdict in found if verdict is None),
        flips=_flips(workspace, judge, [(each, verdict.score) for each, verdict in found if verdict is not None]),
        cost_usd=sum(costs) if costs and judge.price else None,
    )


def _verdict(workspace: Workspace, judge: Judge, of: Prediction, again: int = 1) -> RecordedVerdict | None:
    try:
        return workspace.verdicts.read(Asked(judge, of.sample, of.text, of.model.key, again=again))
    except RecordingError:
        return None


def _flips(workspace: Workspace, judge: Judge, first: list[tuple[Prediction, float | None]]) -> Flips | None:
    """Return how often verdicts on one answer differ; None if no answer has several that can be read."""
    repeated = [[score, *_further(workspace, judge, each)] for each, score in first if score is not None]
    share = flips(repeated)
    several = [len(each) for each in repeated if len(each) > 1]
    return None if share is None else Flips(share, len(several), max(several))


def _further(workspace: Workspace, judge: Judge, of: Prediction) -> Iterator[float]:
    for again in workspace.verdicts.further(judge, of.model.key, of.sample):
        found = _verdict(workspace, judge, of, again)
        if found is not None and found.score is not None:
            yield found.score
