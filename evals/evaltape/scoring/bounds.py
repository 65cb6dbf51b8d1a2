"""The demands of a suite on its metrics: every assertion on scores is a `Bound`, and ends as a `Decision`.

`bounds_of` lists all bounds of a suite. The scores that a bound is about decide it: a gate `ModelScores`, a slice gate
`SliceScores`, a bound on a difference `PairedScores` or `AgainstScores`, a bound of an exam `Examined`. Tests, `--mutate`,
results and every report take these decisions. Unknown is never fine: a bound that the scores don't decide is `inconclusive`,
or `not checked` if there is nothing to decide it by.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, Protocol

import msgspec

from evaltape.metrics.metric import Metric
from evaltape.metrics.scorers import decimals_apart
from evaltape.scoring.paired import ROUNDING, Difference
from evaltape.scoring.statistics import Interval, has_few
from evaltape.suite.definition import Comparison, Model, Suite
from evaltape.text import counted

Kind = Literal["gate", "slice_gate", "min_gain", "max_drop", "against", "min_noticed", "max_alarms", "min_kappa"]
Verdict = Literal["passed", "failed", "inconclusive", "not checked"]

PASSED: Final = "passed"
FAILED: Final = "failed"
INCONCLUSIVE: Final = "inconclusive"
NOT_CHECKED: Final = "not checked"

GATE: Final = "gate"
SLICE_GATE: Final = "slice_gate"
MIN_GAIN: Final = "min_gain"
MAX_DROP: Final = "max_drop"
AGAINST: Final = "against"
MIN_NOTICED: Final = "min_noticed"
MAX_ALARMS: Final = "max_alarms"
MIN_KAPPA: Final = "min_kappa"

CONFIDENCE = 0.95
"""The default, and that of `[against]`: the chance that a bound on a difference that passes is right."""
PASSED_OTHERWISE = "a test on it passed, though the numbers don't"
MANY = 100
"""A comparison that takes this many times the present samples isn't worth a number."""


class Scores(Protocol):
    """Scores that a bound can be decided by."""

    def decide(self, bound: "Bound") -> "Decision":
        """Decide a bound on these scores."""


class Bound(msgspec.Struct, frozen=True):
    """A suite's demand on a metric."""

    kind: Kind
    suite: str
    """The name of the suite."""
    subject: str
    """The key of the model, of the comparison, or of the judge."""
    metric: str
    """The metric; of a judge's exam the operator, or another part of it."""
    limit: float
    """As the suite states it: the mean, or how much better it has to be, or how much worse it may be."""
    confidence: float = CONFIDENCE
    """That of a bound on a difference, for its deciding end alone."""
    inconclusive: str = "fail"
    """The outcome of a test that the scores don't decide: `fail` or `skip`."""

    @property
    def suite_key(self) -> str:
        """The key of the suite file that states it: `gates`, `slice_gates`, `min_gain` or `max_drop`."""
        return {GATE: "gates", SLICE_GATE: "slice_gates", AGAINST: MAX_DROP}.get(self.kind, self.kind)

    @property
    def is_paired(self) -> bool:
        """Whether it is a bound on a difference."""
        return self.kind in (MIN_GAIN, MAX_DROP, AGAINST)

    @property
    def required(self) -> float:
        """The number that a decision's `value` is held against: a mean, or a gain, negative where a drop is allowed."""
        return -self.limit if self.kind in (MAX_DROP, AGAINST) else self.limit

    @property
    def group(self) -> str:
        """Its heading in tables: `gates`, `slices`, the comparison's name, `against`."""
        return {GATE: "gates", SLICE_GATE: "slices", AGAINST: "against"}.get(self.kind, self.subject)

    @property
    def title(self) -> str:
        """As sentences name it within its model: `rougeL`, `slices rougeL`, `tuning-helps rougeL`, `against rougeL`."""
        return self.metric if self.kind == GATE else f"{self.group} {self.metric}"


