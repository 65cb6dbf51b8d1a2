"""ROUGE by `rouge_score`: one computation for every model, per sample, F1 in 0..1.

Source: Lin (2004), ROUGE, as implemented by `rouge_score.rouge_scorer`. It counts common words and runs of words, so it
doesn't see who did what: two names swapped in a summary cost it next to nothing.
"""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evaltape.scoring.scorer import CallFacts, FunctionError, Sample, Unscored, combined, references_of
from evaltape.scoring.tokenizers import stemmed, unicode_words

if TYPE_CHECKING:
    from evaltape.scoring.functions import UserFunction

LEAD_LINES = 3


@dataclass(frozen=True)
class RougeScores:
    """The scorer of all ROUGE metrics that share a tokenizer: texts are tokenized once for them."""

    metrics: Mapping[str, str]
    """Per metric (`rouge1`, `rougeL`) how several references count: by the `best` of them, or by their `mean`."""
    tokenizer: "str | UserFunction" = "rouge"
    """`rouge`, `unicode`, or a function of the user's from a text to its tokens."""
    stemmer: bool = False

    def score(self, sample: Sample, answer: str, call: CallFacts) -> Mapping[str, float]:
        """Return the F1 of each metric. Raises `Unscored` if the user's tokenizer fails."""
        try:
            scores = [self._rouge.score(reference, answer) for reference in references_of(sample)]
        except FunctionError as error:
            raise Unscored(f"{error} (sample {sample.id})") from None
        if len(scores) == 1:
            return {metric: float(scores[0][metric].fmeasure) for metric in self.metrics}
        return {
            metric: combined([float(score[metric].fmeasure) for score in scores], references)
            for metric, references in self.metrics.items()
        }

    def describe(self, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return package and version, tokenizer and stemmer; how references count if it isn't by the best."""
        tokenizer = self.tokenizer if isinstance(self.tokenizer, str) else self.tokenizer.name
        described = {"package": package(), "tokenizer": tokenizer, "stemmer": self.stemmer}
        return described if self.metrics[name] == "best" else {**described, "references": self.metrics[name]}

    @cached_property
    def _rouge(self) -> Any:
        from rouge_score.rouge_scorer import RougeScorer

        tokenizer = None if self.tokenizer == "rouge" else _Tokenizer(self._tokens)
        return RougeScorer(list(self.metrics), use_stemmer=self.stemmer, tokenizer=tokenizer)

    def _tokens(self, text: str) -> list[str]:
        if not isinstance(self.tokenizer, str):
            return self.tokenizer.words(text)
        return stemmed(unicode_words(text)) if self.stemmer else unicode_words(text)


@dataclass(frozen=True)
class _Tokenizer:
    """A tokenizer as rouge_score takes it."""

    tokenize: Callable[[str], list[str]]


def package() -> str:
    """Return name and version of the package that computes the scores."""
    return f"rouge_score {importlib.metadata.version('rouge_score')}"


def lead(text: str) -> str:
    """Return the first three lines of the input: the classic summary that costs nothing and that a model has to beat."""
    return "\n".join(text.splitlines()[:LEAD_LINES])
