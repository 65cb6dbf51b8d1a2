"""The verdict on a session: its headline, and a line for everything that doesn't hold.

It is made of the results alone and names no date, so that the same recordings give the same words.
"""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from evaltape.metrics.metric import Metric
from evaltape.reporting.results import Results, SuiteResults
from evaltape.reporting.subjects import ModelResults
from evaltape.reporting.tables import bound_text, distance, gate_text, interval, mean_beside, misses
from evaltape.scoring.bounds import AGAINST, FAILED, INCONCLUSIVE, NOT_CHECKED, PASSED, Decision
from evaltape.scoring.statistics import Interval
from evaltape.text import counted, listed

State = Literal["passed", "failed", "open"]
Place = Literal["scores", "slices", "comparisons", "against"]
OPEN: Final = "open"
"""Nothing was asserted, or nothing of it was decided."""


class Part(msgspec.Struct, frozen=True):
    """A part of the headline, as `All 4 gates hold`."""

    text: str
    state: State


class Reason(msgspec.Struct, frozen=True):
    """An assertion that doesn't hold, or several with the same cause."""

    text: str
    """The line that says so."""
    place: Place
    """The section of the report that has its numbers."""
    model: str = ""
    """The key of the model that it is about."""
    metric: str = ""
    """The metric; the first of several."""
    is_failure: bool = True
    """False for a difference that may stay undecided by the suite."""


class SuiteVerdict(msgspec.Struct, frozen=True):
    """The verdict on a suite."""

    parts: tuple[Part, ...]
    """The headline: of gates, comparisons, accepted scores, samples and other tests."""
    reasons: tuple[Reason, ...]
    """The failures beyond the `causes` of the results."""

    @property
    def text(self) -> str:
        """The verdict in a line."""
        return "; ".join(part.text for part in self.parts)

    @property
    def state(self) -> State:
        """`failed` if a part failed, else `passed` if any passed."""
        states = {part.state for part in self.parts}
        return "failed" if "failed" in states else "passed" if "passed" in states else OPEN


def verdict_of(suite: SuiteResults, results: Results) -> SuiteVerdict:
    """Return the verdict on a suite of a session. Nothing "all holds" in a session that fails."""
    parts = [
        _gates(suite, results.is_red),
        *_comparisons(suite),
        *_against(suite),
        *_judges(suite),
        *_accepted(suite),
        *_failed_samples(suite),
        *_failed_tests(suite.other_failures, "other test of the suite", "other tests of the suite"),
        *(failures_elsewhere(results) if len(results.suites) == 1 else ()),
    ]
    return SuiteVerdict(tuple(parts), tuple(_reasons(suite)))


def failed_first(results: Results) -> list[SuiteResults]:
    """Return the suites that the run looked at, failed suites first."""
    suites = [suite for suite in results if suite.predictions]
    return sorted(suites, key=lambda suite: verdict_of(suite, results).state != "failed")


def failures_elsewhere(results: Results) -> Iterator[Part]:
    """Yield the line on failed tests of no suite; a single suite's verdict has it."""
    return _failed_tests(results.other_failures, "test of no suite", "tests of no suite")


def mutation_line(suite: SuiteResults) -> str | None:
    """Return the mutation score in a line; None without `--mutate`."""
    studies = [(key, result.study) for key, result in suite.mutants.items() if result.study.applicable]
    if not studies:
        return None
    scores = [f"{len(study.noticed)} of {len(study.applicable)} for {key}" for key, study in studies]
    return f"Kinds of damage that the gates notice at {studies[0][1].noticed_at:.0%} of the answers: {', '.join(scores)}."


# ---------------------------------------------------------------- the headline


def _gates(suite: SuiteResults, is_red: bool) -> Part:
    passed = [gate.outcome for model in suite.models.values() for gate in model.all_gates]
    passed += [test.passed for test in suite.tests.values()]
    if not passed:
        unseen = suite.unseen_gates
        return Part(f"{counted(unseen, 'gate')}, not checked in this run" if unseen else "No gates are set", OPEN)
    return _all(passed, "gate", is_red)


