"""What results are made of: metrics, means, gates, slices, noise."""

from collections.abc import Mapping
from typing import Any

import msgspec

from evaltape.reporting.verdicts import verdict_on
from evaltape.scoring.bounds import Decision, Verdict
from evaltape.scoring.noise import Noise
from evaltape.scoring.paired import Difference
from evaltape.scoring.statistics import Interval

Json = dict[str, Any]


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
    """Whether the suite names it; if not, it is shown beside those that are."""


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
    """Per metric that scored one of them."""
    is_gated: bool
    """Whether there are as many as `slice_min`; smaller slices are shown only."""
    verdicts: Mapping[str, Verdict] = {}
    """Per metric of `slice_gates` what became of it; empty for one that isn't gated."""

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        return {"samples": self.samples, "failed": self.failed, "gated": self.is_gated, "scores": means_json(self.scores)}


class Accepted(msgspec.Struct, frozen=True):
    """A model's scores beside those that were accepted before, in its snapshot."""

    passed: bool | None
    """What the test of the snapshot said; None if it didn't run to its end."""
    changes: Mapping[str, tuple[float | None, float | None]] = {}
    """What differs, as (accepted, now); None for what isn't there."""
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

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        changes = {name: {"accepted": before, "now": now} for name, (before, now) in self.changes.items()}
        return {"verdict": self.verdict, "passed": self.passed, "changes": changes}


class Unfinished(msgspec.Struct, frozen=True):
    """A fresh recording of a model that isn't complete."""

    to_come: int
    """How many of its calls are still to be made."""
    selected: int
    """How many calls it consists of."""

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        return {"to_come": self.to_come, "selected": self.selected}


def json_of(table: Mapping[str, Any]) -> Json:
    """Return a table of facts as the results file holds it."""
    return {key: value.as_json() for key, value in table.items()}


def means_json(means: Mapping[str, Interval]) -> Json:
    """Return means by metric as the results file holds them."""
    return {metric: mean_json(mean) for metric, mean in means.items()}


def mean_json(found: Interval) -> Json:
    """Return a mean with its interval as the results file holds it."""
    clusters = {} if found.clusters is None else {"clusters": found.clusters}
    return {"mean": found.mean, "low": found.low, "high": found.high, "scored": found.samples, **clusters}


def gate_json(gate: Decision) -> Json:
    """Return what became of a gate as the results file holds it."""
    return {"threshold": gate.bound.limit, "verdict": gate.verdict, "passed": gate.outcome}


def difference_json(found: Difference | None) -> Json:
    """Return a mean difference with its interval as the results file holds it; None: there is no pair."""
    if found is None:
        return {"difference": None, "low": None, "high": None, "samples": 0}
    clusters = {} if found.clusters is None else {"clusters": found.clusters}
    return {"difference": found.mean, "low": found.low, "high": found.high, "samples": found.samples, **clusters}


def compared_json(decision: Decision) -> Json:
    """Return what became of a bound on a difference as the results file holds it."""
    return {**difference_json(decision.difference), "verdict": decision.verdict, "passed": decision.outcome}


def noise_json(noise: Noise, gate: float | None) -> Json:
    """Return the noise of a mean as the results file holds it; `gate` is the suite's, if it sets one."""
    names = ("runs", "samples", "of", "mean", "sd", "smallest_drop")
    facts = {**{name: getattr(noise, name) for name in names}, "gate_1_in_100": noise.gate}
    if gate is None:
        return facts
    return {**facts, "chance_to_fail_gate": noise.chance_to_fail(gate), "gate_inside_noise": noise.holds_inside(gate)}
