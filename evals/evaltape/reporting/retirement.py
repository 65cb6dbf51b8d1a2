"""Models that the API will shut down: when, and what of them is not recorded while it still can be."""

from collections.abc import Iterable

from evaltape.reporting.results import Retirement


def retirement_lines(retirements: Iterable[Retirement]) -> list[str]:
    """Return a line for each model, then the commands that record what is missing, each once."""
    models = list(retirements)
    commands = dict.fromkeys(model.command for model in models if model.command)
    return [model.text for model in models] + [f"Record what is missing: {command}" for command in commands]
