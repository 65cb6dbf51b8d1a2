"""Operators that harm: each returns a text that says something wrong, too little, or nothing of use.

Each takes a sample, a model's answer to it and a seeded `random.Random`, and returns the damaged answer, or None if it
doesn't apply. `other_name` and `other_sample` also take all the model's answers, with their samples.
"""

import re
from collections.abc import Sequence
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING

from evaltape.metrics.rouge import lead
from evaltape.mutation.negation import negated
from evaltape.mutation.numbers import with_wrong_number
from evaltape.mutation.speakers import mentioned, renamed, same_in_any_order, speakers, without_spaces

if TYPE_CHECKING:
    from evaltape.samples.sample import Sample

Answers = Sequence[tuple["Sample", str]]

REFUSAL = "I'm sorry, but I can't help with that."
STRANGERS = ("Robin", "Alex", "Kim", "Sasha", "Toni")
"""Names for a suite without speakers in other samples."""


def swap_names(sample: "Sample", answer: str, random: Random) -> str | None:
    """Swap the names of two speakers that the answer mentions: every word is still there, but who did what is wrong.

    Doesn't apply if that changes no more than the order in a list of names: `Ann and Bob met` says what `Bob and Ann met` does.
    """
    names = mentioned(answer, speakers(sample.input))
    pairs = list(combinations(names, 2))
    for one, other in random.sample(pairs, len(pairs)):
        swapped = renamed(answer, {one: other, other: one})
        if not same_in_any_order(answer, swapped, names):
            return swapped
    return None


def other_name(sample: "Sample", answer: str, random: Random, answers: Answers) -> str | None:
    """Replace a speaker's name by a name that is neither in the sample nor in the answer: another sample's speaker's."""
    names = mentioned(answer, speakers(sample.input))
    if not names:
        return None
    known = f"{sample.input}\n{answer}".casefold()
    elsewhere = (name for other, _ in random.sample(answers, len(answers)) for name in speakers(other.input))
    stranger = next((name for name in (*elsewhere, *STRANGERS) if name.casefold() not in known), None)
    return renamed(answer, {random.choice(names): stranger}) if stranger else None


def negate(sample: "Sample", answer: str, random: Random) -> str | None:
    """Negate the first statement, or take its negation away (English)."""
    return negated(answer, speakers(sample.input))


def wrong_number(sample: "Sample", answer: str, random: Random) -> str | None:
    """Change one number, day or time."""
    return with_wrong_number(answer, random)


def drop_half(sample: "Sample", answer: str, random: Random) -> str | None:
    """Drop the second half of the words, or of the characters of a text that is written without spaces."""
    words = list(re.finditer(r"\S+", answer))
    if len(words) > 1:
        return answer[: words[(len(words) + 1) // 2 - 1].end()]
    text = answer.strip()
    return text[: (len(text) + 1) // 2] if len(text) > 1 and without_spaces(text[0]) else None


def other_sample(sample: "Sample", answer: str, random: Random, answers: Answers) -> str | None:
    """Give the answer to another sample instead."""
    others = [text for _, text in answers if text.strip() != answer.strip()]
    return random.choice(others) if others else None


def first_lines(sample: "Sample", answer: str, random: Random) -> str | None:
    """Give the first three lines of the input instead."""
    return lead(sample.input).strip() or None


def refusal(sample: "Sample", answer: str, random: Random) -> str | None:
    """Refuse to answer."""
    return REFUSAL


def repeat(sample: "Sample", answer: str, random: Random) -> str | None:
    """Say everything twice."""
    return f"{answer.strip()} {answer.strip()}"
