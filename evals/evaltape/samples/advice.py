"""What a recording of samples would cost, before anything is asked."""

from collections.abc import Iterable

from evaltape.samples.sample import Sample
from evaltape.suite import prompt
from evaltape.suite.advice import Advice
from evaltape.suite.definition import Model, Suite
from evaltape.suite.pricing import most_usd


def called_models(suite: Suite, kind: str | None = None) -> list[Model]:
    """Return the models that are called, of a kind or of both; answers of others come from a file."""
    return [it for it in suite.models.values() if it.predictions is None and kind in (None, it.kind)]


def advise(command: str, calls: Iterable[tuple[Model, Sample]], free: str | None = None) -> Advice:
    """Return a command with what these calls cost at most; no price, if some model has none."""
    calls = list(calls)
    bodies = ((model, prompt.chat_request(model.served, model.prompt.render(sample), model.request)) for model, sample in calls)
    is_priced = all(model.price is not None for model, _ in calls)
    return Advice(command, len(calls), sum(most_usd(*call) for call in bodies) if is_priced else None, free=free)
