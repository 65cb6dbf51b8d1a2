"""The recorded calls of a model as they lie on disk: a cassette each, or a pack of all.

The cassettes are the journal of a recording: each is whole the moment it is written. Once a model is whole, they become a
pack. Where a call is in both, its cassette is newer and counts.

A pack is an ordinary vcrpy cassette of many interactions, in the order of the suite's samples. Each answer has a header of
ours: the name that the call's own cassette would have. Pack looks through the file once, line by line, for the place of each
call, and reads a call from there when it is asked for, so that a pack of any size takes little memory. The calls of a pack
without these headers are found by their requests.
"""

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from msgspec.structs import replace

from evaltape.errors import NotFetched, NotRecorded, RecordingError
from evaltape.files import is_lfs_pointer, write_whole
from evaltape.names import shown
from evaltape.recording import cassettes
from evaltape.recording.cassettes import CALL, Conflicted, Exchange, spelling
from evaltape.recording.vcr_yaml import HEAD

JOB, REPEAT, SUFFIX = "job", ".repeat-", ".yaml"
"""`job` is the cassette of a tuned model's job, in the same folder: it is no sample's."""


class ModelCalls:
    """The calls of a model in a suite's `folder`, by the names of their cassettes, without suffix."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder = folder / model
        self._prefix = f"{self.folder}{os.sep}"
        self.pack = Pack(folder / f"{model}{SUFFIX}")

    def file(self, name: str) -> Path:
        """Return the cassette of a call, which need not exist."""
        return self.folder / f"{name}{SUFFIX}"

    def files(self) -> list[Path]:
        """Return the cassettes that there are, sorted."""
        return sorted(path for path in self.folder.glob(f"*{SUFFIX}") if path.stem != JOB)

    def names(self) -> dict[str, None]:
        """Return the names of all calls: the calls of the pack in its order, then the calls with cassettes alone."""
        return dict.fromkeys([*self.pack.names(), *(path.stem for path in self.files())])

    def place_of(self, name: str) -> str:
        """Return the name in messages of a call: its cassette, or its part of the pack."""
        is_packed = not self.file(name).exists() and name in self.pack.names()
        return self.pack.place_of(name) if is_packed else shown(self.file(name))

    def read(self, name: str) -> list[Exchange]:
        """Return a recorded call. Raises `RecordingError`."""
        for _ in range(2):  # Between two looks the call may move from a cassette into the pack, or back.
            if os.path.exists(f"{self._prefix}{name}{SUFFIX}"):
                with contextlib.suppress(NotRecorded):
                    return cassettes.read(self.file(name))
            packed = self.pack.text(name)
            if packed is not None:
                return cassettes.exchanges_of(lambda: self.pack.place_of(name), packed)
        return cassettes.read(self.file(name))

    def replay(self, name: str, asked: dict[str, Any]) -> Exchange:
        """Return the recorded call that is a POST of `asked` for a chat completion. Raises `RecordingError`."""
        try:
            recorded = self.read(name)
        except NotRecorded:
            found = self.pack.find(asked, call_of(name)[1])
            if found is None:
                raise
            recorded = [found]
        return cassettes.matching(lambda: self.place_of(name), recorded, asked)

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 of a recorded call; None without a recording."""
        try:
            return hashlib.sha256(self.file(name).read_bytes()).hexdigest()
        except OSError:
            text = self.pack.text(name)
            return None if text is None else hashlib.sha256(text).hexdigest()

    def remove(self, names: Sequence[str]) -> None:
        """Remove calls. Raises `OSError` if the folder can't be written."""
        for name in names:
            self.file(name).unlink(missing_ok=True)
        self.pack.remove(names)

    def arrange(self, samples: Sequence[str], least: int) -> None:
        """Make a pack of the cassettes if each of at least `least` samples is recorded, or cassettes of a pack of fewer.

        Nothing is asked for it, and nothing is removed before its replacement is whole. Raises `OSError`.
        """
        if len(samples) < least:
            self._unpack()
        elif self.names().keys() >= set(samples):
            self._pack(samples)
        with contextlib.suppress(OSError):
            self.folder.rmdir()  # If nothing is left in it.

    def _pack(self, samples: Sequence[str]) -> None:
        files = {path.stem: text for path in self.files() if (text := _packed_text(path)) is not None}
        order = {name: number for number, name in enumerate(samples)}
        names = sorted(self.names(), key=lambda name: (order.get(call_of(name)[0], len(order)), call_of(name)))
        packed = [name for name in names if name in self.pack.names() or name in files]
        if not files and packed == list(self.pack.names()):
            return
        self.pack.write({name: files.get(name) or self.pack.text(name) or b"" for name in packed})
        for name in files:
            self.file(name).unlink(missing_ok=True)

    def _unpack(self) -> None:
        names = list(self.pack.names())
        for name in names:
            text = self.pack.text(name)
            if text is not None and not self.file(name).exists():
                write_whole(self.file(name), _unnamed_text(self.pack.place_of(name), text))
        self.pack.remove(names)


def call_of(name: str, mark: str = REPEAT) -> tuple[str, int]:
    """Return the name of a call's sample, and how often it was asked, counted from 1; `mark` stands before the number."""
    sample, _, number = name.rpartition(mark)
    return (sample, int(number)) if sample and number.isdecimal() and len(number) < 10 else (name, 1)


