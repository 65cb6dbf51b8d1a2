"""The folder of a suite's recordings: the answers in it, free ways to missing ones, and the lock on it."""

import contextlib
import datetime
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import NotFetched, NotRecorded, RecordedOtherwise, RecordingError, UserError
from evaltape.files import FETCH, remove_unfinished
from evaltape.git import repository_of, restored
from evaltape.metrics.extraction import NoMatch, Step, extract
from evaltape.names import shown
from evaltape.recording.cassettes import Conflicted, Exchange, is_filtered, is_same, is_valid
from evaltape.recording.model_calls import SUFFIX, ModelCalls, call_of, further_calls
from evaltape.recording.unfinished import Call, cassette_name, read_unfinished
from evaltape.samples.frozen import check_owner
from evaltape.samples.predictions_file import PredictionsFile, read_predictions
from evaltape.samples.sample import Answer, Failure, Kind, Sample
from evaltape.scoring.prediction import read_completion, read_refused_prompt
from evaltape.suite import prompt
from evaltape.suite.commands import Advice
from evaltape.suite.definition import Model, Suite

LOCK = ".recording.lock"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) ")


class Recordings(msgspec.Struct, frozen=True):
    """The recordings of a suite's models."""

    folder: Path
    """`<cassettes>/<suite>`."""
    suite: Suite
    served: Callable[[Model], str]
    """Returns the name a model is asked by; for a tuned model its job knows it."""
    how_to_record: Callable[[Model], Advice]
    """Returns the command that records a model's missing calls."""
    steps: Callable[[Model], tuple[Step, ...]] = lambda model: ()
    """Returns the steps of a model's `[answer]`."""
    _files: dict[Path, PredictionsFile] = {}
    _calls: dict[str, ModelCalls] = {}

    def cassette(self, model: Model, sample: Sample, repeat: int = 1) -> Path:
        """Return the file of a recorded call; asked again for noise, `repeat` counts from 2."""
        return self.folder / model.key / f"{cassette_name(sample, repeat)}.yaml"

    def of(self, key: str) -> ModelCalls:
        """Return the recorded calls of a model, by its key."""
        if key not in self._calls:
            self._calls[key] = ModelCalls(self.folder, key)
        return self._calls[key]

    def request(self, model: Model, sample: Sample) -> dict[str, Any]:
        """Return the JSON body a model is asked with. Raises `RecordingError` if its job has no tuned model."""
        return prompt.chat_request(self.served(model), model.prompt.render(sample), model.request)

    def answer(self, model: Model, sample: Sample, repeat: int = 1) -> Answer:
        """Return the recorded answer; if the recording can't be used, a failure with the reason."""
        try:
            return self.valid_answer(model, sample, repeat)
        except RecordingError as error:
            return Answer(failure=self._failure(error, model, self.of(model.key).place_of(cassette_name(sample, repeat))))

    def valid_answer(self, model: Model, sample: Sample, repeat: int = 1) -> Answer:
        """Like `answer`, but raises `RecordingError` if there is no valid recording of exactly this call."""
        if model.predictions is not None:
            return extracted(self._from_file(model.predictions, sample), self.steps(model))
        name, calls = cassette_name(sample, repeat), self.of(model.key)
        exchange = calls.replay(name, self.request(model, sample))
        try:
            return extracted(answer_of(exchange), self.steps(model))
        except ValueError as error:
            raise RecordingError(f"{calls.place_of(name)}: {error}") from None

    def _failure(self, error: RecordingError, model: Model, place: str) -> Failure:
        reason = str(error).removeprefix(f"{place}: ")
        place = "" if reason == str(error) else place
        match error:
            case NotFetched():
                return Failure("not fetched", reason, place, FETCH)
            case Conflicted():
                return Failure("unreadable", reason, place, error.command, remedy="Take one side whole (or --theirs)")
            case RecordingError(command=str()):  # The job of a tuned model.
                return Failure("job", reason, place, error.command, error.cost)
        what = error.what if isinstance(error, RecordedOtherwise) else ""
        kind: Kind = "recorded otherwise" if what else "not recorded" if isinstance(error, NotRecorded) else "unreadable"
        advice = self.how_to_record(model)
        return Failure(kind, reason, place, advice.command, advice.cost, what)

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

    def calls(self, model: Model, samples: Sequence[Sample], repeats: int, *, fresh: bool) -> list[Call]:
        """Return the calls of a recording: every sample `repeats` times if `fresh`, else the missing ones.

        Missing are calls without a valid cassette, and calls that an unfinished recording lacks. Raises `RecordingError` if
        that is unknown: its file is damaged, or cassettes aren't fetched or merged.
        """
        calls = [(sample, repeat) for repeat in range(1, repeats + 1) for sample in samples]
        if fresh:
            return calls
        unfinished = read_unfinished(self.folder, model.key)
        to_come = unfinished.still_to_come() if unfinished else {}
        further = sorted((name, repeat) for name, repeat in map(call_of, to_come) if repeat > repeats)
        by_name = {sample.name: sample for sample in samples} if further else {}
        calls += [(by_name[name], repeat) for name, repeat in further if name in by_name]
        read = partial(self.valid_answer, model)
        return [call for call in calls if cassette_name(*call) in to_come or not is_valid(partial(read, *call))]

    def orphans(self, samples: list[Sample]) -> list[str]:
        """Return the recorded calls of former models or samples of the suite, as messages name them."""
        names = {sample.name for sample in samples}
        found = []
        for key in _keys(self.folder):
            calls = self.of(key)
            if key in self.suite.models:
                found += [calls.place_of(name) for name in _recorded(calls) if call_of(name)[0] not in names]
            else:
                paths = [calls.pack.path, *sorted(calls.folder.glob(f"*{SUFFIX}"))]
                found += [shown(path) for path in paths if path.exists()]
        return found

    def repeats(self, model: Model) -> dict[str, list[int]]:
        """Return which further answers of a model are recorded, by the name of their sample: 2 and up."""
        return further_calls(_recorded(self.of(model.key)))


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


