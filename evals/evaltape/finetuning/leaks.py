"""Training rows that repeat, and training rows that are also evaluated.

Texts are compared by their words alone, in lower case and one Unicode form. Two texts are the same if their words are; they
are near if at least half of the shorter one's word 5-grams are also in the other.
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
    """A training row and the row it overlaps with."""

    row: str
    other: str
    share: float
    """The share of the shorter text's 5-grams that the other has, too; 1.0 only if the texts are the same."""

    @property
    def exact(self) -> bool:
        """Whether the two texts are the same."""
        return self.share == 1.0

    def __str__(self) -> str:
        return f"{self.row} {'is' if self.exact else f'shares {self.share:.0%} with'} {self.other}"


def duplicates(training: Mapping[str, str]) -> list[Overlap]:
    """Return the training rows that repeat an earlier row. `training` maps ids to texts."""
    first: dict[tuple[str, ...], str] = {}
    repeated = []
    for row, text in training.items():
        other = first.setdefault(_words(text), row)
        if other != row:
            repeated.append(Overlap(row, other, 1.0))
    return repeated


def leaks(training: Mapping[str, str], evaluated: Mapping[str, str]) -> list[Overlap]:
    """Return for each training row that leaks the evaluated row that it is, or is nearest to. Both map ids to texts."""
    words = {row: _words(text) for row, text in evaluated.items()}
    same = {text: row for row, text in reversed(words.items())}
    grams = {row: set(_grams(text)) for row, text in words.items()}
    index: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row, its_grams in grams.items():
        for gram in its_grams:
            index[gram].append(row)
    leaking = []
    for row, text in training.items():
        own = _words(text)
        overlap = Overlap(row, same[own], 1.0) if own in same else _nearest(row, set(_grams(own)), grams, index)
        if overlap is not None:
            leaking.append(overlap)
    return leaking


def _nearest(
    row: str,
    own: set[tuple[str, ...]],
    grams: Mapping[str, set[tuple[str, ...]]],
    index: Mapping[tuple[str, ...], list[str]],
) -> Overlap | None:
    shared = Counter(other for gram in own for other in index.get(gram, ()))
    shares = [(count / min(len(own), len(grams[other])), other) for other, count in shared.items()]
    share, other = max(shares, default=(0.0, ""))
    return Overlap(row, other, min(share, 0.999)) if share >= NEAR else None


def _words(text: str) -> tuple[str, ...]:
    normal = unicodedata.normalize("NFKC", text).casefold()
    # Two texts of nothing but emoji have no words, and are not the same for that.
    return tuple(re.findall(r"\w+", normal)) or (normal.strip(),)


def _grams(words: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(NGRAM)), strict=False)
