"""The samples that hurt a failed gate or comparison most: what a person looks at first."""

from collections.abc import Iterable, Iterator

import msgspec

from evaltape.reporting.facts import MetricFacts
from evaltape.reporting.model_results import ModelResults
from evaltape.reporting.numbers import misses, shown
from evaltape.reporting.pair_results import AgainstPair, AgainstResults
from evaltape.reporting.results import SuiteResults
from evaltape.scoring.prediction import Prediction

MOST = 5


class Case(msgspec.Struct, frozen=True):
    """One sample."""

    sample: str
    """Its id."""
    score: str
    """What it scored, in a few words."""
    texts: dict[str, str]
    """Reference and answers by what they are, as they are."""


class Worst(msgspec.Struct, frozen=True):
    """The samples behind something that doesn't hold."""

    title: str
    """What doesn't hold."""
    cases: tuple[Case, ...]
    """Worst first."""
    command: str | None = None
    """What runs their tests again; None for tests that passed, and where none was collected."""


def worst_samples(suite: SuiteResults) -> Iterator[Worst]:
    """Yield the worst samples of each failed gate and comparison, and what failed of models that fail for it."""
    for model in suite.models.values():
        yield from _of_gates(suite, model)
        yield from _failed(suite, model)
    for comparison in suite.comparisons.values():
        for name, pair in comparison.metrics.items():
            title = f"{comparison.name} {name}: where {comparison.candidate} lost most"
            if pair.outcome is False:
                before, after = (_answered(suite, key) for key in (comparison.baseline, comparison.candidate))
                yield from _of_pair(suite, title, suite.metrics[name], before, after)
    yield from _of_against(suite)


class Loss(msgspec.Struct, frozen=True):
    """A sample that an earlier recording answered better."""

    model: str
    """The model's key."""
    sample: str
    """The sample's id."""
    score: str
    """Before and after, in a few words."""
    texts: tuple[str, str, str]
    """Its first reference, the answer before, the answer after."""


def lost_most(suite: SuiteResults, most: int) -> list[Loss]:
    """Return the samples that lost most against an earlier recording, by the suite's first metric."""
    if suite.against is None or not suite.named_metrics:
        return []
    metric = suite.named_metrics[0]
    pairs = [pair for pair in suite.against.pairs if metric.name in pair.scores]
    gains = [(_gain(metric, *pair.scores[metric.name]), pair) for pair in pairs]
    lost = sorted((each for each in gains if each[0] < 0), key=lambda each: each[0])[:most]
    return [_loss(suite, metric, pair) for _, pair in lost]


def _loss(suite: SuiteResults, metric: MetricFacts, pair: AgainstPair) -> Loss:
    reference = next(iter(suite.samples[pair.sample].references), "")
    score = f"{metric.name} {_change(metric, *pair.scores[metric.name])}"
    return Loss(pair.model, pair.sample, score, (reference, pair.before, pair.after))


# ---------------------------------------------------------------- gates


def _of_gates(suite: SuiteResults, model: ModelResults) -> Iterator[Worst]:
    for name, gate in model.gates.items():
        score, metric = model.scores.get(name), suite.metrics[name]
        if gate.outcome is False and score is not None and misses(score.mean, gate.bound.limit, metric):
            scored = [each for each in _answered(suite, model.key) if name in each.scores]
            scored.sort(key=lambda each: each.scores[name], reverse=not metric.higher_is_better)
            worst = scored[:MOST]
            cases = (Case(each.sample.id, shown(each.scores[name], metric), _texts(each)) for each in worst)
            yield Worst(f"{model.key} {name}: what hurt most", tuple(cases))


def _failed(suite: SuiteResults, model: ModelResults) -> Iterator[Worst]:
    """Yield failed samples that only their answers explain: what a command mends is said in one line elsewhere."""
    mended = {key for cause in suite.causes if cause.command for key in cause.predictions}
    failed = [each for each in suite.predictions if each.model.key == model.key and not each.answered]
    failed = [each for each in failed if (each.model.key, each.sample.id) not in mended][:MOST]
    if failed and model.too_many_failed:
        cases = (Case(each.sample.id, "failed", _texts(each)) for each in failed)
        yield Worst(f"{model.key}: failed samples", tuple(cases), _rerun(suite, failed))


def _answered(suite: SuiteResults, model: str) -> list[Prediction]:
    return [each for each in suite.predictions if each.model.key == model and each.answered]


def _texts(prediction: Prediction) -> dict[str, str]:
    texts = _references(prediction.sample.references)
    if prediction.failure is not None:
        return {**texts, "reason": prediction.failure}
    return {**texts, "prediction": prediction.text}


def _references(references: tuple[str, ...]) -> dict[str, str]:
    if len(references) == 1:
        return {"reference": references[0]}
    return {f"reference {number}": text for number, text in enumerate(references, 1)}


# ---------------------------------------------------------------- pairs


def _of_pair(
    suite: SuiteResults, title: str, metric: MetricFacts, before: Iterable[Prediction], after: Iterable[Prediction]
) -> Iterator[Worst]:
    earlier = {each.sample.id: each for each in before if metric.name in each.scores}
    pairs = [(earlier[each.sample.id], each) for each in after if each.sample.id in earlier and metric.name in each.scores]
    gains = [(_gain(metric, *(each.scores[metric.name] for each in pair)), pair) for pair in pairs]
    lost = [pair for _, pair in sorted((each for each in gains if each[0] < 0), key=lambda each: each[0])][:MOST]
    if lost:
        yield Worst(title, tuple(_paired_case(metric, *pair) for pair in lost))


def _gain(metric: MetricFacts, before: float, after: float) -> float:
    return after - before if metric.higher_is_better else before - after


def _paired_case(metric: MetricFacts, before: Prediction, after: Prediction) -> Case:
    texts = {**_references(after.sample.references), "baseline": before.text, "candidate": after.text}
    return Case(after.sample.id, _change(metric, before.scores[metric.name], after.scores[metric.name]), texts)


def _change(metric: MetricFacts, before: float, after: float) -> str:
    return f"{shown(after - before, metric, signed=True)} ({shown(before, metric)} to {shown(after, metric)})"


def _of_against(suite: SuiteResults) -> Iterator[Worst]:
    if suite.against is None:
        return
    for key, model in suite.against.models.items():
        for name, pair in model.metrics.items():
            if pair.outcome is False:
                yield from _of_past(suite, suite.against, key, suite.metrics[name])


def _of_past(suite: SuiteResults, against: AgainstResults, model: str, metric: MetricFacts) -> Iterator[Worst]:
    scored = [pair for pair in against.pairs if pair.model == model and metric.name in pair.scores]
    pairs = [pair for pair in scored if _gain(metric, *pair.scores[metric.name]) < 0]
    pairs.sort(key=lambda pair: _gain(metric, *pair.scores[metric.name]))
    cases = tuple(
        Case(
            pair.sample,
            _change(metric, *pair.scores[metric.name]),
            {**_references(suite.samples[pair.sample].references), "before": pair.before, "after": pair.after},
        )
        for pair in pairs[:MOST]
    )
    if cases:
        yield Worst(f"{model} {metric.name}: what {against.ref} answered better", cases)


def _rerun(suite: SuiteResults, predictions: Iterable[Prediction]) -> str | None:
    tests = [suite.test_ids.get((each.model.key, each.sample.id)) for each in predictions]
    return suite.commands.replay([test for test in tests if test is not None]) if None not in tests else None
