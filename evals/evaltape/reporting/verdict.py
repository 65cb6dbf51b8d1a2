"""The verdict on a session: its headline, and a line for everything that doesn't hold.

It is made of the results alone and names no date, so that the same recordings give the same words.
"""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from evaltape.metrics.scorers import misses
from evaltape.reporting.model_results import ModelResults
from evaltape.reporting.results import Results, SuiteResults
from evaltape.reporting.tables import bound_text, distance, interval, mean_beside
from evaltape.scoring.bounds import AGAINST, FAILED, INCONCLUSIVE, NOT_CHECKED, PASSED, Decision
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
    place: Place
    """The section of the report that has its numbers."""
    model: str = ""
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
        *_pairs(suite),
        *_judges(suite),
        *_accepted(suite),
        *_failures(suite),
        *(failures_elsewhere(results) if len(results.suites) == 1 else ()),
    ]
    reasons = [reason for key, model in suite.models.items() for reason in _model_reasons(key, model)]
    reasons += [Reason(f"{it} failed", "scores", test.model) for it, test in suite.tests.items() if test.passed is False]
    reasons += [reason for reason in _pair_reasons(suite) if reason.is_failure]
    return SuiteVerdict(tuple(parts), tuple(reasons))


def failed_first(results: Results) -> list[SuiteResults]:
    """Return the suites that the run looked at, failed suites first."""
    suites = [suite for suite in results if suite.predictions]
    return sorted(suites, key=lambda suite: verdict_of(suite, results).state != "failed")


def failures_elsewhere(results: Results) -> Iterator[Part]:
    """Yield the line on failed tests of no suite; a single suite's verdict has it."""
    if results.other_failures:
        yield Part(f"{counted(results.other_failures, 'test')} of no suite failed", FAILED)


def mutation_line(suite: SuiteResults) -> str | None:
    """Return the mutation score in a line; None without `--mutate`."""
    studies = [(key, result.study) for key, result in suite.mutants.items() if result.study.applicable]
    if not studies:
        return None
    scores = [f"{len(study.noticed)} of {len(study.applicable)} for {key}" for key, study in studies]
    return f"Kinds of damage that the gates notice at {studies[0][1].noticed_at:.0%} of the answers: {', '.join(scores)}."


# ---------------------------------------------------------------- the headline


def _gates(suite: SuiteResults, is_red: bool) -> Part:
    gates = [gate for model in suite.models.values() for gate in (*model.gates.values(), *model.slice_gates.values())]
    passed = [*(gate.outcome for gate in gates), *(test.passed for test in suite.tests.values())]
    checked = [each for each in passed if each is not None]
    left = len(passed) - len(checked)
    if not checked:
        unseen = left or suite.unseen_gates
        return Part(f"{counted(unseen, 'gate')}, not checked in this run" if unseen else "No gates are set", OPEN)
    held = sum(checked)
    verb = "holds" if 1 in (held, len(checked)) else "hold"
    holds_all = held == len(checked) > 1 and not is_red
    text = f"All {held} gates hold" if holds_all else f"{held} of {counted(len(checked), 'gate')} {verb}"
    return Part(text + (f", {left} more not checked in this run" if left else ""), PASSED if all(checked) else FAILED)


def _pairs(suite: SuiteResults) -> Iterator[Part]:
    metrics = [each for comparison in suite.comparisons.values() for each in comparison.metrics.values()]
    if metrics:
        yield Part(*_passed(metrics, "comparison"))
    bounded = [each for model in suite.against.models.values() for each in model.metrics.values()] if suite.against else []
    if suite.against and bounded:
        text, state = _passed(bounded, "bound")
        yield Part(f"against {suite.against.side.ref}: {text}", state)


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
    scored = [model.accepted for model in suite.models.values() if model.accepted and model.means]
    failed = [accepted for accepted in scored if accepted.passed is False]
    new = sum(not accepted.exists for accepted in failed)
    if len(failed) > new:
        yield Part(f"accepted scores of {counted(len(failed) - new, 'model')} changed", FAILED)
    if new:
        yield Part(f"no scores of {counted(new, 'model')} are accepted yet", FAILED)


