"""The exam of a judge: can it tell references from damaged copies of them, and does it agree with people's labels?

References are taken as right. Each operator damages the first `samples` references that it applies to, in an order that
depends on the seed alone, so operators share references and the judge is asked about each of them once. Of a harmful operator
the exam counts the damage that the judge notices. Undamaged references, and harmless changes, that it faults are alarms.

A judge that says true or false notices a mutant by saying false. On a scale it rates a noticed mutant under its reference;
a harmless change with a lower rating is an alarm, as is a reference under the middle of the scale. An unreadable verdict
counts against the judge.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import msgspec

from evaltape.judging.agreement import Agreement, agree, kappa, labels_needed, share
from evaltape.judging.labels import Label, Question, by_answer, second_pairs
from evaltape.metrics.metric import Metric
from evaltape.metrics.scorers import judged, misses
from evaltape.mutation.operators import Answers, Mutant, Operator
from evaltape.scoring.bounds import FAILED, MAX_ALARMS, MIN_KAPPA, MIN_NOTICED, PASSED, Bound, Decision, Kind, sign
from evaltape.scoring.correction import count_errors
from evaltape.scoring.ground import Ground
from evaltape.scoring.statistics import Interval
from evaltape.suite.definition import Exam, Judge
from evaltape.suite.metric_tables import OwnMetric
from evaltape.text import counted, cut

if TYPE_CHECKING:
    from evaltape.samples.sample import Sample

SEED = 42
MIDDLE = 0.5
"""Of a scale that is mapped to 0..1."""
UNDAMAGED, HARMLESS, KAPPA = "undamaged", "harmless", "labels"
"""The names of bounds beside the operators': alarms on references, on harmless changes, and agreement with people."""
SHOWN = 2
"""Missed pairs, and alarms, that a message shows."""
LONGEST = 90
"""Characters of a text that a message shows."""
SURE, OBSERVED = 0.80, 0.90
"""The share that labels of a class are to certify, and the share they would have to show, for the advice on their number."""


Verdict = Callable[[Question], float | None]
"""A judge's verdict on a question in 0..1; None if it can't be read."""


class Damage(msgspec.Struct, frozen=True):
    """An operator's part of an exam."""

    operator: str
    harmful: bool
    pairs: tuple[Mutant, ...]
    """References beside their damaged copies."""
    missed: tuple[Mutant, ...] = ()
    """The pairs that the judge got wrong, once the exam is marked."""

    @property
    def share(self) -> Interval:
        """Of the damage that it noticed; of a harmless operator, of the alarms."""
        count = len(self.pairs) - len(self.missed) if self.harmful else len(self.missed)
        return share(count, len(self.pairs))


Paper = tuple[Damage, ...]
"""The exam by mutants, by operator in the suite's order; empty for an exam without mutants."""


def set_paper(operators: Iterable[Operator], samples: Sequence["Sample"], count: int) -> Paper:
    """Return the questions of an exam: for each operator `count` pairs, or as many as it applies to."""
    answers = [(sample, sample.references[0]) for sample in samples if sample.references]
    shuffled = Random(SEED).sample(answers, len(answers))
    return tuple(Damage(each.name, each.harmful, _pairs(each, shuffled, count)) for each in operators)


def references_of(paper: Paper) -> list[Question]:
    """Return each reference once, in the order they first appear."""
    return list(dict.fromkeys(Question(it.sample, it.before) for damage in paper for it in damage.pairs))


def questions_of(paper: Paper, labels: Iterable[Label]) -> list[Question]:
    """Return everything that a judge is asked in its exam, each text once."""
    mutants = (Question(it.sample, it.after) for damage in paper for it in damage.pairs)
    labelled = (Question(label.sample, label.answer) for label in labels if label.examines)
    return list(dict.fromkeys([*references_of(paper), *mutants, *labelled]))


def _pairs(operator: Operator, answers: Answers, count: int) -> tuple[Mutant, ...]:
    applied = ((sample, reference, operator.apply(sample, reference, answers)) for sample, reference in answers)
    pairs = (Mutant(sample.id, reference, mutant) for sample, reference, mutant in applied if mutant is not None)
    return tuple(islice(pairs, count))


class MutantMarks(msgspec.Struct, frozen=True):
    """A judge's marks in its exam by mutants."""

    operators: Paper
    """The operators that apply to some reference."""
    alarming: tuple[Question, ...]
    """The undamaged references that it faults."""

    @property
    def noticed(self) -> dict[str, Interval]:
        """The share noticed by harmful operator."""
        return {each.operator: each.share for each in self.operators if each.harmful}

    @property
    def alarms(self) -> Interval | None:
        """The share of undamaged references that it faults; None if the exam has no reference."""
        references = references_of(self.operators)
        return share(len(self.alarming), len(references)) if references else None

    @property
    def harmless(self) -> Interval | None:
        """The share of harmless changes that it faults; None likewise."""
        changes = [each for each in self.operators if not each.harmful]
        return share(sum(len(it.missed) for it in changes), sum(len(it.pairs) for it in changes)) if changes else None


