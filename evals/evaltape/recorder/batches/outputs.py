"""`--answers-from`: calls are answered by an engine's output files. Calls without an answer there stay to be recorded.

The files are looked through once, for the place of the answer to each request, in any order. An answer counts before an error,
and of two alike the first. A last line that is cut off isn't read.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.names import nearest, shown
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.batches.lines import CUSTOM_ID, Reply, custom_id, read_reply
from evaltape.recorder.lane import Call, Lane, failure_of
from evaltape.recorder.loop import Recorder
from evaltape.recording.cassettes import ANSWERS_FROM
from evaltape.samples.sample import Failure
from evaltape.suite.definition import Suite
from evaltape.text import counted, cut, listed


class Place(msgspec.Struct, frozen=True):
    """Where a reply lies."""

    path: Path
    line: int
    """Counted from 1."""
    start: int
    """In bytes."""
    is_answer: bool = False

    def __str__(self) -> str:
        return f"{shown(self.path)}, line {self.line}"


class FromFiles:
    """Answers the calls of a recorder's lanes from files. Raises `UserError` for a file without answers to these suites."""

    def __init__(self, paths: Iterable[Path], suites: Mapping[str, Suite], recorder: Recorder) -> None:
        self._suites = suites
        self._recorder = recorder
        self._places: dict[str, Place] = {}
        self._by_call: dict[str, Place] = {}
        """Where a reply to some request of a call lies, today's or not."""
        self._used = 0
        for path in _files(paths):
            self._look_through(path)
        recorder.at_end.append(self._tell_unused)

    def find(self, custom_id: str) -> Reply | None:
        """Return the reply to a request; None if the files lack it."""
        place = self._places.get(custom_id)
        if place is None:
            return None
        with place.path.open("rb") as file:
            file.seek(place.start)
            return read_reply(file.readline())

    def take_up(self, lane: Lane, calls: list[Call]) -> None:
        """Answer these calls."""
        self._recorder.add_work(partial(self._answer, lane, calls), is_job=False)

    async def _answer(self, lane: Lane, calls: list[Call]) -> None:
        for call in calls:
            if self._recorder.outcomes.stopped:
                return
            try:
                await self._answer_one(lane, call)
            except RecordingError as error:
                self._recorder.calls.end(lane, call, failure_of(error))
            except CallFailed as failure:
                self._recorder.calls.end(lane, call, Failure("call", lane.endpoint.shown(failure.message)))
            await asyncio.sleep(0)  # Others, who publish and report, have their turn.

    async def _answer_one(self, lane: Lane, call: Call) -> None:
        body = call.body()
        name = custom_id(lane, call, body)
        reply = self.find(name)
        if reply is None:
            other = self._by_call.get(name.rpartition("@")[0])
            another = f"{other}: an answer to another request than today's, which --requests-to writes"
            raise RecordingError(another if other else "no answer to it is among those of --answers-from")
        self._used += 1
        await self._recorder.calls.receive(lane, call, reply.exchange(body, lane.endpoint.base_url, ANSWERS_FROM))

    async def _tell_unused(self) -> None:
        left = len(self._places) - self._used
        if left and not self._recorder.outcomes.stopped:
            self._recorder.tally.notes.append(
                f"--answers-from: {counted(left, 'answer')} not taken: recorded already, not selected, or to other requests"
            )

    def _look_through(self, path: Path) -> None:
        found, foreign = 0, list[str]()
        for place, text in _lines(path):
            try:
                reply = read_reply(text)
            except ValueError as error:
                if found and not text.endswith(b"\n"):
                    self._recorder.tally.notes.append(f"{shown(path)}: its last line is cut off, and isn't read")
                    return
                raise UserError(f"{place} {error}. An output file is JSON Lines of custom_id, response and error") from None
            name = CUSTOM_ID.fullmatch(reply.custom_id)
            if name is None:
                raise UserError(
                    f"{place}: the custom_id {cut(reply.custom_id, 80)!r} isn't one that --requests-to writes, as in "
                    "SUITE/MODEL/SAMPLE@0123456789abcdef"
                )
            found += 1
            if name["suite"] not in self._suites:
                foreign.append(name["suite"])
                continue
            self._refuse_unknown(place, name["suite"], name["model"])
            place = msgspec.structs.replace(place, is_answer=reply.is_answer)
            before = self._places.get(reply.custom_id)
            if before is None or (place.is_answer and not before.is_answer):
                self._places[reply.custom_id] = self._by_call[name["call"]] = place
        if foreign:
            self._tell_foreign(path, foreign, found)

    def _refuse_unknown(self, place: Place, suite: str, model: str) -> None:
        keys = [*self._suites[suite].models, *self._suites[suite].judges]
        if model not in keys:
            raise UserError(
                f"{place}: an answer of {cut(model, 80)!r}, which isn't a model of the suite {suite}.{nearest(model, keys)} "
                f"Models: {listed(keys, 10)}"
            )

    def _tell_foreign(self, path: Path, foreign: list[str], found: int) -> None:
        names = listed([repr(name) for name in dict.fromkeys(foreign)])
        if len(foreign) == found:
            raise UserError(
                f"{shown(path)}: answers to the suite {names}, and this session is of {listed(list(self._suites))}. "
                "Name the suite with --suite"
            )
        self._recorder.tally.notes.append(
            f"{shown(path)}: {len(foreign):,} of {found:,} answers are to the suite {names}, and aren't read"
        )


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.glob("*.jsonl"))
        if not found:
            raise UserError(f"--answers-from {shown(path)}: a folder without .jsonl files. Put tests before the option")
        yield from found


def _lines(path: Path) -> Iterator[tuple[Place, bytes]]:
    """Yield the lines of a file that aren't empty, and where they lie."""
    start = 0
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield Place(path, number, start), text
                start += len(text)
    except OSError as error:
        raise UserError(f"--answers-from {shown(path)}: can't be read: {error.strerror or error}") from None