def further_calls(names: Iterable[str], mark: str = REPEAT) -> dict[str, list[int]]:
    """Return by the name of their sample the numbers of further calls among some, 2 and up, sorted."""
    numbers: dict[str, list[int]] = {}
    for sample, number in sorted(call_of(name, mark) for name in names):
        if number > 1:
            numbers.setdefault(sample, []).append(number)
    return numbers


def _packed_text(path: Path) -> bytes | None:
    """Return a cassette's call as it stands in a pack; None unless it holds a single readable call."""
    try:
        exchanges = cassettes.read(path)
    except RecordingError:
        return None
    if len(exchanges) != 1:
        return None
    return cassettes.call_text(replace(exchanges[0], name=path.stem)).encode()


def _unnamed_text(place: str, text: bytes) -> str:
    try:
        return cassettes.as_text([replace(exchange, name=None) for exchange in cassettes.exchanges_of(lambda: place, text)])
    except RecordingError:
        return HEAD + text.decode(errors="replace")  # Damaged, and still damaged where it lies then.


_NAME = re.compile(rb'^    headers: \{.*"%b": \["([^"]+)"\]' % CALL.encode())
_BEGIN = b"- request:"
_CONFLICTS = (b"<<<<<<< ", b"=======", b">>>>>>> ")
Place = tuple[int, int]
"""Where a call begins and ends in the file, in bytes."""


class Pack:
    """The pack of a model, which need not exist. It may be replaced while it is read: its index is then made anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version: tuple[int, int, int] | None = None
        self._named: dict[str, Place] = {}
        self._unnamed: list[Place] = []
        self._by_request: dict[str, list[Place]] | None = None

    def names(self) -> Collection[str]:
        """Return the names of its calls, in their order. Raises `RecordingError` if it can't be read."""
        with self._opened():
            return self._named

    def find(self, asked: dict[str, Any], number: int) -> Exchange | None:
        """Return the call with this request, the `number`th from 1, of the calls without a name."""
        with self._opened() as file:
            if self._by_request is None:
                self._by_request = {}
                for place in self._unnamed:
                    for exchange in self._exchanges(file, place):
                        self._by_request.setdefault(spelling(exchange.asked), []).append(place)
            places = self._by_request.get(spelling(asked), [])
            return self._exchanges(file, places[number - 1])[0] if len(places) >= number else None

    def text(self, name: str) -> bytes | None:
        """Return the bytes of a call, without the cassette's head; None without a call of that name."""
        with self._opened() as file:
            return _part(file, self._named[name]) if name in self._named else None

    def place_of(self, name: str) -> str:
        """Return the name in messages of a call."""
        return f"{shown(self.path)} ({name})"

    def remove(self, names: Collection[str]) -> None:
        """Remove calls, and the file with the last of them."""
        left = {name: text for name in self.names() if name not in names and (text := self.text(name)) is not None}
        if len(left) == len(self.names()):
            return
        if left or self._unnamed:
            self.write(left)
        else:
            self.path.unlink(missing_ok=True)

    def write(self, calls: Mapping[str, bytes]) -> None:
        """Replace the named calls as a whole by these, in this order; calls without a name stay behind them."""
        with self._opened() as file:
            unnamed = b"".join(_part(file, place) for place in self._unnamed)
        write_whole(self.path, (HEAD.encode() + b"".join(calls.values()) + unnamed).decode())

    @contextlib.contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """Give the file, once its index is known; an empty file if there is none."""
        file: BinaryIO = io.BytesIO()
        version = None
        try:
            file = self.path.open("rb")
            status = os.fstat(file.fileno())
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise RecordingError(f"{shown(self.path)}: can't be read: {error.strerror or error}") from None
        with file:
            if version != self._version:
                named: dict[str, Place] = {}
                unnamed: list[Place] = []
                for name, place in _places(file, self.path):
                    if name is None:
                        unnamed.append(place)
                    else:
                        named.setdefault(name, place)
                self._version, self._named, self._unnamed, self._by_request = version, named, unnamed, None
            yield file

    def _exchanges(self, file: BinaryIO, place: Place) -> list[Exchange]:
        return cassettes.exchanges_of(lambda: shown(self.path), _part(file, place))


def _part(file: BinaryIO, place: Place) -> bytes:
    file.seek(place[0])
    return file.read(place[1] - place[0])


def _places(file: BinaryIO, path: Path) -> Iterator[tuple[str | None, Place]]:
    """Yield each call's name, if any, and where it lies."""
    begun, name, at = -1, None, 0
    for line in file:
        first = line[:1]
        if first not in (b" ", b"\n", b"\r"):
            if at == 0 and is_lfs_pointer(line):
                raise NotFetched(f"{shown(path)}: a Git LFS pointer, which stands for recordings that aren't on this machine")
            if line.startswith(_CONFLICTS):
                raise Conflicted(path)
            if begun >= 0:
                yield name, (begun, at)
            begun, name = (at, None) if line.startswith(_BEGIN) else (-1, None)
        elif begun >= 0 and line.startswith(b"    headers: {"):
            match = _NAME.match(line)
            name = match[1].decode(errors="replace") if match else name
        at += len(line)
    if begun >= 0:
        yield name, (begun, at)
