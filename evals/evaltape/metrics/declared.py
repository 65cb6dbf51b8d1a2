"""`evaltape.metric`: says which way a function's scores are better, and their limits."""

import math
from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

from evaltape.metrics.limits import Limits

Function = TypeVar("Function", bound=Callable[[Any, str], Any])
_ATTRIBUTE = "__evaltape_metric__"


class Declaration(msgspec.Struct, frozen=True):
    """The declaration of a function's scores; the defaults are a plain function's."""

    higher_is_better: bool = True
    """Whether a gate is the least mean that passes; otherwise the greatest."""
    bounds: Limits = (None, None)
    """What a score can be; a gate outside is refused, and a score outside leaves its sample unscored."""


@overload
def metric(function: Function, /) -> Function: ...
@overload
def metric(*, higher_is_better: bool = True, bounds: Limits = (None, None)) -> Callable[[Function], Function]: ...
def metric(
    function: Function | None = None, /, *, higher_is_better: bool = True, bounds: Limits = (None, None)
) -> Function | Callable[[Function], Function]:
    """Declare a function of `(sample, answer)` as a metric; it is returned unchanged.

    A plain function works as a metric too: higher is better, and nothing is known of its bounds. Where lower is better, a
    gate is an upper bound. The suite names the function, once for all its tests:

        # acme/metrics.py
        import evaltape

        @evaltape.metric(higher_is_better=False, bounds=(0, 1))
        def repetition(sample: evaltape.Sample, answer: str) -> float:
            words = answer.lower().split()
            return 1 - len(set(words)) / len(words) if words else 0.0

        # evals/suites/tickets.toml
        [metrics]
        repetition = { function = "acme.metrics:repetition" }

        [models.gpt-4o-mini]
        gates = { repetition = 0.2 }

    :param higher_is_better: whether a greater score is better.
    :param bounds: the least and the greatest score, None for no limit: `(0, 1)`, `(0, None)`.
    :raises TypeError: for bounds that aren't two numbers, or for anything that can't be declared.
    :raises ValueError: for bounds without a score between them.
    """
    declaration = Declaration(bool(higher_is_better), _checked(bounds))

    def declare(function: Function) -> Function:
        if not callable(function):
            raise TypeError(f"evaltape.metric declares a function of (sample, answer), not {function!r}")
        setattr(function, _ATTRIBUTE, declaration)
        return function

    return declare if function is None else declare(function)


def declaration_of(function: Callable[..., Any]) -> Declaration:
    """Return the declaration of a function; of a plain function, the defaults."""
    found = getattr(function, _ATTRIBUTE, None)
    return found if isinstance(found, Declaration) else Declaration()


def _checked(bounds: Any) -> Limits:
    try:
        low, high = (None if end is None else float(end) for end in bounds)
    except (TypeError, ValueError):
        raise TypeError(f"bounds={bounds!r}: it takes the least and the greatest score, as in (0, 1) or (0, None)") from None
    if any(end is not None and not math.isfinite(end) for end in (low, high)):
        raise ValueError(f"bounds={bounds!r}: it takes finite numbers, and None for no limit")
    if low is not None and high is not None and low >= high:
        raise ValueError(f"bounds={bounds!r}: the least score comes first, and under the greatest")
    return low, high
