"""Records of unfinished work: the calls that a fresh recording lacks, and the batches that aren't collected.

`unfinished.json` names the calls that a fresh recording of a model still lacks, so that it can't pass as whole. It is written
when `--record` begins, before the first call, and holds by the name of its cassette every selected call, with the SHA-256 of
the earlier cassette, or null:

    {"selected": 200, "to_come": {"13829853": "9f86...", "13829854": null}, "then_remove": {"gone": "60303a..."}}

A call is still to come while its cassette is missing or has that digest. So an answer needs no note in it, and a session
that is killed leaves the truth behind. At an orderly end the file is written again with the calls that are left; once no call
is left it is removed, and with it the obsolete recordings (`then_remove`: cassettes of former samples, further answers of
samples that were asked once). Until then `--record-missing` asks for the rest.

`batches.json` holds the submitted batches of a suite. An entry is written before the order is sent, so a session that is
killed leaves the truth behind, and removed once every answer is in a cassette.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.files import conflict_in, write_whole
from evaltape.names import shown
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.model_calls import JOB, REPEAT, ModelCalls, call_of
from evaltape.samples.sample import Sample

UNFINISHED, BATCHES = "unfinished.json", "batches.json"
Call = tuple[Sample, int]
"""A sample, and how often it was asked before, counted from 1."""


class ToCome(msgspec.Struct, frozen=True):
    """Why a recording isn't whole: calls, or samples, are still to come."""

    to_come: int
    """How many are still to come."""
    selected: int
    """How many there are in all."""

    def __str__(self) -> str:
        return f"{self.to_come:,} of {self.selected:,} to come"


class Unfinished(msgspec.Struct, frozen=True):
    """A fresh recording of a model that has begun and isn't complete."""

    folder: Path
    """The model's cassettes."""
    selected: int
    """How many calls the recording consists of."""
    to_come: dict[str, str | None]
    """Calls by the names of their cassettes, without suffix: the SHA-256 of the recording, or None without a recording."""
    then_remove: dict[str, str | None]

    @classmethod
    def begin(cls, folder: Path, model: str, calls: Sequence[Call], samples: Sequence[Sample]) -> "Unfinished":
        """Begin a fresh recording of `calls` to a model in a suite's `folder`; `samples` are all of the suite's.

        The calls that an earlier, interrupted recording lacks stay to come. Raises `RecordingError` if its file is damaged,
        `OSError` if it can't be written.
        """
        before, recorded = read_unfinished(folder, model) or cls(folder / model, 0, {}, {}), ModelCalls(folder, model)
        repeats = {sample.name: 0 for sample in samples}
        for sample, repeat in calls:
            repeats[sample.name] = max(repeat, repeats[sample.name])
        asks_all = all(repeats.values())

        def is_obsolete(name: str) -> bool:
            """Return whether the sample is now asked fewer times, or, in a recording of all samples, has left the suite."""
            sample, repeat = call_of(name)
            return 0 < repeats[sample] < repeat if sample in repeats else asks_all

        to_come = {name: old for name, old in before.to_come.items() if call_of(name)[0] in repeats and not is_obsolete(name)}
        to_come |= {name: recorded.digest(name) for name in (cassette_name(*call) for call in calls)}
        then_remove = before.then_remove | {name: recorded.digest(name) for name in recorded.names() if is_obsolete(name)}
        begun = cls(folder / model, max(len(to_come), before.selected), to_come, then_remove)
        begun._write()
        return begun

    def still_to_come(self) -> dict[str, str | None]:
        """Return the calls of `to_come` that have no new recording yet."""
        calls = self._calls
        return {name: old for name, old in self.to_come.items() if calls.digest(name) in (None, old)}

    def forget(self, name: str) -> None:
        """Note that a call isn't to come: its recording counts as new, or it isn't needed."""
        self.to_come.pop(name, None)

    def finish(self, samples: Iterable[Sample]) -> None:
        """End a session's work on it: keep the calls left for `samples`, or remove the file and obsolete recordings.

        Raises `OSError` if the folder can't be written.
        """
        names = {sample.name for sample in samples}
        left = {name: digest for name, digest in self.still_to_come().items() if call_of(name)[0] in names}
        if left:
            Unfinished(self.folder, self.selected, left, self.then_remove)._write()
            return
        # A recording of this session, or of a sample that is back, is no longer obsolete.
        obsolete = {name: digest for name, digest in self.then_remove.items() if REPEAT in name or name not in names}
        self._calls.remove([name for name, digest in obsolete.items() if digest == self._calls.digest(name) and name != JOB])
        (self.folder / UNFINISHED).unlink(missing_ok=True)

    @property
    def _calls(self) -> ModelCalls:
        return ModelCalls(self.folder.parent, self.folder.name)

    def _write(self) -> None:
        values = {"selected": self.selected, "to_come": self.to_come, "then_remove": self.then_remove}
        write_whole(self.folder / UNFINISHED, json.dumps(values, indent=1) + "\n")


