"""A judge's exam: its questions, and its recorded verdicts marked.

The questions depend on the suite's references and labels alone, so a changed model under test changes no question.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from evaltape.errors import NotFetched, RecordingError, UserError
from evaltape.judging.exam import Examined, Paper, Question, examine, questions_of, set_paper
from evaltape.judging.ground import JudgeGround
from evaltape.judging.labels import Label, read_labels
from evaltape.mutation.operators import BUILT_IN, Operator, load_operators
from evaltape.names import shown
from evaltape.recording.verdicts import Asked, RecordedVerdict, Verdicts
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Judge
from evaltape.text import counted


class JudgeExam:
    """The exam of a judge. Its questions are read once, its verdicts on first use."""

    def __init__(
        self, judge: Judge, suite_file: Path, root: Path, samples: Sequence[Sample], verdicts: Verdicts, command: str
    ) -> None:
        """`command` records missing verdicts; messages show it."""
        self.judge = judge
        self.verdicts = verdicts
        self.command = command
        self._suite_file = suite_file
        self._root = root
        self._samples = samples

    @property
    def _place(self) -> str:
        return f"{shown(self._suite_file)}: [judges.{self.judge.key}.exam]"

    # ------------------------------------------------------------ what is asked

    @cached_property
    def labels(self) -> list[Label]:
        """People's labels; empty if the exam names no file. Raises `UserError` for a file that can't be used."""
        exam = self.judge.exam
        if exam is None or exam.labels is None:
            return []
        return read_labels(exam.labels, self.judge.verdict.scale, [sample.id for sample in self._samples])

    @cached_property
    def paper(self) -> Paper | None:
        """The references and their mutants; None without mutants in the exam. Raises `UserError` for operators of no use."""
        exam = self.judge.exam
        if exam is None or exam.mutants == ():
            return None
        paper = set_paper(self._operators(exam.mutants), self._samples, exam.samples)
        for damage in paper.damages:
            if not damage.pairs and damage.operator in (exam.mutants or ()):
                references = counted(len(self._samples), "reference")
                raise UserError(f"{self._place} mutants: {damage.operator!r} applies to none of the {references}; leave it out")
        return paper

    def _operators(self, names: Sequence[str] | None) -> list[Operator]:
        """Return the harmful and the harmless operators: the suite's own, or all that are built in."""
        place = f"{self._place} mutants"
        asked = load_operators(names, self._suite_file, self._root, place) if names else []
        harmful = [each for each in asked if each.harmful] or [each for each in BUILT_IN.values() if each.harmful]
        harmless = [each for each in asked if not each.harmful] or [each for each in BUILT_IN.values() if not each.harmful]
        return [*harmful, *harmless]

    @property
    def questions(self) -> list[Question]:
        """Everything that the judge is asked."""
        return questions_of(self.paper, self.labels)

    def asked(self, question: Question) -> Asked:
        """Return a question as a judge's call."""
        return Asked(self.judge, self._by_id[question.sample], question.answer)

    @cached_property
    def _by_id(self) -> Mapping[str, Sample]:
        return {sample.id: sample for sample in self._samples}

    # ------------------------------------------------------------ what it said

    @cached_property
    def _recorded(self) -> dict[Question, RecordedVerdict | RecordingError]:
        return {question: self._read(question) for question in self.questions}

    def _read(self, question: Question) -> RecordedVerdict | RecordingError:
        try:
            return self.verdicts.read(self.asked(question))
        except RecordingError as error:
            return error

    @property
    def missing(self) -> list[Question]:
        """The questions without a valid verdict. Raises `RecordingError` if nobody can know."""
        return [question for question in self.questions if not self.verdicts.is_recorded(self.asked(question))]

    def verdict(self, question: Question) -> float | None:
        """Return the recorded verdict on a question; None without a readable recording."""
        found = self._recorded.get(question)
        return found.score if isinstance(found, RecordedVerdict) else None

    @cached_property
    def examined(self) -> Examined:
        """How the judge did. Raises `UserError` for an exam that can't be taken."""
        if self.judge.exam is None:
            return Examined(self.judge)
        errors = [found for found in self._recorded.values() if isinstance(found, RecordingError)]
        if errors:
            return Examined(self.judge, asked=len(self._recorded), not_examined=self._missing(errors))
        return examine(self.judge, self.paper, self.labels, self.verdict)

    def _missing(self, errors: Sequence[RecordingError]) -> str:
        """Return how much of the exam is missing, the first reason, and the remedy."""
        if any(isinstance(error, NotFetched) for error in errors):
            return str(next(error for error in errors if isinstance(error, NotFetched)))
        verb = "is" if len(errors) == 1 else "are"
        lacking = f"{len(errors)} of {counted(len(self._recorded), 'verdict')} of its exam {verb} not recorded"
        return f"{lacking} ({errors[0]}). Record what is missing, {counted(len(errors), 'call')}: {self.command}"

    @cached_property
    def ground(self) -> JudgeGround:
        """What bounds on the judge's metric rest on."""
        return JudgeGround(self.examined, self.labels, self.verdict)
