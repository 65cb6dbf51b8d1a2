"""The operators by name: built-in ones, and a user's own by `module:function`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from evaltape.errors import UserError
from evaltape.metrics.functions import UserFunction, load_function
from evaltape.metrics.scorers import FunctionError
from evaltape.mutation import harmful, harmless
from evaltape.mutation.harmful import Answers
from evaltape.names import nearest, shown

if TYPE_CHECKING:
    from evaltape.samples.sample import Sample

SEED = 42


class Mutant(msgspec.Struct, frozen=True):
    """A text beside its damaged copy."""

    sample: str
    """The sample's id."""
    before: str
    """The recorded answer, or the reference."""
    after: str
    """The damaged copy."""


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
        """Return the mutant of an answer, or None if the operator doesn't apply to it or changes nothing.

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
"""The operators of a suite that doesn't name them, in the order they are shown."""


def load_operators(names: Iterable[str] | None, suite_file: Path, root: Path, place: str = "") -> list[Operator]:
    """Return the operators of these names, in their order; for None all that are built in.

    `place` names the key in messages; by default `[mutants] operators`.

    Functions of the user's are imported from below `root` or from installed packages. Raises `UserError` for a name that is
    neither built in nor the `module:function` of something that can be called with sample, answer and random.
    """
    place = place or f"{shown(suite_file)}: [mutants] operators"
    return list(BUILT_IN.values()) if names is None else [_load(name, place, root) for name in names]


def _load(name: str, place: str, root: Path) -> Operator:
    if name in BUILT_IN:
        return BUILT_IN[name]
    key = f"{place}: {name!r}"
    if ":" not in name:
        raise UserError(
            f"{key} is not an operator.{nearest(name, BUILT_IN)} Built in: {', '.join(BUILT_IN)}. "
            'One of your own is "module:function", a function of (sample, answer, random)'
        )
    function = load_function(name, root, ("sample", "answer", "random"), key)
    return Operator(name, bool(getattr(function.function, "harmful", True)), _checked(function))


def _checked(function: UserFunction) -> Damage:
    """Wrap a user's function: its errors, and results that aren't a text or None, become a `UserError`."""

    def damage(sample: "Sample", answer: str, random: Random) -> str | None:
        try:
            mutant: Any = function.call(sample, answer, random)
            if mutant is not None and not isinstance(mutant, str):
                raise function.wrong(mutant, "neither a text nor None, which says that it doesn't apply")
        except FunctionError as error:
            raise UserError(f"[mutants] operators, sample {sample.id!r}: {error}") from None
        return mutant

    return damage
