"""The operators: each damages a text in a known way, or changes it harmlessly; built in, or a user's own `module:function`.

An operator takes a sample, a model's answer to it and a seeded `random.Random`, and returns the damaged answer, or None if it
doesn't apply. `other_name` and `other_sample` also take all answers of the model, with their samples.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from typing import TypeVar

import msgspec

from evaltape.errors import UserError
from evaltape.metrics.functions import UserFunction, load_function
from evaltape.metrics.rouge import lead
from evaltape.metrics.scorers import FunctionError
from evaltape.mutation.texts import mentioned, negated, renamed, same_in_any_order, speakers, with_wrong_number, without_spaces
from evaltape.names import nearest
from evaltape.samples.sample import Sample

SEED = 42
REFUSAL = "I'm sorry, but I can't help with that."
STRANGERS = ("Robin", "Alex", "Kim", "Sasha", "Toni")
"""Names for a suite without speakers in other samples."""
PREAMBLE = "Here is a summary:"
_QUOTES = ("“”", '""', "„“", "«»", "「」")

Answers = Sequence[tuple[Sample, str]]
"""All answers of a model, with their samples."""
Damage = Callable[[Sample, str, Random], str | None]
"""A function of a sample, a model's answer to it and a seeded source of chance, to the damaged answer or None."""
Function = TypeVar("Function", bound=Damage)


class Mutant(msgspec.Struct, frozen=True):
    """A text beside its damaged copy."""

    sample: str
    """The sample's id."""
    before: str
    """The recorded answer, or the reference."""
    after: str
    """The damaged copy."""


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


class Operator(msgspec.Struct, frozen=True):
    """A way to change an answer."""

    name: str
    """As in `[mutants] operators`, in tables and results."""
    harmful: bool
    """Whether a gate should notice it."""
    function: Callable[..., str | None]
    """A `Damage`; with `from_others` it takes all answers as a fourth argument."""
    from_others: bool = False

    def apply(self, sample: Sample, answer: str, answers: Answers) -> str | None:
        """Return the mutant of an answer, or None if the operator doesn't apply to it or changes nothing.

        Chance depends on the operator and the sample alone, so the same recordings give the same mutants. Raises `UserError`
        for a user's function that raises or returns something else.
        """
        random = Random(f"{SEED}/{self.name}/{sample.id}")
        more = (answers,) if self.from_others else ()
        mutant = self.function(sample, answer, random, *more)
        return None if mutant == answer else mutant

    def texts(self, answers: Answers) -> list[str | None]:
        """Return the mutant of each answer; None where the operator doesn't apply."""
        return [self.apply(sample, answer, answers) for sample, answer in answers]


# ---------------------------------------------------------------- harmful operators


def swap_names(sample: Sample, answer: str, random: Random) -> str | None:
    """Swap the names of two speakers that the answer mentions: every word is still there, but who did what is wrong.

    Doesn't apply to a list of names: `Ann and Bob met` and `Bob and Ann met` say the same.
    """
    names = mentioned(answer, speakers(sample.input))
    pairs = list(combinations(names, 2))
    for one, other in random.sample(pairs, len(pairs)):
        swapped = renamed(answer, {one: other, other: one})
        if not same_in_any_order(answer, swapped, names):
            return swapped
    return None


def other_name(sample: Sample, answer: str, random: Random, answers: Answers) -> str | None:
    """Replace a speaker's name by a name that is neither in the sample nor in the answer: another sample's speaker's."""
    names = mentioned(answer, speakers(sample.input))
    if not names:
        return None
    known = f"{sample.input}\n{answer}".casefold()
    elsewhere = (name for other, _ in random.sample(answers, len(answers)) for name in speakers(other.input))
    stranger = next((name for name in (*elsewhere, *STRANGERS) if name.casefold() not in known), None)
    return renamed(answer, {random.choice(names): stranger}) if stranger else None


def negate(sample: Sample, answer: str, random: Random) -> str | None:
    """Negate the first statement, or take its negation away (English)."""
    return negated(answer, speakers(sample.input))


