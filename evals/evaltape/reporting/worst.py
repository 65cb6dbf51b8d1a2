"""The samples that hurt a failed gate or comparison most, for a person to look at first."""

from collections.abc import Iterable, Iterator

import msgspec

from evaltape.metrics.metric import Metric
from evaltape.reporting.results import SuiteResults
from evaltape.reporting.subjects import ModelResults, PairResults
from evaltape.reporting.tables import misses, shown
from evaltape.scoring.paired_scores import Pair
from evaltape.scoring.prediction import Prediction

MOST = 5


class Case(msgspec.Struct, frozen=True):
    """A sample."""

    sample: str
    """Its id."""
    score: str
    """Its score, in a few words."""
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
    for model in suite.models.values():
        yield from _of_gates(suite, model)
        yield from _failed(suite, model)
    for it in suite.comparisons.values():
        about = f"where {it.comparison.candidate} lost most"
        yield from _of_pairs(suite, it, about, ("baseline", "candidate"))
    for past in suite.against.models.values() if suite.against else ():
        about = f"what {past.scores.side.ref} answered better"
        yield from _of_pairs(suite, past, about, ("before", "after"))


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
    return [_loss(metric, pair) for pair in _lost(suite.against.pairs, metric)[:most]]


def _loss(metric: Metric, pair: Pair) -> Loss:
    reference = next(iter(pair.after.sample.references), "")
    texts = (reference, pair.before.text, pair.after.text)
    return Loss(pair.after.model.key, pair.sample, f"{metric.name} {_change(metric, pair)}", texts)


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
    """Yield failed samples that only their answers explain; causes with a remedy are told elsewhere."""
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


def _of_pairs(suite: SuiteResults, results: PairResults, about: str, sides: tuple[str, str]) -> Iterator[Worst]:
    for name, decision in results.metrics.items():
        metric = suite.metrics[name]
        lost = _lost(results.scores.pairs, metric)[:MOST] if decision.outcome is False else []
        if lost:
            title = f"{decision.bound.subject} {name}: {about}"
            yield Worst(title, tuple(_paired_case(metric, pair, sides) for pair in lost))


def _lost(pairs: Iterable[Pair], metric: Metric) -> list[Pair]:
    """Return the pairs that became worse, the greatest loss first."""
    losses = [(_loss_of(pair, metric), pair) for pair in pairs]
    return [pair for _, pair in sorted((each for each in losses if each[0] > 0), key=lambda each: -each[0])]


def _loss_of(pair: Pair, metric: Metric) -> float:
    change = pair.change(metric.name) or 0.0
    return -change if metric.higher_is_better else change


def _paired_case(metric: Metric, pair: Pair, sides: tuple[str, str]) -> Case:
    answers = dict(zip(sides, (pair.before.text, pair.after.text), strict=True))
    return Case(pair.sample, _change(metric, pair), {**_references(pair.after.sample.references), **answers})


def _change(metric: Metric, pair: Pair) -> str:
    before, after = (each.scores[metric.name] for each in (pair.before, pair.after))
    return f"{shown(after - before, metric, signed=True)} ({shown(before, metric)} to {shown(after, metric)})"


def _rerun(suite: SuiteResults, predictions: Iterable[Prediction]) -> str | None:
    tests = [suite.test_ids.get((each.model.key, each.sample.id)) for each in predictions]
    return suite.commands.replay([test for test in tests if test is not None]) if None not in tests else None
