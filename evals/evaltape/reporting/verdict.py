"""The verdict on a session: what is said first, and a line for everything that doesn't hold.

It is made of the results alone and names no date, so that the same recordings give the same words.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

from evaltape.reporting.facts import MetricFacts
from evaltape.reporting.model_results import ModelResults
from evaltape.reporting.numbers import bound_text, difference_beside, distance, gate_text, interval, mean_beside, misses
from evaltape.reporting.results import Results, SuiteResults
from evaltape.scoring.bounds import FAILED, INCONCLUSIVE, NOT_CHECKED, PASSED, Decision
from evaltape.scoring.statistics import Interval
from evaltape.text import counted

State = Literal["passed", "failed", "open"]
OPEN: Final = "open"
"""Nothing was asserted, or nothing of it was decided."""


class Part(msgspec.Struct, frozen=True):
    """One thing that is said first, as `All 4 gates hold`."""

    text: str
    state: State


class SuiteVerdict(msgspec.Struct, frozen=True):
    """The verdict on a suite."""

    parts: tuple[Part, ...]
    """What is said first: of gates, comparisons, accepted scores, samples and other tests."""
    reasons: tuple[str, ...]
    """A line for each assertion that doesn't hold."""

    @property
    def text(self) -> str:
        """The verdict in a line."""
        return "; ".join(part.text for part in self.parts)

    @property
    def state(self) -> State:
        """`failed` if a part failed, else `passed` if one passed."""
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
        *_failed_samples(suite, results.is_red),
        *_failed_tests(suite.other_failures, "other test of the suite", "other tests of the suite"),
        *(failures_elsewhere(results) if len(results.suites) == 1 else ()),
    ]
    return SuiteVerdict(tuple(parts), tuple(_reasons(suite)))


def failures_elsewhere(results: Results) -> Iterator[Part]:
    """Yield what is said of failed tests that are no suite's; with one suite, its verdict has it."""
    return _failed_tests(results.other_failures, "test of no suite", "tests of no suite")


def mutation_line(suite: SuiteResults) -> str | None:
    """Return the mutation score in a line; None without `--mutate`."""
    studies = [(key, result.study) for key, result in suite.mutants.items() if result.study.applicable]
    if not studies:
        return None
    scores = [f"{len(study.noticed)} of {len(study.applicable)} for {key}" for key, study in studies]
    return f"Kinds of damage that the gates notice at {studies[0][1].noticed_at:.0%} of the answers: {', '.join(scores)}."


# ---------------------------------------------------------------- what is said first


def _gates(suite: SuiteResults, is_red: bool) -> Part:
    passed = [gate.outcome for model in suite.models.values() for gate in model.all_gates]
    passed += [test.passed for test in suite.tests]
    if not passed:
        unseen = suite.unseen_gates
        return Part(f"{counted(unseen, 'gate')}, not checked in this run" if unseen else "No gates are set", OPEN)
    return _held(passed, "gate", is_red)


def _held(passed: list[bool | None], noun: str, is_red: bool) -> Part:
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
    """Yield how many judges passed their exam; nothing of those that take none."""
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


def _failed_samples(suite: SuiteResults, is_red: bool) -> Iterator[Part]:
    models = suite.models.values()
    failed = sum(model.failed for model in models)
    if failed:
        state: State = FAILED if is_red or any(model.too_many_failed for model in models) else OPEN
        yield Part(f"{failed:,} of {counted(sum(model.samples for model in models), 'prediction')} failed", state)
    for model in models:
        if model.unfinished:
            unfinished = model.unfinished
            yield Part(
                f"recording of {model.key} unfinished: {unfinished.to_come:,} of {unfinished.selected:,} to come", FAILED
            )


def _failed_tests(failed: int, one: str, several: str) -> Iterator[Part]:
    if failed:
        yield Part(f"{failed:,} {one if failed == 1 else several} failed", FAILED)


# ---------------------------------------------------------------- why


def _reasons(suite: SuiteResults) -> Iterator[str]:
    for model in suite.models.values():
        yield from (f"{model.key} {metric}: {reason}" for metric, reason in _gate_reasons(suite, model))
        yield from _slice_reasons(suite, model)
    yield from (f"{test.id} failed" for test in suite.tests if test.passed is False)
    for comparison in suite.comparisons.values():
        yield from _pair_reasons(suite, f"{comparison.name} {{}}", comparison.metrics, comparison.label)
    for key, against in suite.against.models.items() if suite.against else ():
        name = f"{key} {{}} against {suite.against.ref}"  # type: ignore[union-attr]
        yield from _pair_reasons(suite, name, against.metrics, suite.against.label)  # type: ignore[union-attr]


def _gate_reasons(suite: SuiteResults, model: ModelResults) -> Iterator[tuple[str, str]]:
    for name, gate in model.gates.items():
        if gate.outcome is False:
            yield name, _gate_reason(model, model.scores.get(name), gate, suite.metrics[name])


def _gate_reason(model: ModelResults, score: Interval | None, gate: Decision, metric: MetricFacts) -> str:
    limit = gate.bound.limit
    if score is None:
        return f"no sample was scored, gate {gate_text(limit, metric)}"
    mean = mean_beside(score, limit, metric)
    if misses(score.mean, limit, metric):
        side = "under" if metric.higher_is_better else "over"
        by, ends = distance(score.mean, limit, metric), interval(score, metric)
        return f"mean {mean} is {by} {side} its gate {limit:g} (95% interval {ends})"
    why = "the recording is unfinished" if model.unfinished else gate.reason
    return f"mean {mean} holds its gate {gate_text(limit, metric)}, but {why}"


def _slice_reasons(suite: SuiteResults, model: ModelResults) -> Iterator[str]:
    for name, gate in model.slice_gates.items():
        if gate.outcome is False:
            missed = [each for each in model.slices if each.verdicts.get(name) in (FAILED, INCONCLUSIVE)]
            named = ", ".join(f"{each.column} {each.value}" for each in missed[:3]) + (", ..." if len(missed) > 3 else "")
            side = "under" if suite.metrics[name].higher_is_better else "over"
            slices = f"{counted(len(missed), 'slice')} wholly {side} the slice gate {gate.bound.limit:g}: {named}"
            yield f"{model.key} {name}: {slices if missed else gate.reason or 'the test of its slices failed'}"


def _pair_reasons(suite: SuiteResults, name: str, decisions: Mapping[str, Decision], label: str) -> Iterator[str]:
    for metric_name, each in decisions.items():
        if each.verdict not in (FAILED, INCONCLUSIVE):
            continue
        title, metric, required = name.format(metric_name), suite.metrics[metric_name], each.required_difference
        if each.difference is None:
            yield f"{title}: {each.reason or 'no sample was scored on both sides'}"
            continue
        ends = f"{label} interval {interval(each.difference, metric, required)}"
        remark = f": {each.remark}" if each.verdict == INCONCLUSIVE else ""
        change = difference_beside(each.difference, required, metric)
        yield f"{title}: {change} ({ends}), {bound_text(each)}, {each.verdict}{remark}"
