"""The input and output of every metric: a sample with an answer in, scores or a reason out."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec


class Sample(Protocol):
    """The part of a sample that a metric sees: an input with its references."""

    @property
    def id(self) -> str:
        """The sample's id in its data set."""

    @property
    def input(self) -> str:
        """The text that the model was asked about."""

    @property
    def references(self) -> tuple[str, ...]:
        """The texts that a good answer is like; at least one."""

    @property
    def columns(self) -> Mapping[str, Any]:
        """Further columns of the data set that the suite names."""


class CallFacts(msgspec.Struct, frozen=True):
    """What is known of the call that gave an answer, besides its text."""

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
