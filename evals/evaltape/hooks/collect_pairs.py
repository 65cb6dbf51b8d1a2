"""Builds the results of comparisons, and of models beside their recordings on the other side."""

from collections.abc import Iterator
from dataclasses import replace

from evaltape.against.decide import CONFIDENCE
from evaltape.against.findings import UNCHANGED, ModelAgainst
from evaltape.hooks.collect_models import SuiteView
from evaltape.reporting.pair_results import (
    MAX_DROP,
    MIN_GAIN,
    AgainstModel,
    AgainstPair,
    AgainstResults,
    ComparisonResults,
    PairedDifference,
    SliceDifference,
)
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


# ---------------------------------------------------------------- the other side


def against_results(view: SuiteView) -> AgainstResults | None:
    """Return the models that were looked at beside the other side; None without `--against`, or if none was."""
    models = view.session.looked_at_against(view.workspace.name)
    if not models:
        return None
    side = view.session.other_side.side
    return AgainstResults(
        side.ref,
        side.commit or "",
        two_sided(CONFIDENCE),
        {key: _against(view, model) for key, model in models.items()},
        tuple(pair for model in models.values() for pair in _pairs(model)),
        (f"Compared with {side.title}.", *(note for model in models.values() for note in _notes(model))),
    )


def _against(view: SuiteView, found: ModelAgainst) -> AgainstModel:
    return AgainstModel(
        {name: _bounded(view, found, name) for name in found.metrics},
        len(found.samples.added),
        len(found.samples.dropped),
        len(found.samples.changed),
        found.not_compared,
    )


def _bounded(view: SuiteView, found: ModelAgainst, name: str) -> PairedDifference:
    difference, higher_is_better = found.differences.get(name), found.metrics[name].higher_is_better
    nothing = PairedDifference(None, None, None, 0, higher_is_better)
    pair = nothing if difference is None else _of_difference(difference, higher_is_better)
    if name not in found.max_drop:
        return pair
    key, outcomes = (view.workspace.name, found.model.key, name), view.session.findings.against
    verdict = _verdict(found.verdict(name), outcomes[key]) if key in outcomes else NOT_CHECKED
    remark = found.why(name) if verdict == INCONCLUSIVE else ""
    bound, passed = found.max_drop[name], outcomes.get(key)
    return replace(pair, kind=MAX_DROP, bound=bound, verdict=verdict, passed=passed, remark=remark)


def _pairs(found: ModelAgainst) -> Iterator[AgainstPair]:
    """Yield the samples that both sides answered."""
    for pair in found.pairs:
        if pair.is_answered:
            both = [name for name in pair.before.scores if name in pair.after.scores]
            scores = {name: (pair.before.scores[name], pair.after.scores[name]) for name in both}
            yield AgainstPair(found.model.key, pair.sample, pair.before.text, pair.after.text, scores)


def _notes(found: ModelAgainst) -> Iterator[str]:
    if found.not_compared:
        yield f"{found.model.key} isn't compared: {found.not_compared}."
    notes = [*([UNCHANGED] if found.is_unchanged else []), *found.notes]
    if notes:
        yield f"{found.model.key}: {'; '.join(notes)}"


# ---------------------------------------------------------------- slices


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
