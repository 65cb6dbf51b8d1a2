"""Builds the results of comparisons, of models beside their recordings on the other side, and of judges."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from evaltape.errors import RecordingError
from evaltape.hooks.collect_models import SuiteView
from evaltape.reporting.model_results import AgainstModel, AgainstResults, Flips, JudgeResults, PairResults, SliceDifference
from evaltape.scoring.bounds import AGAINST, comparison_bounds, model_bounds
from evaltape.scoring.paired_scores import UNCHANGED, AgainstScores, PairedScores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Comparison, Judge
from evaltape.workspace import Workspace

if TYPE_CHECKING:  # Only a suite with judges needs them.
    from evaltape.recording.verdicts import RecordedVerdict


def comparison_results(view: SuiteView) -> dict[str, PairResults]:
    """Return the comparisons of which the run looked at both models, by name."""
    comparisons = view.workspace.suite.comparisons.values()
    known = [each for each in comparisons if {each.baseline, each.candidate} <= set(view.looked_at)]
    return {each.name: _comparison(view, each) for each in known}


def _comparison(view: SuiteView, comparison: Comparison) -> PairResults:
    baseline, candidate = (view.looked_at[key] for key in (comparison.baseline, comparison.candidate))
    pair = _pair(view, comparison, baseline, candidate)
    slices = []
    for column, values in baseline.slices.items():
        for value, before in values.items():
            after = candidate.slices[column].get(value)
            found = _pair(view, comparison, before, after).differences if after is not None else None
            if found is not None:
                bounded = {name: found[name] for name in comparison.bounds if name in found}
                slices.append(SliceDifference(column, value, bounded))
    return PairResults(pair, view.decided(comparison_bounds(comparison), pair), tuple(slices))


def _pair(view: SuiteView, comparison: Comparison, baseline: ModelScores, candidate: ModelScores) -> PairedScores:
    return PairedScores(comparison=comparison, metrics=view.metrics, baseline=baseline, candidate=candidate)


def against_results(view: SuiteView) -> AgainstResults | None:
    """Return the models that were looked at beside the other side; None without `--against` or without such a model."""
    suite, other_side = view.workspace.suite, view.evaluation.other_side
    models = view.evaluation.looked_at_against(suite.name)
    if not models or other_side is None:
        return None
    results = {key: AgainstModel(it, view.decided(model_bounds(it.model, suite), it, AGAINST)) for key, it in models.items()}
    return AgainstResults(other_side.side, results, (f"Compared with {other_side.side.title}.", *_notes(models)))


def _notes(models: Mapping[str, AgainstScores]) -> Iterator[str]:
    """Yield the models of which nothing at all changed in a single line, then what is to be said of each other one."""
    unchanged = [key for key, found in models.items() if found.unchanged and not found.notes]
    if unchanged:
        yield f"{', '.join(unchanged)}: {UNCHANGED}"
    for key, found in models.items():
        if found.not_compared:
            yield f"{key} isn't compared: {found.not_compared}."
        if found.notes:
            yield f"{key}: {'; '.join([*([found.unchanged] if found.unchanged else []), *found.notes])}"


def judge_results(view: SuiteView) -> dict[str, JudgeResults]:
    """Return each judge of the suite, with its verdicts on the answers that were looked at."""
    workspace = view.workspace
    answered = [each for scores in view.looked_at.values() for each in scores.answered]
    return {key: _judge(view, judge, answered) for key, judge in workspace.suite.judges.items()}


def _judge(view: SuiteView, judge: Judge, answered: list[Prediction]) -> JudgeResults:
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


def _verdict(workspace: Workspace, judge: Judge, of: Prediction, again: int = 1) -> "RecordedVerdict | None":
    from evaltape.recording.verdicts import Asked

    try:
        return workspace.verdicts.read(Asked(judge, of.sample, of.text, of.model.key, again=again))
    except RecordingError:
        return None


def _flips(workspace: Workspace, judge: Judge, first: list[tuple[Prediction, float | None]]) -> Flips | None:
    """Return how often verdicts on the same answer differ; None if no answer has several that can be read."""
    from evaltape.judging.agreement import flips

    repeated = []
    for each, score in ((each, score) for each, score in first if score is not None):
        numbers = workspace.verdicts.further(judge, each.model.key, each.sample)
        further = [_verdict(workspace, judge, each, again) for again in numbers]
        repeated.append([score, *(it.score for it in further if it is not None and it.score is not None)])
    share = flips(repeated)
    several = [len(each) for each in repeated if len(each) > 1]
    return None if share is None else Flips(share, len(several), max(several))