def mark(paper: Paper, verdict: Verdict, is_scale: bool = False) -> MutantMarks:
    """Return a judge's marks."""
    marked = []
    for damage in paper:
        missed = (pair for pair in damage.pairs if _is_faulted(pair, verdict, is_scale) is not damage.harmful)
        marked += [msgspec.structs.replace(damage, missed=tuple(missed))] if damage.pairs else []
    alarming = tuple(question for question in references_of(paper) if (verdict(question) or 0.0) < MIDDLE)
    return MutantMarks(tuple(marked), alarming)


def _is_faulted(pair: Mutant, verdict: Verdict, is_scale: bool) -> bool | None:
    """Return whether a judge finds fault with a mutant; None if its verdicts can't be read."""
    reference, mutant = (verdict(Question(pair.sample, text)) for text in (pair.before, pair.after))
    if mutant is None or (is_scale and reference is None):
        return None
    return mutant < (reference or 0.0) if is_scale else mutant == 0


class Examined(msgspec.Struct, frozen=True, dict=True):
    """How a judge did in its exam."""

    judge: Judge
    """The judge."""
    asked: int = 0
    """How many texts it was asked about."""
    unread: int = 0
    """How many of its verdicts can't be read."""
    marks: MutantMarks | None = None
    """How it did on mutants; None without mutants in the exam."""
    agreement: Agreement | None = None
    """How well it agrees with people; None without labels."""
    oneself: Interval | None = None
    """How well people agree with their own second labels; None without second labels."""
    not_examined: str = ""
    """Why its exam isn't known; empty if the exam was taken."""

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The exam's bounds, decided; empty if it wasn't taken."""
        exam = self.judge.exam
        return () if exam is None or self.not_examined else tuple(self._decided(exam))

    def __repr__(self) -> str:  # pytest shows it where a test asserts with it.
        return self.in_short()

    def decide(self, bound: Bound) -> Decision:
        """Decide a bound of the exam."""
        return next(decision for decision in self.decisions if decision.bound == bound)

    @property
    def passed(self) -> bool:
        """Whether the exam was taken, and every bound of it holds."""
        return bool(self.decisions) and not self.missed

    @property
    def missed(self) -> list[Decision]:
        """The bounds that it misses."""
        return [decision for decision in self.decisions if not decision.passed]

    @property
    def standing(self) -> str:
        """The remark beside numbers of this judge; empty if it passed its exam."""
        if self.passed:
            return ""
        if self.judge.exam is None:
            return f"the judge {self.judge.key} took no exam"
        if not self.decisions:
            return f"the exam of the judge {self.judge.key} isn't recorded"
        return f"the judge {self.judge.key} failed its exam ({', '.join(it.bound.metric for it in self.missed)})"

    @property
    def refusal(self) -> str:
        """Why no bound may rest on the judge; empty if a bound may."""
        if self.passed or self.judge.unexamined:
            return ""
        about = self.not_examined or _lines(self.missed) or "it takes none"
        key = f"[judges.{self.judge.key}] unexamined = true"
        return f"{self.standing}, so nothing may rest on it: {about}. {key} lets it, and says so everywhere"

    def in_short(self) -> str:
        """Return in a line which bounds are missed, by how much, and the next step."""
        if self.not_examined or self.judge.exam is None:
            return f"{self.judge.key}: {self.not_examined or 'it takes no exam'}"
        if self.passed:
            return f"{self.judge.key} passed its exam: {_lines(self.decisions)}"
        return ". ".join(part for part in (_lines(self.missed), *self._shown(), *self._advice()) if part)

    def _decided(self, exam: Exam) -> Iterator[Decision]:
        if self.marks is not None:
            for name, it in self.marks.noticed.items():
                yield self._decision(MIN_NOTICED, name, exam.min_noticed, it, f"{_ones(it)} of {it.samples} noticed")
            alarms = ((UNDAMAGED, "undamaged reference", self.marks.alarms), (HARMLESS, "harmless change", self.marks.harmless))
            for name, noun, found in alarms:
                if found is not None:
                    told = f"alarms on {_ones(found)} of {counted(found.samples, noun)}"
                    yield self._decision(MAX_ALARMS, name, exam.max_alarms, found, told)
        if self.agreement is not None:
            known, unknown = f"kappa with {counted(self.agreement.labels, 'label')}", "judge and people give one verdict alone"
            told = known if self.agreement.kappa else f"kappa is unknown, because {unknown}"
            yield self._decision(MIN_KAPPA, KAPPA, exam.min_kappa, self.agreement.kappa, told)

    def _decision(self, kind: Kind, name: str, limit: float, measured: Interval | None, told: str) -> Decision:
        key, higher = self.judge.key, kind != MAX_ALARMS
        limits = (-1.0 if kind == MIN_KAPPA else 0.0, 1.0)
        metric = Metric(name, judged, f"[judges.{key}.exam]", higher, limits, decimals=2, table=OwnMetric(judge=key))
        found = measured or Interval(0.0, None, None)
        missed = measured is None or misses(found.mean, limit, higher)
        line = f"{found.mean:.2f} {sign(missed, higher)} {limit:g}: {key} {name}: {told}{_ends(found)}"
        bound = Bound(kind, self.judge.suite, key, name, limit)
        return Decision(bound, metric, FAILED if missed else PASSED, line, found, found.mean)

    def _shown(self) -> Iterator[str]:
        """Yield texts that the judge got wrong: pairs of the damage it noticed least, or its alarms."""
        if self.marks is None:
            return
        missed = {decision.bound.metric for decision in self.missed}
        damages = [it for it in self.marks.operators if it.operator in missed]
        if damages:
            worst = min(damages, key=lambda it: it.share.mean)
            pairs = (f"{it.sample}: {_quoted(it.before)} became {_quoted(it.after)}" for it in worst.missed[:SHOWN])
            yield f"{worst.operator}, missed: {'; '.join(pairs)}"
        if UNDAMAGED in missed:
            alarms = "; ".join(f"{it.sample}: {_quoted(it.answer)}" for it in self.marks.alarming[:SHOWN])
            yield f"Undamaged, and faulted: {alarms}"

    def _advice(self) -> Iterator[str]:
        missed = {decision.bound.kind: decision.bound.metric for decision in reversed(self.missed)}
        if MIN_NOTICED in missed:
            ways = f"ask a stronger model, or take {missed[MIN_NOTICED]} out of its exam's mutants if no gate needs it"
            yield f"Name the damage in the prompt of [judges.{self.judge.key}], {ways}"
        if MAX_ALARMS in missed:
            yield "A judge that finds fault with references is too strict, or guesses: say in its prompt what is no fault"
        if MIN_KAPPA in missed:
            yield "The table of labels and verdicts in --report shows which way it errs"


def examine(judge: Judge, paper: Paper, labels: Sequence[Label], verdict: Verdict) -> Examined:
    """Return how a judge did on the mutants and labels of its exam."""
    rated = []
    for question, of_answer in by_answer(label for label in labels if label.examines).items():
        said = verdict(question)
        # An unreadable verdict counts as wrong.
        rated.append((question.sample, float(_mean(of_answer) < MIDDLE) if said is None else said, of_answer))
    questions = questions_of(paper, labels)
    is_scale, second = judge.verdict.scale is not None, second_pairs(labels)
    return Examined(
        judge,
        asked=len(questions),
        unread=sum(verdict(question) is None for question in questions),
        marks=mark(paper, verdict, is_scale) if paper else None,
        agreement=agree(rated, is_scale=is_scale),
        oneself=kappa([(one, other) for _, one, other in second], [sample for sample, _, _ in second]) if second else None,
    )


def ground_of(examined: Examined, labels: Sequence[Label], verdict: Verdict) -> Ground:
    """Return the ground of bounds on a judge's metrics: its exam, and the labels that correct its means."""
    drawn = by_answer(label for label in labels if label.stands_for_others)
    chosen = by_answer(label for label in labels if label.examines and not label.stands_for_others)
    errors = None
    if examined.judge.verdict.scale is None:
        rated = [(verdict(question), of_answer) for question, of_answer in drawn.items()]
        errors = count_errors([(said, of_answer) for said, of_answer in rated if said is not None])
    only_chosen = {question: _mean(of_answer) for question, of_answer in chosen.items() if question not in drawn}
    means = {question: _mean(of_answer) for question, of_answer in drawn.items()}
    return Ground(examined.refusal, examined.standing, means, only_chosen, errors)


def _mean(labels: Sequence[float]) -> float:
    return sum(labels) / len(labels)


def labels_advice() -> str:
    """Return how many labels it takes to know how often a judge is right."""
    needed = labels_needed(SURE, OBSERVED)
    return f"about {needed} labels of a class prove that a judge is right on {SURE:.0%}, if it is on {OBSERVED:.0%} of them"


def _lines(decisions: Iterable[Decision]) -> str:
    return "; ".join(decision.line for decision in decisions)


def _ones(found: Interval) -> int:
    """Return the number behind a share."""
    return round(found.mean * found.samples)


def _quoted(text: str) -> str:
    return f'"{cut(" ".join(text.split()), LONGEST)}"'


def _ends(found: Interval) -> str:
    return "" if found.low is None or found.high is None else f" (95% interval {found.low:.2f} to {found.high:.2f})"
