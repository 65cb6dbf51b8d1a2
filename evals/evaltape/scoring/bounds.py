"""What a score can be: the limits of a metric, and gates measured against them."""

MOST_DECIMALS = 15
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


def misses(value: float, bound: float, higher_is_better: bool) -> bool:
    """Return whether a value lies beyond a bound, on the worse side."""
    return value < bound if higher_is_better else value > bound


def decimals_apart(value: float, bound: float, decimals: int, higher_is_better: bool) -> int:
    """Return how many decimals tell a value from a bound that it misses: `decimals`, or more.

    >>> decimals_apart(0.3799996, 0.38, 4, higher_is_better=True)
    7
    """
    if misses(value, bound, higher_is_better):
        while decimals < MOST_DECIMALS and not misses(round(value, decimals), round(bound, decimals), higher_is_better):
            decimals += 1
    return decimals