def _all(passed: list[bool | None], noun: str, is_red: bool) -> Part:
    checked = [each for each in passed if each is not None]
    left = len(passed) - len(checked)
    if not checked:
        return Part(f"{counted(left, noun)}, not checked in this run", OPEN)
    held = sum(checked)
    verb = "holds" if 1 in (held, len(checked)) else "hold"
    text = f"All {held} {noun}s hold" if held == len(checked) > 1 and not is_red else None
    text = text or f"{held} of {counted(len(checked), noun)} {verb}"
    return Part(text + (f", {left} more not checked in this run" if left else ""), PASSED if all(checked) else FAILED)


def _comparisons(suite: SuiteResults) -> Iterator[Part]:
    metrics = [each for comparison in suite.comparisons.values() for each in comparison.metrics.values()]
    if metrics:
        yield Part(*_passed(metrics, "comparison"))


def _against(suite: SuiteResults) -> Iterator[Part]:
    if suite.against is None:
        return
    bounded = [each for model in suite.against.models.values() for each in model.metrics.values()]
    if bounded:
        text, state = _passed(bounded, "bound")
        yield Part(f"against {suite.against.ref}: {text}", state)


def _judges(suite: SuiteResults) -> Iterator[Part]:
    """Yield how many judges passed their exam; nothing of judges without an exam."""
    exams = [judge.examined for judge in suite.judges.values() if judge.examined.judge.exam is not None]
    if exams:
        passed = sum(exam.passed for exam in exams)
        text = f"{passed} of {counted(len(exams), 'judge')} passed {'its exam' if len(exams) == 1 else 'their exams'}"
        yield Part(text, PASSED if passed == len(exams) else FAILED)


def _passed(metrics: list[Decision], noun: str) -> tuple[str, State]:
    checked = [each for each in metrics if each.verdict != NOT_CHECKED]
    left = len(metrics) - len(checked)
    if not checked:
        return f"{counted(left, noun)}, not checked in this run", OPEN
    unsure = sum(each.verdict == INCONCLUSIVE for each in checked)
    text = f"{sum(each.verdict == PASSED for each in checked)} of {counted(len(checked), noun)} passed"
    text += f", {unsure} inconclusive" if unsure else ""
    text += f", {left} more not checked in this run" if left else ""
    failed = any(each.outcome is False for each in checked)
    return text, FAILED if failed else OPEN if unsure else PASSED


def _accepted(suite: SuiteResults) -> Iterator[Part]:
    scored = [model.accepted for model in suite.models.values() if model.accepted and model.scores]
    failed = [accepted for accepted in scored if accepted.passed is False]
    new = sum(not accepted.exists for accepted in failed)
    if len(failed) > new:
        yield Part(f"accepted scores of {counted(len(failed) - new, 'model')} changed", FAILED)
    if new:
        yield Part(f"no scores of {counted(new, 'model')} are accepted yet", FAILED)


def _failed_samples(suite: SuiteResults) -> Iterator[Part]:
    """Yield the failed samples; they are failures where a test says so, and otherwise open."""
    models = suite.models.values()
    failed = sum(model.failed for model in models)
    if failed:
        state: State = FAILED if suite.lost else OPEN
        yield Part(f"{failed:,} of {counted(sum(model.samples for model in models), 'prediction')} failed", state)
    elif suite.lost:
        yield Part(f"tests of {counted(suite.lost, 'sample')} failed before they had an answer", FAILED)
    for model in models:
        if model.unfinished:
            yield Part(f"recording of {model.key} unfinished: {model.unfinished}", FAILED)


def _failed_tests(failed: int, one: str, several: str) -> Iterator[Part]:
    if failed:
        yield Part(f"{failed:,} {one if failed == 1 else several} failed", FAILED)


# ---------------------------------------------------------------- the reasons


def open_lines(suite: SuiteResults) -> Iterator[str]:
    """Yield a line for each difference that the scores don't decide, and that the suite puts up with."""
    yield from (reason.text for reason in _pair_reasons(suite) if not reason.is_failure)


