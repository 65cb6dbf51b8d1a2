"""The verdict of a session in one line, and a line for each gate and comparison that doesn't hold.

Both are made of the results alone and name no date, so that the same recordings give the same words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Results = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said first. `state` is `passed`, `failed`, or `open` where nothing was asserted or not all was checked."""

    text: str
    state: str
    reasons: Sequence[str]


def verdict_of(results: Results) -> Verdict:
    """The verdict on the results of a session (F1 scores in 0..1)."""
    gates = [gate["passed"] for model in results["models"].values() for gate in model["gates"].values()]
    compared = [found["verdict"] for metrics in results["comparisons"].values() for found in metrics.values()]
    uncompared = sum(not metrics for metrics in results["comparisons"].values())
    parts = [*_gates(gates), *_comparisons(compared, uncompared), *_failed(results)]
    state = "open" if None in gates or not gates + compared else "passed"
    if False in gates or uncompared or any(said != "passed" for said in compared):
        state = "failed"
    return Verdict("; ".join(parts), state, [*_gate_reasons(results), *_comparison_reasons(results)])


def _gates(passed: Sequence[bool | None]) -> Iterator[str]:
    checked = [one for one in passed if one is not None]
    if not passed:
        yield "No gates are set"
    elif not checked:
        yield f"{_count(len(passed), 'gate')}, not checked in this run"
    elif all(checked) and len(checked) > 1:
        yield f"All {len(checked)} gates hold"
    else:
        yield f"{sum(checked)} of {_count(len(checked), 'gate')} {'holds' if sum(checked) == 1 else 'hold'}"
    if checked and len(checked) < len(passed):
        yield f"{len(passed) - len(checked)} more not checked in this run"


def _comparisons(said: Sequence[str], uncompared: int) -> Iterator[str]:
    total = len(said) + uncompared
    if total:
        unsure = said.count("inconclusive")
        more = f", {unsure} inconclusive" if unsure else ""
        yield f"{said.count('passed')} of {_count(total, 'comparison')} passed{more}"


def _failed(results: Results) -> Iterator[str]:
    models = results["models"].values()
    failed = sum(model["failed"] for model in models)
    if failed:
        yield f"{failed} of {_count(sum(model['samples'] for model in models), 'prediction')} failed"


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
            if found["verdict"] != "passed":
                ends = f"interval {found['low']:+.4f} to {found['high']:+.4f}"
                yield f"{name} {metric}: difference {found['difference']:+.4f} ({ends}), {found['verdict']}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
