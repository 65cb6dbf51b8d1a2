"""How a judge did in its exam: each of its bounds decided, and advice on the missed bounds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property

import msgspec

from evaltape.judging.agreement import Agreement, Kappa, agree, kappa, labels_needed
from evaltape.judging.exam import MIDDLE, ExamPair, MutantMarks, Paper, Question, mark
from evaltape.judging.labels import Label, by_answer, second_pairs
from evaltape.metrics.metric import Metric
from evaltape.metrics.scorers import Judged, misses
from evaltape.scoring.bounds import FAILED, MAX_ALARMS, MIN_KAPPA, MIN_NOTICED, PASSED, Bound, Decision, Kind, sign
from evaltape.scoring.statistics import Interval
from evaltape.suite.definition import Judge
from evaltape.text import counted, cut

UNDAMAGED, HARMLESS, KAPPA = "undamaged", "harmless", "labels"
"""The names of bounds beside the operators': alarms on references, on harmless changes, and agreement with people."""
SHOWN = 2
"""Missed pairs, and alarms, that a message shows."""
LONGEST = 90
"""Characters of a text that a message shows."""
SURE, OBSERVED = 0.80, 0.90
"""The share that labels of a class are to certify, and the share they would have to show, for the advice on their number."""


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
    oneself: Kappa | None = None
    """How well people agree with their own second labels; None without second labels."""
    not_examined: str = ""
    """Why nothing of this is known; empty if the exam was taken."""

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The exam's bounds, decided; empty if it wasn't taken."""
        exam = self.judge.exam
        if exam is None or self.not_examined:
            return ()
        found: list[Decision] = []
        if self.marks is not None:
            found += [self._decision(MIN_NOTICED, name, exam.min_noticed, it) for name, it in self.marks.noticed.items()]
            alarms = ((UNDAMAGED, self.marks.alarms), (HARMLESS, self.marks.harmless))
            found += [self._decision(MAX_ALARMS, name, exam.max_alarms, it) for name, it in alarms if it is not None]
        if self.agreement is not None:
            value = self.agreement.kappa
            found.append(self._decision(MIN_KAPPA, KAPPA, exam.min_kappa, Interval(value.value or 0.0, value.low, value.high)))
        return tuple(found)

    def __repr__(self) -> str:  # pytest shows it where a test asserts with it.
        return self.in_short()

    def decide(self, bound: Bound) -> Decision:
        """Decide a bound of the exam."""
        return next(decision for decision in self.decisions if decision.bound.key == bound.key)

    @property
    def passed(self) -> bool:
        """Whether the exam was taken, and every bound of it holds."""
        return bool(self.decisions) and all(decision.passed for decision in self.decisions)

    @property
    def missed(self) -> list[Decision]:
        """The bounds that it misses."""
        return [decision for decision in self.decisions if not decision.passed]

    @property
    def standing(self) -> str:
        """What numbers of this judge have to be shown with; empty if it passed its exam."""
        if self.passed:
            return ""
        if self.judge.exam is None:
            return f"the judge {self.judge.key} took no exam"
        if self.not_examined or not self.decisions:
            return f"the exam of the judge {self.judge.key} isn't recorded"
        return f"the judge {self.judge.key} failed its exam ({', '.join(it.bound.metric for it in self.missed)})"

    @property
    def refusal(self) -> str:
        """Why no bound may rest on the judge; empty if a bound may."""
        if self.passed or self.judge.unexamined:
            return ""
        about = self.not_examined or "; ".join(decision.line for decision in self.missed)
        key = f"[judges.{self.judge.key}] unexamined = true"
        return f"{self.standing}, so nothing may rest on it: {about or 'it takes none'}. {key} lets it, and says so everywhere"

    def in_short(self) -> str:
        """Return in a line which bounds are missed, by how much, and the next step."""
        if self.not_examined or self.judge.exam is None:
            return f"{self.judge.key}: {self.not_examined or 'it takes no exam'}"
        if self.passed:
            return f"{self.judge.key} passed its exam: {'; '.join(decision.line for decision in self.decisions)}"
        parts = ["; ".join(decision.line for decision in self.missed), *self._shown(), self._advice()]
        return ". ".join(part for part in parts if part)

    # ------------------------------------------------------------ bounds

    def _decision(self, kind: Kind, name: str, limit: float, found: Interval) -> Decision:
        higher = kind != MAX_ALARMS
        place = f"[judges.{self.judge.key}.exam]"
        metric = Metric(name, Judged(self.judge.key), place, higher, (-1.0 if kind == MIN_KAPPA else 0.0, 1.0), decimals=2)
        missed = misses(found.mean, limit, higher)
        if kind == MIN_KAPPA and self.agreement is not None and self.agreement.kappa.value is None:
            missed = True
        beside = f"{found.mean:.2f} {sign(missed, higher)} {limit:g}"
        line = f"{beside}: {self.judge.key} {name}: {self._counted(kind, name)}{_ends(found)}"
        bound = Bound(kind, self.judge.suite, self.judge.key, name, limit)
        return Decision(bound, metric, FAILED if missed else PASSED, line, found, found.mean)

    def _counted(self, kind: Kind, name: str) -> str:
        if kind == MIN_KAPPA:
            assert self.agreement is not None
            if self.agreement.kappa.value is None:
                return "kappa is unknown, because judge and people give one verdict alone"
            return f"kappa with {counted(self.agreement.labels, 'label')}"
        assert self.marks is not None
        if kind == MIN_NOTICED:
            noticed = next(it for it in self.marks.operators if it.operator == name)
            return f"{noticed.asked - len(noticed.missed)} of {noticed.asked} noticed"
        if name == UNDAMAGED:
            references = self.marks.references
            return f"alarms on {len(self.marks.alarming)} of {counted(references, 'undamaged reference')}"
        harmless = [it for it in self.marks.operators if not it.harmful]
        changes = sum(it.asked for it in harmless)
        return f"alarms on {sum(len(it.missed) for it in harmless)} of {counted(changes, 'harmless change')}"

    # ------------------------------------------------------------ messages

    def _shown(self) -> Iterator[str]:
        """Yield texts that the judge got wrong: pairs of the damage it noticed least, or its alarms."""
        assert self.marks is not None or self.agreement is not None
        missed = {decision.bound.metric: decision for decision in self.missed}
        damages = [it for it in (self.marks.operators if self.marks else ()) if it.operator in missed]
        if damages:
            worst = min(damages, key=lambda it: it.share.mean)
            yield f"{worst.operator}, missed: {'; '.join(map(_pair, worst.missed[:SHOWN]))}"
        if UNDAMAGED in missed and self.marks is not None:
            alarms = "; ".join(f"{it.sample}: {_quoted(it.answer)}" for it in self.marks.alarming[:SHOWN])
            yield f"Undamaged, and faulted: {alarms}"

    def _advice(self) -> str:
        kinds = {decision.bound.kind for decision in self.missed}
        advice = []
        if MIN_NOTICED in kinds:
            named = next(decision.bound.metric for decision in self.missed if decision.bound.kind == MIN_NOTICED)
            advice.append(
                f"Name the damage in the prompt of [judges.{self.judge.key}], ask a stronger model, or take {named} out of "
                "its exam's mutants if no gate needs it"
            )
        if MAX_ALARMS in kinds:
            advice.append(
                "A judge that finds fault with references is too strict, or guesses: say in its prompt what is no fault"
            )
        if MIN_KAPPA in kinds:
            advice.append("The table of labels and verdicts in --report shows which way it errs")
        return ". ".join(advice)


def examine(
    judge: Judge,
    paper: Paper | None,
    labels: Sequence[Label],
    verdict: Callable[[Question], float | None],
) -> Examined:
    """Return how a judge did on the mutants and labels of its exam."""
    labelled = by_answer(label for label in labels if label.examines)
    rated = [(it.sample, _against_it(verdict(Question(it.sample, it.answer)), it.score), it.labels) for it in labelled]
    questions = questions_of(paper, labels)
    is_scale = judge.verdict.scale is not None
    second = second_pairs(labels)
    return Examined(
        judge,
        asked=len(questions),
        unread=sum(verdict(question) is None for question in questions),
        marks=None if paper is None else mark(paper, verdict, is_scale),
        agreement=agree(rated, is_scale=is_scale),
        oneself=kappa([(one, other) for _, one, other in second], [sample for sample, _, _ in second]) if second else None,
    )


def _against_it(verdict: float | None, label: float) -> float:
    """Return a verdict; an unreadable verdict counts as wrong."""
    return verdict if verdict is not None else float(label < MIDDLE)


def questions_of(paper: Paper | None, labels: Iterable[Label]) -> list[Question]:
    """Return everything that a judge is asked in its exam, each text once."""
    labelled = (Question(label.sample, label.answer) for label in labels if label.examines)
    return list(dict.fromkeys([*(paper.questions if paper else ()), *labelled]))


def labels_advice() -> str:
    """Return how many labels it takes to know how often a judge is right."""
    needed = labels_needed(SURE, OBSERVED)
    return f"about {needed} labels of a class prove that a judge is right on {SURE:.0%}, if it is on {OBSERVED:.0%} of them"


def _pair(pair: ExamPair) -> str:
    return f"{pair.mutant.sample}: {_quoted(pair.reference.answer)} became {_quoted(pair.mutant.answer)}"


def _quoted(text: str) -> str:
    return f'"{cut(" ".join(text.split()), LONGEST)}"'


def _ends(found: Interval) -> str:
    return "" if found.low is None or found.high is None else f" (95% interval {found.low:.2f} to {found.high:.2f})"
