"""Accepted scores beside a session's: the differences, and the text of a failed test."""

from collections.abc import Iterator, Mapping

from evaltape.reporting.tables import aligned
from evaltape.text import counted

Changes = Mapping[str, tuple[float | None, float | None]]
"""By metric or count: (accepted, now); None for anything that isn't there."""

MOST_ROWS = 5
"""With a heading and a command, pytest shows no more lines of an assertion unless it is asked for all."""
FEW_DECIMALS = 4


def changes(accepted: Mapping[str, float] | None, now: Mapping[str, float]) -> dict[str, tuple[float | None, float | None]]:
    """Return the differences of accepted scores and today's; everything without accepted scores."""
    before = accepted or {}
    pairs = {name: (before.get(name), now.get(name)) for name in {**now, **before}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def difference_lines(model: str, different: Changes, exists: bool, command: str, decimals: Mapping[str, int]) -> Iterator[str]:
    """Yield a heading with the number first, a small table of accepted, now and change, and the command that accepts.

    `decimals` are the metrics'; further decimals are shown if it takes them to tell two values apart.
    """
    if exists:
        yield f"{counted(len(different), 'accepted score')} of {model} changed. Accept: {command}"
    else:
        yield f"0 scores of {model} are accepted yet. Accept: {command}"
    shown = list(different.items())[:MOST_ROWS]
    rows = [(name, *cells(before, now, decimals.get(name, FEW_DECIMALS))) for name, (before, now) in shown]
    yield from aligned([("", "accepted", "now", "change"), *rows], "<>>>")
    if len(different) > MOST_ROWS:
        yield f"  and {len(different) - MOST_ROWS} more"


def cells(before: float | None, now: float | None, decimals: int) -> tuple[str, str, str]:
    """Return accepted, now and change as they are shown: counts whole, scores with as many decimals as tell them apart."""
    if isinstance(before, int) and isinstance(now, int):
        return str(before), str(now), f"{now - before:+d}"
    while before is not None and now is not None and decimals < 15 and round(before, decimals) == round(now, decimals):
        decimals += 1
    texts = ["none" if value is None else _number(value, decimals) for value in (before, now)]
    change = "" if before is None or now is None else f"{now - before:+.{decimals}f}"
    return texts[0], texts[1], change


def _number(value: float, decimals: int) -> str:
    return str(value) if isinstance(value, int) else f"{value:.{decimals}f}"
