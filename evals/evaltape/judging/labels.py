"""People's verdicts on answers: a file of JSON lines, each with the answer that it is about.

`{"id", "answer", "label", "model", "by", "use"}`; the first three are needed. `use` is empty for a label that examines the
judge and corrects its means; see `USES` for the others.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import UserError
from evaltape.files import refuse_lfs_pointer
from evaltape.judging.verdict import as_score
from evaltape.names import nearest, shown
from evaltape.text import cut, visible

KEYS = ("id", "answer", "label", "model", "by", "use")
PROMPT, RANDOM, DISAGREEMENT, SECOND = "prompt", "random", "disagreement", "second"
USES = {
    PROMPT: "it helped to write the judge's prompt, and doesn't count",
    RANDOM: "the answer was drawn at random",
    DISAGREEMENT: "the answer was chosen because judge and metric disagree: in a corrected mean it stands for itself alone",
    SECOND: "the same person's second label, given blind: it says how well people agree with themselves",
}


class Label(msgspec.Struct, frozen=True):
    """One person's verdict on an answer."""

    sample: str
    """The sample's id."""
    answer: str
    """The text that was judged."""
    score: float
    """In 0..1."""
    model: str = ""
    """The model that gave the answer; empty if the file doesn't say."""
    by: str = ""
    """Who gave the label; empty if the file doesn't say."""
    use: str = ""
    """One of `USES`, or empty."""
    line: int = 0
    """Its line in the file, from 1."""

    @property
    def examines(self) -> bool:
        """Whether it counts for the exam."""
        return self.use not in (PROMPT, SECOND)

    @property
    def stands_for_others(self) -> bool:
        """Whether it says something of answers that have no label: it wasn't chosen for the judge's verdict."""
        return self.use in ("", RANDOM)


class LabelledAnswer(msgspec.Struct, frozen=True):
    """An answer with all its labels of the same use."""

    sample: str
    """The sample's id."""
    answer: str
    """The text."""
    labels: tuple[float, ...]
    """In 0..1, one a person."""

    @property
    def score(self) -> float:
        """The mean of its labels."""
        return sum(self.labels) / len(self.labels)


def read_labels(path: Path, scale: tuple[float, float] | None, samples: Collection[str] | None = None) -> list[Label]:
    """Read a file of labels.

    `samples` are the ids of the suite's samples; None leaves that check out. Raises `UserError`, naming the line, for a line
    that is no label, a label of an unknown sample, and a person's second label of one answer.
    """
    labels: list[Label] = []
    first: dict[tuple[str, str, str, bool], int] = {}
    for number, text in _lines(path):
        label = _label(f"{shown(path)}, line {number}", number, text, scale)
        if samples is not None and label.sample not in samples:
            hint = nearest(label.sample, samples)
            raise UserError(f"{shown(path)}, line {number}: {_named(label.sample)} is no sample of the suite.{hint}")
        earlier = first.setdefault((label.sample, label.answer, label.by, label.use == SECOND), number)
        if earlier != number:
            who = f"by {cut(label.by, 40)}" if label.by else "by the same person (nobody is named)"
            raise UserError(
                f"{shown(path)}, line {number}: a second label of this answer to {_named(label.sample)} {who}, after line "
                f'{earlier}. Keep one of them; mark a label that was given blind a second time with "use": "{SECOND}"'
            )
        labels.append(label)
    return labels


def label_line(label: Label, value: bool | float) -> str:
    """Return a label as a line of the file; `value` is its score as the file has it."""
    row = {"id": label.sample, "answer": label.answer, "label": value, "model": label.model, "by": label.by, "use": label.use}
    return json.dumps({key: item for key, item in row.items() if item != ""}, ensure_ascii=False) + "\n"


def by_answer(labels: Iterable[Label]) -> list[LabelledAnswer]:
    """Gather the labels of each answer, in the order of the file."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for label in labels:
        found[label.sample, label.answer].append(label.score)
    return [LabelledAnswer(sample, answer, tuple(scores)) for (sample, answer), scores in found.items()]


def second_pairs(labels: Sequence[Label]) -> list[tuple[str, float, float]]:
    """Return (sample, first score, second score) of each answer that a person labelled twice."""
    first = {(each.sample, each.answer, each.by): each.score for each in labels if each.use != SECOND}
    second = [each for each in labels if each.use == SECOND]
    keys = [(each.sample, each.answer, each.by) for each in second]
    return [(each.sample, first[key], each.score) for key, each in zip(keys, second, strict=True) if key in first]


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        content = path.read_bytes()
        refuse_lfs_pointer(path, content)
        lines = content.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise UserError(
            f"{shown(path)}: the labels can't be read: {error.strerror or error}. Label answers: evaltape label"
        ) from None
    except ValueError as error:  # Not UTF-8, or no possible path.
        raise UserError(f"{visible(shown(path))}: not a file of labels ({error})") from None
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _label(place: str, number: int, text: str, scale: tuple[float, float] | None) -> Label:
    try:
        row: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: not a label: {error}") from None
    if not isinstance(row, dict):
        raise UserError(f'{place}: it takes an object a line, {{"id": ..., "answer": ..., "label": ...}}')
    for key in row:
        if key not in KEYS:
            raise UserError(f"{place}: {_named(key)} is not a key of a label.{nearest(key, KEYS)} Keys: {', '.join(KEYS)}")
    try:
        score = as_score(row.get("label"), scale)
    except ValueError as valid:
        raise UserError(f'{place}: "label" is {cut(json.dumps(row.get("label")), 40)}; it takes {valid}') from None
    texts = {key: _text(place, row, key) for key in KEYS if key != "label"}
    if texts["use"] and texts["use"] not in USES:
        raise UserError(f'{place}: "use" is {_named(texts["use"])}.{nearest(texts["use"], USES)} Uses: {", ".join(USES)}')
    return Label(texts["id"], texts["answer"], score, texts["model"], texts["by"], texts["use"], number)


def _text(place: str, row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if key == "id" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None and key in ("model", "by", "use"):
        return ""
    if not isinstance(value, str) or (key in ("id", "answer") and not value.strip()):
        found = "missing" if key not in row else cut(json.dumps(value), 40)
        raise UserError(f'{place}: "{key}" is {found}; it takes a text')
    return value


def _named(text: str) -> str:
    return cut(repr(text), 60)
