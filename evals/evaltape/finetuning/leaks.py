"""Training rows that repeat, and training rows that are also evaluated.

Texts are compared by their words alone, in lower case and one Unicode form. Two texts are the same where their words
are; they are near where at least half of the word 5-grams of the shorter one are also in the other.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

NGRAM = 5
NEAR = 0.5
"""The least share of the shorter text's word 5-grams that makes two texts near each other."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A training row and the row it overlaps with; `share` of 5-grams, 1.0 where the texts are the same."""

    row: str
    other: str
    share: float

    @property
    def exact(self) -> bool:
        """Whether the two texts are the same."""
        return self.share == 1.0

    def __str__(self) -> str:
        return f"{self.row} {'is' if self.exact else f'shares {self.share:.0%} with'} {self.other}"


def duplicates(training: Mapping[str, str]) -> list[Overlap]:
    """Training rows that say what an earlier one says, by id."""
    first: dict[tuple[str, ...], str] = {}
    found = []
    for row, text in training.items():
        other = first.setdefault(_words(text), row)
        if other != row:
            found.append(Overlap(row, other, 1.0))
    return found


def leaks(training: Mapping[str, str], evaluated: Mapping[str, str]) -> list[Overlap]:
    """For each training row that leaks, the evaluated row that it is or is nearest to. Both map ids to texts."""
    words = {row: _words(text) for row, text in evaluated.items()}
    same = {text: row for row, text in reversed(words.items())}
    grams = {row: set(_grams(text)) for row, text in words.items()}
    index: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row, its_grams in grams.items():
        for gram in its_grams:
            index[gram].append(row)
    found = []
    for row, text in training.items():
        mine = _words(text)
        overlap = Overlap(row, same[mine], 1.0) if mine in same else _nearest(row, set(_grams(mine)), grams, index)
        if overlap is not None:
            found.append(overlap)
    return found


def _nearest(
    row: str,
    mine: set[tuple[str, ...]],
    grams: Mapping[str, set[tuple[str, ...]]],
    index: Mapping[tuple[str, ...], list[str]],
) -> Overlap | None:
    shared = Counter(other for gram in mine for other in index.get(gram, ()))
    shares = [(count / min(len(mine), len(grams[other])), other) for other, count in shared.items()]
    share, other = max(shares, default=(0.0, ""))
    return Overlap(row, other, min(share, 0.999)) if share >= NEAR else None


def _words(text: str) -> tuple[str, ...]:
    normal = unicodedata.normalize("NFKC", text).casefold()
    # Two texts of emoji alone are not the same for want of words.
    return tuple(re.findall(r"\w+", normal)) or (normal.strip(),)


def _grams(words: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(NGRAM)), strict=False)
