"""`unfinished.json`: the calls that a fresh recording of a model still lacks, so that it can't pass as whole.

It is written when `--record` begins, before the first call, and holds by the name of its cassette every call that was
selected, with the SHA-256 of the cassette that was there before, or null:

    {"selected": 200, "to_come": {"13829853": "9f86...", "13829854": null}, "then_remove": {"gone": "60303a..."}}

A call is still to come while its cassette is missing or has that digest. So nothing need be written when a call is answered,
and a session that is killed leaves the truth behind. At an orderly end the file is written again with what is left; once
nothing is left it is removed, and with it what the recording makes obsolete (`then_remove`: cassettes of samples that are
gone, further answers of samples that were asked once). Until then `--record-missing` asks for the rest.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaltape.errors import RecordingError
from evaltape.files import write_whole
from evaltape.names import shown
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.model_calls import JOB, REPEAT, ModelCalls, call_of
from evaltape.samples.sample import Sample

UNFINISHED = "unfinished.json"
Call = tuple[Sample, int]
"""A sample, and how often it was asked before, counted from 1."""
Digests = Mapping[str, str | None]
"""Calls by the names of their cassettes, without suffix: the SHA-256 of the recording, or None without a recording."""


@dataclass(frozen=True)
class Unfinished:
    """A fresh recording of a model that has begun and isn't complete."""

    folder: Path
    """The model's cassettes."""
    selected: int
    """How many calls the recording consists of."""
    to_come: dict[str, str | None]
    then_remove: Digests

    @classmethod
    def begin(cls, folder: Path, model: str, calls: Sequence[Call], samples: Sequence[Sample]) -> "Unfinished":
        """Begin a fresh recording of `calls` to a model in a suite's `folder`; `samples` are all of the suite's.

        What an earlier one that was cut short has still to ask for stays to come. Raises `RecordingError` if its file is
        damaged, `OSError` if it can't be written.
        """
        before = read_unfinished(folder, model) or cls(folder / model, 0, {}, {})
        repeats = {sample.name: 0 for sample in samples}
        for sample, repeat in calls:
            repeats[sample.name] = max(repeat, repeats[sample.name])
        to_come = {name: old for name, old in before.to_come.items() if _is_due(name, repeats)}
        recorded = ModelCalls(folder, model)
        to_come |= {name: recorded.digest(name) for name in (cassette_name(*call) for call in calls)}
        then_remove = {**before.then_remove, **_obsolete(recorded, repeats)}
        begun = cls(folder / model, max(len(to_come), before.selected), to_come, then_remove)
        begun._write()
        return begun

    def still_to_come(self) -> list[tuple[str, int]]:
        """Return the calls that have no new recording yet, as (name of the sample, repeat)."""
        return [call_of(name) for name in self._left()]

    def is_replaced(self, name: str, text: str) -> bool:
        """Return whether `text` written as the cassette `name` would count as its new recording."""
        return self.to_come.get(name) != hashlib.sha256(text.encode()).hexdigest()

    def count(self, name: str) -> None:
        """Count a call's present recording as new."""
        self.to_come.pop(name, None)

    def forget(self, sample: Sample, repeat: int = 1) -> None:
        """Note that there is nothing to ask: a judge's verdict on an answer that holds no text."""
        self.to_come.pop(cassette_name(sample, repeat), None)

    def finish(self, samples: Iterable[Sample]) -> None:
        """End a session's work on it: keep what is left for `samples`, or remove the file and what it makes obsolete.

        Raises `OSError` if the folder can't be written.
        """
        names = {sample.name for sample in samples}
        left = {name: digest for name, digest in self._left().items() if call_of(name)[0] in names}
        if left:
            Unfinished(self.folder, self.selected, dict(left), self.then_remove)._write()
            return
        # What was recorded since, or is a sample again, is no longer obsolete.
        obsolete = {name: digest for name, digest in self.then_remove.items() if REPEAT in name or name not in names}
        self._calls.remove([name for name, digest in obsolete.items() if digest == self._calls.digest(name) and name != JOB])
        (self.folder / UNFINISHED).unlink(missing_ok=True)

    @property
    def _calls(self) -> ModelCalls:
        return ModelCalls(self.folder.parent, self.folder.name)

    def _left(self) -> Digests:
        calls = self._calls
        return {name: old for name, old in self.to_come.items() if calls.digest(name) in (None, old)}

    def _write(self) -> None:
        values = {"selected": self.selected, "to_come": self.to_come, "then_remove": self.then_remove}
        write_whole(self.folder / UNFINISHED, json.dumps(values, indent=1) + "\n")


def read_unfinished(folder: Path, model: str) -> Unfinished | None:
    """Return the fresh recording of a model in a suite's `folder` that was begun and not finished; usually None.

    Raises `RecordingError` if its file is damaged.
    """
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
    if unfinished is None or unfinished.is_replaced(name, text):
        return text
    if exchange.came:  # It was taken before, by a session that was cut short.
        unfinished.count(name)
        return text
    # The same answer in the same microseconds: a file that didn't change would count as not asked again.
    return cassettes.as_text([replace(exchange, latency_s=(exchange.latency_s or 0.0) + 1e-6)])


def cassette_name(sample: Sample, repeat: int = 1) -> str:
    """Return the name of a call's cassette, without suffix; asked again for noise, `repeat` counts from 2."""
    return sample.name if repeat == 1 else f"{sample.name}{REPEAT}{repeat}"


def _is_due(name: str, repeats: Mapping[str, int]) -> bool:
    """Return whether an earlier recording's call stays to come beside a new one that asks samples so often (0: not)."""
    sample_name, repeat = call_of(name)
    return sample_name in repeats and (not repeats[sample_name] or repeat <= repeats[sample_name])


def _obsolete(recorded: ModelCalls, repeats: Mapping[str, int]) -> Digests:
    """Return the calls that a recording makes obsolete once it is complete; `repeats` as for `_is_due`.

    Further answers of a sample beyond the ones asked for now; and, if every sample is asked, cassettes of no sample.
    """
    asks_all = all(repeats.values())
    found = {}
    for name in recorded.names():
        sample_name, repeat = call_of(name)
        if (asks_all and sample_name not in repeats) or repeat > (repeats.get(sample_name) or repeat):
            found[name] = recorded.digest(name)
    return found


def _is_plain(name: str) -> bool:
    """Whether a name stays inside its folder: it comes from a file that anyone can edit, and is removed by name."""
    return Path(name).name == name and "\\" not in name and name not in (".", "..")
