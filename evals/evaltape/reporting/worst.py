"""The samples that hurt a failed gate or comparison most, for a person to look at first."""

from collections.abc import Iterable, Iterator

import msgspec

from evaltape.metrics.metric import Metric
from evaltape.metrics.scorers import misses
from evaltape.reporting.results import ModelResults, PairResults, SuiteResults
from evaltape.reporting.tables import shown
from evaltape.samples.sample import Sample
from evaltape.scoring.paired_scores import Pair

MOST = 5


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
            cases = (_case(it.sample, shown(it.scores[name], metric), prediction=it.text) for it in scored[:MOST])
            yield Worst(f"{key} {name}: what hurt most", tuple(cases))
    # Only their answers explain these; causes with a remedy are told elsewhere.
    mended = {of for cause in suite.causes if cause.command for of in cause.predictions}
    failed = [each for each in scores.failures if (key, each.sample.id) not in mended][:MOST]
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
        metric, pairs = decision.metric, _lost(results.scores.pairs, decision.metric)[:MOST]
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
