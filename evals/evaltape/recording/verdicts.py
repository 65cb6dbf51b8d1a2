"""Recorded verdicts: the words of judges on a model's answers, and on the texts of their exams; and the exams themselves.

<suite>/<model>/<judge>/<sample>.yaml             the verdict on the model's answer
<suite>/<model>/<judge>/<sample>.again-2.yaml     a second verdict on the same answer, to measure noise
<suite>/<model>/<judge>/<sample>.repeat-2.yaml    the verdict on its second answer
<suite>/<model>/<judge>/mutants/<digest>.yaml     the verdict on a mutant of an answer
<suite>/<judge>/exam/<digest>.yaml                the verdict on a text of its exam
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from evaltape.errors import NotFetched, RecordedOtherwise, RecordingError, UserError
from evaltape.judging.exam import Examined, Paper, examine, ground_of, questions_of, set_paper
from evaltape.judging.labels import Label, Question, read_labels
from evaltape.judging.verdict import Unread, is_other_answer, judge_request, read_verdict
from evaltape.mutation.operators import BUILT_IN, Operator, load_operators
from evaltape.names import shown
from evaltape.recording import cassettes
from evaltape.recording.model_calls import REPEAT, further_calls
from evaltape.samples.sample import Sample
from evaltape.scoring.ground import Ground
from evaltape.scoring.prediction import read_completion
from evaltape.suite.definition import Judge
from evaltape.text import counted, visible

AGAIN = ".again-"
EXAM, MUTANTS = "exam", "mutants"


class Asked(msgspec.Struct, frozen=True):
    """A text that a judge is asked about, and where its verdict lies."""

    judge: Judge
    sample: Sample
    answer: str
    """The text that is judged."""
    model: str = ""
    """The key of the model that gave it; empty for a text of the exam."""
    repeat: int = 1
    """Which of the model's repeated answers it is, from 1."""
    again: int = 1
    """Which verdict on the same answer it is, from 1."""
    is_mutant: bool = False
    """Whether it is a mutant of the model's answer."""

    @property
    def place(self) -> Path:
        """The cassette's path under the suite's folder."""
        if not self.model:
            return Path(self.judge.key, EXAM, f"{self._digest}.yaml")
        folder = Path(self.model, self.judge.key)
        if self.is_mutant:
            return folder / MUTANTS / f"{self._digest}.yaml"
        suffix = f"{REPEAT}{self.repeat}" if self.repeat > 1 else f"{AGAIN}{self.again}" if self.again > 1 else ""
        return folder / f"{self.sample.name}{suffix}.yaml"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(json.dumps([self.sample.id, self.answer]).encode()).hexdigest()[:20]


class RecordedVerdict(msgspec.Struct, frozen=True):
    """A judge's recorded verdict on an answer."""

    score: float | None
    """In 0..1; None if the verdict can't be read."""
    unscored: str = ""
    """Why there is no score, in a sentence."""
    cost_usd: float | None = None
    """Its price; None if the recording doesn't say."""


class Verdicts(msgspec.Struct, frozen=True):
    """The recorded verdicts of a suite's judges."""

    folder: Path
    """`<cassettes>/<suite>`."""
    _further: dict[tuple[str, str], dict[str, list[int]]] = {}

    def read(self, asked: Asked) -> RecordedVerdict:
        """Return a recorded verdict. Raises `RecordingError` without a recording of exactly this request."""
        path = self.folder / asked.place
        try:
            body = judge_request(asked.judge, asked.sample, asked.answer)
            exchange = cassettes.replay(path, body)
        except RecordedOtherwise as error:
            raise self._stale(asked, path, error) from None
        except ValueError as error:
            raise RecordingError(f"the prompt of the judge {asked.judge.key} can't be filled: a column {error}") from None
        try:
            answer = read_completion(exchange.answered)
        except ValueError as error:
            raise RecordingError(f"{shown(path)}: {error}") from None
        score, unscored = None, ""
        if answer.failure is not None:
            unscored = f"the judge {asked.judge.key} gave no verdict: {answer.failure}"
        else:
            try:
                score = read_verdict(answer.text, asked.judge.verdict)
            except Unread as reason:
                unscored = f"the verdict of the judge {asked.judge.key} can't be read: {visible(str(reason))}"
        return RecordedVerdict(score, unscored, exchange.cost_usd)

    def further(self, judge: Judge, model: str, sample: Sample) -> list[int]:
        """Return which further verdicts on a model's first answer to a sample there are: 2 and up."""
        if (model, judge.key) not in self._further:
            paths = (self.folder / model / judge.key).glob(f"*{AGAIN}*.yaml")
            self._further[model, judge.key] = further_calls((path.stem for path in paths), AGAIN)
        return self._further[model, judge.key].get(sample.name, [])

    def is_recorded(self, asked: Asked) -> bool:
        """Return whether there is a verdict of exactly this request. Raises `RecordingError` as `cassettes.is_valid`."""
        return cassettes.is_valid(lambda: self.read(asked))

    def _stale(self, asked: Asked, path: Path, error: RecordedOtherwise) -> RecordedOtherwise:
        """Name the change since: the answer, or how the judge is asked."""
        recorded = cassettes.read(path)[0].asked
        if asked.model and is_other_answer(asked.judge, asked.sample, recorded):
            return RecordedOtherwise(f"{shown(path)}: a verdict on another answer of {asked.model}", "another answer")
        told = str(error).partition(": ")[2]
        return RecordedOtherwise(f"{shown(path)}: the judge {asked.judge.key} is asked otherwise now: {told}", error.what)


