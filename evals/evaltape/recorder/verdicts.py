"""Calls for judges' verdicts: asked as soon as there is an answer, each in the lane of its judge.

A sample's call has ended for its test once its verdicts have. A verdict that couldn't be recorded doesn't fail the answer: its
error is published apart, and leaves the answer unscored by that judge.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from evaltape.errors import RecordingError, UserError
from evaltape.judging.exam import Question
from evaltape.judging.request import as_model, judge_request
from evaltape.names import shown
from evaltape.recorder.lane import Lane
from evaltape.recorder.wire import verdicts_key
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.redaction import HOLDS_KEY, holds_secret
from evaltape.recording.unfinished import Unfinished, new_text
from evaltape.recording.verdicts import Asked, Verdicts
from evaltape.samples.frozen import promote
from evaltape.samples.sample import Sample
from evaltape.settings import RECORD_MISSING
from evaltape.suite.definition import Judge, Model
from evaltape.workspace import Workspace, unjudged_mutants

if TYPE_CHECKING:
    from evaltape.recorder.plan import Planner

SAID = ("refused", "filtered", "empty", "no match")
"""Failures that are a model's answer, of which there is nothing to judge."""


@dataclass(frozen=True)
class VerdictAsk:
    """Asks a judge about one text."""

    of: Asked
    verdicts: Verdicts
    secret: str
    """The key that the judge is asked with; empty without a key."""
    ended: Callable[[str | None], None]
    """Receives None or the error, once it is decided."""
    unfinished: Unfinished | None = None
    """The fresh recording that it is part of."""

    @property
    def sample(self) -> str:
        """The sample's id."""
        return self.of.sample.id

    @property
    def name(self) -> str:
        """The cassette's path under the suite's folder, without suffix."""
        return self.of.place.with_suffix("").as_posix()

    @property
    def place(self) -> str:
        """The cassette."""
        return shown(self.verdicts.cassette(self.of))

    def body(self) -> dict[str, Any]:
        """Return the JSON body. Raises `RecordingError` if no recording could hold it, before it is paid for."""
        try:
            body = judge_request(self.of.judge, self.of.sample, self.of.answer)
        except ValueError as error:
            raise RecordingError(f"not asked, because a column of the judge's prompt {error}") from None
        if any(holds_secret(str(turn["content"]), (self.secret,)) for turn in body["messages"]):
            raise RecordingError(f"not asked, because the prompt {HOLDS_KEY}, which no recording may")
        return body

    def keep(self, exchange: Exchange) -> None:
        """Write the cassette. Raises `RecordingError` if it must not be written, `OSError` if it can't be now."""
        path = self.verdicts.cassette(self.of)
        cassettes.write_text(path, new_text(exchange, self.unfinished, path.stem), secrets=(self.secret,))
        promote(self.verdicts.folder)

    def end(self, error: str | None) -> None:
        """Pass on how it ended."""
        self.ended(error)


