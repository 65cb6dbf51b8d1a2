"""Groups failed samples by cause, so that what one cause did is said once, with the command that mends it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from evaltape.errors import NotFetched, NotRecorded, RecordedOtherwise, RecordingError, UserError
from evaltape.files import FETCH
from evaltape.hooks.collect_models import SuiteView
from evaltape.reporting.results import Cause
from evaltape.scoring.prediction import Prediction
from evaltape.text import counted, split_command

_PLACE = re.compile(r", line \d+")
_DETAIL = re.compile(r": .*| \(.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Kind:
    """One cause: equal for all samples that it failed."""

    noun: str
    """What is counted: `sample`, `recording`."""
    singular: str
    """What is said of one."""
    plural: str
    """What is said of several."""
    command: str | None = None
    """What mends it."""

    def text(self, number: int) -> str:
        """Return the cause with the number first."""
        return f"{counted(number, self.noun)}{self.singular if number == 1 else self.plural}"


def causes(view: SuiteView) -> Iterator[Cause]:
    """Yield why samples of a suite failed, most samples first."""
    groups: dict[Kind, list[tuple[str, str]]] = {}
    for scores in view.looked_at.values():
        for prediction in scores.failures:
            kind = _kind(view, prediction)
            groups.setdefault(kind, []).append((prediction.model, prediction.sample))
    for (suite, model, sample), reason in view.session.findings.unasked.items():
        if suite == view.workspace.name:
            reason, command = split_command(reason)
            groups.setdefault(_same("sample", f" not asked for: {reason}", command), []).append((model, sample))
    for kind, predictions in sorted(groups.items(), key=lambda group: -len(group[1])):
        yield Cause(kind.text(len(predictions)), kind.command, tuple(predictions))


def _kind(view: SuiteView, prediction: Prediction) -> Kind:
    workspace, failure = view.workspace, prediction.failure or ""
    model = workspace.suite.models[prediction.model]
    if model.predictions is not None:
        return _same("sample", f": {_PLACE.sub('', failure)}")
    missing = workspace.commands.record_missing()
    error = view.session.outcomes.error_of((workspace.name, prediction.model, prediction.sample))
    if error is not None:
        reason, command = split_command(error)
        return _same("sample", f" not recorded: {reason}", command or missing)
    try:
        workspace.recordings.valid_prediction(model, workspace.sample(prediction.sample))
    except NotFetched:
        return Kind("recording", " is not fetched", " are not fetched", FETCH)
    except NotRecorded:
        return Kind("sample", " is not recorded", " are not recorded", missing)
    except RecordedOtherwise as other:
        return Kind("recording", f" is of {other.what}", f" are of {other.what}", missing)
    except RecordingError as broken:
        if broken.command is not None:  # The job of a tuned model: the same for all its samples.
            return _same("sample", f" not recorded: {broken}", broken.command)
        return Kind("recording", " can't be read", " can't be read", missing)
    except UserError as wrong:
        return _same("sample", f": {wrong}")
    return _same("sample", f": {_DETAIL.sub('', failure)}")


def _same(noun: str, words: str, command: str | None = None) -> Kind:
    return Kind(noun, words, words, command)