def _reasons(suite: SuiteResults) -> Iterator[Reason]:
    for model in suite.models.values():
        yield from _gate_reasons(suite, model)
        yield from _slice_reasons(suite, model)
    yield from (Reason(f"{it} failed", "scores", test.model) for it, test in suite.tests.items() if test.passed is False)
    yield from (reason for reason in _pair_reasons(suite) if reason.is_failure)


def _gate_reasons(suite: SuiteResults, model: ModelResults) -> Iterator[Reason]:
    """Yield a line for each gate that its mean misses, and a line for all gates that fail for the same other reason."""
    others: dict[str, list[str]] = {}
    for name, gate in model.gates.items():
        if gate.outcome is not False:
            continue
        score, metric = model.scores.get(name), suite.metrics.get(name)
        if metric is not None and score is not None and misses(score.mean, gate.bound.limit, metric):
            yield Reason(f"{model.key} {name}: {_missed(score, gate, metric)}", "scores", model.key, name)
        else:
            others.setdefault(_why_else(model, score, gate), []).append(name)
    for why, names in others.items():
        held = f"{_held(suite, model, names)}, but {why}" if names[0] in model.scores else f"{', '.join(names)}: {why}"
        yield Reason(f"{model.key} {held}", "scores", model.key, names[0])


def _missed(score: Interval, gate: Decision, metric: Metric) -> str:
    limit, side = gate.bound.limit, "under" if metric.higher_is_better else "over"
    mean, by = mean_beside(score, limit, metric), distance(score.mean, limit, metric)
    return f"mean {mean} is {by} {side} its gate {limit:g} (95% interval {interval(score, metric)})"


def _why_else(model: ModelResults, score: Interval | None, gate: Decision) -> str:
    if score is None:
        return "no sample was scored"
    return "the recording is unfinished" if model.unfinished else gate.reason


def _held(suite: SuiteResults, model: ModelResults, names: list[str]) -> str:
    if len(names) > 1:
        return f"{', '.join(names)}: means hold their gates"
    gate, metric = model.gates[names[0]], suite.metrics[names[0]]
    mean = mean_beside(model.scores[names[0]], gate.bound.limit, metric)
    return f"{names[0]}: mean {mean} holds its gate {gate_text(gate.bound.limit, metric)}"


def _slice_reasons(suite: SuiteResults, model: ModelResults) -> Iterator[Reason]:
    for name, gate in model.slice_gates.items():
        if gate.outcome is False:
            slices = {f"{column} {value}": each for column, of in model.slices.items() for value, each in of.items()}
            missed = [named for named, each in slices.items() if each.verdicts.get(name) in (FAILED, INCONCLUSIVE)]
            side = "under" if suite.metrics[name].higher_is_better else "over"
            told = f"{counted(len(missed), 'slice')} wholly {side} the slice gate {gate.bound.limit:g}: {listed(missed)}"
            why = told if missed else gate.reason or "the test of its slices failed"
            yield Reason(f"{model.key} {name}: {why}", "slices", model.key, name)


def _pair_reasons(suite: SuiteResults) -> Iterator[Reason]:
    """Yield a line for each difference that misses its bound, or that doesn't decide it."""
    for pair in suite.pairs:
        for name, each in pair.metrics.items():
            if each.verdict in (FAILED, INCONCLUSIVE):
                text = _difference(pair.named(name), each, suite.metrics[name], pair.label)
                place: Place = "against" if each.bound.kind == AGAINST else "comparisons"
                yield Reason(text, place, pair.comparison.candidate, name, each.outcome is False)


def _difference(title: str, each: Decision, metric: Metric, label: str) -> str:
    if each.difference is None:
        return f"{title}: {each.reason or 'no sample was scored on both sides'}"
    required = each.required_difference
    ends = f"{label} interval {interval(each.difference, metric, required)}"
    remark = f": {each.remark}" if each.verdict == INCONCLUSIVE else ""
    change = mean_beside(each.difference, required, metric)
    return f"{title}: {change} ({ends}), {bound_text(each)}, {each.verdict}{remark}"