class Bench:
    """The judges of a suite in a recording."""

    def __init__(self, planner: "Planner", workspace: Workspace) -> None:
        self.settings = planner.settings
        self.workspace = workspace
        self._planner = planner
        self._lanes: dict[str, Lane] = {}
        self._unfinished: dict[tuple[str, str], Unfinished] = {}

    # ------------------------------------------------------------ before anything is asked or written

    def check(self, model: Model, samples: Iterable[Sample], *, asks_all: bool) -> None:
        """Raise `UserError` if a judge is needed for a model's answers, and can't be asked, or not within the budget.

        `asks_all`: answers are still to come, so the cost of verdicts on them isn't known yet.
        """
        for judge in self.workspace.judges:
            try:
                needed = asks_all or any(self._wanted(judge, model, sample, 1) for sample in samples)
            except RecordingError as error:
                raise UserError(str(error)) from None
            if needed:
                self._planner.check_judge(self.workspace, judge)

    def missing(self, judge: Judge) -> list[Question]:
        """Return the questions of a judge's exam without a verdict. Raises `UserError` if it can't be asked them."""
        try:
            missing = self.workspace.exams[judge.key].missing
        except RecordingError as error:
            raise UserError(str(error)) from None
        if missing:
            self._planner.check_judge(self.workspace, judge)
        return missing

    def missing_mutants(self, judge: Judge, model: Model) -> list[Asked]:
        """Return the verdicts that the mutants of a model's recorded answers lack. Raises `UserError` likewise."""
        try:
            missing = list(unjudged_mutants(self.workspace, judge, model))
        except RecordingError as error:
            raise UserError(str(error)) from None
        if missing:
            self._planner.check_judge(self.workspace, judge)
        return missing

    def begin(self, model: Model, samples: Sequence[Sample]) -> None:
        """Note on disk that fresh verdicts on a model's answers begin, or read the rest of an earlier session."""
        times = 1 if model.predictions is not None else self.settings.repeat
        calls = [(sample, repeat) for repeat in range(1, times + 1) for sample in samples]
        for judge in self.workspace.judges:
            begun = self._planner.unfinished(self.workspace, f"{model.key}/{judge.key}", calls)
            if begun is not None:
                self._unfinished[model.key, judge.key] = begun

    # ------------------------------------------------------------ what is asked

    def judge(self, model: Model, sample: Sample, repeat: int, then: Callable[[], None]) -> None:
        """Ask for the verdicts that an answer lacks; `then` is called once all have ended."""
        wanted: list[Asked] = []
        for judge in self.workspace.judges:
            try:
                wanted += self._wanted(judge, model, sample, repeat)
            except RecordingError as error:
                self._publish(model, sample, judge, str(error))
        left = len(wanted)

        def end(asked: Asked, error: str | None) -> None:
            nonlocal left
            left -= 1
            if error is not None and asked.again == asked.repeat == 1:
                self._publish(model, sample, asked.judge, error)
            if not left:
                then()

        if not wanted:
            then()
        for asked in wanted:
            self._ask(asked, partial(end, asked))

    def judge_all(self, missing: Sequence[Asked], key: str) -> None:
        """Ask for the verdicts that an exam, or a model's mutants, lack; publish under a key once all have ended."""
        errors: list[str] = []
        left = len(missing)

        def end(error: str | None) -> None:
            nonlocal left
            left -= 1
            errors.extend([error] if error else [])
            if not left:
                self._publish_whole(key, errors[0] if errors else None)

        if not missing:
            self._publish_whole(key, None)
        for asked in missing:
            self._ask(asked, end)

    def _wanted(self, judge: Judge, model: Model, sample: Sample, repeat: int) -> list[Asked]:
        """Return the verdicts that a model's recorded answer lacks. Raises `RecordingError` if nobody can know."""
        answer = self.workspace.recordings.answer(model, sample, repeat)
        begun = self._unfinished.get((model.key, judge.key))
        if answer.failure is not None:
            if begun is not None and answer.failure.kind in SAID:
                begun.forget(sample, repeat)
            return []
        times = self.settings.repeat if repeat == 1 else 1
        asked = [Asked(judge, sample, answer.text, model.key, repeat, again) for again in range(1, times + 1)]
        if self.settings.mode != RECORD_MISSING:
            return asked
        is_due = begun is not None and (sample.name, repeat) in begun.still_to_come()
        return [it for it in asked if (is_due and it.again == 1) or not self.workspace.verdicts.is_recorded(it)]

    def _ask(self, asked: Asked, ended: Callable[[str | None], None]) -> None:
        lane = self._lane(asked.judge)
        unfinished = self._unfinished.get((asked.model, asked.judge.key))
        ask = VerdictAsk(asked, self.workspace.verdicts, lane.endpoint.key, ended, unfinished)
        self._planner.recorder.add_calls(lane, [ask])

    def _lane(self, judge: Judge) -> Lane:
        if judge.key not in self._lanes:
            model = as_model(judge)
            endpoint = self._planner.endpoint(model)
            self._lanes[judge.key] = self._planner.recorder.add_lane(model, judge.served, endpoint)
        return self._lanes[judge.key]

    def _publish(self, model: Model, sample: Sample, judge: Judge, error: str) -> None:
        self._planner.recorder.publish((self.workspace.name, verdicts_key(model.key, judge.key)), sample.id, error)

    def _publish_whole(self, key: str, error: str | None) -> None:
        self._planner.recorder.publish((self.workspace.name, key), "", error)
