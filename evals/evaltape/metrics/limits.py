"""The limits of a metric's scores, and numbers told apart from a limit that they miss."""

MOST_DECIMALS = 15
Limits = tuple[float | None, float | None]
"""The least and the greatest score; None for no such limit."""

UNLIMITED: Limits = (None, None)


def is_within(value: float, limits: Limits) -> bool:
    """Return whether a value lies between the limits, ends included."""
    low, high = limits
    return (low is None or low <= value) and (high is None or value <= high)


def spelled(limits: Limits) -> str:
    """Return the limits in words: `between 0 and 1`, `0 or more`, `1 or less`, `any number`."""
    low, high = limits
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    if low is not None:
        return f"{low:g} or more"
    return "any number" if high is None else f"{high:g} or less"


def span_of(limits: Limits) -> float | None:
    """Return the largest difference of two scores; None if it is unlimited."""
    low, high = limits
    return None if low is None or high is None else high - low


def misses(value: float, bound: float, higher_is_better: bool = True) -> bool:
    """Return whether a value lies beyond a bound, on the worse side."""
    return value < bound if higher_is_better else value > bound


def decimals_apart(value: float, bound: float, decimals: int, higher_is_better: bool = True) -> int:
    """Return how many decimals tell a value from a bound that it misses: `decimals`, or more.

    >>> decimals_apart(0.3799996, 0.38, 4)
    7
    """
    if misses(value, bound, higher_is_better):
        while decimals < MOST_DECIMALS and not misses(round(value, decimals), round(bound, decimals), higher_is_better):
            decimals += 1
    return decimals