def read_unfinished(folder: Path, model: str) -> Unfinished | None:
    """Return the unfinished fresh recording of a model in a suite's `folder`, if any. Raises `RecordingError` if damaged."""
    path = folder / model / UNFINISHED
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        digests = [dict(values["to_come"]), dict(values["then_remove"])]
        if not all(_is_plain(name) and isinstance(digest, str | None) for part in digests for name, digest in part.items()):
            raise TypeError("not names of cassettes with their digests")
        return Unfinished(path.parent, int(values["selected"]), *digests)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise RecordingError(
            f"{shown(path)}: damaged ({type(error).__name__}). It says what a fresh recording has still to ask: restore it, "
            "or delete it together with the model's cassettes and record them again"
        ) from None


def new_text(exchange: Exchange, unfinished: Unfinished | None, name: str) -> str:
    """Return the text of a call's new cassette; a fresh recording counts it, though the file were the same as before."""
    text = cassettes.as_text([exchange])
    if unfinished is None or unfinished.to_come.get(name) != hashlib.sha256(text.encode()).hexdigest():
        return text  # It counts as the new recording.
    if exchange.came:  # It was taken before, by a session that was cut short.
        unfinished.forget(name)
        return text
    # The same answer in the same microseconds: a file that didn't change would count as not asked again.
    return cassettes.as_text([msgspec.structs.replace(exchange, latency_s=(exchange.latency_s or 0.0) + 1e-6)])


def cassette_name(sample: Sample, repeat: int = 1) -> str:
    """Return the name of a call's cassette, without suffix; asked again for noise, `repeat` counts from 2."""
    return sample.name if repeat == 1 else f"{sample.name}{REPEAT}{repeat}"


def _is_plain(name: str) -> bool:
    """Whether a name stays inside its folder: it comes from a file that anyone can edit, and is removed by name."""
    return Path(name).name == name and "\\" not in name and name not in (".", "..")


class Submission(msgspec.Struct, frozen=True):
    """A submitted batch."""

    model: str
    """The key of the model or judge."""
    digest: str
    """Of its requests; it stands in the batch's metadata, too."""
    calls: int
    sent_at: int
    """When the order was sent, in seconds of Unix time."""
    id: str | None = None
    """The API's; None while the order has no answer."""


class Submissions:
    """The batches of a suite, in its folder of recordings."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / BATCHES

    def calls(self, model: str) -> int:
        """Return how many calls to a model or judge are in batches; 0 for a file that can't be read."""
        with contextlib.suppress(UserError):
            return sum(one.calls for one in self.of(model))
        return 0

    def of(self, model: str) -> list[Submission]:
        """Return the batches of a model or judge. Raises `UserError` for a file that can't be read."""
        return [one for one in self._read() if one.model == model]

    def write(self, submission: Submission, *, remove: bool = False) -> None:
        """Add an entry, or replace that of the same requests. Raises `UserError` if the file can't be written."""
        others = [one for one in self._read() if (one.model, one.digest) != (submission.model, submission.digest)]
        entries = msgspec.to_builtins(others if remove else [*others, submission])
        try:
            if entries:
                write_whole(self.path, json.dumps(entries, indent=1) + "\n")
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{shown(self.path)} can't be written: {error.strerror}") from None

    def remove(self, submission: Submission) -> None:
        """Remove an entry, and the file with the last. Raises likewise."""
        self.write(submission, remove=True)

    def _read(self) -> list[Submission]:
        try:
            content = self.path.read_bytes()
            return msgspec.json.decode(content, type=list[Submission])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            problem = conflict_in(self.path) or f"{shown(self.path)}: can't be read: {error}"
            raise UserError(f"{problem}. Without the file --batch finds the batches by their metadata at the API") from None
