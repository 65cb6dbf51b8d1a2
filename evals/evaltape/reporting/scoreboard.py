"""The score table before it is drawn: groups of lines, made of the results, for terminal and Markdown alike."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from evaltape.metrics.metric import Metric
from evaltape.reporting.model_results import ModelResults, PairResults
from evaltape.reporting.results import SuiteResults
from evaltape.reporting.tables import bound_text, interval, mean_beside
from evaltape.scoring.bounds import MAX_ALARMS, MIN_NOTICED, Decision, Verdict
from evaltape.scoring.paired import Difference
from evaltape.scoring.statistics import Interval, has_few
from evaltape.suite.definition import CORRECTED
from evaltape.text import counted

MOST_SLICES = 20
"""As many slices of a column are shown, the worst first."""
UNPAIRED = ("no sample was scored on both sides",)
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
    facts: tuple[str, ...]
    """Counts and dates, a few words each."""
    lines: tuple[Line, ...]
    alarming: tuple[str, ...] = ()
    """Facts that want to be seen."""
    tests: tuple[Line, ...] = ()
    """Gates that users wrote; their names are too long for a column."""
    model: str = ""
    """The key of the model that it is about, if any."""


def tables(suite: SuiteResults, everything: bool) -> Iterator[tuple[tuple[str, str, str, str], list[Group]]]:
    """Yield the titles and the groups of each table that has any; with `everything` all slices of all metrics."""
    slices = slice_groups(suite, everything)
    groups = (model_groups(suite), slices, comparison_groups(suite), against_groups(suite), judge_groups(suite))
    made = zip(COLUMNS.values(), map(list, groups), strict=True)
    yield from ((titles, of_table) for titles, of_table in made if of_table)


def _line(name: str, metric: Metric, found: Interval | Difference | None, decision: Decision | None = None) -> Line:
    """Return a mean or a difference, beside the bound on it if there is one."""
    if decision is None:
        return Line(name, mean_beside(found, None, metric), interval(found, metric))
    is_paired = decision.bound.is_paired
    required = decision.required_difference if is_paired else decision.bound.limit
    ends = interval(found, metric, required if is_paired else None)
    return Line(name, mean_beside(found, required, metric), ends, bound_text(decision), decision.verdict)


def model_groups(suite: SuiteResults) -> Iterator[Group]:
    """Yield scores that cost nothing, then each model that was looked at."""
    for computed_as, computed in suite.computed.items():
        lines = tuple(_line(name, suite.metrics[name], mean) for name, mean in computed.intervals.items())
        yield Group(f"{computed_as} (computed, not recorded)", ("what a model has to beat",), lines)
    for key, model in suite.models.items():
        means = model.means
        lines = tuple(
            _line(name, metric, means.get(name), model.gates.get(name))
            for name, metric in suite.metrics.items()
            if name in means or name in model.gates
        )
        tests = tuple(Line(test_id, verdict=test.verdict) for test_id, test in suite.tests.items() if test.model == key)
        yield Group(key, tuple(_facts(model)), lines, (*_alarming(model), *unproven(suite)), tests, key)


def _facts(model: ModelResults) -> Iterator[str]:
    all_of, samples = counted(model.of, "sample"), len(model.scores.predictions)
    yield all_of if samples == model.of else f"{samples:,} of {all_of}"
    if model.scores.truncated:
        yield f"{model.scores.truncated:,} truncated"
    yield from _clusters(model.means.values())
    if model.recorded is not None:
        first, last = model.recorded
        yield f"recorded {first}" if first == last else f"recorded {first} to {last}"


def _alarming(model: ModelResults) -> Iterator[str]:
    if model.scores.failures:
        yield f"{len(model.scores.failures):,} failed ({model.scores.model.allow_failed:,} allowed)"
    yield from (f"{len(reasons):,} not scored by {metric}" for metric, reasons in model.unscored.items())
    if model.unfinished:
        yield f"recording unfinished: {model.unfinished}"
    if model.versions:
        yield f"served by {len(model.versions)} versions: {', '.join(model.versions)}"


def _clusters(found: Iterable[Interval | Difference | None]) -> Iterator[str]:
    clusters = [each.clusters for each in found if each is not None and each.clusters is not None]
    if clusters:
        few = ": few, so intervals are not exact" if has_few(max(clusters)) else ""
        yield f"{counted(max(clusters), 'cluster')}{few}"


def slice_groups(suite: SuiteResults, everything: bool = False) -> Iterator[Group]:
    """Yield the slices of each model by column: of the metrics that slices are gated on, or of the suite's first.

    With `everything`, of all metrics that the suite names, and however many slices there are.
    """
    for key, model in suite.models.items():
        named = [metric.name for metric in suite.named_metrics]
        for name in named if everything else list(model.slice_gates) or named[:1]:
            for column in model.slices.columns:
                facts, lines = _slices(suite.metrics[name], model, column, everything)
                yield Group(f"{key} {name} by {column}", facts, lines)


def _slices(metric: Metric, model: ModelResults, column: str, everything: bool) -> tuple[tuple[str, ...], tuple[Line, ...]]:
    slices, verdicts = model.slices.columns[column], model.slice_verdicts(metric.name)
    means = {value: scores.intervals.get(metric.name) for value, scores in slices.items()}

    def badness(value: str) -> float:
        mean = means[value]
        if mean is None:
            return float("-inf")
        return mean.mean if metric.higher_is_better else -mean.mean

    gate = model.slice_gates.get(metric.name)
    shown = sorted(slices, key=badness)[: None if everything else MOST_SLICES]
    small = sum(not model.slices.is_gated(each) for each in slices.values())
    facts = [counted(len(slices), "slice")]
    facts += [f"the {len(shown)} worst are shown"] if len(shown) < len(slices) else []
    facts += [f"{small} too small for a gate"] if gate and small else []
    lines = []
    for value in shown:
        verdict = verdicts.get((column, value))
        decided = msgspec.structs.replace(gate, verdict=verdict) if gate and verdict else None
        lines.append(_line(f"{value} ({len(slices[value].predictions):,})", metric, means[value], decided))
    return tuple(facts), tuple(lines)


def comparison_groups(suite: SuiteResults) -> Iterator[Group]:
    """Yield each comparison of two models that were looked at; the answers' length stands beside the scores."""
    for comparison in suite.comparisons.values():
        words = {name: each for name, each in comparison.beside.items() if name == "words"}
        found = [each.difference for each in comparison.metrics.values()]
        asked, samples = comparison.scores.comparison, _samples(found)
        facts = (counted(samples, "sample"), *_clusters(found), f"{comparison.label} interval")
        alarming = (*(() if samples else UNPAIRED), *unproven(suite, comparison.metrics))
        title = f"{asked.key}: {asked.candidate} less {asked.baseline}"
        yield Group(title, facts, _pair_lines(suite, comparison, words), alarming)


