"""A pack: the recorded calls of one model in one cassette of many interactions, in the order of the suite's samples.

It is an ordinary vcrpy cassette. Each answer has a header of ours that names the call as a cassette of its own would be
named. The file is gone through once, line by line, for where each call lies; a call is read from there when it is asked
for, so that a pack of any size takes little memory. A pack without these headers is found its way in by the requests.
"""

import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from evaltape.errors import NotFetched, RecordingError
from evaltape.files import is_lfs_pointer, write_whole
from evaltape.names import Told, shown
from evaltape.recording import cassettes
from evaltape.recording.cassettes import CALL, Conflicted, Exchange, spelling
from evaltape.recording.vcr_yaml import HEAD

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
        file = self._open()
        if file is not None:
            file.close()
        return self._named if file is not None else ()

    def read(self, name: str) -> list[Exchange] | None:
        """Return a call; None without a call of that name. Raises `RecordingError` if it can't be read."""
        text = self.text(name)
        return None if text is None else cassettes.exchanges_of(Told(lambda: self.place_of(name)), text)

    def find(self, asked: dict[str, Any], number: int) -> Exchange | None:
        """Return the call with this request, the `number`th from 1, of the calls without a name."""
        file = self._open()
        if file is None or not self._unnamed:
            return None
        with file:
            if self._by_request is None:
                self._by_request = {}
                for place in self._unnamed:
                    for exchange in self._exchanges(file, place):
                        self._by_request.setdefault(spelling(exchange.asked), []).append(place)
            places = self._by_request.get(spelling(asked), [])
            return self._exchanges(file, places[number - 1])[0] if len(places) >= number else None

    def text(self, name: str) -> bytes | None:
        """Return the bytes of a call, without the cassette's head; None without a call of that name."""
        file = self._open()
        if file is None or name not in self._named:
            return None
        with file:
            return _part(file, self._named[name])

    def place_of(self, name: str) -> str:
        """Return the name in messages of one of its calls."""
        return f"{shown(self.path)} ({name})"

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 of a call's bytes; None without a call of that name."""
        text = self.text(name)
        return None if text is None else hashlib.sha256(text).hexdigest()

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
        file, unnamed = self._open(), b""
        if file is not None:
            with file:
                unnamed = b"".join(_part(file, place) for place in self._unnamed)
        write_whole(self.path, (HEAD.encode() + b"".join(calls.values()) + unnamed).decode())

    # ------------------------------------------------------------ the index

    def _open(self) -> BinaryIO | None:
        """Open the file once its index is known; None without a file."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RecordingError(f"{shown(self.path)}: can't be read: {error.strerror or error}") from None
        status = os.fstat(file.fileno())
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        if version != self._version:
            try:
                self._look_through(file)
            except BaseException:
                file.close()
                raise
            self._version = version
        return file

    def _look_through(self, file: BinaryIO) -> None:
        self._version, self._named, self._unnamed, self._by_request = None, {}, [], None
        for name, place in _places(file, self.path):
            if name is None:
                self._unnamed.append(place)
            else:
                self._named.setdefault(name, place)

    def _exchanges(self, file: BinaryIO, place: Place) -> list[Exchange]:
        return cassettes.exchanges_of(Told(lambda: shown(self.path)), _part(file, place))


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
