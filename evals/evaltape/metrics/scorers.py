"""Scorers: a sample with an answer in, scores or a reason out; all but ROUGE, and the limits of scores.

Sources: Popović (2015), chrF; Papineni et al. (2002), BLEU; Post (2018), sacreBLEU and its signatures. BLEU of a single
sentence needs smoothing (`exp`, sacrebleu's default) and the effective order, as sacrebleu advises.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import msgspec

from evaltape.metrics.tokenizers import unicode_words
from evaltape.samples.sample import Sample


class CallFacts(msgspec.Struct, frozen=True):
    """The recorded numbers of the call that gave an answer."""

    latency_s: float | None = None
    """From the request to the whole answer, in seconds; None if it wasn't recorded."""
    cost_usd: float | None = None
    """The call's price in USD; None if it wasn't recorded."""


class Unscored(Exception):
    """A metric can't score this sample; the message is the reason, fit to be shown."""


class FunctionError(Exception):
    """A user's function raised, or returned a wrong value; the message starts with file and line."""


class Scorer(Protocol):
    """Computes the scores of a metric, or of several that share their work."""

    def score(self, sample: Sample, answer: str, call: CallFacts) -> Mapping[str, float]:
        """Return the score of each of its metrics by name. Raises `Unscored`."""

    def describe(self, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return the grounds of the scores of the metric `name`: package, version, tokenizer, settings."""


def combined(scores: Sequence[float], references: str) -> float:
    """Return the `best` of the scores against each reference, or their `mean`."""
    return max(scores) if references == "best" else sum(scores) / len(scores)


def references_of(sample: Sample) -> tuple[str, ...]:
    """Return the sample's references. Raises `Unscored` without references."""
    if not sample.references:
        raise Unscored(f"sample {sample.id} has no reference to compare with")
    return sample.references


MOST_DECIMALS = 15
Limits = tuple[float | None, float | None]
"""The least and the greatest score; None for no such limit."""

UNLIMITED: Limits = (None, None)


def is_within(value: float, limits: Limits) -> bool:
    """Return whether a value lies between the limits, ends included."""
    low, high = limits
    return (low is None or low <= value) and (high is None or value <= high)


def spelled(limits: Limits) -> str:
    """Return the limits in words: `between 0 and 1`, `0 or more`, `1 or less`, `any number`."""
    low, high = limits
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    if low is not None:
        return f"{low:g} or more"
    return "any number" if high is None else f"{high:g} or less"


def span_of(limits: Limits) -> float | None:
    """Return the largest difference of two scores; None if it is unlimited."""
    low, high = limits
    return None if low is None or high is None else high - low


def misses(value: float, bound: float, higher_is_better: bool = True) -> bool:
    """Return whether a value lies beyond a bound, on the worse side."""
    return value < bound if higher_is_better else value > bound


def decimals_apart(value: float, bound: float, decimals: int, higher_is_better: bool = True) -> int:
    """Return how many decimals tell a value from a bound that it misses: `decimals`, or more.

    >>> decimals_apart(0.3799996, 0.38, 4)
    7
    """
    if misses(value, bound, higher_is_better):
        while decimals < MOST_DECIMALS and not misses(round(value, decimals), round(bound, decimals), higher_is_better):
            decimals += 1
    return decimals


class Exact(msgspec.Struct, frozen=True):
    """The scorer of `exact`: 1 for an answer that is a reference, letter by letter, but for white space around it."""

    references: str = "best"

    def score(self, sample: Sample, answer: str, call: CallFacts) -> Mapping[str, float]:
        """Return 1.0 or 0.0; with `references = "mean"`, the share of the references that the answer is equal to."""
        equal = [float(answer.strip() == reference.strip()) for reference in references_of(sample)]
        return {"exact": combined(equal, self.references)}

    def describe(self, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return how references count if it isn't by the best."""
        return {} if self.references == "best" else {"references": self.references}


class Words(msgspec.Struct, frozen=True):
    """The scorer of `words`: the length of the answer, by `tokenizers.unicode_words`."""

    def score(self, sample: Sample, answer: str, call: CallFacts) -> Mapping[str, float]:
        """Return the number of words."""
        return {"words": float(len(unicode_words(answer)))}

    def describe(self, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return the tokenizer that words are counted by."""
        return {"tokenizer": "unicode"}


class Recorded(msgspec.Struct, frozen=True):
    """The scorer of `latency_s` and `cost_usd`: recorded numbers of the call that gave the answer."""

    name: str
    """A field of `CallFacts`."""

    def score(self, sample: Sample, answer: str, call: CallFacts) -> Mapping[str, float]:
        """Return the recorded number. Raises `Unscored` for a missing or an impossible number."""
        value: float | None = getattr(call, self.name)
        if value is None:
            held = "a new recording holds it" + (" if the model has a price" if self.name == "cost_usd" else "")
            raise Unscored(f"{self.name} wasn't recorded with the answer to sample {sample.id}; {held}")
        if not 0 <= value < math.inf:
            raise Unscored(f"{self.name} was recorded as {value!r} for sample {sample.id}, which it can't be")
        return {self.name: float(value)}

    def describe(self, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return nothing: a recorded number depends on no setting."""
        return {}


class Judged(msgspec.Struct, frozen=True):
    """The scorer of a judge's metric: verdicts are recorded, and the workspace reads them; nothing is computed here."""

    judge: str
    """The judge's key."""

    def score(self, sample: Sample, answer: str, call: CallFacts) -> Mapping[str, float]:
        """Raise `Unscored`: a text by itself has no verdict."""
        raise Unscored(f"not judged: {self.judge} hasn't been asked about this text")

    def describe(self, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return the judge."""
        return {"judge": self.judge}


class SacrebleuScores(msgspec.Struct, frozen=True, dict=True):
    """The scorer of `chrf` or `bleu`.

    Several references are given to sacrebleu together (chrF takes the nearest, BLEU n-grams of all of them), or singly for
    their mean.
    """

    name: str
    """`chrf` or `bleu`."""
    references: str = "best"
    """`best` or `mean`."""

    def score(self, sample: Sample, answer: str, call: CallFacts) -> Mapping[str, float]:
        """Return the sentence score of the answer in 0..1."""
        references = references_of(sample)
        together = [references] if self.references == "best" else [(reference,) for reference in references]
        scores = [self._metric.sentence_score(answer, list(texts)).score / 100 for texts in together]
        return {self.name: min(1.0, combined(scores, self.references))}  # sacrebleu's 100 can be 100.00000000000004

    def describe(self, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return sacrebleu's version and signature, with `nrefs` as the number of the samples' references or `var`."""
        import sacrebleu

        counts = {1} if self.references == "mean" else {len(sample.references) for sample in samples}
        metric = self._new()
        metric.num_refs = counts.pop() if len(counts) == 1 else -1
        described = {"package": f"sacrebleu {sacrebleu.__version__}", "signature": str(metric.get_signature())}
        return described if self.references == "best" else {**described, "references": self.references}

    @cached_property
    def _metric(self) -> Any:
        return self._new()

    def _new(self) -> Any:
        from sacrebleu.metrics import BLEU, CHRF

        return CHRF() if self.name == "chrf" else BLEU(effective_order=True)
