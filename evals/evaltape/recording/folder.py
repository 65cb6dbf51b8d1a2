"""Where recordings lie, and the answers of a suite's models in them."""

import datetime
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import NotFetched, NotRecorded, RecordedOtherwise, RecordingError
from evaltape.files import FETCH
from evaltape.metrics.extraction import NoMatch, Step, extract
from evaltape.names import shown
from evaltape.recording.cassettes import Conflicted, Exchange, is_filtered
from evaltape.recording.model_calls import REPEAT, SUFFIX, ModelCalls, call_of
from evaltape.recording.unfinished import Call, cassette_name, read_unfinished
from evaltape.samples.predictions_file import PredictionsFile, read_predictions
from evaltape.samples.sample import Answer, Failure, Sample
from evaltape.scoring.prediction import read_completion, read_refused_prompt
from evaltape.suite import prompt
from evaltape.suite.commands import Advice
from evaltape.suite.definition import Model, Suite

ENDPOINT = "/chat/completions"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) ")


@dataclass(frozen=True)
class Recordings:
    """The folder `<cassettes>/<suite>` of a suite.

    `served` gives the name a model is asked by, which for a tuned model its job knows; `how_to_record` the command that
    records a model's missing calls.
    """

    folder: Path
    suite: Suite
    served: Callable[[Model], str]
    how_to_record: Callable[[Model], Advice]
    steps: Callable[[Model], tuple[Step, ...]] = lambda model: ()
    """The steps of a model's `[answer]`."""
    _files: dict[Path, PredictionsFile] = field(default_factory=dict, init=False)
    _calls: dict[str, ModelCalls] = field(default_factory=dict, init=False)

    def cassette(self, model: Model, sample: Sample, repeat: int = 1) -> Path:
        """Return the file of one recorded call; asked again for noise, `repeat` counts from 2."""
        return self.folder / model.key / f"{cassette_name(sample, repeat)}.yaml"

    def of(self, model: Model) -> ModelCalls:
        """Return a model's recorded calls."""
        if model.key not in self._calls:
            self._calls[model.key] = ModelCalls(self.folder, model.key)
        return self._calls[model.key]

    def request(self, model: Model, sample: Sample) -> dict[str, Any]:
        """Return the JSON body a model is asked with. Raises `RecordingError` if its job has no tuned model."""
        return prompt.chat_request(self.served(model), model.prompt.render(sample), model.request)

    # ------------------------------------------------------------ answers

    def answer(self, model: Model, sample: Sample, repeat: int = 1) -> Answer:
        """Return the recorded answer; if the recording can't be used, a failure with the reason."""
        try:
            return self.valid_answer(model, sample, repeat)
        except RecordingError as error:
            return Answer(failure=self._failure(error, model, self.of(model).place_of(cassette_name(sample, repeat))))

    def valid_answer(self, model: Model, sample: Sample, repeat: int = 1) -> Answer:
        """Like `answer`, but raises `RecordingError` if there is no valid recording of exactly this call."""
        if model.predictions is not None:
            return extracted(self._from_file(model.predictions, sample), self.steps(model))
        name = cassette_name(sample, repeat)
        exchange = self.of(model).replay(name, ENDPOINT, self.request(model, sample))
        try:
            return extracted(answer_of(exchange), self.steps(model))
        except ValueError as error:
            raise RecordingError(f"{self.of(model).place_of(name)}: {error}") from None

    def _failure(self, error: RecordingError, model: Model, place: str) -> Failure:
        reason = str(error).removeprefix(f"{place}: ")
        place = "" if reason == str(error) else place
        if error.command is not None and not isinstance(error, Conflicted):  # The job of a tuned model.
            return Failure("job", reason, place, error.command, error.cost)
        if not isinstance(error, NotFetched | Conflicted):
            advice = self.how_to_record(model)
        match error:
            case NotFetched():
                return Failure("not fetched", reason, place, FETCH)
            case Conflicted():
                return Failure("unreadable", reason, place, error.command, remedy="Take one side whole (or --theirs)")
            case NotRecorded():
                return Failure("not recorded", reason, place, advice.command, advice.cost)
            case RecordedOtherwise(what=what):
                return Failure("recorded otherwise", reason, place, advice.command, advice.cost, cause=what)
        return Failure("unreadable", reason, place, advice.command, advice.cost)

    def read_files(self, samples: Iterable[Sample]) -> list[str]:
        """Read and check the predictions of models that are not called; return notes for the user."""
        samples, notes = list(samples), []
        for model in self.suite.models.values():
            if model.predictions is not None:
                file = self._files[model.predictions] = read_predictions(model.predictions)
                for sample in samples:
                    file.answer(sample)
                notes += file.notes(samples)
        return notes

    def _from_file(self, path: Path, sample: Sample) -> Answer:
        if path not in self._files:
            self._files[path] = read_predictions(path)
        return self._files[path].answer(sample)

    # ------------------------------------------------------------ what is to be recorded

    def calls(self, model: Model, samples: Sequence[Sample], repeats: int, *, fresh: bool) -> list[Call]:
        """Return the calls of a recording: every sample `repeats` times if `fresh`, else the missing ones.

        Missing are calls without a valid cassette, and calls that an unfinished recording lacks. Raises
        `RecordingError` if it can't know: that file is damaged, or cassettes are only not fetched.
        """
        calls = [(sample, repeat) for repeat in range(1, repeats + 1) for sample in samples]
        if fresh:
            return calls
        unfinished = read_unfinished(self.folder, model.key)
        to_come = set(unfinished.still_to_come() if unfinished else ())
        further = sorted((name, repeat) for name, repeat in to_come if repeat > repeats)
        by_name = {sample.name: sample for sample in samples} if further else {}
        calls += [(by_name[name], repeat) for name, repeat in further if name in by_name]
        return [call for call in calls if (call[0].name, call[1]) in to_come or not self._is_recorded(model, *call)]

    def _is_recorded(self, model: Model, sample: Sample, repeat: int) -> bool:
        try:
            self.valid_answer(model, sample, repeat)
        except NotFetched as error:
            raise RecordingError(f"{error}. Fetch it first, recording it again would be paid: {FETCH}") from None
        except Conflicted as error:
            raise RecordingError(f"{error}. Take one side whole (or --theirs), which calls nothing: {error.command}") from None
        except RecordingError:
            return False
        return True

    def orphans(self, samples: list[Sample]) -> list[str]:
        """Return the recorded calls of no model of the suite any more, or of no sample, as messages name them."""
        names = {sample.name for sample in samples}
        found = []
        for key in sorted(
            {path.stem for path in self.folder.glob(f"*{SUFFIX}")}
            | {path.parent.name for path in self.folder.glob(f"*/*{SUFFIX}")}
        ):
            calls = self._calls.get(key) or ModelCalls(self.folder, key)
            if key in self.suite.models:
                found += [calls.place_of(name) for name in _recorded(calls) if call_of(name)[0] not in names]
            else:
                packs = [calls.pack.path] if calls.pack.path.exists() else []
                found += [shown(path) for path in [*packs, *sorted(calls.folder.glob(f"*{SUFFIX}"))]]
        return found

    def repeats(self, model: Model) -> dict[str, list[int]]:
        """Return which further answers of a model are recorded, by the name of their sample: 2 and up."""
        numbers: dict[str, list[int]] = {}
        for name in _recorded(self.of(model)):
            sample, number = call_of(name)
            if number > 1 and REPEAT in name:
                numbers.setdefault(sample, []).append(number)
        return {name: sorted(of_sample) for name, of_sample in numbers.items()}


