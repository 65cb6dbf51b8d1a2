"""Calls for judges' verdicts: asked as soon as there is an answer, each in the lane of its judge.

A sample's call has ended for its test once its verdicts have. A verdict that couldn't be recorded doesn't fail the answer: its
error is published apart, and leaves the answer unscored by that judge.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from evaltape.errors import RecordingError
from evaltape.judging.verdict import as_model, judge_request
from evaltape.recorder.lane import Call, Lane, failure_of
from evaltape.recorder.wire import verdicts_key
from evaltape.recording.unfinished import Unfinished, cassette_name
from evaltape.recording.verdicts import Asked
from evaltape.samples.sample import Failure, Sample
from evaltape.settings import RECORD_MISSING
from evaltape.suite.definition import Judge, Model
from evaltape.workspace import Workspace

if TYPE_CHECKING:
    from evaltape.recorder.plan import Planner

SAID = ("refused", "filtered", "empty", "no match")
"""Failures that are a model's answer, of which there is nothing to judge."""


class Bench:
    """The judges of a suite in a recording."""

    def __init__(self, planner: "Planner", workspace: Workspace) -> None:
        self.settings = planner.settings
        self.workspace = workspace
        self._planner = planner
        self._lanes: dict[str, Lane] = {}
        self._unfinished: dict[tuple[str, str], Unfinished] = {}

    def check(self, model: Model, samples: Iterable[Sample], *, asks_all: bool) -> None:
        """Raise `UserError` if a judge is needed for answers, there or (`asks_all`) to come, and can't be asked in budget."""
        for judge in self.workspace.judges:
            if asks_all or any(self._wanted(judge, model, sample, 1) for sample in samples):
                self.check_judge(judge)

    def check_judge(self, judge: Judge) -> None:
        """Raise `UserError` if a judge can't be asked, or not within the budget."""
        self._planner.check_asked(self.workspace, as_model(judge), f"judges.{judge.key}")

    def begin(self, model: Model, samples: Sequence[Sample]) -> None:
        """Note on disk that fresh verdicts on a model's answers begin, or read the rest of an earlier session."""
        times = 1 if model.predictions is not None else self.settings.repeat
        calls = [(sample, repeat) for repeat in range(1, times + 1) for sample in samples]
        for judge in self.workspace.judges:
            begun = self._planner.unfinished(self.workspace, f"{model.key}/{judge.key}", calls)
            if begun is not None:
                self._unfinished[model.key, judge.key] = begun

    def judge(self, model: Model, sample: Sample, repeat: int, then: Callable[[], None]) -> None:
        """Ask for the verdicts that an answer lacks; `then` is called once all have ended."""
        wanted: list[Asked] = []
        for judge in self.workspace.judges:
            try:
                wanted += self._wanted(judge, model, sample, repeat)
            except RecordingError as error:
                self.publish(verdicts_key(model.key, judge.key), sample.id, failure_of(error))

        def end(failed: list[tuple[Asked, Failure]]) -> None:
            for asked, failure in failed:
                if asked.again == asked.repeat == 1:
                    self.publish(verdicts_key(model.key, asked.judge.key), sample.id, failure)
            then()

        self.ask_all(wanted, end)

    def publish(self, key: str, sample: str, failure: Failure | None) -> None:
        """Publish that a verdict, or all of an exam or of mutants, has ended."""
        self._planner.recorder.publish(self.workspace.name, key, sample, failure)

    def ask_all(self, wanted: Sequence[Asked], then: Callable[[list[tuple[Asked, Failure]]], None]) -> None:
        """Ask for verdicts; `then` receives the failed ones once all have ended."""
        failed: list[tuple[Asked, Failure]] = []
        left = len(wanted)

        def end(asked: Asked, failure: Failure | None) -> None:
            nonlocal left
            left -= 1
            failed.extend([(asked, failure)] if failure else [])
            if not left:
                then(failed)

        if not wanted:
            then(failed)
        for asked in wanted:
            self._ask(asked, partial(end, asked))

    def _wanted(self, judge: Judge, model: Model, sample: Sample, repeat: int) -> list[Asked]:
        """Return the verdicts that a model's recorded answer lacks. Raises `RecordingError` if nobody can know."""
        answer = self.workspace.recordings.answer(model, sample, repeat)
        begun = self._unfinished.get((model.key, judge.key))
        if answer.failure is not None:
            if begun is not None and answer.failure.kind in SAID:
                begun.forget(cassette_name(sample, repeat))
            return []
        times = self.settings.repeat if repeat == 1 else 1
        asked = [Asked(judge, sample, answer.text, model.key, repeat, again) for again in range(1, times + 1)]
        if self.settings.mode != RECORD_MISSING:
            return asked
        is_due = begun is not None and cassette_name(sample, repeat) in begun.still_to_come()
        return [it for it in asked if (is_due and it.again == 1) or not self.workspace.verdicts.is_recorded(it)]

    def _ask(self, asked: Asked, ended: Callable[[Failure | None], None]) -> None:
        judge, verdicts = asked.judge, self.workspace.verdicts
        if judge.key not in self._lanes:
            model = as_model(judge)
            endpoint = self._planner.endpoint(model)
            self._lanes[judge.key] = self._planner.recorder.add_lane(model, judge.served, endpoint)
        lane = self._lanes[judge.key]
        call = Call(
            asked.sample.id,
            verdicts.folder,
            verdicts.folder / asked.place,
            partial(_body, asked),
            lane.endpoint.key,
            ended,
            self._unfinished.get((asked.model, judge.key)),
        )
        self._planner.recorder.add_calls(lane, [call])


@dataclass
class VerdictsPlan:
    """The verdicts that the mutants of a model's recorded answers, or an exam, lack; in a fresh recording, too."""

    bench: Bench
    key: str
    """Their end is published under it."""
    judge: Judge
    model: Model | None
    """None: the exam."""
    missing: Sequence[Asked] = ()

    def check(self) -> None:
        """Raise `UserError` if the judge can't be asked, or not within the budget."""
        workspace, judge, model = self.bench.workspace, self.judge, self.model
        self.missing = workspace.unjudged_mutants(judge, model) if model else workspace.exams[judge.key].missing
        if self.missing:
            self.bench.check_judge(self.judge)

    def begin(self) -> None:
        """Do nothing: only missing verdicts are asked for."""

    def add(self) -> None:
        """Add the calls; their end is published once all have ended."""
        self.bench.ask_all(self.missing, lambda failed: self.bench.publish(self.key, "", failed[0][1] if failed else None))


def _body(asked: Asked) -> dict[str, Any]:
    try:
        return judge_request(asked.judge, asked.sample, asked.answer)
    except ValueError as error:
        raise RecordingError(f"not asked, because a column of the judge's prompt {error}") from None
