"""Recorded verdicts: the words of judges on a model's answers, and on the texts of their exams.

<suite>/<model>/<judge>/<sample>.yaml             the verdict on the model's answer
<suite>/<model>/<judge>/<sample>.again-2.yaml     a second verdict on the same answer, to measure noise
<suite>/<model>/<judge>/<sample>.repeat-2.yaml    the verdict on its second answer
<suite>/<model>/<judge>/mutants/<digest>.yaml     the verdict on a mutant of an answer
<suite>/<judge>/exam/<digest>.yaml                the verdict on a text of its exam
"""

import hashlib
import json
from pathlib import Path

import msgspec

from evaltape.errors import NotFetched, RecordedOtherwise, RecordingError
from evaltape.files import FETCH
from evaltape.judging.verdict import Unread, is_other_answer, judge_request, read_verdict
from evaltape.names import shown
from evaltape.recording import cassettes
from evaltape.recording.model_calls import REPEAT
from evaltape.samples.sample import Sample, Usage
from evaltape.scoring.prediction import read_completion
from evaltape.suite.definition import Judge
from evaltape.text import visible

ENDPOINT = "/chat/completions"
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
    """What a recorded call says of an answer."""

    score: float | None
    """In 0..1; None if the verdict can't be read."""
    unscored: str = ""
    """Why there is no score, in a sentence."""
    said: str = ""
    """The judge's own words."""
    usage: Usage = Usage()
    """The tokens of the call."""
    cost_usd: float | None = None
    """Its price; None if the recording doesn't say."""


class Verdicts(msgspec.Struct, frozen=True):
    """The recorded verdicts of a suite's judges."""

    folder: Path
    """`<cassettes>/<suite>`."""
    _further: dict[tuple[str, str], dict[str, list[int]]] = {}

    def cassette(self, asked: Asked) -> Path:
        """Return the file of a verdict."""
        return self.folder / asked.place

    def read(self, asked: Asked) -> RecordedVerdict:
        """Return a recorded verdict. Raises `RecordingError` without a recording of exactly this request."""
        path = self.cassette(asked)
        try:
            body = judge_request(asked.judge, asked.sample, asked.answer)
            exchange = cassettes.replay(path, ENDPOINT, body)
        except RecordedOtherwise as error:
            raise self._stale(asked, path, error) from None
        except ValueError as error:
            raise RecordingError(f"the prompt of the judge {asked.judge.key} can't be filled: a column {error}") from None
        try:
            answer = read_completion(exchange.answered)
        except ValueError as error:
            raise RecordingError(f"{shown(path)}: {error}") from None
        counts = (answer.usage, exchange.cost_usd)
        if answer.failure is not None:
            return RecordedVerdict(None, f"the judge {asked.judge.key} gave no verdict: {answer.failure}", "", *counts)
        try:
            return RecordedVerdict(read_verdict(answer.text, asked.judge.verdict), "", answer.text, *counts)
        except Unread as reason:
            unread = f"the verdict of the judge {asked.judge.key} can't be read: {visible(str(reason))}"
            return RecordedVerdict(None, unread, answer.text, *counts)

    def further(self, judge: Judge, model: str, sample: Sample) -> list[int]:
        """Return which further verdicts on a model's first answer to a sample there are: 2 and up."""
        if (model, judge.key) not in self._further:
            self._further[model, judge.key] = self._numbers(model, judge.key)
        return self._further[model, judge.key].get(sample.name, [])

    def _numbers(self, model: str, judge: str) -> dict[str, list[int]]:
        numbers: dict[str, list[int]] = {}
        for path in sorted((self.folder / model / judge).glob(f"*{AGAIN}*.yaml")):
            name, _, number = path.stem.rpartition(AGAIN)
            if number.isdecimal() and 1 < int(number) < 10**9:
                numbers.setdefault(name, []).append(int(number))
        return numbers

    def is_recorded(self, asked: Asked) -> bool:
        """Return whether there is a verdict of exactly this request.

        Raises `RecordingError` if nobody can know, because Git LFS hasn't fetched it.
        """
        try:
            self.read(asked)
        except NotFetched as error:
            raise RecordingError(f"{error}. Fetch it first, recording it again would be paid: {FETCH}") from None
        except RecordingError:
            return False
        return True

    def _stale(self, asked: Asked, path: Path, error: RecordedOtherwise) -> RecordedOtherwise:
        """Name the change since: the answer, or how the judge is asked."""
        recorded = cassettes.read(path)[0].asked
        if asked.model and is_other_answer(asked.judge, asked.sample, recorded):
            return RecordedOtherwise(f"{shown(path)}: a verdict on another answer of {asked.model}", "another answer")
        told = str(error).partition(": ")[2]
        return RecordedOtherwise(f"{shown(path)}: the judge {asked.judge.key} is asked otherwise now: {told}", error.what)
