"""Metrics of a few lines: exact matches, lengths, and recorded numbers of a call."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from evaltape.metrics.scorer import CallFacts, Sample, Unscored, combined, references_of
from evaltape.metrics.tokenizers import unicode_words


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
        """Return the recorded number. Raises `Unscored` without a recorded number, or with an impossible one."""
        value: float | None = getattr(call, self.name)
        if value is None:
            price = " if the model has a price" if self.name == "cost_usd" else ""
            raise Unscored(
                f"{self.name} wasn't recorded with the answer to sample {sample.id}; a new recording holds it{price}"
            )
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
