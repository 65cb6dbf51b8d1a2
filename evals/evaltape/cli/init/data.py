"""A user's own data: its rows, and the likely meaning of its columns, guessed from their names and values."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from evaltape.errors import UserError
from evaltape.names import nearest, shown
from evaltape.samples.dataset import SUFFIXES
from evaltape.samples.rows import Row
from evaltape.samples.sources import Rows, hub_rows, read_rows
from evaltape.text import visible

SPLITS = ("validation", "valid", "dev", "test", "train")
"""The first of these that is there is taken."""
_HUB = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Source:
    """The rows of a split, and how a suite names their source."""

    name: str
    """As the user typed it."""
    rows: list[Row]
    """All rows of the split."""
    path: Path | None
    """The file or folder; None for a data set of the Hub."""
    split: str | None = None
    """The split; None for a file."""

    @property
    def key(self) -> str:
        """A name for the suite: the file's, or the last part of the Hub's."""
        stem = self.path.stem if self.path else self.name.split("/")[-1]
        return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or "own"


def read_source(name: str, folder: Path) -> Source:
    """Return the rows of the file, folder or data set that `--data` names, relative to *folder*.

    Raises `UserError` for anything that isn't there, isn't readable, or has no rows.
    """
    path = folder / name
    if path.is_dir():
        files = sorted(other for other in path.iterdir() if other.suffix in SUFFIXES)
        if not files:
            raise UserError(f"--data {name}: there is no {', '.join(SUFFIXES)} file in this folder")
        file = min(files, key=lambda file: _rank(file.stem))
        source = Source(name, _from_file(file), path, file.stem)
    elif path.is_file():
        source = Source(name, _from_file(path), path)
    elif _HUB.fullmatch(name) and path.suffix not in SUFFIXES:
        split, rows = _from_hub(name)
        source = Source(name, rows, None, split)
    else:
        there = sorted(other.name for other in path.parent.glob("*") if other.suffix in SUFFIXES)
        listed = f" Data there: {', '.join(there)}" if there else ""
        raise UserError(f"--data {name}: there is no such file.{nearest(path.name, there)}{listed}")
    if not source.rows:
        raise UserError(f"--data {name}: there are no rows in it")
    return source


def _rank(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)


def _from_file(file: Path) -> list[Row]:
    if file.suffix not in SUFFIXES:
        raise UserError(f"--data {shown(file)}: it takes a {', '.join(SUFFIXES)} file, a folder of them, or a Hub data set")
    return _all(read_rows(file))


def _all(rows: Rows) -> list[Row]:
    return rows.pick(range(rows.count), rows.columns)


def _from_hub(name: str) -> tuple[str, list[Row]]:
    import datasets

    try:
        splits = datasets.get_dataset_split_names(name)
        split = min(splits, key=_rank)
        return split, _all(hub_rows(name, None, split))
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--data {name}: there is no such file, and the Hub's data set can't be loaded: {reason}") from None


IDS = ("id", "_id", "uid", "uuid", "guid", "key", "idx", "index")
INPUTS = (
    "dialogue", "dialog", "conversation", "transcript", "chat", "input", "inputs", "question", "query", "prompt", "instruction",
    "document", "article", "text", "source", "passage", "context", "content", "body", "ticket", "email", "message",
)  # fmt: skip
SUMMARIES = ("summary", "summaries", "highlights", "abstract", "tldr", "headline", "title")
REFERENCES = (
    "reference", "references", *SUMMARIES, "target", "targets", "answer", "answers", "output", "outputs", "expected",
    "expected_output", "gold", "ideal", "response", "completion", "label", "translation",
)  # fmt: skip
_NUMBERED = re.compile(r"(.*?)[ _-]?\d+")
SHORT_WORDS = 2
"""References of no more words on average are compared as a whole, by `exact`."""
ASCII_SHARE = 0.99
"""The share of a-z among the references' letters under which words are found by Unicode's rules, not ROUGE's own."""


@dataclass(frozen=True)
class Guess:
    """The likely meaning of a data set's columns."""

    id: str | None
    """None: ids are made from the inputs."""
    input: str | None
    """None if `conversation` is set."""
    references: tuple[str, ...]
    """A column, or several numbered columns."""
    conversation: str | None = None
    """A column that holds the messages themselves."""
    summarises: bool = False
    """Whether the references are called summaries, so that the prompt can ask for a summary."""
    short: bool = False
    """Whether references are labels or a few words."""
    unicode: bool = False
    """Whether references have letters other than a-z."""