def against_groups(suite: SuiteResults) -> Iterator[Group]:
    """Yield each model beside its recording at another commit."""
    for key, model in suite.against.models.items() if suite.against else ():
        if model.is_told_in_notes:
            continue
        samples = _samples([*(each.difference for each in model.metrics.values()), *model.beside.values()])
        counts = [f"{count:,} {word}" for word, count in model.counts.items() if count]
        facts = (counted(samples, "sample"), *counts, f"{model.label} interval")
        alarming = (*(() if samples else UNPAIRED), *unproven(suite, {**model.metrics, **model.beside}))
        title = f"{key} against {model.scores.side.ref}"
        yield Group(title, facts, _pair_lines(suite, model, model.beside), alarming, model=key)


def _pair_lines(suite: SuiteResults, pair: PairResults, beside: Mapping[str, Difference]) -> tuple[Line, ...]:
    """Return a line per metric, in the order of the suite."""
    found = {**{name: each.difference for name, each in pair.metrics.items()}, **beside}
    return tuple(_line(it, suite.metrics[it], found[it], pair.metrics.get(it)) for it in suite.metrics if it in found)


def _samples(found: Iterable[Difference | None]) -> int:
    return max((each.samples for each in found if each is not None), default=0)


def judge_groups(suite: SuiteResults) -> Iterator[Group]:
    """Yield each judge with the bounds of its exam."""
    for judge in suite.judges.values():
        facts = [f"{judge.asked:,} verdicts"]
        facts += [f"{judge.flips.share:.1%} of repeated verdicts flip"] if judge.flips else []
        alarming = [f"{judge.unread:,} can't be read"] if judge.unread else []
        if judge.examined.judge.exam is None:
            alarming.append("took no exam")
        elif not judge.examined.passed:
            alarming.append("exam not recorded" if judge.examined.not_examined else "failed its exam")
        lines = tuple(map(_exam_line, judge.examined.decisions))
        title = f"{judge.key} ({', '.join(judge.metrics) or 'scores no metric'})"
        yield Group(title, tuple(facts), lines, tuple(alarming))


def unproven(suite: SuiteResults, metrics: Iterable[str] | None = None) -> Iterator[str]:
    """Yield which metrics, of all or of some, are scored by a judge that hasn't passed its exam."""
    for judge in suite.judges.values():
        named = [name for name in judge.metrics if metrics is None or {name, f"{name}{CORRECTED}"} & set(metrics)]
        if named and judge.examined.standing:
            yield f"{', '.join(named)}: {judge.examined.standing}"


def _exam_line(decision: Decision) -> Line:
    found = decision.estimate
    value = "unknown" if decision.value is None or found is None else f"{decision.value:.2f}"
    ends = "" if found is None or found.low is None or found.high is None else f"{found.low:.2f} to {found.high:.2f}"
    sign = ">=" if decision.at_least else "<="
    return Line(exam_part(decision), value, ends, f"{sign} {decision.bound.limit:g}", decision.verdict)


def exam_part(decision: Decision) -> str:
    """Return the subject of an exam's bound, in a word or two."""
    kind, name = decision.bound.kind, decision.bound.metric
    return {MIN_NOTICED: f"notices {name}", MAX_ALARMS: f"alarms, {name}"}.get(kind, f"kappa, {name}")
