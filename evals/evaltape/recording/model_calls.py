"""The recorded calls of one model as they lie on disk: a cassette each, or a pack of all.

The cassettes are the journal of a recording: each is whole the moment it is written. Once a model is whole, they become a
pack. Where a call is in both, its cassette is newer and counts.
"""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaltape.errors import NotRecorded, RecordingError
from evaltape.files import write_whole
from evaltape.names import Told, shown
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.pack import Pack
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
            packed = self.pack.read(name)
            if packed is not None:
                return packed
        return cassettes.read(self.file(name))

    def replay(self, name: str, endpoint: str, asked: dict[str, Any]) -> Exchange:
        """Return the recorded call that is a POST of `asked` to an API's `endpoint`. Raises `RecordingError`."""
        try:
            recorded = self.read(name)
        except NotRecorded:
            found = self.pack.find(asked, call_of(name)[1])
            if found is None:
                raise
            recorded = [found]
        return cassettes.matching(Told(lambda: self.place_of(name)), recorded, endpoint, asked)

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 of a recorded call; None without a recording."""
        try:
            return hashlib.sha256(self.file(name).read_bytes()).hexdigest()
        except OSError:
            return self.pack.digest(name)

    def remove(self, names: Sequence[str]) -> None:
        """Remove calls. Raises `OSError` if the folder can't be written."""
        for name in names:
            self.file(name).unlink(missing_ok=True)
        self.pack.remove(names)

    # ------------------------------------------------------------ the layout

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


def call_of(name: str) -> tuple[str, int]:
    """Return the name of a call's sample, and how often it was asked, counted from 1."""
    sample, _, number = name.rpartition(REPEAT)
    return (sample, int(number)) if sample and number.isdecimal() and len(number) < 10 else (name, 1)


def _packed_text(path: Path) -> bytes | None:
    """Return a cassette's call as it stands in a pack; None unless it holds a single readable call."""
    try:
        exchanges = cassettes.read(path)
    except RecordingError:
        return None
    if len(exchanges) != 1:
        return None
    text = cassettes.as_text([cassettes.named(exchanges[0], path.stem)])
    return text.removeprefix(HEAD).encode()


def _unnamed_text(place: str, text: bytes) -> str:
    try:
        return cassettes.as_text([cassettes.named(exchange, None) for exchange in cassettes.exchanges_of(place, text)])
    except RecordingError:
        return HEAD + text.decode(errors="replace")  # Damaged, and still damaged where it lies then.
