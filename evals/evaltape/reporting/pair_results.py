"""What a session found out about pairs: a candidate beside a baseline, a model beside its past."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evaltape.reporting.facts import Json
from evaltape.reporting.verdicts import NOT_CHECKED, Verdict

MIN_GAIN, MAX_DROP = "min_gain", "max_drop"


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The mean difference of one metric over pairs of answers to the same samples, and what became of a bound on it."""

    difference: float | None
    """After less before; None if there is no pair."""
    low: float | None
    """The lower end of the interval that the verdict rests on; None if no number can be given."""
    high: float | None
    """Its upper end, likewise."""
    samples: int
    """How many pairs."""
    higher_is_better: bool = True
    """Of the metric."""
    kind: str = ""
    """`min_gain` or `max_drop`; empty without a bound."""
    bound: float | None = None
    """As the suite file states it: by how much the mean has to be better, or may be worse."""
    verdict: Verdict = NOT_CHECKED
    """What became of the bound: also `inconclusive`."""
    passed: bool | None = None
    """What the tests on it said; None if none ran, or if an inconclusive one is skipped."""
    clusters: int | None = None
    """How many clusters the pairs form; None if the suite names no cluster column."""
    remark: str = ""
    """Why it is inconclusive, and what would settle it."""

    @property
    def required(self) -> float | None:
        """The difference that the bound asks for: at least that if higher is better, else at most that."""
        if self.bound is None:
            return None
        better = self.bound if self.kind == MIN_GAIN else -self.bound
        return better if self.higher_is_better else -better

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        clusters = {} if self.clusters is None else {"clusters": self.clusters}
        ends = {"difference": self.difference, "low": self.low, "high": self.high}
        return {**ends, "samples": self.samples, **clusters, "verdict": self.verdict, "passed": self.passed}


@dataclass(frozen=True, slots=True)
class SliceDifference:
    """A comparison on the samples that share a column's value: shown, never asserted."""

    column: str
    """The column."""
    value: str
    """The value, as text."""
    metrics: Mapping[str, PairedDifference]
    """Per metric that the comparison bounds."""


@dataclass(frozen=True, slots=True)
class ComparisonResults:
    """One comparison of two models that the session looked at."""

    name: str
    """Its key in the suite."""
    baseline: str
    """The key of the model that is compared with."""
    candidate: str
    """The key of the model that is judged."""
    confidence: float
    """One-sided."""
    label: str
    """The two-sided confidence of its intervals, such as `90%`."""
    metrics: Mapping[str, PairedDifference]
    """Per metric that it bounds."""
    beside: Mapping[str, PairedDifference] = field(default_factory=dict)
    """The suite's other metrics, shown beside them."""
    slices: tuple[SliceDifference, ...] = ()
    """The same by slice, if the suite names slices."""

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        return {metric: {**each.as_json(), "confidence": self.confidence} for metric, each in self.metrics.items()}


@dataclass(frozen=True, slots=True)
class AgainstModel:
    """One model beside its recording at another commit."""

    metrics: Mapping[str, PairedDifference]
    """Per metric the difference, now less then."""
    added: int = 0
    """Samples that are only there now."""
    dropped: int = 0
    """Samples that were only there then."""
    changed: int = 0
    """Samples whose input or references differ."""
    why: str = ""
    """Why it isn't compared; empty if it is."""

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        counts = {"added": self.added, "dropped": self.dropped, "changed": self.changed}
        return {metric: {**each.as_json(), **counts} for metric, each in self.metrics.items()}


@dataclass(frozen=True, slots=True)
class AgainstPair:
    """A model's answers to one sample, then and now."""

    model: str
    """The model's key."""
    sample: str
    """The sample's id."""
    before: str
    """The answer at the other commit."""
    after: str
    """The answer now."""
    scores: Mapping[str, tuple[float, float]]
    """Per metric that scored both: (before, after)."""


@dataclass(frozen=True, slots=True)
class AgainstResults:
    """The suite's models beside their recordings at another commit."""

    ref: str
    """What `--against` was given."""
    commit: str
    """The commit that was read; empty for a folder."""
    label: str
    """The two-sided confidence of its intervals, such as `90%`."""
    models: Mapping[str, AgainstModel]
    """By key."""
    pairs: tuple[AgainstPair, ...] = ()
    """Every sample that both sides answered, for the report."""
    notes: tuple[str, ...] = ()
    """What a reader should know: models that are new or gone, samples that changed."""

    def as_json(self) -> Json:
        """Return it as the results file holds it."""
        models = {key: model.as_json() for key, model in self.models.items()}
        return {"ref": self.ref, "commit": self.commit, "models": models}
