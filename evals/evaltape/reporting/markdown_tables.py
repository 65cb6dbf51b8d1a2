"""Markdown of GitHub's kind: tables, folded parts, and texts that stay texts."""

from collections.abc import Iterable, Iterator, Sequence

from evaltape.text import markdown

LONGEST_TEXT = 400


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
    """Return texts of models and data as cells that show exactly them, long ones cut."""
    return [markdown(text, LONGEST_TEXT) for text in texts]


def code(command: str, indent: str = "") -> str:
    """Return a command as a block that is shown as it stands and easily copied; indented by two, one of a list's item."""
    return f"\n{indent}    {command}\n"
