"""Groups failed samples by cause, so that a cause is told once, with the command that mends it."""

import contextlib
from collections.abc import Iterator

import msgspec

from evaltape.errors import RecordingError
from evaltape.hooks.collect_models import SuiteView
from evaltape.reporting.results import Cause
from evaltape.samples.sample import Failure
from evaltape.scoring.prediction import Prediction
from evaltape.suite.prompt import PromptChange, prompt_change
from evaltape.text import counted


class Group(msgspec.Struct, frozen=True):
    """The failures of a cause: equal for all its samples."""

    noun: str
    """What is counted: `sample`, `recording`."""
    singular: str
    """The words for a single sample."""
    plural: str
    """What is said of several."""
    command: str | None = None
    """What mends it."""

    def text(self, number: int) -> str:
        """Return the cause with the number first."""
        return f"{counted(number, self.noun)}{self.singular if number == 1 else self.plural}"


def causes(view: SuiteView) -> Iterator[Cause]:
    """Yield why samples of a suite failed, most samples first."""
    groups: dict[Group, list[tuple[str, str]]] = {}
    costs: dict[str | None, str] = {}
    for scores in view.looked_at.values():
        for prediction in scores.failures:
            command, cost = _remedy(view, prediction)
            costs[command] = cost
            group = _group(prediction.answer.failure, command)
            groups.setdefault(group, []).append((prediction.model.key, prediction.sample.id))
    for (suite, model, sample), reason in view.evaluation.findings.unasked.items():
        if suite == view.workspace.name:
            groups.setdefault(_same(f" not asked for: {reason}"), []).append((model, sample))
    for group, predictions in sorted(groups.items(), key=lambda each: -len(each[1])):
        cost, prompt = costs.get(group.command, ""), _prompt(view, *predictions[0])
        yield Cause(group.text(len(predictions)), group.command, tuple(predictions), cost, prompt)


def _prompt(view: SuiteView, model: str, sample: str) -> PromptChange | None:
    """Return the recorded prompt of a sample beside that of the suite; None if they are equal or unknown."""
    workspace = view.workspace
    asked, of = workspace.suite.models[model], workspace.sample(sample)
    with contextlib.suppress(RecordingError):
        recorded = workspace.recordings.of(asked).read(of.name)
        return prompt_change(sample, recorded[0].asked, workspace.recordings.request(asked, of)) if recorded else None
    return None


def _remedy(view: SuiteView, prediction: Prediction) -> tuple[str | None, str]:
    """Return the remedy of a failure and the cost: a single command where each kind of model has its own."""
    failure = prediction.answer.failure
    if failure is None or failure.command is None:
        return None, ""
    if failure.command == view.workspace.commands.record_missing(prediction.model.kind):
        advice = view.workspace.to_record()
        return advice.command, advice.cost.strip(" ()")
    return failure.command, failure.cost.strip(" ()")


def _group(failure: Failure | None, command: str | None) -> Group:
    assert failure is not None
    match failure.kind:
        case "not fetched":
            return Group("recording", " is not fetched", " are not fetched", command)
        case "not recorded":
            return Group("sample", " is not recorded", " are not recorded", command)
        case "recorded otherwise":
            return Group("recording", f" is of {failure.cause}", f" are of {failure.cause}", command)
        case "unreadable":
            return Group("recording", " can't be read", " can't be read", command)
        case "call" | "job":
            return _same(f" not recorded: {failure.in_short}", command)
    return _same(f": {failure.cause or failure.in_short}", command)


def _same(words: str, command: str | None = None) -> Group:
    return Group("sample", words, words, command)
