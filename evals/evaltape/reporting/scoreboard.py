"""The score table before it is drawn: groups of lines, made of the results, for terminal and Markdown alike."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from evaltape.metrics.metric import Metric
from evaltape.reporting.results import SuiteResults
from evaltape.reporting.subjects import ModelResults, PairResults, Slice
from evaltape.reporting.tables import bound_text, gate_text, interval, mean_beside
from evaltape.scoring.bounds import MAX_ALARMS, MIN_NOTICED, NOT_CHECKED, Decision, Verdict
from evaltape.scoring.paired import Difference
from evaltape.scoring.statistics import Interval, has_few
from evaltape.suite.definition import CORRECTED
from evaltape.text import counted

MOST_SLICES = 20
"""As many slices of a column are shown, the worst first."""


COLUMNS: Mapping[str, tuple[str, str, str, str]] = {
    "models": ("", "mean", "95% interval", "gate"),
    "slices": ("", "mean", "95% interval", "slice gate"),
    "comparisons": ("", "change", "interval", "bound"),
    "against": ("", "change", "interval", "bound"),
    "judges": ("judges", "share", "95% interval", "exam"),
}
"""The titles of each table; a column of verdicts follows."""


class Line(msgspec.Struct, frozen=True):
    """A metric: a mean or a difference with its interval and, if it has any, its bound and the verdict."""

    name: str
    """The metric; in a group of slices the slice, among tests the test."""
    value: str = ""
    interval: str = ""
    bound: str = ""
    verdict: Verdict | None = None
    """None without a bound."""


class Group(msgspec.Struct, frozen=True):
    """A model, a comparison, or the slices of a model."""

    title: str
    """Its name, in a few words."""
    facts: tuple[str, ...]
    """Counts and dates, a few words each."""
    lines: tuple[Line, ...]
    """A line each."""
    alarming: tuple[str, ...] = ()
    """Facts that want to be seen."""
    tests: tuple[Line, ...] = ()
    """Gates that users wrote; their names are too long for a column."""
    model: str = ""
    """The key of the model that it is about, if any."""


# ---------------------------------------------------------------- models


def model_groups(suite: SuiteResults) -> Iterator[Group]:
    """Yield scores that cost nothing, then each model that was looked at."""
    for computed_as, computed in suite.computed.items():
        lines = tuple(_mean_line(suite.metrics[name], score) for name, score in computed.scores.items())
        yield Group(f"{computed_as} (computed, not recorded)", ("what a model has to beat",), lines)
    for model in suite.models.values():
        tests = tuple(Line(test_id, verdict=test.verdict) for test_id, test in suite.tests.items() if test.model == model.key)
        yield Group(
            model.key,
            tuple(_facts(model)),
            tuple(_model_lines(suite, model)),
            (*_alarming(model), *unproven(suite)),
            tests,
            model.key,
        )


def _model_lines(suite: SuiteResults, model: ModelResults) -> Iterator[Line]:
    for name, metric in suite.metrics.items():
        score, gate = model.scores.get(name), model.gates.get(name)
        if score is not None or gate is not None:
            yield _mean_line(metric, score, gate)


def _mean_line(metric: Metric, score: Interval | None, gate: Decision | None = None) -> Line:
    ends = interval(score, metric)
    if gate is None:
        return Line(metric.name, mean_beside(score, None, metric), ends)
    limit = gate.bound.limit
    return Line(metric.name, mean_beside(score, limit, metric), ends, gate_text(limit, metric), gate.verdict)


def _facts(model: ModelResults) -> Iterator[str]:
    yield (
        counted(model.samples, "sample") if model.samples == model.of else f"{model.samples:,} of {counted(model.of, 'sample')}"
    )
    if model.truncated:
        yield f"{model.truncated:,} truncated"
    clusters = {score.clusters for score in model.scores.values() if score.clusters is not None}
    if clusters:
        yield _clusters(max(clusters))
    if model.recorded is not None:
        first, last = model.recorded
        yield f"recorded {first}" if first == last else f"recorded {first} to {last}"


def _alarming(model: ModelResults) -> Iterator[str]:
    if model.failed:
        yield f"{model.failed:,} failed ({model.allow_failed:,} allowed)"
    for metric, reasons in model.unscored.items():
        if reasons:
            yield f"{len(reasons):,} not scored by {metric}"
    if model.unfinished:
        yield f"recording unfinished: {model.unfinished}"
    if len(model.versions) > 1:
        yield f"served by {len(model.versions)} versions: {', '.join(model.versions)}"


# ---------------------------------------------------------------- slices


def slice_groups(suite: SuiteResults, everything: bool = False) -> Iterator[Group]:
    """Yield the slices of each model by column: of the metrics that slices are gated on, or of the suite's first.

    With `everything`, of all metrics that the suite names, and however many slices there are.
    """
    for model in suite.models.values():
        named = [metric.name for metric in suite.named_metrics]
        for name in named if everything else list(model.slice_gates) or named[:1]:
            for column, slices in model.slices.items():
                yield _slice_group(suite.metrics[name], model, column, slices, everything)


def _slice_group(metric: Metric, model: ModelResults, column: str, slices: Mapping[str, Slice], everything: bool) -> Group:
    gate = model.slice_gates.get(metric.name)
    ordered = sorted(slices, key=lambda value: _badness(slices[value], metric))
    shown = ordered if everything else ordered[:MOST_SLICES]
    small = sum(not each.is_gated for each in slices.values())
    facts = [counted(len(slices), "slice")]
    facts += [f"the {len(shown)} worst are shown"] if len(shown) < len(slices) else []
    facts += [f"{small} too small for a gate"] if gate and small else []
    lines = tuple(_slice_line(value, slices[value], metric, gate) for value in shown)
    return Group(f"{model.key} {metric.name} by {column}", tuple(facts), lines)


def _badness(each: Slice, metric: Metric) -> float:
    score = each.scores.get(metric.name)
    if score is None:
        return float("-inf")
    return score.mean if metric.higher_is_better else -score.mean


def _slice_line(value: str, each: Slice, metric: Metric, gate: Decision | None) -> Line:
    score = each.scores.get(metric.name)
    ends = interval(score, metric)
    name = f"{value} ({each.samples:,})"
    if gate is None or not each.is_gated:
        return Line(name, mean_beside(score, None, metric), ends)
    limit, verdict = gate.bound.limit, each.verdicts.get(metric.name, NOT_CHECKED)
    return Line(name, mean_beside(score, limit, metric), ends, gate_text(limit, metric), verdict)


# ---------------------------------------------------------------- pairs


def comparison_groups(suite: SuiteResults) -> Iterator[Group]:
    """Yield each comparison of two models that were looked at; the answers' length stands beside the scores."""
    for comparison in suite.comparisons.values():
        words = {name: each for name, each in comparison.beside.items() if name == "words"}
        asked = comparison.comparison
        title = f"{asked.name}: {asked.candidate} less {asked.baseline}"
        lines = _pair_lines(suite, comparison.metrics, words)
        samples = _samples(comparison.metrics, {})
        alarming = (*_unpaired(samples), *unproven(suite, comparison.metrics))
        yield Group(title, (counted(samples, "sample"), *_pair_facts(comparison)), lines, alarming)


