"""What was recorded on the other side: a suite's samples, and its models' answers.

It is not checked against today's suite: a changed prompt is why the two are compared.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evaltape.against.places import New, Places
from evaltape.against.tree import Unreadable
from evaltape.errors import NotFetched, NotRecorded, RecordingError, UserError
from evaltape.names import shown
from evaltape.recording.cassettes import ENDPOINT, Exchange, differences, is_same
from evaltape.recording.folder import answer_of
from evaltape.recording.model_calls import SUFFIX, ModelCalls
from evaltape.recording.unfinished import UNFINISHED, read_unfinished
from evaltape.recording.verdicts import Asked, RecordedVerdict, Verdicts
from evaltape.samples.dataset import load_samples
from evaltape.samples.frozen import SAMPLES, parse_samples
from evaltape.samples.predictions_file import read_predictions
from evaltape.samples.sample import Answer, Failure, Sample
from evaltape.suite.definition import Model
from evaltape.suite.prompt import PromptChange, prompt_change
from evaltape.suite.reader import load_suite
from evaltape.workspace import Workspace

Content = tuple[str, tuple[str, ...]]
"""What makes a sample the same on both sides: its input and its references."""


def content_of(sample: Sample) -> Content:
    """Return the parts by which a sample is compared."""
    return sample.input, tuple(sample.references)


@dataclass(frozen=True)
class Answers:
    """What was recorded of a model."""

    answers: Mapping[str, Answer]
    """By sample, for each that was asked for."""
    requests: Mapping[str, Any]
    """By sample the JSON body that the model was asked with; empty for answers from a file."""


class Earlier:
    """One suite on the other side."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._tree = places.tree

    @cached_property
    def samples(self) -> Mapping[str, Content]:
        """The samples by id. Raises `Unreadable`."""
        frozen = f"{self._places.recordings}/{SAMPLES}"
        return self._frozen(frozen) if frozen in self._places.files else self._loaded()

    def answers(self, model: Model, samples: Sequence[Sample]) -> Answers:
        """Return a model's recorded answers to some samples. Raises `New` if there is no such model, and `Unreadable`."""
        key = model.key
        if key not in self._places.models:
            raise New(f"{self._tree.ref} has no model {key}")
        predictions = self._places.models[key]
        if predictions is not None:
            return self._from_file(key, predictions, samples)
        if not any(path.endswith(".yaml") for path in self._places.cassettes(key)):
            raise Unreadable(f"nothing of {key} is recorded at {self._tree.ref}")
        return self._recorded(key, samples)

    def verdicts(self, asked: Sequence[Asked]) -> Mapping[tuple[str, str], RecordedVerdict]:
        """Return the verdicts of today's judges on a model's answers there, by judge and sample.

        Verdicts compare only if they were given in the same way: a judge that was asked otherwise gives no score.
        Raises `Unreadable`.
        """
        there = set(self._places.files)
        paths = [f"{self._places.recordings}/{it.place.as_posix()}" for it in asked]
        with self._copied([path for path in paths if path in there]) as root:
            recorded = Verdicts(root / str(self._places.recordings))
            return {(it.judge.key, it.sample.id): self._verdict(recorded, it, root) for it in asked}

    def _verdict(self, recorded: Verdicts, asked: Asked, root: Path) -> RecordedVerdict:
        try:
            return recorded.read(asked)
        except NotRecorded:
            return RecordedVerdict(None, f"{self._tree.ref} has no verdict of the judge {asked.judge.key} on this answer")
        except RecordingError as error:
            return RecordedVerdict(None, self._named(str(error), root))

    # ------------------------------------------------------------ samples

    def _frozen(self, path: str) -> dict[str, Content]:
        with self._copied([path]) as root:
            samples = parse_samples(root / path, (root / path).read_bytes())
        return {sample.id: content_of(sample) for sample in samples}

    def _loaded(self) -> dict[str, Content]:
        """Load the samples from their data set: a suite without recordings needs no frozen samples."""
        suite, ref = self._places.suite, self._tree.ref
        place = self._places.data if suite is not None else ""
        data = [file for file in self._tree.files(place) if place in (file, posixpath.dirname(file))] if place else []
        if suite is None or not data:
            raise Unreadable(f"the samples of {ref} are neither frozen there nor in a local data set")
        with self._copied([suite, *data]) as root:
            samples, _ = load_samples(load_suite(root / suite))
        return {sample.id: content_of(sample) for sample in samples}

    # ------------------------------------------------------------ answers

    def _from_file(self, key: str, path: str, samples: Sequence[Sample]) -> Answers:
        if path not in self._tree.files(path):
            raise Unreadable(f"{self._tree.name_of(path)} isn't there, which has the predictions of {key}")
        with self._copied([path]) as root:
            file = read_predictions(root / path)
            answers = {sample.id: file.answer(sample) for sample in samples}
        return Answers({name: self._there(answer, root) for name, answer in answers.items()}, {})

    def _recorded(self, key: str, samples: Sequence[Sample]) -> Answers:
        paths = self._needed(key, samples)
        answers, requests = {}, {}
        with self._copied(paths) as root:
            refuse_unfinished(root / str(self._places.recordings), key, f"the recording of {key} at {self._tree.ref}")
            calls = ModelCalls(root / str(self._places.recordings), key)
            for sample in samples:
                try:
                    exchange = _answered(calls, sample.name)
                    answers[sample.id] = answer_of(exchange)
                    requests[sample.id] = exchange.asked
                except NotFetched as error:
                    raise Unreadable(self._named(str(error), root)) from None
                except (RecordingError, ValueError) as error:
                    answers[sample.id] = Answer(failure=Failure("unreadable", self._named(str(error), root)))
        return Answers(answers, requests)

    def _needed(self, key: str, samples: Sequence[Sample]) -> list[str]:
        """Return the recordings of a model that have to be read: all of them only if they may be unfinished."""
        paths = self._places.cassettes(key)
        if any(path.endswith(f"/{UNFINISHED}") for path in paths):
            return paths
        pack = f"{self._places.recordings}/{key}{SUFFIX}"
        names = {pack, *(f"{self._places.recordings}/{key}/{sample.name}{SUFFIX}" for sample in samples)}
        return [path for path in paths if path in names]

    @contextmanager
    def _copied(self, paths: Sequence[str]) -> Iterator[Path]:
        """Like the tree's, but raises `Unreadable`, naming files by their names on the other side."""
        with self._tree.copied(paths) as root:
            try:
                yield root
            except (UserError, RecordingError, OSError) as error:
                raise Unreadable(self._named(str(error), root)) from None

    def _there(self, answer: Answer, root: Path) -> Answer:
        """Return an answer; its failure names files by their names on the other side."""
        if answer.failure is None:
            return answer
        reason, place = (self._named(text, root) for text in (answer.failure.reason, answer.failure.place))
        return Answer(answer.text, Failure(answer.failure.kind, reason, place))

    def _named(self, message: str, root: Path) -> str:
        return message.replace(f"{shown(root)}/", self._tree.prefix)