def _keys(folder: Path) -> list[str]:
    """Return the models with packs or cassettes in a suite's folder, sorted."""
    packs, calls = folder.glob(f"*{SUFFIX}"), folder.glob(f"*/*{SUFFIX}")
    return sorted({path.stem for path in packs} | {path.parent.name for path in calls})


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


Asked = Sequence[tuple[str, dict[str, Any]]]
"""Calls by the names of their cassettes, with their requests."""


def free_way(folder: Path, model: str, models: Collection[str], asked: Asked, sources: Sequence[Path]) -> str | None:
    """Return the command that brings back missing recordings, from git or another model's name; None if no way is known.

    `models` are the suite's, `asked` some of the missing calls, `sources` the files that requests are made of.
    """
    old = _other_name(folder, models, asked)
    pack, calls = folder / f"{model}{SUFFIX}", folder / model
    if old is None:
        return restored([calls, pack, *sources])
    move = "mv" if repository_of(folder) is None else "git mv"
    pairs = [(folder / f"{old}{SUFFIX}", pack), (folder / old, calls)]
    moves = [f"{move} {shlex.quote(shown(one))} {shlex.quote(shown(other))}" for one, other in pairs if one.exists()]
    return " && ".join(moves)


def _other_name(folder: Path, models: Collection[str], asked: Asked) -> str | None:
    """Return the key of a former model that has just these calls: the model was renamed."""
    for key in (key for key in _keys(folder) if key not in models):
        calls = ModelCalls(folder, key)
        try:
            if asked and all(is_same(calls.read(name)[0].asked, body) for name, body in asked):
                return key
        except RecordingError:
            continue
    return None


@contextlib.contextmanager
def locked(folder: Path, root: Path, models: Iterable[str], suite_file: Path) -> Iterator[None]:
    """Hold the `folder` of a suite's recordings, which lies in `root`, while they are written: a session at a time does.

    Raises `UserError` if it can't be held, is another suite file's, or leads out of `root`.
    """
    from filelock import FileLock, Timeout  # Only the recorder needs it, and every replay imports this module.

    _refuse_links([folder, *(folder / key for key in models)], root)
    check_owner(folder, suite_file)
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        remove_unfinished(folder)
    except Timeout:
        raise UserError(
            f"{shown(folder)}: another session is recording this suite. Wait for its end, or give this one "
            "another folder with --cassettes"
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        yield
    finally:
        # Removed while it is held: another session that opened this file then finds it gone, and makes its own.
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def unwritable(folder: Path, error: OSError) -> UserError:
    """Return the error of a folder that can't be written."""
    why = error.strerror or error
    return UserError(f"{shown(folder)}: recordings can't be written here: {why}. Name another folder with --cassettes")


def _refuse_links(folders: Iterable[Path], root: Path) -> None:
    """Refuse links that lead out of `root`: a recording replaces and removes files, and a repository may bring links."""
    inside = root.resolve()
    for folder in folders:
        if not folder.resolve().is_relative_to(inside):
            raise UserError(
                f"{shown(folder)} leads out of {shown(root)}, to {folder.resolve()}. Recordings are "
                "written only inside it: remove the link, or name another folder with --cassettes"
            )
