"""Models that the API will shut down: when, and how much of them still has to be recorded."""

from collections.abc import Iterable, Iterator, Mapping

from evaltape.errors import UserError
from evaltape.recorder.wire import Notice
from evaltape.reporting.results import Retirement
from evaltape.suite.commands import Advice
from evaltape.suite.definition import Model
from evaltape.text import counted, visible
from evaltape.workspace import Workspace


def retirements(workspace: Workspace, notices: Mapping[str, Notice]) -> Iterator[Retirement]:
    """Yield each model of which the API said when it ends, with how much of it is not recorded."""
    for key, notice in notices.items():
        model = workspace.suite.models[key]
        missing, total = _missing(workspace, model)
        samples = counted(total, "sample") if total else "samples"
        recorded = f"all {samples} recorded" if not missing else f"{missing:,} of {samples} not recorded"
        name = key if notice.served in ("", key) else f"{key} ({visible(notice.served)})"
        text = f"{name}: {notice.in_short()}; {recorded if total else 'nothing of it is recorded'}"
        command = str(workspace.to_record(model.kind)) if missing else None
        if not total:
            command = str(Advice(workspace.commands.record_missing(model.kind)))
        yield Retirement(text, command)


def _missing(workspace: Workspace, model: Model) -> tuple[int, int]:
    """Return how many samples are not recorded, of how many; of 0 if nothing of the suite is."""
    try:
        samples = workspace.samples
        return sum(not workspace.is_recorded(model, sample) for sample in samples), len(samples)
    except UserError:
        return 0, 0


def retirement_lines(retirements: Iterable[Retirement]) -> list[str]:
    """Return a line for each model, then the commands that record the missing calls, each once."""
    models = list(retirements)
    commands = dict.fromkeys(model.command for model in models if model.command)
    return [model.text for model in models] + [f"Record what is missing: {command}" for command in commands]