def wrong_number(sample: Sample, answer: str, random: Random) -> str | None:
    """Change one number, day or time."""
    return with_wrong_number(answer, random)


def drop_half(sample: Sample, answer: str, random: Random) -> str | None:
    """Drop the second half of the words, or of the characters of a text that is written without spaces."""
    words = list(re.finditer(r"\S+", answer))
    if len(words) > 1:
        return answer[: words[(len(words) + 1) // 2 - 1].end()]
    text = answer.strip()
    return text[: (len(text) + 1) // 2] if len(text) > 1 and without_spaces(text[0]) else None


def other_sample(sample: Sample, answer: str, random: Random, answers: Answers) -> str | None:
    """Give the answer to another sample instead."""
    others = [text for _, text in answers if text.strip() != answer.strip()]
    return random.choice(others) if others else None


def first_lines(sample: Sample, answer: str, random: Random) -> str | None:
    """Give the first three lines of the input instead."""
    return lead(sample.input).strip() or None


def refusal(sample: Sample, answer: str, random: Random) -> str | None:
    """Refuse to answer."""
    return REFUSAL


def repeat(sample: Sample, answer: str, random: Random) -> str | None:
    """Say everything twice."""
    return f"{answer.strip()} {answer.strip()}"


# ---------------------------------------------------------------- harmless operators: a good gate leaves them alone


def preamble(sample: Sample, answer: str, random: Random) -> str | None:
    """Begin with "Here is a summary:"."""
    return f"{PREAMBLE}\n\n{answer}"


def whitespace(sample: Sample, answer: str, random: Random) -> str | None:
    """Set words apart by two spaces, and end with a line break; lines stay lines."""
    return re.sub(r"[ \t]+", "  ", answer.rstrip()) + "\n"


def quotes(sample: Sample, answer: str, random: Random) -> str | None:
    """Put the whole answer in quotation marks, or take them away if they are around all of it.

    The marks of `“Yes,” said Ann. “No.”` aren't around the whole.
    """
    text = answer.strip()
    if len(text) > 1 and text[0] + text[-1] in _QUOTES:
        inside = text[1:-1]
        return f"«{text}»" if text[0] in inside or text[-1] in inside else inside
    return f"“{text}”"


def final_stop(sample: Sample, answer: str, random: Random) -> str | None:
    """Drop the full stop at the end, or add a missing one; `!`, `?` and `...` are left as they are."""
    text = answer.rstrip()
    if text[-1:] in (".", "。", "।"):
        return None if text.endswith("..") else text[:-1]
    if unicodedata.category(text[-1:] or " ")[0] not in "LMN":
        return None
    name = unicodedata.name(text[-1], "")
    if name.startswith(("CJK ", "HIRAGANA ", "KATAKANA ")):
        return text + "。"
    return text + ("।" if name.startswith(("DEVANAGARI ", "BENGALI ")) else ".")


_HARMFUL = (swap_names, other_name, negate, wrong_number, drop_half, other_sample, first_lines, refusal, repeat)
_HARMLESS = (preamble, whitespace, quotes, final_stop)
BUILT_IN = {
    each.__name__: Operator(each.__name__, each in _HARMFUL, each, each in (other_name, other_sample))
    for each in (*_HARMFUL, *_HARMLESS)
}
"""The operators of a suite that doesn't name them, in the order they are shown."""


def load_operators(names: Iterable[str] | None, place: str, root: Path) -> list[Operator]:
    """Return the operators of these names, in their order; for None all that are built in.

    `place` names the key in messages. A user's functions are imported from below `root` or from installed packages. Raises
    `UserError` for a name that is neither built in nor the `module:function` of a function of sample, answer and random.
    """
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

    def damage(sample: Sample, answer: str, random: Random) -> str | None:
        try:
            return function.text(sample, answer, random, otherwise="it doesn't apply")
        except FunctionError as error:
            raise UserError(f"[mutants] operators, sample {sample.id!r}: {error}") from None

    return damage
