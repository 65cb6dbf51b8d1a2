"""A suite on the other side: where it lies, its samples, and its models' recorded answers.

It is not checked against today's suite: a changed prompt is a reason to compare.
"""

import posixpath
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from evaltape.against.tree import Tree, Unreadable
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
from evaltape.text import visible
from evaltape.workspace import Workspace


class New(Unreadable):
    """The suite or the model isn't on the other side at all."""


Content = tuple[str, tuple[str, ...]]
"""The parts by which a sample is the same on both sides: its input and its references."""


def content_of(sample: Sample) -> Content:
    """Return the parts by which a sample is compared."""
    return sample.input, tuple(sample.references)


class Answers(msgspec.Struct, frozen=True):
    """The recorded answers of a model."""

    answers: Mapping[str, Answer]
    """By the id of each sample that was asked for."""
    requests: Mapping[str, Any]
    """By sample the JSON body that the model was asked with; empty for answers from a file."""


class Earlier:
    """A suite on the other side: its file and its recordings, looked for where they lie today.

    In a folder they may also lie right inside it, as `chats.toml` and `chats/`.
    """

    def __init__(self, tree: Tree, workspace: Workspace) -> None:
        """Find the suite. Raises `New` if neither file nor recordings are there, and `Unreadable`."""
        name, is_folder = workspace.name, not tree.side.commit
        usual = workspace.settings.default_cassettes / name
        folders = [tree.place_of(workspace.folder), tree.place_of(usual), name if is_folder else None]
        suites = [tree.place_of(workspace.suite.file), f"{name}.toml" if is_folder else None]
        wanted = [place for place in (*folders, *suites) if place is not None]
        files = tree.files(*wanted)
        recordings = next((place for place in folders if any(file.startswith(f"{place}/") for file in files)), None)
        suite = next((place for place in suites if place in files), None)
        if not wanted:
            raise Unreadable(f"neither {shown(workspace.suite.file)} nor {shown(workspace.folder)} lies in this git repository")
        if recordings is None and suite is None:
            raise New(f"{tree.side.ref} has no suite {name}")
        self._tree, self._ref = tree, tree.side.ref
        self._recordings, self._suite, self._files = recordings, suite, files

    @cached_property
    def samples(self) -> Mapping[str, Content]:
        """The samples by id. Raises `Unreadable`."""
        frozen = f"{self._recordings}/{SAMPLES}"
        if frozen in self._files:
            with self._copied([frozen]) as root:
                samples = parse_samples(root / frozen, (root / frozen).read_bytes())
        else:  # A suite without recordings needs no frozen samples: they are loaded from their data set.
            suite, ref = self._suite, self._ref
            place = self._data() if suite is not None else ""
            data = [file for file in self._tree.files(place) if place in (file, posixpath.dirname(file))] if place else []
            if suite is None or not data:
                raise Unreadable(f"the samples of {ref} are neither frozen there nor in a local data set")
            with self._copied([suite, *data]) as root:
                samples, _ = load_samples(load_suite(root / suite))
        return {sample.id: content_of(sample) for sample in samples}

    def answers(self, model: Model, samples: Sequence[Sample]) -> Answers:
        """Return a model's recorded answers to some samples. Raises `New` if there is no such model, and `Unreadable`."""
        key = model.key
        if key not in self._models:
            raise New(f"{self._ref} has no model {key}")
        predictions = self._models[key]
        if predictions is not None:
            return self._from_file(key, predictions, samples)
        paths = [path for recorded, path in self._cassettes if recorded == key]
        if not any(path.endswith(SUFFIX) for path in paths):
            raise Unreadable(f"nothing of {key} is recorded at {self._ref}")
        if not any(path.endswith(f"/{UNFINISHED}") for path in paths):  # Else all of them have to be read.
            names = {key, *(f"{key}/{sample.name}" for sample in samples)}
            paths = [path for path in paths if path.removesuffix(SUFFIX).removeprefix(f"{self._recordings}/") in names]
        return self._recorded(key, paths, samples)

    def verdicts(self, asked: Sequence[Asked]) -> Mapping[tuple[str, str], RecordedVerdict]:
        """Return the verdicts of today's judges on a model's answers there, by judge and sample.

        Verdicts compare only if they were given in the same way: a judge that was asked otherwise gives no score.
        Raises `Unreadable`.
        """
        there = set(self._files)
        paths = [f"{self._recordings}/{it.place.as_posix()}" for it in asked]
        with self._copied([path for path in paths if path in there]) as root:
            recorded = Verdicts(root / str(self._recordings))
            return {(it.judge.key, it.sample.id): self._verdict(recorded, it, root) for it in asked}

    def _verdict(self, recorded: Verdicts, asked: Asked, root: Path) -> RecordedVerdict:
        try:
            return recorded.read(asked)
        except NotRecorded:
            return RecordedVerdict(None, f"{self._ref} has no verdict of the judge {asked.judge.key} on this answer")
        except RecordingError as error:
            return RecordedVerdict(None, self._named(str(error), root))

    def _from_file(self, key: str, path: str, samples: Sequence[Sample]) -> Answers:
        if path not in self._tree.files(path):
            raise Unreadable(f"{self._tree.name_of(path)} isn't there, which has the predictions of {key}")
        with self._copied([path]) as root:
            file = read_predictions(root / path)
            answers = {sample.id: file.answer(sample) for sample in samples}
        return Answers({name: self._there(answer, root) for name, answer in answers.items()}, {})

    def _recorded(self, key: str, paths: Sequence[str], samples: Sequence[Sample]) -> Answers:
        answers, requests = {}, {}
        with self._copied(paths) as root:
            refuse_unfinished(root / str(self._recordings), key, f"the recording of {key} at {self._ref}")
            calls = ModelCalls(root / str(self._recordings), key)
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

    # ------------------------------------------------------------ where things lie

    @cached_property
    def _models(self) -> Mapping[str, str | None]:
        """The models that the suite had: by key, each with its file of predictions or None.

        Nothing else of the suite file counts, so that files of earlier versions can be read. Without a file the models are the
        folders of its recordings. Raises `Unreadable` if the file isn't a suite's.
        """
        if self._suite is None:
            return dict.fromkeys(model for model, path in self._cassettes if path.endswith(SUFFIX))
        try:
            tables = self._tables["models"]
            paths = {key: table.get("predictions") for key, table in tables.items()}
            # With a further prompt: `MODEL-KEY` for each model without a prompt of its own, and each of `[prompts]`.
            asked = [key for key, table in tables.items() if not {"prompt", "predictions"} & set(table)]
            prompted = dict.fromkeys(f"{key}-{prompt}" for key in asked for prompt in self._tables.get("prompts", {}))
            jobs = dict.fromkeys(self._tables.get("finetune", {}))
            models = {key: None if path is None else self._beside(path) for key, path in (paths | prompted).items()}
            return {**models, **jobs}
        except (KeyError, TypeError, AttributeError):
            raise self._not_a_suite("models") from None

    def _data(self) -> str:
        """Return where its data set lies, if it is local. Raises `Unreadable` if the file isn't a suite's."""
        try:
            return self._beside(self._tables["dataset"]["path"])
        except (KeyError, TypeError):
            raise self._not_a_suite("dataset") from None

    def _beside(self, path: str) -> str:
        """Return where a path lies that the suite file names relative to itself. Raises `Unreadable` if that is outside."""
        place = posixpath.normpath(posixpath.join(posixpath.dirname(self._suite or ""), path))
        if place.startswith(("/", "..")):
            raise Unreadable(f"{self._tree.name_of(self._suite or '')} names {visible(path)}, which leads out of {self._ref}")
        return place

    @cached_property
    def _cassettes(self) -> list[tuple[str, str]]:
        """The recordings, as (model, path): packs, and the files in the models' folders."""
        prefix = f"{self._recordings}/"
        inside = [(file.removeprefix(prefix).split("/"), file) for file in self._files if file.startswith(prefix)]
        packs = [(parts[0].removesuffix(SUFFIX), file) for parts, file in inside if len(parts) == 1 and file.endswith(SUFFIX)]
        return [*packs, *((parts[0], file) for parts, file in inside if len(parts) == 2)]

    @cached_property
    def _tables(self) -> Mapping[str, Any]:
        assert self._suite is not None
        try:
            with self._tree.copied([self._suite]) as root:
                return tomllib.loads((root / self._suite).read_bytes().decode("utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise Unreadable(f"{self._tree.name_of(self._suite)} is not a readable TOML file: {visible(str(error))}") from None

    def _not_a_suite(self, table: str) -> Unreadable:
        return Unreadable(f"{self._tree.name_of(self._suite or '')} has no [{table}] that can be read")


def refuse_unfinished(folder: Path, model: str, told: str) -> None:
    """Raise `Unreadable` if a suite's `folder` holds a fresh recording of a model that isn't complete.

    `told` names the recording. Raises `RecordingError` if that is unknown.
    """
    unfinished = read_unfinished(folder, model)
    if unfinished is not None and (left := len(unfinished.still_to_come())):
        raise Unreadable(f"{told} is unfinished: {unfinished.selected - left} of {unfinished.selected}")


def _answered(calls: ModelCalls, name: str) -> Exchange:
    """Return the recorded chat completion: of the last answered call. Raises `RecordingError`."""
    answered = [call for call in calls.read(name) if call.path.endswith(ENDPOINT) and 200 <= call.status < 300]
    if not answered:
        raise RecordingError(f"{calls.place_of(name)}: no answer is recorded in it")
    return answered[-1]


def asked_otherwise(
    workspace: Workspace, model: Model, samples: Sequence[Sample], requests: Mapping[str, Any]
) -> tuple[str, PromptChange | None]:
    """Return how today's requests differ from the recorded ones, in the words of the suite, and the first changed prompt."""
    if model.predictions is not None:
        return "answers from a file in place of calls" if requests else "", None
    told, prompt = "", None
    for sample in (sample for sample in samples if sample.id in requests):
        try:
            asked, recorded = workspace.recordings.request(model, sample), requests[sample.id]
        except RecordingError:
            continue
        if not told and not is_same(asked, recorded):
            told = "; ".join(differences(asked, Exchange("POST", ENDPOINT, recorded, 200, None)))
        prompt = prompt_change(sample.id, recorded, asked) if told else None
        if prompt is not None:
            break
    return told, prompt
