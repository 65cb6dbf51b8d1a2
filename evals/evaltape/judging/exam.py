"""The exam by mutants: can a judge tell references from damaged copies of them?

References are taken as right. Each operator damages the first `samples` references that it applies to, in an order that
depends on the seed alone, so operators share references and each is asked about once. Of a harmful operator the exam counts
the damage that the judge notices; undamaged references, and harmlessly changed ones, that it finds fault with are alarms.

A judge that says true or false notices a mutant by saying false. On a scale it does by rating it under its reference, a
harmless change alarms it likewise, and an undamaged reference does under the middle of the scale. A verdict that can't be read
counts against the judge.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING

import msgspec

from evaltape.judging.agreement import share
from evaltape.mutation.harmful import Answers
from evaltape.mutation.operators import Operator
from evaltape.scoring.statistics import Interval

if TYPE_CHECKING:
    from evaltape.samples.sample import Sample

SEED = 42
MIDDLE = 0.5
"""Of a scale that is mapped to 0..1."""
Verdicts = Callable[["Question"], float | None]
"""A judge's verdict on a question in 0..1; None if it can't be read."""


class Question(msgspec.Struct, frozen=True):
    """A text that a judge is asked about in its exam."""

    sample: str
    """The id of the sample that it answers."""
    answer: str
    """The reference, its damaged copy, or a labelled answer."""


class ExamPair(msgspec.Struct, frozen=True):
    """A reference beside its mutant."""

    reference: Question
    mutant: Question


class Damage(msgspec.Struct, frozen=True):
    """One operator's part of an exam."""

    operator: str
    harmful: bool
    pairs: tuple[ExamPair, ...]


class Paper(msgspec.Struct, frozen=True):
    """What a judge is asked in its exam by mutants."""

    damages: tuple[Damage, ...]
    """One an operator, in the suite's order."""

    @property
    def references(self) -> list[Question]:
        """Each reference once, in the order they first appear."""
        return list(dict.fromkeys(pair.reference for damage in self.damages for pair in damage.pairs))

    @property
    def questions(self) -> list[Question]:
        """Everything that is asked, each question once."""
        mutants = (pair.mutant for damage in self.damages for pair in damage.pairs)
        return list(dict.fromkeys((*self.references, *mutants)))


class Noticed(msgspec.Struct, frozen=True):
    """How a judge did on an operator."""

    operator: str
    harmful: bool
    share: Interval
    """Of the damage that it noticed; of a harmless operator, of the alarms."""
    asked: int
    unread: int
    missed: tuple[ExamPair, ...]
    """The pairs that it got wrong."""


class MutantMarks(msgspec.Struct, frozen=True):
    """How a judge did in its exam by mutants."""

    operators: tuple[Noticed, ...]
    alarms: Interval | None
    """The share of undamaged references that it finds fault with; None if the exam has no reference."""
    harmless: Interval | None
    """The share of harmless changes that it finds fault with; None likewise."""
    alarming: tuple[Question, ...]
    """The undamaged references among them."""
    references: int
    """How many references it was asked about."""

    @property
    def noticed(self) -> dict[str, Interval]:
        """The share noticed by harmful operator."""
        return {each.operator: each.share for each in self.operators if each.harmful}


def set_paper(operators: Iterable[Operator], samples: Sequence["Sample"], count: int) -> Paper:
    """Return the questions of an exam: for each operator `count` pairs, or as many as it applies to."""
    answers = _shuffled([(sample, sample.references[0]) for sample in samples if sample.references])
    return Paper(tuple(Damage(each.name, each.harmful, _pairs(each, answers, count)) for each in operators))


def mark(paper: Paper, verdict: Verdicts, is_scale: bool = False) -> MutantMarks:
    """Return how a judge did."""
    operators = tuple(_noticed(damage, verdict, is_scale) for damage in paper.damages if damage.pairs)
    wrong = [question for question in paper.references if not _is_fine(verdict(question))]
    harmless = [each for each in operators if not each.harmful]
    return MutantMarks(
        operators,
        share(len(wrong), len(paper.references)) if paper.references else None,
        share(sum(len(each.missed) for each in harmless), sum(each.asked for each in harmless)) if harmless else None,
        tuple(wrong),
        len(paper.references),
    )


def _shuffled(answers: list[tuple["Sample", str]]) -> list[tuple["Sample", str]]:
    return Random(SEED).sample(answers, len(answers))


def _pairs(operator: Operator, answers: Answers, count: int) -> tuple[ExamPair, ...]:
    pairs: list[ExamPair] = []
    for sample, reference in answers:
        if len(pairs) == count:
            break
        mutant = operator.apply(sample, reference, answers)
        if mutant is not None:
            pairs.append(ExamPair(Question(sample.id, reference), Question(sample.id, mutant)))
    return tuple(pairs)


def _noticed(damage: Damage, verdict: Verdicts, is_scale: bool) -> Noticed:
    read = [verdict(pair.mutant) for pair in damage.pairs]
    faulted = [_is_faulted(verdict(pair.reference), score, is_scale) for pair, score in zip(damage.pairs, read, strict=True)]
    wrong = tuple(pair for pair, found in zip(damage.pairs, faulted, strict=True) if found is not damage.harmful)
    right = len(damage.pairs) - len(wrong)
    counted = share(right if damage.harmful else len(wrong), len(damage.pairs))
    return Noticed(damage.operator, damage.harmful, counted, len(damage.pairs), read.count(None), wrong)


def _is_faulted(reference: float | None, mutant: float | None, is_scale: bool) -> bool | None:
    """Return whether a judge finds fault with a mutant; None if its verdicts can't be read."""
    if mutant is None or (is_scale and reference is None):
        return None
    return mutant < (reference or 0.0) if is_scale else mutant == 0


def _is_fine(score: float | None) -> bool:
    return score is not None and score >= MIDDLE
