"""Answers from anywhere as a model under test: a file of {"id", "prediction"} or {"input", "prediction"} a line."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import UserError
from evaltape.files import numbered_lines
from evaltape.names import shown
from evaltape.samples.rows import Literal, as_written
from evaltape.samples.sample import Answer, Failure, Sample
from evaltape.text import counted, cut, listed


class Line(msgspec.Struct, frozen=True):
    """A line of the file: a prediction."""

    number: int
    """Its line in the file, from 1."""
    text: str
    """Empty if the file says null."""
    input: str | None
    """The input it is for, if the file says so."""


class PredictionsFile(msgspec.Struct, frozen=True):
    """The predictions of a model that is never called."""

    path: Path
    """Where they come from."""
    lines: Mapping[tuple[str, str], Line]
    """By `("id", ...)`, or `("input", ...)` where an input alone is named: then it is for every sample with that input."""

    def answer(self, sample: Sample) -> Answer:
        """Return the prediction for a sample, or the reason why it is missing.

        Raises `UserError` for a prediction that names another input than the sample's, and for two predictions of a sample.
        """
        line, other = self.lines.get(("id", sample.id)), self.lines.get(("input", sample.input))
        if line is not None and line.input not in (None, sample.input):
            raise _error(self.path, line.number, f"the prediction for {sample.id!r} is of another input than the sample's")
        if line is not None and other is not None:
            raise _error(self.path, other.number, f"a second prediction for {sample.id!r}, beside line {line.number}")
        line = line or other
        if line is None:
            return Answer(failure=Failure("no prediction", f"{shown(self.path)} has no prediction for it"))
        if line.text.strip():
            return Answer(line.text)
        empty, place = "the prediction is empty", f"{shown(self.path)}, line {line.number}"
        return Answer(line.text, Failure("empty", empty, place, cause=f"{shown(self.path)}: {empty}"))

    def notes(self, samples: Iterable[Sample]) -> list[str]:
        """Return notes for the user: the predictions that are of no sample of the suite."""
        used = {name for sample in samples for name in (("id", sample.id), ("input", sample.input))}
        surplus = [name for kind, name in self.lines if (kind, name) not in used]
        if not surplus:
            return []
        named = listed([cut(repr(name), 40) for name in surplus])
        return [f"{shown(self.path)}: {counted(len(surplus), 'prediction')} of no sample of the suite: {named}"]


def _error(path: Path, number: int, what: str) -> UserError:
    return UserError(f"{shown(path)}, line {number}: {what}")


def read_predictions(path: Path) -> PredictionsFile:
    """Read a file of predictions. Raises `UserError`, naming the line, for a bad line and for a sample's second prediction."""
    lines: dict[tuple[str, str], Line] = {}
    for number, text in numbered_lines(path, "predictions"):
        key, line = _line(path, number, text)
        first = lines.setdefault(key, line)
        if first is not line:
            raise _error(path, number, f"a second prediction for {cut(repr(key[1]), 40)}, after line {first.number}")
    return PredictionsFile(path, lines)


def _line(path: Path, number: int, text: str) -> tuple[tuple[str, str], Line]:
    """Return a prediction with the id or the input that it names."""
    try:
        row: Any = json.loads(text, parse_float=Literal)
        key = as_written(row["id"]) if row.get("id") is not None else None
        source, prediction = row.get("input"), row["prediction"]
        if not isinstance(source, str | None) or not isinstance(prediction, str | None) or key is source is None:
            raise TypeError
    except (KeyError, TypeError, AttributeError):
        raise _error(path, number, 'it takes {"id": ..., "prediction": ...}, or "input" in place of "id"') from None
    except (ValueError, RecursionError) as error:
        takes = 'the file takes JSON Lines, {"id": ..., "prediction": ...} a line'
        raise _error(path, number, f"not a prediction: {error}; {takes}") from None
    return ("input", source or "") if key is None else ("id", key), Line(number, prediction or "", source)