class Fragility(msgspec.Struct, frozen=True):
    """The fewest samples whose removal turns a verdict."""

    samples: int
    """How many."""
    ids: tuple[str, ...]
    """The first of them."""
    becomes: Verdict
    """The verdict without them."""


class Decision(msgspec.Struct, frozen=True):
    """A bound that was decided. Its `str` is the line that a test asserts with, the number first."""

    bound: Bound
    """The bound that was decided."""
    metric: Metric
    """The bound's metric."""
    verdict: Verdict
    """`passed`, `failed`, `inconclusive` or `not checked`."""
    line: str
    """The numbers beside the bound, in a line."""
    estimate: Interval | None = None
    """The mean, or the mean difference, with its interval; None if no sample was scored, and for slices."""
    value: float | None = None
    """The number that is held against the bound's `required`; None without scores."""
    reason: str = ""
    """The grounds of the verdict, where the numbers alone don't say them."""
    notes: tuple[str, ...] = ()
    """Notes for the user beside it."""
    is_let_open: bool = False
    """Whether a test of the session accepted an inconclusive bound that fails by the suite."""
    fragility: Fragility | None = None
    """The fewest samples that turn the verdict by their removal; None if few don't, and without a report or results."""

    def __str__(self) -> str:
        because = f": {self.remark}" if self.remark and self.remark not in self.line else ""
        return "; ".join(part for part in (f"{self.line}{because}", *self.notes) if part)

    def __repr__(self) -> str:
        return str(self)

    @property
    def passed(self) -> bool:
        """Whether the bound is known to hold."""
        return self.verdict == PASSED

    @property
    def fails(self) -> bool:
        """Whether a test that asserts it fails: an open bound does, too, unless the suite says `inconclusive = "skip"`."""
        return self.verdict == FAILED or (self.verdict == INCONCLUSIVE and self.bound.inconclusive == "fail")

    @property
    def difference(self) -> Difference | None:
        """The mean difference that decided it; None for a bound on a mean, and without a pair."""
        return self.estimate if isinstance(self.estimate, Difference) else None

    @property
    def outcome(self) -> bool | None:
        """True or False as results say it; None where it is open or not checked."""
        return True if self.passed else False if self.fails and not self.is_let_open else None

    @property
    def required_difference(self) -> float:
        """The difference that a paired bound asks for: at least that if higher is better, else at most that."""
        return self.bound.required if self.metric.higher_is_better else -self.bound.required

    @property
    def at_least(self) -> bool:
        """Whether `required` is the least that passes, as it is of every gain; otherwise the most."""
        return self.bound.is_paired or self.metric.higher_is_better

    @property
    def what_settles(self) -> str:
        """How many samples would settle an inconclusive difference; empty for anything else."""
        found = self.difference
        if self.verdict != INCONCLUSIVE or found is None:
            return ""
        needed = found.gain(self.metric.higher_is_better).pairs_to_settle(self.bound.required)
        decide, decimals = found.smallest_decided(), self.metric.decimals
        far = "" if decide is None else f" ({found.samples:,} decide a change that is {decide:.{decimals}f} off the bound)"
        return f"{so_many(needed, found.samples)} would settle it{far}"

    @property
    def remark(self) -> str:
        """Why the scores don't decide it, or the grounds of the verdict; and how many samples would settle it."""
        return "; ".join(part for part in (self.reason, self.what_settles) if part)

    def tested(self, outcome: bool | None) -> "Decision":
        """Return the decision with the outcome of the session's tests on the bound.

        It passes only if both do. `outcome` is None for skipped tests. A bound that the numbers miss and a user's own test
        passed was not checked.
        """
        if outcome is False:
            return self if self.fails else msgspec.structs.replace(self, verdict=FAILED, reason="its test failed")
        if outcome is True and self.passed:
            return self
        if self.verdict == INCONCLUSIVE:
            return msgspec.structs.replace(self, is_let_open=True)
        return msgspec.structs.replace(self, verdict=NOT_CHECKED, reason=PASSED_OTHERWISE) if outcome else self.untested

    @property
    def untested(self) -> "Decision":
        """The decision of a session without a test on the bound."""
        return self if self.verdict == NOT_CHECKED else msgspec.structs.replace(self, verdict=NOT_CHECKED, reason="")