def guess(name: str, rows: Sequence[Row]) -> Guess:
    """Return the likely meaning of the rows' columns.

    Names decide first; among columns without a telling name, the longest text is the input and the next the reference.
    Raises `UserError` if there is no such column, or if ids are needed and missing.
    """
    columns = list(dict.fromkeys(column for row in rows for column in row))
    key = _id(rows, columns)
    rest = [column for column in columns if column != key]
    conversation = next((column for column in rest if _holds(rows, column, "turns")), None)
    texts = [column for column in rest if _holds(rows, column, "text")]
    references = _references(rows, [c for c in rest if c in texts or _holds(rows, c, "texts")], texts, conversation)
    named = _named(INPUTS, [column for column in texts if column not in references])
    input_ = None if conversation else named or _longest(rows, [column for column in texts if column not in references])
    if conversation and rows[0][conversation][-1].get("role") == "assistant":
        raise UserError(
            f"{name}: the messages under {conversation!r} end with the assistant's. Put that answer into a column of its own, "
            f"say 'reference', and leave the messages before it under {conversation!r}"
        )
    if not references or not (input_ or conversation):
        listed = ", ".join(f"{visible(column)} ({_kind(rows, column)})" for column in columns) or "none"
        needed = "the reference" if conversation else "the input and one with the reference"
        raise UserError(f"{name}: it needs a column of text with {needed}, the answer that is wanted. Columns there: {listed}")
    if key is None:
        _check_inputs_differ(name, rows, input_ or conversation or "")
    given = [text for row in rows for column in references for text in _texts(row.get(column))]
    letters = [letter.isascii() for text in given for letter in text if letter.isalpha()]
    return Guess(
        id=key,
        input=input_,
        references=references,
        conversation=conversation,
        summarises=_stem(references[0]) in SUMMARIES,
        short=fmean(len(text.split()) for text in given) <= SHORT_WORDS,
        unicode=sum(letters) < ASCII_SHARE * len(letters),
    )


def _id(rows: Sequence[Row], columns: list[str]) -> str | None:
    """Return the column of ids, by its name or by values like codes; its values are there and differ."""
    named = [column for word in IDS for column in columns if column.lower() == word]
    named += [column for column in columns if column.lower().endswith("_id") or column.endswith("Id")]
    named += [column for column in columns if _holds(rows, column, "code")]
    for column in named:
        values = [row.get(column) for row in rows]
        texts = [str(value).strip() for value in values if isinstance(value, str | int) and not isinstance(value, bool)]
        if all(texts) and len(set(texts)) == len(texts) == len(rows):
            return column
    return None


def _references(rows: Sequence[Row], candidates: list[str], texts: list[str], conversation: str | None) -> tuple[str, ...]:
    named = _named(REFERENCES, candidates)
    if named is None:
        others = [column for column in candidates if column != (conversation or _named(INPUTS, texts) or _longest(rows, texts))]
        named = _longest(rows, others)
    family = [column for column in candidates if named and _NUMBERED.fullmatch(named) and _stem(column) == _stem(named)]
    return tuple(family) or ((named,) if named else ())


def _named(words: Sequence[str], columns: list[str]) -> str | None:
    """Return the first column with any of the names, in the order of the names; numbered columns count."""
    return next((column for word in words for column in columns if word in (column.lower(), _stem(column))), None)


def _stem(column: str) -> str:
    numbered = _NUMBERED.fullmatch(column)
    return (numbered[1] if numbered else column).lower()


def _longest(rows: Sequence[Row], columns: list[str]) -> str | None:
    """Return the column with the longest texts on average; a column that repeats itself is a category, not a text."""
    lengths = {column: fmean(sum(map(len, _texts(row.get(column)))) for row in rows) for column in columns}
    return max(lengths, key=lambda column: lengths[column], default=None)


KINDS: dict[str, Callable[[Any], bool]] = {
    "text": lambda it: isinstance(it, str),
    "code": lambda it: isinstance(it, str) and re.fullmatch(r"\S*\d\S*", it.strip()) is not None,
    "texts": lambda it: isinstance(it, list) and bool(it) and all(isinstance(item, str) for item in it),
    "turns": lambda it: isinstance(it, list) and bool(it) and all(isinstance(turn, dict) and "role" in turn for turn in it),
}
"""Kinds of a column's values. A code is a single word with a digit, as `T-117`."""


def _holds(rows: Sequence[Row], column: str, kind: str) -> bool:
    values = [row[column] for row in rows if row.get(column) is not None]
    return bool(values) and all(map(KINDS[kind], values))


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [item for item in value or [] if isinstance(item, str)]


def _kind(rows: Sequence[Row], column: str) -> str:
    kind = type(next((row[column] for row in rows if row.get(column) is not None), None)).__name__
    return {"NoneType": "empty", "str": "text", "int": "numbers", "float": "numbers"}.get(kind, kind)


def _check_inputs_differ(name: str, rows: Sequence[Row], column: str) -> None:
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        other = seen.setdefault(str(row.get(column)), number)
        if other != number:
            raise UserError(
                f"{name}: rows {other} and {number} have the same {column!r} and there is no column of ids, by which their "
                "recordings could be told apart. Add one, say 'id', or remove one of the two"
            )
