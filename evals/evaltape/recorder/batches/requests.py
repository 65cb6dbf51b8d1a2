"""`--requests-to`: the requests of a recording as Batch JSONL, a file per model or judge. Nothing is called for it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.files import write_whole
from evaltape.names import shown
from evaltape.recorder.batches.lines import custom_id, request_line
from evaltape.recorder.lane import Lane
from evaltape.suite.definition import Suite
from evaltape.text import counted


class Written(msgspec.Struct, frozen=True):
    """What became of the requests to a model or judge."""

    suite: str
    path: Path
    requests: int
    size: int
    problems: tuple[str, ...] = ()
    """Why requests weren't written, each reason once."""
    unwritten: int = 0

    def lines(self) -> Iterator[str]:
        """Yield notes for the user."""
        if self.requests:
            yield f"  {shown(self.path)}  {counted(self.requests, 'request')}, {self.size / 1e6:,.1f} MB"
        if self.unwritten:
            yield f"  {self.path.stem}: {counted(self.unwritten, 'request')} not written: {'; '.join(self.problems)}"


def write_requests(lanes: Iterable[Lane], suites: Iterable[Suite], folder: Path) -> list[Written]:
    """Write the calls that wait in lanes, by the suite and the key of their model. Raises `UserError` if that can't be done.

    The file of a model that isn't asked anything any more is removed: nobody is to pay for its requests.
    """
    by_path: dict[Path, list[Lane]] = {}
    for lane in lanes:
        by_path.setdefault(_path(folder, lane.model.suite, lane.model.key), []).append(lane)
    try:
        for suite in suites:
            for key in (*suite.models, *suite.judges):
                _path(folder, suite.name, key).unlink(missing_ok=True)
        return [_written(path, of_path) for path, of_path in by_path.items()]
    except OSError as error:
        raise UserError(f"--requests-to {shown(folder)}: can't be written: {error.strerror or error}") from None


def _path(folder: Path, suite: str, key: str) -> Path:
    return folder / f"{suite}.{key}.jsonl"


def _written(path: Path, lanes: list[Lane]) -> Written:
    requests, problems = list[bytes](), dict[str, int]()
    for lane in lanes:
        for call in lane.waiting:
            try:
                body = call.ask.body()
                requests.append(request_line(custom_id(lane, call.ask, body), body))
            except RecordingError as error:
                problems[str(error)] = problems.get(str(error), 0) + 1
    if requests:
        write_whole(path, b"".join(requests).decode())
    size = sum(map(len, requests))
    return Written(lanes[0].model.suite, path, len(requests), size, tuple(problems), sum(problems.values()))