def sign(missed: bool, higher_is_better: bool) -> str:
    """Return the sign between a value and the limit of its bound."""
    return ("<" if higher_is_better else ">") if missed else (">=" if higher_is_better else "<=")


def so_many(needed: int | None, samples: int) -> str:
    """Return a number of samples in words, rounded to two digits."""
    if needed is None:
        return "no number of samples"
    if needed > MANY * samples:
        return f"over {MANY} times as many samples"
    digits = max(0, len(str(needed)) - 2)
    return f"about {-(-needed // 10**digits) * 10**digits:,} samples"


def bounds_of(suite: Suite) -> Iterator[Bound]:
    """Yield all bounds of a suite: of its models, then of its comparisons."""
    for model in suite.models.values():
        yield from model_bounds(model, suite)
    for comparison in suite.comparisons.values():
        yield from comparison_bounds(comparison)


def model_bounds(model: Model, suite: Suite) -> Iterator[Bound]:
    """Yield the bounds on a model's scores, and on its past."""
    limits: dict[Kind, Mapping[str, float]] = {
        GATE: model.gates,
        SLICE_GATE: model.slice_gates if suite.dataset.slices else {},
        AGAINST: suite.against.max_drop if suite.against else {},
    }
    for kind, by_metric in limits.items():
        yield from (Bound(kind, model.suite, model.key, metric, limit) for metric, limit in by_metric.items())


def comparison_bounds(comparison: Comparison) -> Iterator[Bound]:
    """Yield the bounds of a comparison."""
    yield from (compared(comparison, metric) for metric in comparison.bounds)


def compared(comparison: Comparison, metric: str) -> Bound:
    """Return the bound on a difference of two models."""
    kind: Kind = MIN_GAIN if metric in comparison.min_gain else MAX_DROP
    limit = {**comparison.min_gain, **comparison.max_drop}[metric]
    return Bound(kind, comparison.suite, comparison.key, metric, limit, comparison.confidence, comparison.inconclusive)


def ends_of(estimate: Interval, decimals: int, beside: float | None = None) -> str:
    """Return both ends: `0.3511 to 0.4021`, of a difference with their signs.

    Equal scores of a metric without limits give `4.4 or more`, or `unknown: 30 equal scores`. An end that differs from the
    bound `beside` it has as many decimals as it takes to see that.
    """
    sign = "+z" if isinstance(estimate, Difference) else ""
    low, high = (None if end is None else _shown(end, sign, decimals, beside) for end in (estimate.low, estimate.high))
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is None and high is None:
        return "unknown: one score" if estimate.samples == 1 else f"unknown: {estimate.samples:,} equal scores"
    return f"{low} or more" if high is None else f"{high} or less"


def interval_text(estimate: Interval, decimals: int, beside: float | None = None) -> str:
    """Return `95% interval 0.3511 to 0.4021, 200 samples`, with the number of clusters if there are any."""
    label = estimate.label if isinstance(estimate, Difference) else "95%"
    few = ": few, so it is not exact" if has_few(estimate.clusters) else ""
    clusters = "" if estimate.clusters is None else f", {counted(estimate.clusters, 'cluster')}{few}"
    return f"{label} interval {ends_of(estimate, decimals, beside)}, {counted(estimate.samples, 'sample')}{clusters}"


def _shown(end: float, sign: str, decimals: int, beside: float | None) -> str:
    if beside is not None and abs(end - beside) > ROUNDING:
        decimals = decimals_apart(end, beside, decimals)
    return f"{end:{sign}.{decimals}f}"