def _failures(suite: SuiteResults) -> Iterator[Part]:
    """Yield failed samples, which are open unless a test failed for them, unfinished recordings, and other failed tests."""
    predictions = suite.predictions
    failed = sum(not each.answered for each in predictions)
    if failed:
        state: State = FAILED if suite.lost else OPEN
        yield Part(f"{failed:,} of {counted(len(predictions), 'prediction')} failed", state)
    elif suite.lost:
        yield Part(f"tests of {counted(suite.lost, 'sample')} failed before they had an answer", FAILED)
    for key, model in suite.models.items():
        if model.unfinished:
            yield Part(f"recording of {key} unfinished: {model.unfinished}", FAILED)
    if suite.other_failures:
        yield Part(f"{counted(suite.other_failures, 'other test')} of the suite failed", FAILED)


# ---------------------------------------------------------------- the reasons


def open_lines(suite: SuiteResults) -> Iterator[str]:
    """Yield a line for each difference that the scores don't decide, and that the suite puts up with."""
    yield from (reason.text for reason in _pair_reasons(suite) if not reason.is_failure)


def _model_reasons(key: str, model: ModelResults) -> Iterator[Reason]:
    """Yield a line for each gate that its mean misses, one for all gates with the same other reason, and one a slice gate."""
    means, others = model.means, dict[str, list[Decision]]()
    for name, gate in model.gates.items():
        if gate.outcome is not False:
            continue
        mean, metric, limit = means.get(name), gate.metric, gate.bound.limit
        if mean is not None and misses(mean.mean, limit, metric.higher_is_better):
            side, by = "under" if metric.higher_is_better else "over", distance(mean.mean, limit, metric)
            missed = f"mean {mean_beside(mean, limit, metric)} is {by} {side} its gate {limit:g}"
            yield Reason(f"{key} {name}: {missed} (95% interval {interval(mean, metric)})", "scores", key, name)
            continue
        why = "the recording is unfinished" if model.unfinished else gate.reason
        others.setdefault(why if mean is not None else "no sample was scored", []).append(gate)
    for why, gates in others.items():
        names, first = [gate.bound.metric for gate in gates], gates[0]
        held = f"mean {mean_beside(means.get(names[0]), first.bound.limit, first.metric)} holds its gate {bound_text(first)}"
        held = f"{held if len(gates) == 1 else 'means hold their gates'}, but " if names[0] in means else ""
        yield Reason(f"{key} {', '.join(names)}: {held}{why}", "scores", key, names[0])
    for name, gate in model.slice_gates.items():
        if gate.outcome is False:
            yield Reason(f"{key} {name}: {_missed_slices(model, gate)}", "slices", key, name)


def _missed_slices(model: ModelResults, gate: Decision) -> str:
    verdicts = model.slice_verdicts(gate.bound.metric).items()
    missed = [f"{column} {value}" for (column, value), verdict in verdicts if verdict in (FAILED, INCONCLUSIVE)]
    side = "under" if gate.metric.higher_is_better else "over"
    told = f"{counted(len(missed), 'slice')} wholly {side} the slice gate {gate.bound.limit:g}: {listed(missed)}"
    return told if missed else gate.reason or "the test of its slices failed"


def _pair_reasons(suite: SuiteResults) -> Iterator[Reason]:
    """Yield a line for each difference that misses its bound, or that doesn't decide it."""
    for pair in suite.pairs:
        for name, each in pair.metrics.items():
            if each.verdict in (FAILED, INCONCLUSIVE):
                text = _difference(pair.named(name), each, pair.label)
                place: Place = "against" if each.bound.kind == AGAINST else "comparisons"
                yield Reason(text, place, pair.scores.comparison.candidate, name, each.outcome is False)


def _difference(title: str, each: Decision, label: str) -> str:
    if each.difference is None:
        return f"{title}: {each.reason or 'no sample was scored on both sides'}"
    required = each.required_difference
    ends = f"{label} interval {interval(each.difference, each.metric, required)}"
    remark = f": {each.remark}" if each.verdict == INCONCLUSIVE else ""
    change = mean_beside(each.difference, required, each.metric)
    return f"{title}: {change} ({ends}), {bound_text(each)}, {each.verdict}{remark}"
