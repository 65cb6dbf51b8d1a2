"""What results are made of: metrics, means, gates, slices, noise."""

from collections.abc import Mapping
from typing import Any

import msgspec

from evaltape.reporting.verdicts import verdict_on
from evaltape.scoring.bounds import Verdict
from evaltape.scoring.statistics import Interval


class MetricFacts(msgspec.Struct, frozen=True):
    """A metric, as far as a reader of its scores needs it."""

    name: str
    """Its key under `[metrics]`."""
    description: Mapping[str, Any] = {}
    """What its scores depend on, for the results file: package, tokenizer, settings."""
    higher_is_better: bool = True
    """Whether a gate is the least mean that passes; otherwise the greatest."""
    bounds: tuple[float | None, float | None] = (0.0, 1.0)
    """The least and the greatest score; None for no limit."""
    unit: str = ""
    """What a score counts: `words`, `s`, `USD`; empty for a pure number."""
    decimals: int = 4
    """How many a reader is shown."""
    is_named: bool = True
    """Whether the suite names it; if not, it is shown beside the named metrics."""


class Slice(msgspec.Struct, frozen=True):
    """The samples that share a column's value."""

    column: str
    """The column."""
    value: str
    """The value, as text."""
    samples: int
    """How many samples have it, failed ones included."""
    failed: int
    """How many of them failed."""
    scores: Mapping[str, Interval]
    """Per metric that scored any of them."""
    is_gated: bool
    """Whether there are as many as `slice_min`; smaller slices are shown only."""
    verdicts: Mapping[str, Verdict] = {}
    """Per metric of `slice_gates` its decision; empty for a slice that isn't gated."""


class Accepted(msgspec.Struct, frozen=True):
    """A model's scores beside the accepted scores of its snapshot."""

    passed: bool | None
    """What the test of the snapshot said; None if it didn't run to its end."""
    changes: Mapping[str, tuple[float | None, float | None]] = {}
    """What differs, as (accepted, now); None for anything that isn't there."""
    exists: bool = True
    """Whether scores were accepted before."""
    test: str = ""
    """The test's id."""
    is_update: bool = False
    """Whether this session accepted its own."""

    @property
    def verdict(self) -> Verdict:
        """`passed`, `failed` or `not checked`."""
        return verdict_on(self.passed)

    @property
    def both(self) -> Mapping[str, Mapping[str, float | None]]:
        """The changes by name, each side under its own."""
        return {name: {"accepted": before, "now": now} for name, (before, now) in self.changes.items()}


class Unfinished(msgspec.Struct, frozen=True):
    """A fresh recording of a model that isn't complete."""

    to_come: int
    """How many of its calls are still to be made."""
    selected: int
    """How many calls it consists of."""