def against_groups(suite: SuiteResults) -> Iterator[Group]:
    """Yield each model beside its recording at another commit."""
    if suite.against is None:
        return
    for key, model in suite.against.models.items():
        if model.is_told_in_notes:
            continue
        samples = _samples(model.metrics, model.beside)
        facts = [counted(samples, "sample"), *(f"{count:,} {word}" for word, count in model.counts.items() if count)]
        facts.append(f"{suite.against.label} interval")
        title = f"{key} against {suite.against.ref}"
        alarming = (*_unpaired(samples), *unproven(suite, {**model.metrics, **model.beside}))
        yield Group(title, tuple(facts), _pair_lines(suite, model.metrics, model.beside), alarming, model=key)


def _pair_facts(comparison: PairResults) -> Iterable[str]:
    found = [each.difference for each in comparison.metrics.values()]
    clusters = {each.clusters for each in found if each is not None and each.clusters is not None}
    if clusters:
        yield _clusters(max(clusters))
    yield f"{comparison.label} interval"


def _clusters(number: int) -> str:
    return f"{counted(number, 'cluster')}{': few, so intervals are not exact' if has_few(number) else ''}"


def _pair_lines(suite: SuiteResults, bounded: Mapping[str, Decision], beside: Mapping[str, Difference]) -> tuple[Line, ...]:
    """Return a line per metric, in the order of the suite."""
    lines = {name: _decided_line(suite.metrics[name], each) for name, each in bounded.items()}
    lines |= {name: _difference_line(suite.metrics[name], each) for name, each in beside.items()}
    return tuple(lines[name] for name in suite.metrics if name in lines)


def _decided_line(metric: Metric, each: Decision) -> Line:
    required = each.required_difference
    value = mean_beside(each.difference, required, metric)
    return Line(metric.name, value, interval(each.difference, metric, required), bound_text(each), each.verdict)


def _difference_line(metric: Metric, each: Difference) -> Line:
    return Line(metric.name, mean_beside(each, None, metric), interval(each, metric))


def _samples(bounded: Mapping[str, Decision], beside: Mapping[str, Difference]) -> int:
    found = [*(each.difference for each in bounded.values()), *beside.values()]
    return max((each.samples for each in found if each is not None), default=0)


def _unpaired(samples: int) -> tuple[str, ...]:
    return () if samples else ("no sample was scored on both sides",)


# ---------------------------------------------------------------- judges


def judge_groups(suite: SuiteResults) -> Iterator[Group]:
    """Yield each judge with the bounds of its exam."""
    for judge in suite.judges.values():
        lines = tuple(_exam_line(decision) for decision in judge.examined.decisions)
        title = f"{judge.key} ({', '.join(judge.metrics) or 'scores no metric'})"
        yield Group(title, tuple(judge.facts), lines, tuple(judge.alarming))


def unproven(suite: SuiteResults, metrics: Iterable[str] | None = None) -> Iterator[str]:
    """Yield which metrics, of all or of some, are scored by a judge that hasn't passed its exam."""
    for judge in suite.judges.values():
        named = [name for name in judge.metrics if metrics is None or {name, f"{name}{CORRECTED}"} & set(metrics)]
        if named and judge.examined.standing:
            yield f"{', '.join(named)}: {judge.examined.standing}"


def _exam_line(decision: Decision) -> Line:
    found = decision.estimate
    unknown = decision.value is None or found is None
    value = "unknown" if unknown else f"{decision.value:.2f}"
    ends = "" if found is None or found.low is None or found.high is None else f"{found.low:.2f} to {found.high:.2f}"
    sign = ">=" if decision.at_least else "<="
    return Line(exam_part(decision), value, ends, f"{sign} {decision.bound.limit:g}", decision.verdict)


def exam_part(decision: Decision) -> str:
    """Return the subject of an exam's bound, in a word or two."""
    kind, name = decision.bound.kind, decision.bound.metric
    return {MIN_NOTICED: f"notices {name}", MAX_ALARMS: f"alarms, {name}"}.get(kind, f"kappa, {name}")
