"""ROUGE by `rouge_score`: the same computation for every model, per sample, F1 in 0..1.

The longest common subsequence of `rougeL` is found by bits, comparing a word with a whole text at once: texts of 4,000
words take milliseconds, where a table of all pairs of words takes seconds. The scores equal rouge_score's to the last digit.

Sources: Lin (2004), ROUGE, as implemented by `rouge_score.rouge_scorer`; H. Hyyrö, Bit-parallel LCS-length computation
revisited, Proc. AWOCA (2004). ROUGE counts common words and runs of words, so it can't tell who did something: two names
swapped in a summary cost it next to nothing.
"""

import importlib.metadata
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from evaltape.metrics.scorers import combined, references_of
from evaltape.metrics.tokenizers import a_home, stemmed, unicode_words
from evaltape.samples.sample import Answer, Sample

if TYPE_CHECKING:
    from evaltape.metrics.functions import UserFunction

LEAD_LINES = 3
LONGEST = "rougeL"
KEPT_TEXTS = 64
"""The texts of which the words are kept: all metrics of a tokenizer meet them, and a sample's references several answers."""

Words = Callable[[str], list[str]]
"""A function from a text to its words. A user's raises `FunctionError`."""


def words_by(tokenizer: "str | UserFunction", stemmer: bool = False) -> Words:
    """Return the function from a text to its words by `rouge`, `unicode` or a function of the user's."""

    @lru_cache(KEPT_TEXTS)
    def words(text: str) -> list[str]:
        if not isinstance(tokenizer, str):
            return tokenizer.words(text)
        if tokenizer == "unicode":
            return stemmed(unicode_words(text)) if stemmer else unicode_words(text)
        found: list[str] = _tokenizer(stemmer).tokenize(text)
        return found

    return words


def rouge(sample: Sample, answer: Answer, name: str, words: Words, references: str = "best") -> float:
    """Return the F1 of a metric as `rouge1` or `rougeL`; several references count by the `best` of them, or by their `mean`."""
    return combined([_f1(name, words, reference, answer.text) for reference in references_of(sample)], references)


def _f1(name: str, words: Words, reference: str, answer: str) -> float:
    if name != LONGEST:
        return float(_scorer(name, words).score(reference, answer)[name].fmeasure)
    wanted, found = words(reference), words(answer)
    common = common_subsequence(wanted, found)
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


@cache
def _tokenizer(stemmer: bool) -> Any:
    with a_home():
        from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(stemmer)


@lru_cache
def _scorer(name: str, words: Words) -> Any:
    with a_home():
        from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([name], tokenizer=SimpleNamespace(tokenize=words))


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of two texts' words.

    >>> common_subsequence("the cat sat".split(), "the dog sat".split())
    2
    """
    places: dict[str, int] = defaultdict(int)
    for place, word in enumerate(one):
        places[word] |= 1 << place
    everything = row = (1 << len(one)) - 1
    for word in other:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & everything
    return len(one) - row.bit_count()


def package() -> str:
    """Return name and version of the package that computes the scores."""
    return f"rouge_score {importlib.metadata.version('rouge_score')}"


def lead(text: str) -> str:
    """Return the first three lines of the input: the classic summary that costs nothing and that a model has to beat."""
    return "\n".join(text.splitlines()[:LEAD_LINES])
