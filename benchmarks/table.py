"""A row of what was measured, and the table of them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table; `ratio` is what the target bounds, `met` whether it holds."""

    what: str
    ours: str
    plain: str
    limit: str
    ratio: str
    target: str
    met: bool


def show(title: str, rows: Iterable[Row]) -> None:
    """Print rows as Markdown, each as soon as it is measured."""
    print(f"\n### `python -m benchmarks.{title}`\n")
    print("| what | ours | plain way | physical limit | ratio | target | met |\n| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        met = "yes" if row.met else "**no**"
        cells = (row.what, row.ours, row.plain, row.limit, row.ratio, row.target, met)
        print(f"| {' | '.join(cells)} |", flush=True)
