"""Builds the results of comparisons, of models beside their recordings on the other side, and of judges."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from evaltape.errors import RecordingError
from evaltape.hooks.collect_models import SuiteView
from evaltape.reporting.model_results import (
    AgainstModel,
    AgainstResults,
    Flips,
    JudgeResults,
    PairResults,
    SliceDifference,
)
from evaltape.scoring.bounds import AGAINST, comparison_bounds, model_bounds
from evaltape.scoring.paired import Difference
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
    pair = _pair(view, comparison, view.looked_at[comparison.baseline], view.looked_at[comparison.candidate])
    metrics = {bound.metric: view.decided(bound, pair) for bound in comparison_bounds(comparison)}
    return PairResults(pair, metrics, _slices(view, comparison))


def _pair(view: SuiteView, comparison: Comparison, baseline: ModelScores, candidate: ModelScores) -> PairedScores:
    return PairedScores(comparison=comparison, metrics=view.metrics, baseline=baseline, candidate=candidate)


# ---------------------------------------------------------------- the other side


def against_results(view: SuiteView) -> AgainstResults | None:
    """Return the models that were looked at beside the other side; None without `--against` or without such a model."""
    models, other_side = view.evaluation.looked_at_against(view.workspace.name), view.evaluation.other_side
    if not models or other_side is None:
        return None
    side = other_side.side
    notes = (
        f"Compared with {side.title}.",
        *_unchanged(models.values()),
        *(note for it in models.values() for note in _notes(it)),
    )
    return AgainstResults(side, {key: _against(view, model) for key, model in models.items()}, notes)


def _against(view: SuiteView, found: AgainstScores) -> AgainstModel:
    bounds = [bound for bound in model_bounds(found.model, view.workspace.suite) if bound.kind == AGAINST]
    return AgainstModel(found, {bound.metric: view.decided(bound, found) for bound in bounds})


def _unchanged(models: Iterable[AgainstScores]) -> Iterator[str]:
    """Yield the models of which nothing at all changed, in a single line."""
    keys = [found.model.key for found in models if found.unchanged and not found.notes]
    if keys:
        yield f"{', '.join(keys)}: {UNCHANGED}"


def _notes(found: AgainstScores) -> Iterator[str]:
    if found.not_compared:
        yield f"{found.model.key} isn't compared: {found.not_compared}."
    notes = [*([found.unchanged] if found.unchanged else []), *found.notes]
    if found.notes:
        yield f"{found.model.key}: {'; '.join(notes)}"


# ---------------------------------------------------------------- slices


def _slices(view: SuiteView, comparison: Comparison) -> tuple[SliceDifference, ...]:
    sides = [view.looked_at[key].slices for key in (comparison.baseline, comparison.candidate)]
    return tuple(
        SliceDifference(column, value, _slice_metrics(view, comparison, before, sides[1][column][value]))
        for column, values in sides[0].items()
        for value, before in values.items()
        if value in sides[1][column]
    )


def _slice_metrics(view: SuiteView, comparison: Comparison, before: ModelScores, after: ModelScores) -> dict[str, Difference]:
    differences = _pair(view, comparison, before, after).differences
    return {name: differences[name] for name in comparison.bounds if name in differences}


# ---------------------------------------------------------------- judges


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

    repeated = [[score, *_further(workspace, judge, each)] for each, score in first if score is not None]
    share = flips(repeated)
    several = [len(each) for each in repeated if len(each) > 1]
    return None if share is None else Flips(share, len(several), max(several))


def _further(workspace: Workspace, judge: Judge, of: Prediction) -> Iterator[float]:
    for again in workspace.verdicts.further(judge, of.model.key, of.sample):
        found = _verdict(workspace, judge, of, again)
        if found is not None and found.score is not None:
            yield found.score
