"""Scorers: a sample with an answer in, a score or a reason out; all but ROUGE, and the limits of scores.

Sources: Popović (2015), chrF; Papineni et al. (2002), BLEU; Post (2018), sacreBLEU and its signatures. BLEU of a single
sentence needs smoothing (`exp`, sacrebleu's default) and the effective order, as sacrebleu advises.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from evaltape.metrics.tokenizers import unicode_words
from evaltape.samples.sample import Answer, Sample

Score = Callable[[Sample, Answer], float]
"""A function of a sample and an answer to a finite score. Raises `Unscored`, or `FunctionError`."""


class Unscored(Exception):
    """A metric can't score this sample; the message is the reason, fit to be shown."""


class FunctionError(Exception):
    """A user's function raised, or returned a wrong value; the message starts with file and line."""


def combined(scores: Sequence[float], references: str) -> float:
    """Return the `best` of the scores against each reference, or their `mean`."""
    return max(scores) if references == "best" else sum(scores) / len(scores)


def references_of(sample: Sample) -> tuple[str, ...]:
    """Return the sample's references. Raises `Unscored` without references."""
    if not sample.references:
        raise Unscored(f"sample {sample.id} has no reference to compare with")
    return sample.references


def exact(sample: Sample, answer: Answer, references: str = "best") -> float:
    """Return 1.0 for an answer that is a reference, letter by letter, but for white space around it; otherwise 0.0.

    With `references = "mean"` it is the share of the references that the answer is equal to.
    """
    return combined([float(answer.text.strip() == reference.strip()) for reference in references_of(sample)], references)


def length(sample: Sample, answer: Answer) -> float:
    """Return the number of words, by `tokenizers.unicode_words`."""
    return float(len(unicode_words(answer.text)))


def recorded(sample: Sample, answer: Answer, name: str) -> float:
    """Return a recorded number of the call: `latency_s` or `cost_usd`. Raises `Unscored` for a missing or impossible number."""
    value: float | None = getattr(answer, name)
    if value is None:
        held = "a new recording holds it" + (" if the model has a price" if name == "cost_usd" else "")
        raise Unscored(f"{name} wasn't recorded with the answer to sample {sample.id}; {held}")
    if not 0 <= value < math.inf:
        raise Unscored(f"{name} was recorded as {value!r} for sample {sample.id}, which it can't be")
    return float(value)


def judged(sample: Sample, answer: Answer) -> float:
    """Raise `Unscored`: verdicts are recorded, and the workspace reads them; a text by itself has no verdict."""
    raise Unscored("not judged: no judge has been asked about this text")


def sacrebleu_score(sample: Sample, answer: Answer, name: str, references: str) -> float:
    """Return the sentence score of an answer by `chrf` or `bleu`, in 0..1.

    Several references are given to sacrebleu together (chrF takes the nearest, BLEU n-grams of all of them), or singly for
    their mean.
    """
    texts = references_of(sample)
    together = [texts] if references == "best" else [(text,) for text in texts]
    scores = [_kept_metric(name).sentence_score(answer.text, list(each)).score / 100 for each in together]
    return min(1.0, combined(scores, references))  # sacrebleu's 100 can be 100.00000000000004


def sacrebleu_settings(samples: Sequence[Sample], name: str, references: str) -> dict[str, Any]:
    """Return sacrebleu's version and signature, with `nrefs` as the number of the samples' references or `var`."""
    import sacrebleu

    counts = {1} if references == "mean" else {len(sample.references) for sample in samples}
    metric = _sacrebleu_metric(name)
    metric.num_refs = counts.pop() if len(counts) == 1 else -1
    return {"package": f"sacrebleu {sacrebleu.__version__}", "signature": str(metric.get_signature())}


def _sacrebleu_metric(name: str) -> Any:
    from sacrebleu.metrics import BLEU, CHRF

    return CHRF() if name == "chrf" else BLEU(effective_order=True)


_kept_metric = cache(_sacrebleu_metric)


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


def decimals_apart(value: float, other: float, decimals: int, most: int = MOST_DECIMALS) -> int:
    """Return how many decimals tell two numbers apart: `decimals`, or more.

    >>> decimals_apart(0.3799996, 0.38, 4)
    7
    """
    while decimals < most and round(value, decimals) == round(other, decimals):
        decimals += 1
    return decimals
