"""Tables: of a terminal, in aligned columns, and of GitHub's Markdown, with folded parts and texts that stay texts."""

from collections.abc import Iterable, Iterator, Sequence

from evaltape.text import columns, markdown, visible

GAP = "  "
"""Before each column of a terminal's table."""
LONGEST_TEXT = 400
"""Of a cell of Markdown, in characters."""


# ---------------------------------------------------------------- of a terminal


def aligned(rows: Iterable[Sequence[str]], sides: str, least: Sequence[int] = (), longest: int | None = None) -> Iterator[str]:
    """Yield rows of a table as lines; `sides` has `<` or `>` per column, `least` the smallest widths of the first columns.

    A first cell of over `longest` columns stands on a line of its own.
    """
    split = [line for cells in rows for line in _with_room(cells, longest)]
    widths = widths_of([cells for cells in split if len(cells) > 1], least)
    yield from (row(cells, widths, sides).rstrip() for cells in split)


def widths_of(rows: Iterable[Sequence[str]], least: Sequence[int] = ()) -> list[int]:
    """Return the width of each column: of its widest cell, and at least as `least` says."""
    columns = list(zip(*rows, strict=True))
    smallest = [*least, *[0] * (len(columns) - len(least))]
    return [max(width, *map(_columns, cells)) for width, cells in zip(smallest, columns, strict=True)]


def row(cells: Sequence[str], widths: Sequence[int], sides: str) -> str:
    """Return cells as a line, with the spaces at its end; cells may be fewer than widths."""
    return "".join(f"{GAP}{_padded(*each)}" for each in zip(cells, widths, sides, strict=False))


def _padded(text: str, width: int, side: str) -> str:
    text = visible(text)
    space = " " * (width - columns(text))
    return text + space if side == "<" else space + text


def _with_room(cells: Sequence[str], longest: int | None) -> list[Sequence[str]]:
    if longest is None or _columns(cells[0]) <= longest:
        return [cells]
    return [cells[:1], ["", *cells[1:]]]


def _columns(text: str) -> int:
    return columns(visible(text))


# ---------------------------------------------------------------- of Markdown


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; cells are Markdown."""
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines of Markdown that open on a click."""
    yield f"\n<details><summary>{markdown(title)}</summary>\n"
    yield from lines
    yield "\n</details>"


def cells(texts: Iterable[str]) -> list[str]:
    """Return texts of models and data as cells that show exactly them; long texts are cut."""
    return [markdown(text, LONGEST_TEXT) for text in texts]


def code(command: str, indent: str = "") -> str:
    """Return a command as a block that is shown unchanged and easily copied; indented by two, it belongs to a list's item."""
    return f"\n{indent}    {command}\n"