def refuse_unfinished(folder: Path, model: str, whose: str) -> None:
    """Raise `Unreadable` if a suite's `folder` holds a fresh recording of a model that isn't complete.

    Raises `RecordingError` if that is unknown.
    """
    unfinished = read_unfinished(folder, model)
    left = len(unfinished.still_to_come()) if unfinished is not None else 0
    if unfinished is not None and left:
        raise Unreadable(f"{whose} is unfinished: {unfinished.selected - left} of {unfinished.selected}")


def _answered(calls: ModelCalls, name: str) -> Exchange:
    """Return the recorded chat completion: of the last answered call. Raises `RecordingError`."""
    answered = [call for call in calls.read(name) if call.path.endswith(ENDPOINT) and 200 <= call.status < 300]
    if not answered:
        raise RecordingError(f"{calls.place_of(name)}: no answer is recorded in it")
    return answered[-1]


def changed_prompt(
    workspace: Workspace, model: Model, samples: Sequence[Sample], requests: Mapping[str, Any]
) -> PromptChange | None:
    """Return both prompts of the first sample whose prompt differs; None if all are the same."""
    for sample in samples if model.predictions is None else ():
        with suppress(RecordingError):
            change = prompt_change(sample.id, requests.get(sample.id), workspace.recordings.request(model, sample))
            if change is not None:
                return change
    return None


def changed_request(workspace: Workspace, model: Model, samples: Sequence[Sample], requests: Mapping[str, Any]) -> str:
    """Return how the model is asked today otherwise than it was, in the words of the suite; empty if likewise."""
    if model.predictions is not None:
        return "answers from a file in place of calls" if requests else ""
    for sample in samples:
        if sample.id not in requests:
            continue
        try:
            asked = workspace.recordings.request(model, sample)
        except RecordingError:
            return ""
        recorded = requests[sample.id]
        if not is_same(asked, recorded):
            return "; ".join(differences(asked, Exchange("POST", ENDPOINT, recorded, 200, None)))
    return ""
