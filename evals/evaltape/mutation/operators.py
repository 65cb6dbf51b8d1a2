"""The operators by name: those that are built in, and a user's own by `module:function`."""

import importlib
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from evaltape.errors import UserError
from evaltape.mutation import harmful, harmless
from evaltape.mutation.harmful import Answers
from evaltape.names import nearest, shown

if TYPE_CHECKING:
    from evaltape.samples.sample import Sample

SEED = 42

Damage = Callable[["Sample", str, Random], str | None]
"""A function of a sample, a model's answer to it and a seeded source of chance, to the damaged answer or None."""
Function = TypeVar("Function", bound=Damage)


def operator(*, harmful: bool = True) -> Callable[[Function], Function]:
    """Declare whether a function that changes answers harms them. A function without this decorator does.

    ```python
    @evaltape.operator(harmful=False)
    def in_capitals(sample: evaltape.Sample, answer: str, random: random.Random) -> str | None:
        return answer.upper()
    ```
    """

    def declare(function: Function) -> Function:
        function.harmful = harmful  # type: ignore[attr-defined]
        return function

    return declare


@dataclass(frozen=True, slots=True)
class Operator:
    """One way to change an answer."""

    name: str
    """As in `[mutants] operators`, in tables and results."""
    harmful: bool
    """Whether a gate should notice it."""
    function: Callable[..., str | None]
    """A `Damage`; with `from_others` it takes all answers as a fourth argument."""
    from_others: bool = False

    def apply(self, sample: "Sample", answer: str, answers: Answers) -> str | None:
        """Return the mutant of one answer, or None if the operator doesn't apply to it or changes nothing.

        Chance depends on the operator and the sample alone, so the same recordings give the same mutants. `answers` are all
        of the model's. Raises `UserError` for a user's function that raises or returns something else.
        """
        random = Random(f"{SEED}/{self.name}/{sample.id}")
        more = (answers,) if self.from_others else ()
        mutant = self.function(sample, answer, random, *more)
        return None if mutant == answer else mutant


BUILT_IN = {
    each.name: each
    for each in (
        Operator("swap_names", True, harmful.swap_names),
        Operator("other_name", True, harmful.other_name, from_others=True),
        Operator("negate", True, harmful.negate),
        Operator("wrong_number", True, harmful.wrong_number),
        Operator("drop_half", True, harmful.drop_half),
        Operator("other_sample", True, harmful.other_sample, from_others=True),
        Operator("first_lines", True, harmful.first_lines),
        Operator("refusal", True, harmful.refusal),
        Operator("repeat", True, harmful.repeat),
        Operator("preamble", False, harmless.preamble),
        Operator("whitespace", False, harmless.whitespace),
        Operator("quotes", False, harmless.quotes),
        Operator("final_stop", False, harmless.final_stop),
    )
}
"""The operators of a suite that names none, in the order they are shown."""


def load_operators(names: Iterable[str] | None, suite_file: Path) -> list[Operator]:
    """Return the operators of these names, in their order; for None all that are built in.

    Raises `UserError` for a name that is neither built in nor the `module:function` of something that can be called.
    """
    return list(BUILT_IN.values()) if names is None else [_load(name, suite_file) for name in names]


def _load(name: str, suite_file: Path) -> Operator:
    if name in BUILT_IN:
        return BUILT_IN[name]
    key = f"{shown(suite_file)}: [mutants] operators: {name!r}"
    module_name, colon, function_name = name.partition(":")
    if not colon:
        raise UserError(
            f"{key} is not an operator.{nearest(name, BUILT_IN)} Built in: {', '.join(BUILT_IN)}. "
            'One of your own is "module:function", a function of (sample, answer, random)'
        )
    function = _imported(key, module_name, function_name)
    return Operator(name, bool(getattr(function, "harmful", True)), _checked(name, function))


def _imported(key: str, module_name: str, function_name: str) -> Any:
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UserError(f"{key}: {module_name} can't be imported: {error!r}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        functions = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise UserError(f"{key}: {module_name} has no function {function_name!r}.{nearest(function_name, functions)}")
    return function


def _checked(name: str, function: Damage) -> Damage:
    """Wrap a user's function: what it raises, and what it returns that isn't a text or None, is a `UserError`."""

    def damage(sample: "Sample", answer: str, random: Random) -> str | None:
        operator_and_sample = f"[mutants] operator {name}, sample {sample.id!r}"
        try:
            mutant: Any = function(sample, answer, random)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{shown(Path(frame.filename))}, line {frame.lineno}"
            raise UserError(f"{operator_and_sample}: {place}: {error!r}") from error
        if mutant is not None and not isinstance(mutant, str):
            raise UserError(f"{operator_and_sample}: returned {mutant!r}. Return a text, or None if it doesn't apply")
        return mutant

    return damage
