"""The verdict of a session in one line, and a line for each gate and comparison that doesn't hold.

Both are made of the results alone and name no date, so that the same recordings give the same words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Results = Mapping[str, Any]

PASSED, FAILED, OPEN = "passed", "failed", "open"
"""`open`: nothing was asserted, or nothing of it was checked."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said first: (text, state) of gates, comparisons and failed predictions; what doesn't hold and why."""

    parts: Sequence[tuple[str, str]]
    reasons: Sequence[str]

    @property
    def text(self) -> str:
        """The verdict in a line."""
        return "; ".join(text for text, _ in self.parts)


def verdict_of(results: Results) -> Verdict:
    """The verdict on the results of a session (F1 scores in 0..1)."""
    parts = [*_gates(results), *_comparisons(results), *_failed(results)]
    return Verdict(parts, [*_gate_reasons(results), *_comparison_reasons(results)])


def _gates(results: Results) -> Iterator[tuple[str, str]]:
    passed = [gate["passed"] for model in results["models"].values() for gate in model["gates"].values()]
    checked = [one for one in passed if one is not None]
    if not passed:
        yield "No gates are set", OPEN
    elif not checked:
        yield f"{_count(len(passed), 'gate')}, not checked in this run", OPEN
    else:
        yield _hold(sum(checked), len(checked)), PASSED if all(checked) else FAILED
        if len(checked) < len(passed):
            yield f"{len(passed) - len(checked)} more not checked in this run", OPEN


def _hold(held: int, checked: int) -> str:
    if held == checked > 1:
        return f"All {checked} gates hold"
    return f"{held} of {_count(checked, 'gate')} {'holds' if held == 1 else 'hold'}"


def _comparisons(results: Results) -> Iterator[tuple[str, str]]:
    told = [[found["verdict"] for found in metrics.values()] or [FAILED] for metrics in results["comparisons"].values()]
    verdicts = [verdict for metrics in told for verdict in metrics]
    if verdicts:
        unsure = verdicts.count("inconclusive")
        text = f"{verdicts.count(PASSED)} of {_count(len(verdicts), 'comparison')} passed"
        yield text + (f", {unsure} inconclusive" if unsure else ""), PASSED if set(verdicts) == {PASSED} else FAILED


def _failed(results: Results) -> Iterator[tuple[str, str]]:
    models = results["models"].values()
    failed = sum(model["failed"] for model in models)
    if failed:
        yield f"{failed} of {_count(sum(model['samples'] for model in models), 'prediction')} failed", FAILED


def _gate_reasons(results: Results) -> Iterator[str]:
    for key, model in results["models"].items():
        for metric, gate in model["gates"].items():
            if gate["passed"] is False:
                yield f"{key} {metric}: {_gate_reason(model, model['scores'].get(metric), gate['threshold'])}"


def _gate_reason(model: Mapping[str, Any], score: Mapping[str, float] | None, threshold: float) -> str:
    if score is None:
        return f"no sample was answered, gate {threshold:g}"
    if score["mean"] >= threshold:
        failed = f"{model['failed']} of {_count(model['samples'], 'sample')} failed"
        return f"mean {score['mean']:.4f} is over its gate {threshold:g}, but {failed}"
    ends = f"95% interval {score['low']:.4f} to {score['high']:.4f}"
    return f"mean {score['mean']:.4f} is {threshold - score['mean']:.4f} under its gate {threshold:g} ({ends})"


def _comparison_reasons(results: Results) -> Iterator[str]:
    for name, metrics in results["comparisons"].items():
        if not metrics:
            yield f"{name}: no sample was answered by both models"
        for metric, found in metrics.items():
            if found["verdict"] != PASSED:
                ends = f"interval {found['low']:+.4f} to {found['high']:+.4f}"
                yield f"{name} {metric}: difference {found['difference']:+.4f} ({ends}), {found['verdict']}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
