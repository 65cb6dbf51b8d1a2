"""The samples that hurt a failed gate or comparison most: what a person looks at first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evaltape.reporting.scoreboard import DECIMALS, FAILED, INCONCLUSIVE

if TYPE_CHECKING:
    from evaltape.hooks.suite_run import SuiteRun

MOST = 5

Results = Mapping[str, Any]
Predictions = list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """One sample: its score in a few words, and its texts by name, as they are."""

    sample: str
    score: str
    texts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Worst:
    """A gate or comparison that doesn't hold, the cases behind it, worst first, and the command that reruns them."""

    title: str
    cases: list[Case]
    command: str


def worst_samples(session: "SuiteRun", found: Results) -> Iterator[Worst]:
    """For each failed gate and comparison the samples that hurt most."""
    of_model: dict[str, Predictions] = {key: [] for key in found["models"]}
    for prediction in found["predictions"]:
        of_model[prediction["model"]].append(prediction)
    yield from _of_gates(session, found, of_model)
    yield from _of_comparisons(session, found, of_model)


def _of_gates(session: "SuiteRun", found: Results, of_model: Mapping[str, Predictions]) -> Iterator[Worst]:
    for key, told in found["models"].items():
        for metric, gate in told["gates"].items():
            if gate["passed"] is False:
                cases = [_case(one, metric) for one in _worst(told, of_model[key], metric)]
                if cases:
                    yield Worst(f"{key} {metric}: what hurt most", cases, _rerun(session, key, cases))


def _worst(told: Mapping[str, Any], predictions: Predictions, metric: str) -> Predictions:
    """The lowest scores, where the mean is too low; else the failed samples, for which alone the gate doesn't hold."""
    answered = [one for one in predictions if "failure" not in one]
    failed = [one for one in predictions if "failure" in one]
    if metric in told["scores"] and told["scores"][metric]["mean"] < told["gates"][metric]["threshold"]:
        return sorted(answered, key=lambda one: float(one[metric]))[:MOST]
    return failed[:MOST]


def _of_comparisons(session: "SuiteRun", found: Results, of_model: Mapping[str, Predictions]) -> Iterator[Worst]:
    for name, metrics in found["comparisons"].items():
        asked = session.suite.comparisons[name]
        before = {one["sample"]: one for one in of_model[asked.baseline] if "failure" not in one}
        after = [one for one in of_model[asked.candidate] if "failure" not in one and one["sample"] in before]
        for metric, told in metrics.items():
            if (name, metric) in session.evidence.comparisons and told["verdict"] in (FAILED, INCONCLUSIVE):
                cases = _paired_cases(before, after, metric)
                title = f"{name} {metric}: where {asked.candidate} lost most"
                yield Worst(title, cases, _rerun(session, asked.candidate, cases))


def _case(told: Mapping[str, Any], metric: str) -> Case:
    if "failure" in told:
        return Case(told["sample"], "failed", {"reference": told["reference"], "reason": told["failure"]})
    texts = {"reference": told["reference"], "prediction": told["prediction"]}
    return Case(told["sample"], f"{told[metric]:.{DECIMALS}f}", texts)


def _paired_cases(before: Mapping[str, Any], after: Predictions, metric: str) -> list[Case]:
    lowest = sorted(after, key=lambda one: float(one[metric] - before[one["sample"]][metric]))
    return [_paired_case(before[one["sample"]], one, metric) for one in lowest[:MOST]]


def _paired_case(before: Mapping[str, Any], after: Mapping[str, Any], metric: str) -> Case:
    was, now = before[metric], after[metric]
    score = f"{now - was:+.{DECIMALS}f} ({was:.{DECIMALS}f} to {now:.{DECIMALS}f})"
    texts = {"reference": after["reference"], "baseline": before["prediction"], "candidate": after["prediction"]}
    return Case(after["sample"], score, texts)


def _rerun(session: "SuiteRun", model: str, cases: list[Case]) -> str:
    kind, names = session.suite.models[model].kind, [session.sample(case.sample).name for case in cases]
    ids = (f"{session.suite.name}-{model}-{name}" for name in names)
    return session.commands.replay(f"evals/test_{kind}.py::test_sample[{one}]" for one in ids)
