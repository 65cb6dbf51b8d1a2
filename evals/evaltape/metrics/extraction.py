"""The part of a recorded answer that is scored, by the steps of `[answer]`; the recording keeps the whole.

`values_of` finds JSON in the words that models write around it; judges' verdicts are read with it, too.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from evaltape.metrics.scorers import FunctionError
from evaltape.suite.definition import AnswerTable
from evaltape.text import cut, visible

if TYPE_CHECKING:
    from evaltape.metrics.functions import UserFunction

_LONGEST = 60
"""Characters of an answer that a reason quotes."""


class NoMatch(Exception):
    """A step of `[answer]` finds nothing in an answer; the message says which, fit to be shown."""


class Step(msgspec.Struct, frozen=True):
    """A step of `[answer]`, ready to be applied."""

    kind: str
    """after, json, regex or function."""
    value: str
    """The text after which it begins; the key of a JSON object; the pattern; `module:function`."""
    function: "UserFunction | None" = None
    """The user's own, of a `function`."""

    def apply(self, text: str) -> str:
        """Return the part of a text that the step takes. Raises `NoMatch`."""
        try:
            found = self._found(text)
        except FunctionError as error:
            raise NoMatch(f"[answer] function: {visible(str(error))}") from None
        if found is None:
            raise NoMatch(f"[answer] {self.kind} = {cut(repr(self.value), 80)} finds nothing in {quoted(text)}")
        return found

    def _found(self, text: str) -> str | None:
        match self.kind:
            case "after":
                _, mark, rest = text.rpartition(self.value)
                return rest if mark else None
            case "json":
                values = values_of(text, self.value)
                if values and not isinstance(values[-1], str):
                    raise NoMatch(f"[answer] json = {self.value!r} holds {quoted(values[-1])}, not a text")
                return values[-1] if values else None
            case "regex":
                match = re.search(self.value, text)
                return None if match is None else match[1 if match.re.groups else 0]
        assert self.function is not None
        return self.function.text(text, otherwise="it finds nothing")


def load_steps(answer: AnswerTable | None, place: str, root: Path) -> tuple[Step, ...]:
    """Return the steps of `[answer]`; functions are imported from below `root`.

    Raises `UserError`, with the `place` of the table, for a function that can't be imported or called with a text.
    """
    rules = [(kind, getattr(answer, kind)) for kind in answer.written] if answer else []
    return tuple(Step(kind, value, _function(value, place, root) if kind == "function" else None) for kind, value in rules)


def extract(text: str, steps: Sequence[Step]) -> str:
    """Return the part of an answer that is scored. Raises `NoMatch` where a step finds nothing, or nothing is left."""
    for step in steps:
        text = step.apply(text)
    if steps and not text.strip():
        raise NoMatch(f"[answer] {steps[-1].kind} leaves nothing of the answer")
    return text.strip() if steps else text


def _function(name: str, place: str, root: Path) -> "UserFunction":
    from evaltape.metrics.functions import load_function

    return load_function(name, root, ("text",), f"{place} function = {name!r}")


def values_of(text: str, key: str) -> list[Any]:
    """Return the value of a key in each JSON object of a text that has it, in order, without objects inside others.

    An object with the same key twice says two things, and is left out.
    """
    decoder, place = json.JSONDecoder(object_pairs_hook=_unambiguous, parse_constant=_refused), text.find("{")
    found = []
    while place >= 0:
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
        else:
            found += [value[key]] if key in value else []
        place = text.find("{", place)
    return found


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def quoted(value: Any) -> str:
    """Return an answer, or a value in it, as reasons quote it: cut if it is long."""
    return cut(repr(value) if isinstance(value, str) else json.dumps(value, default=str), _LONGEST)
