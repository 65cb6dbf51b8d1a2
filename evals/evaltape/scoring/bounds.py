"""What a score can be: the limits of a metric, and gates measured against them."""

Bounds = tuple[float | None, float | None]
"""The least and the greatest score; None for no such limit."""


def within(value: float, bounds: Bounds) -> bool:
    """Return whether a value lies between the bounds, ends included; None is no bound."""
    low, high = bounds
    return (low is None or low <= value) and (high is None or value <= high)


def spelled(bounds: Bounds) -> str:
    """Return the bounds in words: `between 0 and 1`, `0 or more`, `1 or less`, `any number`."""
    low, high = bounds
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    if low is not None:
        return f"{low:g} or more"
    return "any number" if high is None else f"{high:g} or less"
