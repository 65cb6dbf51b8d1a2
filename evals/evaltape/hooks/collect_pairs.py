"""Builds the results of comparisons."""

from dataclasses import replace

from evaltape.hooks.collect_models import SuiteView
from evaltape.reporting.pair_results import MAX_DROP, MIN_GAIN, ComparisonResults, PairedDifference, SliceDifference
from evaltape.reporting.verdicts import FAILED, INCONCLUSIVE, NOT_CHECKED, PASSED, Verdict
from evaltape.scoring.paired import Difference, two_sided
from evaltape.scoring.scores import ModelScores, PairedScores
from evaltape.scoring.slices import slice_scores
from evaltape.suite.definition import Comparison


def comparison_results(view: SuiteView) -> dict[str, ComparisonResults]:
    """Return the comparisons whose two models were both looked at, by name."""
    comparisons = view.workspace.suite.comparisons.values()
    known = [each for each in comparisons if {each.baseline, each.candidate} <= set(view.looked_at)]
    return {each.name: _comparison(view, each) for each in known}


def _comparison(view: SuiteView, comparison: Comparison) -> ComparisonResults:
    pair = _pair(view, comparison)
    metrics = {name: _decided(view, pair, name) for name in comparison.bounds}
    beside = {name: _difference(pair, name) for name in pair.differences if name not in metrics}
    return ComparisonResults(
        comparison.name,
        comparison.baseline,
        comparison.candidate,
        comparison.confidence,
        two_sided(comparison.confidence),
        metrics,
        beside,
        _slices(view, comparison),
    )


def _pair(view: SuiteView, comparison: Comparison) -> PairedScores:
    models = (view.looked_at[comparison.baseline], view.looked_at[comparison.candidate])
    return PairedScores(comparison, view.metrics, *models)


def _difference(pair: PairedScores, name: str) -> PairedDifference:
    higher_is_better = pair.metrics[name].higher_is_better
    difference = pair.differences.get(name)
    if difference is None:
        return PairedDifference(None, None, None, 0, higher_is_better)
    return _of_difference(difference, higher_is_better)


def _of_difference(difference: Difference, higher_is_better: bool) -> PairedDifference:
    ends = (difference.mean, difference.low, difference.high)
    return PairedDifference(*ends, difference.samples, higher_is_better, clusters=difference.clusters)


def _decided(view: SuiteView, pair: PairedScores, name: str) -> PairedDifference:
    comparison, outcomes = pair.comparison, view.session.findings.comparisons
    kind = MIN_GAIN if name in comparison.min_gain else MAX_DROP
    bound = comparison.min_gain[name] if kind == MIN_GAIN else comparison.max_drop[name]
    key = (view.workspace.name, comparison.name, name)
    verdict = _verdict(pair.verdict(name), outcomes[key]) if key in outcomes else NOT_CHECKED
    remark = pair.what_settles(name) if verdict == INCONCLUSIVE else ""
    passed = outcomes.get(key)
    return replace(_difference(pair, name), kind=kind, bound=bound, verdict=verdict, passed=passed, remark=remark)


def _verdict(by_scores: str, passed: bool | None) -> Verdict:
    """Return the verdict on a bound that a test has looked at: that of the scores, unless the test says otherwise.

    A test of the user's own may ask for more, or put up with less.
    """
    if by_scores == INCONCLUSIVE and passed is not True:
        return INCONCLUSIVE
    if passed is None:
        return NOT_CHECKED
    return PASSED if passed else FAILED


def _slices(view: SuiteView, comparison: Comparison) -> tuple[SliceDifference, ...]:
    data = view.workspace.suite.dataset
    if not data.slices:
        return ()
    sides = [
        slice_scores(view.looked_at[key], view.workspace.samples_by_id, data.slices, data.slice_min).columns
        for key in (comparison.baseline, comparison.candidate)
    ]
    return tuple(
        SliceDifference(column, value, _slice_metrics(view, comparison, before, sides[1][column][value]))
        for column, values in sides[0].items()
        for value, before in values.items()
        if value in sides[1][column]
    )


def _slice_metrics(
    view: SuiteView, comparison: Comparison, before: ModelScores, after: ModelScores
) -> dict[str, PairedDifference]:
    pair = PairedScores(comparison, view.metrics, before, after)
    return {name: _difference(pair, name) for name in comparison.bounds}