@dataclass(eq=False)
class JudgeExam:
    """The exam of a judge. Its questions are read once, its verdicts on first use.

    The questions depend on the suite's references and labels alone: a changed model under test changes no question.
    """

    judge: Judge
    suite_file: Path
    root: Path
    samples: Mapping[str, Sample]
    """By id."""
    verdicts: Verdicts
    command: str
    """Records missing verdicts; messages show it."""

    @cached_property
    def labels(self) -> list[Label]:
        """People's labels; empty if the exam names no file. Raises `UserError` for a file that can't be used."""
        exam = self.judge.exam
        if exam is None or exam.labels is None:
            return []
        return read_labels(exam.labels, self.judge.verdict.scale, list(self.samples))

    @cached_property
    def paper(self) -> Paper:
        """The references and their mutants; empty without mutants in the exam. Raises `UserError` for operators of no use."""
        exam = self.judge.exam
        if exam is None or exam.mutants == ():
            return ()
        place = f"{shown(self.suite_file)}: [judges.{self.judge.key}.exam] mutants"
        asked = load_operators(exam.mutants, place, self.root) if exam.mutants else []
        operators = list[Operator]()
        for harmful in (True, False):
            own, built_in = ([it for it in them if it.harmful is harmful] for them in (asked, BUILT_IN.values()))
            operators += own or built_in
        paper = set_paper(operators, list(self.samples.values()), exam.samples)
        for damage in paper:
            if not damage.pairs and damage.operator in (exam.mutants or ()):
                references = counted(len(self.samples), "reference")
                raise UserError(f"{place}: {damage.operator!r} applies to none of the {references}; leave it out")
        return paper

    @cached_property
    def questions(self) -> dict[Question, Asked]:
        """Everything that the judge is asked, with its call."""
        asked = questions_of(self.paper, self.labels)
        return {question: Asked(self.judge, self.samples[question.sample], question.answer) for question in asked}

    @cached_property
    def _recorded(self) -> dict[Question, RecordedVerdict | RecordingError]:
        found: dict[Question, RecordedVerdict | RecordingError] = {}
        for question, asked in self.questions.items():
            try:
                found[question] = self.verdicts.read(asked)
            except RecordingError as error:
                found[question] = error
        return found

    @property
    def missing(self) -> list[Asked]:
        """The calls without a valid verdict. Raises `RecordingError` as `cassettes.is_valid`."""
        return [asked for asked in self.questions.values() if not self.verdicts.is_recorded(asked)]

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
        not_fetched = next((error for error in errors if isinstance(error, NotFetched)), None)
        if not_fetched is not None:
            return str(not_fetched)
        verb = "is" if len(errors) == 1 else "are"
        lacking = f"{len(errors)} of {counted(len(self._recorded), 'verdict')} of its exam {verb} not recorded"
        return f"{lacking} ({errors[0]}). Record the rest, {counted(len(errors), 'call')}: {self.command}"

    @cached_property
    def ground(self) -> Ground:
        """The ground of bounds on the judge's metric."""
        return ground_of(self.examined, self.labels, self.verdict)
