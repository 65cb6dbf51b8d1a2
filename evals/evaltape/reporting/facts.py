"""What results are made of: metrics, means, gates, slices, noise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evaltape.reporting.verdicts import Verdict, verdict_on

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """A metric, as far as a reader of its scores needs it."""

    name: str
    """Its key under `[metrics]`."""
    description: Mapping[str, Any] = field(default_factory=dict)
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


@dataclass(frozen=True, slots=True)
class MeanScore:
    """A mean with its two-sided 95% interval."""

    mean: float
    """The plain mean of the scored samples, exact."""
    low: float | None
    """The lower end; None if no number can be given."""
    high: float | None
    """The upper end; None if no number can be given."""
    scored: int
    """How many samples it is the mean of."""
    clusters: int | None = None
    """How many clusters the samples form; None if the suite names no cluster column."""

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        clusters = {} if self.clusters is None else {"clusters": self.clusters}
        return {"mean": self.mean, "low": self.low, "high": self.high, "scored": self.scored, **clusters}


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on a mean, and what became of it."""

    threshold: float
    """As the suite file states it: the least mean that passes, or the greatest if lower is better."""
    passed: bool | None
    """What the tests on it said; None if none of them ran to its end."""

    @property
    def verdict(self) -> Verdict:
        """`passed`, `failed` or `not checked`."""
        return verdict_on(self.passed)

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        return {"threshold": self.threshold, "verdict": self.verdict, "passed": self.passed}


@dataclass(frozen=True, slots=True)
class Slice:
    """The samples that share a column's value."""

    column: str
    """The column."""
    value: str
    """The value, as text."""
    samples: int
    """How many samples have it, failed ones included."""
    failed: int
    """How many of them failed."""
    scores: Mapping[str, MeanScore]
    """Per metric that scored one of them."""
    is_gated: bool
    """Whether there are as many as `slice_min`; smaller slices are shown only."""
    missed: tuple[str, ...] = ()
    """The metrics whose slice gate it misses; empty for one that isn't gated."""

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        return {"samples": self.samples, "failed": self.failed, "gated": self.is_gated, "scores": json_of(self.scores)}


@dataclass(frozen=True, slots=True)
class NoiseFacts:
    """How far a model's mean moves when it is asked the same samples again, from recorded repeats."""

    runs: int
    """How often a sample was answered, at most."""
    samples: int
    """How many samples were answered repeatedly."""
    of: int
    """How many samples were answered."""
    mean: float
    """The mean over all answers."""
    sd: float
    """The standard deviation of the mean of one run."""
    smallest_drop: float | None
    """The change from one recording to the next that is more than noise; None if too few samples were repeated."""
    gate_1_in_100: float | None
    """The gate that a new recording of the unchanged model fails once in 100 times; None likewise."""
    chance_to_fail_gate: float | None = None
    """How likely a new recording of the unchanged model fails the suite's gate; None without a gate, or likewise."""
    gate_inside_noise: bool | None = None
    """Whether chance decides on that gate."""

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return facts if self.gate_inside_noise is not None else {key: facts[key] for key in list(facts)[:-2]}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A model's scores beside those that were accepted before, in its snapshot."""

    passed: bool | None
    """What the test of the snapshot said; None if it didn't run to its end."""
    changes: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
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


@dataclass(frozen=True, slots=True)
class Unfinished:
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
