"""People's verdicts on answers: a file of JSON lines, each with the answer that it is about.

`{"id", "answer", "label", "model", "by", "use"}`; the first three are needed. `use` is empty for a label that examines the
judge and corrects its means; see `USES` for the others.

A person labels the most instructive answers first: answers on which the judge and a metric disagree, because the judge likes
what the metric ranks low, or the other way round. Such a label says most about the judge's errors, but nothing of how frequent
they are: it is marked, and stands for itself alone in corrected means. All other answers follow in an order that depends on
the seed alone.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from evaltape.errors import UserError
from evaltape.files import numbered_lines
from evaltape.judging.verdict import as_score
from evaltape.names import nearest, shown
from evaltape.samples.sample import Sample
from evaltape.text import cut

KEYS = ("id", "answer", "label", "model", "by", "use")
PROMPT, RANDOM, DISAGREEMENT, SECOND = "prompt", "random", "disagreement", "second"
USES = {
    PROMPT: "it helped to write the judge's prompt, and doesn't count",
    RANDOM: "the answer was drawn at random",
    DISAGREEMENT: "the answer was chosen because judge and metric disagree: in a corrected mean it stands for itself alone",
    SECOND: "the same person's second label, given blind: it says how well people agree with themselves",
}

SEED = 42
CHOSEN = 20
"""How many answers are chosen for a disagreement before the others come."""
APART = 0.5
"""The distance between verdict and rank, both in 0..1, from which judge and metric disagree."""


class Label(msgspec.Struct, frozen=True):
    """A person's verdict on an answer."""

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
    """A key of `USES`, or empty."""

    @property
    def examines(self) -> bool:
        """Whether it counts for the exam."""
        return self.use not in (PROMPT, SECOND)

    @property
    def stands_for_others(self) -> bool:
        """Whether it says something about unlabelled answers: the judge's verdict wasn't the reason to choose it."""
        return self.use in ("", RANDOM)


class Question(NamedTuple):
    """A text that a judge is asked about in its exam."""

    sample: str
    """The id of the sample that it answers."""
    answer: str
    """The reference, its damaged copy, or a labelled answer."""


def read_labels(path: Path, scale: tuple[float, float] | None, samples: Collection[str] | None = None) -> list[Label]:
    """Read a file of labels.

    `samples` are the ids of the suite's samples; None leaves that check out. Raises `UserError`, naming the line, for a line
    that is no label, a label of an unknown sample, and a person's second label of the same answer.
    """
    labels: list[Label] = []
    first: dict[tuple[str, str, str, bool], int] = {}
    for number, text in numbered_lines(path, "labels", ". Label answers: evaltape label"):
        label = _label(f"{shown(path)}, line {number}", text, scale)
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


def by_answer(labels: Iterable[Label]) -> dict[Question, list[float]]:
    """Gather the labels of each answer, in the order of the file."""
    found: dict[Question, list[float]] = defaultdict(list)
    for label in labels:
        found[Question(label.sample, label.answer)].append(label.score)
    return found


def second_pairs(labels: Sequence[Label]) -> list[tuple[str, float, float]]:
    """Return (sample, first score, second score) of each answer that a person labelled twice."""
    first = {(each.sample, each.answer, each.by): each.score for each in labels if each.use != SECOND}
    second = [each for each in labels if each.use == SECOND]
    keys = [(each.sample, each.answer, each.by) for each in second]
    return [(each.sample, first[key], each.score) for key, each in zip(keys, second, strict=True) if key in first]


def _label(place: str, text: str, scale: tuple[float, float] | None) -> Label:
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
    return Label(texts["id"], texts["answer"], score, texts["model"], texts["by"], texts["use"])


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


class Candidate(msgspec.Struct, frozen=True):
    """An answer that can be labelled."""

    sample: Sample
    model: str
    """The key of the model that gave it."""
    answer: str
    verdict: float | None = None
    """The judge's, in 0..1; None without a verdict."""
    score: float | None = None
    """Another metric's; None without a score."""
    use: str = ""
    """The purpose of its label, once its turn has come: `random`, `disagreement` or `second`."""


def label_line(answer: Candidate, by: str, value: bool | float) -> str:
    """Return a person's label of an answer as a line of the file; `value` is its score as the file has it."""
    row = {"id": answer.sample.id, "answer": answer.answer, "label": value, "model": answer.model, "by": by, "use": answer.use}
    return json.dumps({key: item for key, item in row.items() if item != ""}, ensure_ascii=False) + "\n"


def first_turns(candidates: Iterable[Candidate], labels: Iterable[Label], by: str) -> list[Candidate]:
    """Return the answers that a person hasn't labelled, in the order to label them; equal answers to a sample count once."""
    different = list({(each.sample.id, each.answer): each for each in candidates}.values())
    done = {(label.sample, label.answer) for label in labels if label.by == by}
    # The answers that judge and metric see most differently come first, the greatest difference ahead.
    scores = sorted(each.score for each in different if each.score is not None)
    apart = [(_apart(each, scores), each) for each in different]
    furthest = sorted((pair for pair in apart if pair[0] > APART), key=lambda pair: -pair[0])
    chosen = [each for _, each in furthest[:CHOSEN]]
    others = [each for each in Random(SEED).sample(different, len(different)) if each not in chosen]
    turns = [(each, DISAGREEMENT) for each in chosen] + [(each, RANDOM) for each in others]
    return [replace(each, use=use) for each, use in turns if (each.sample.id, each.answer) not in done]


def second_turns(labels: Sequence[Label], by: str, samples: Collection[Sample]) -> list[Candidate]:
    """Return the answers that a person has labelled once, to be labelled again, in an order of its own."""
    known = {sample.id: sample for sample in samples}
    done = {(label.sample, label.answer) for label in labels if label.by == by and label.use == SECOND}
    mine = [label for label in labels if label.by == by and label.use not in (SECOND, PROMPT) and label.sample in known]
    again = [label for label in Random(SEED + 1).sample(mine, len(mine)) if (label.sample, label.answer) not in done]
    return [Candidate(known[label.sample], label.model, label.answer, use=SECOND) for label in again]


def _apart(candidate: Candidate, scores: Sequence[float]) -> float:
    """Return the distance of verdict and rank, 0 to 1."""
    if candidate.verdict is None or candidate.score is None:
        return 0.0
    below = sum(score < candidate.score for score in scores)
    equal = scores.count(candidate.score)
    return abs(candidate.verdict - (below + equal / 2) / len(scores))