def extracted(answer: Answer, steps: Sequence[Step]) -> Answer:
    """Return an answer with its scored part; it fails if a step finds nothing in it."""
    if answer.failure is not None or not steps:
        return answer
    try:
        text = extract(answer.text, steps)
    except NoMatch as error:
        failure = Failure("no match", str(error), cause=str(error).partition(" finds nothing")[0])
        return msgspec.structs.replace(answer, text="", raw=answer.text, failure=failure)
    return msgspec.structs.replace(answer, text=text, raw="" if text == answer.text else answer.text)


def _recorded(calls: ModelCalls) -> Iterable[str]:
    try:
        return calls.names()
    except RecordingError:  # Each of its samples says so.
        return [path.stem for path in calls.files()]


def answer_of(exchange: Exchange) -> Answer:
    """Return the answer in a recorded call. Raises `ValueError` if it is no chat completion."""
    filtered = is_filtered(exchange)
    return msgspec.structs.replace(
        read_refused_prompt(exchange.answered) if filtered else read_completion(exchange.answered),
        latency_s=exchange.latency_s,
        cost_usd=exchange.cost_usd,
        came=exchange.came or "",
        recorded=recorded_on(exchange),
    )


def recorded_on(exchange: Exchange) -> str | None:
    """Return the day a call was answered, as `2026-11-24` in UTC: by the API's `date`, or by its body's `created`."""
    header = _DATE.match(exchange.date) if exchange.date else None
    if header is not None and header[2] in _MONTHS:
        return f"{header[3]}-{_MONTHS.index(header[2]) + 1:02d}-{header[1]}"
    created = exchange.answered.get("created") if isinstance(exchange.answered, dict) else None
    if not isinstance(created, int) or not 0 < created < 2**32:
        return None
    return datetime.datetime.fromtimestamp(created, datetime.UTC).date().isoformat()
