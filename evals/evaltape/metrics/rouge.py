"""ROUGE by `rouge_score`: the same computation for every model, per sample, F1 in 0..1.

The longest common subsequence of `rougeL` is found by bits, comparing a word with a whole text at once: texts of 4,000
words take milliseconds, where a table of all pairs of words takes seconds. The scores equal rouge_score's to the last digit.

Sources: Lin (2004), ROUGE, as implemented by `rouge_score.rouge_scorer`; H. Hyyrö, Bit-parallel LCS-length computation
revisited, Proc. AWOCA (2004). ROUGE counts common words and runs of words, so it can't tell who did something: two names
swapped in a summary cost it next to nothing.
"""

import importlib.metadata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from evaltape.metrics.scorers import CallFacts, FunctionError, Unscored, combined, references_of
from evaltape.metrics.tokenizers import a_home, stemmed, unicode_words
from evaltape.samples.sample import Sample

if TYPE_CHECKING:
    from evaltape.metrics.functions import UserFunction

LEAD_LINES = 3
LONGEST = "rougeL"
KEPT_TEXTS = 64
"""The texts of which the words are kept: a sample's references meet the answers of several models."""


class RougeScores(msgspec.Struct, frozen=True, dict=True):
    """The scorer of all ROUGE metrics that share a tokenizer: texts are tokenized once for them."""

    metrics: Mapping[str, str]
    """Per metric (`rouge1`, `rougeL`) how several references count: by the `best` of them, or by their `mean`."""
    tokenizer: "str | UserFunction" = "rouge"
    """`rouge`, `unicode`, or a function of the user's from a text to its tokens."""
    stemmer: bool = False

    def score(self, sample: Sample, answer: str, call: CallFacts) -> Mapping[str, float]:
        """Return the F1 of each metric. Raises `Unscored` if the user's tokenizer fails."""
        try:
            scores = [self._against(reference, answer) for reference in references_of(sample)]
        except FunctionError as error:
            raise Unscored(f"{error} (sample {sample.id})") from None
        if len(scores) == 1:
            return scores[0]
        return {name: combined([score[name] for score in scores], references) for name, references in self.metrics.items()}

    def describe(self, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return package and version, tokenizer and stemmer; how references count if it isn't by the best."""
        tokenizer = self.tokenizer if isinstance(self.tokenizer, str) else self.tokenizer.name
        described = {"package": package(), "tokenizer": tokenizer, "stemmer": self.stemmer}
        return described if self.metrics[name] == "best" else {**described, "references": self.metrics[name]}

    def _against(self, reference: str, answer: str) -> dict[str, float]:
        """Return the F1 of each metric beside a single reference."""
        scores = self._rouge.score(reference, answer)
        longest = {LONGEST: self._longest(reference, answer)} if LONGEST in self.metrics else {}
        return {metric: longest[metric] if metric in longest else float(scores[metric].fmeasure) for metric in self.metrics}

    def _longest(self, reference: str, answer: str) -> float:
        from rouge_score.scoring import fmeasure

        wanted, found = self._words(reference), self._words(answer)
        if not wanted or not found:
            return 0.0
        common = common_subsequence(wanted, found)
        return float(fmeasure(common / len(found), common / len(wanted)))

    @cached_property
    def _rouge(self) -> Any:
        with a_home():
            from rouge_score.rouge_scorer import RougeScorer

        return RougeScorer([metric for metric in self.metrics if metric != LONGEST], tokenizer=_Tokenizer(self._words))

    @cached_property
    def _words(self) -> Callable[[str], list[str]]:
        return lru_cache(KEPT_TEXTS)(self._split)

    @cached_property
    def _split(self) -> Callable[[str], list[str]]:
        """The function from a text to its words."""
        if not isinstance(self.tokenizer, str):
            return self.tokenizer.words
        if self.tokenizer == "unicode":
            return (lambda text: stemmed(unicode_words(text))) if self.stemmer else unicode_words
        with a_home():
            from rouge_score.tokenizers import DefaultTokenizer

        words: Callable[[str], list[str]] = DefaultTokenizer(self.stemmer).tokenize
        return words


class _Tokenizer(msgspec.Struct, frozen=True):
    """A tokenizer as rouge_score takes it."""

    tokenize: Callable[[str], list[str]]


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
