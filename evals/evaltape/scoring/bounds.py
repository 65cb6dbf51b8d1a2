"""The demands of a suite on its metrics: every assertion on scores is a `Bound`, and ends as a `Decision`.

`bounds_of` lists all bounds of a suite. A bound is decided by the scores that it is about, in a single place for each kind:

| kind | in the suite | decided by |
| --- | --- | --- |
| `gate` | `gates` | `ModelScores.decide`: the mean |
| `slice_gate` | `slice_gates` | `SliceScores.decide`: every slice's 95% interval |
| `min_gain`, `max_drop` | `[compare]` | `PairedScores.decide`: the end of the difference's interval on the worse side |
| `against` | `[against]` | `AgainstScores.decide`: likewise, with the model's own past as its baseline |
| `min_noticed`, `max_alarms`, `min_kappa` | `[judges.*.exam]` | `Examined.decide`: how a judge did in its exam |

Tests, `--mutate`, results and every report take these decisions. Unknown is never fine: a bound that the scores don't decide is
`inconclusive`, or `not checked` if there is nothing to decide it by.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, Protocol

import msgspec

from evaltape.metrics.metric import Metric
from evaltape.scoring.paired import Difference
from evaltape.scoring.statistics import Interval
from evaltape.suite.definition import Comparison, Model, Suite

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
ON_LEVELS = (GATE, SLICE_GATE, MIN_NOTICED, MAX_ALARMS, MIN_KAPPA)
"""Kinds of bounds that aren't on a difference."""
SUITE_KEYS: dict[Kind, str] = {
    GATE: "gates",
    SLICE_GATE: "slice_gates",
    MIN_GAIN: MIN_GAIN,
    MAX_DROP: MAX_DROP,
    AGAINST: MAX_DROP,
    MIN_NOTICED: MIN_NOTICED,
    MAX_ALARMS: MAX_ALARMS,
    MIN_KAPPA: MIN_KAPPA,
}
"""The key of the suite file that states each kind."""

CONFIDENCE = 0.95
"""One-sided, of `[against]`, and of a comparison that names no confidence."""
PASSED_OTHERWISE = "a test on it passed, though the numbers don't"
MANY = 100
"""A comparison that takes so many times the samples there are isn't worth a number."""

BoundKey = tuple[Kind, str, str, str]
"""A bound by its kind, suite, subject and metric."""


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
    """As the suite states it: the mean, or by how much it has to be better, or may be worse."""
    confidence: float = CONFIDENCE
    """One-sided, of a bound on a difference."""
    inconclusive: str = "fail"
    """What becomes of a test that the scores don't decide: `fail` or `skip`."""

    @property
    def key(self) -> BoundKey:
        """What names it in a session."""
        return self.kind, self.suite, self.subject, self.metric

    @property
    def suite_key(self) -> str:
        """The key of the suite file that states it: `gates`, `slice_gates`, `min_gain` or `max_drop`."""
        return SUITE_KEYS[self.kind]

    @property
    def least_gain(self) -> float:
        """The difference that a paired bound asks for, counted as a gain: negative where a drop is allowed."""
        return self.limit if self.kind == MIN_GAIN else -self.limit

    @property
    def is_paired(self) -> bool:
        """Whether it is a bound on a difference."""
        return self.kind not in ON_LEVELS

    @property
    def required(self) -> float:
        """The number that a decision's `value` is held against: a mean, or a gain."""
        return self.least_gain if self.is_paired else self.limit

    @property
    def group(self) -> str:
        """What it stands under in tables: `gates`, `slices`, the comparison's name, `against`."""
        return {GATE: "gates", SLICE_GATE: "slices", AGAINST: "against"}.get(self.kind, self.subject)

    @property
    def title(self) -> str:
        """As sentences name it within its model: `rougeL`, `slices rougeL`, `tuning-helps rougeL`, `against rougeL`."""
        return self.metric if self.kind == GATE else f"{self.group} {self.metric}"

    def decide(self, scores: Scores) -> "Decision":
        """Decide it on scores of its kind."""
        return scores.decide(self)


class Fragility(msgspec.Struct, frozen=True):
    """The fewest samples whose removal turns a verdict."""

    samples: int
    """How many."""
    ids: tuple[str, ...]
    """The first of them."""
    becomes: Verdict
    """The verdict without them."""


class Decision(msgspec.Struct, frozen=True):
    """What became of a bound. Its `str` is the line that a test asserts with, the number first."""

    bound: Bound
    """The bound that was decided."""
    metric: Metric
    """The metric that it is about."""
    verdict: Verdict
    """`passed`, `failed`, `inconclusive` or `not checked`."""
    line: str
    """The numbers beside the bound, in a line."""
    estimate: Interval | Difference | None = None
    """The mean, or the mean difference, with its interval; None if no sample was scored, and for slices."""
    value: float | None = None
    """The number that is held against the bound's `required`; None without scores."""
    reason: str = ""
    """What the verdict rests on, where the numbers alone don't say it."""
    notes: tuple[str, ...] = ()
    """Notes for the user beside it."""
    is_let_open: bool = False
    """Whether the session's tests put up with an inconclusive bound that fails by the suite."""
    fragility: Fragility | None = None
    """The fewest samples whose removal turns the verdict; None if few don't, and without a report or results to say it."""

    def __str__(self) -> str:
        return "; ".join(part for part in (f"{self.line}{self._because}", *self.notes) if part)

    def __repr__(self) -> str:
        return str(self)

    @property
    def passed(self) -> bool:
        """Whether the bound is known to hold."""
        return self.verdict == PASSED

    @property
    def fails(self) -> bool:
        """Whether a test that asserts it fails: also where the scores don't decide it, unless the suite lets it stay open."""
        return self.verdict == FAILED or (self.verdict == INCONCLUSIVE and self.bound.inconclusive == "fail")

    @property
    def difference(self) -> Difference | None:
        """The mean difference that it rests on; None for a bound on a mean, and without a pair."""
        return self.estimate if isinstance(self.estimate, Difference) else None

    @property
    def outcome(self) -> bool | None:
        """True or False as results say it; None where it is open or not checked."""
        return True if self.passed else False if self.fails and not self.is_let_open else None

    @property
    def required_difference(self) -> float:
        """The difference that a paired bound asks for: at least that if higher is better, else at most that."""
        return self.bound.least_gain if self.metric.higher_is_better else -self.bound.least_gain

    @property
    def at_least(self) -> bool:
        """Whether `required` is the least that passes; otherwise the most. Gains are always better when they are greater."""
        return self.bound.is_paired or self.metric.higher_is_better

    @property
    def what_settles(self) -> str:
        """How many samples would settle an inconclusive difference; empty for anything else."""
        found = self.difference
        if self.verdict != INCONCLUSIVE or found is None:
            return ""
        higher, least = self.metric.higher_is_better, self.required_difference
        smallest = found.smallest_decided()
        decided = (
            "" if smallest is None else f" ({found.samples:,} decide what is {smallest:.{self.metric.decimals}f} off the bound)"
        )
        return f"{so_many(found.pairs_to_settle(least, higher), found.samples)} would settle it{decided}"

    @property
    def remark(self) -> str:
        """Why the scores don't decide it, or the grounds beside the numbers; and how many samples would settle it."""
        return "; ".join(part for part in (self.reason, self.what_settles) if part)

    @property
    def _because(self) -> str:
        return f": {self.remark}" if self.remark else ""

    def tested(self, outcome: bool | None) -> "Decision":
        """Return the decision with the outcome of the session's tests on the bound.

        It passes only if both do. `outcome` is None for tests that were skipped. Where the numbers miss the bound and a test
        passed, as a user's own test may, the bound was not checked.
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
        """The decision of a session that no test on the bound ran in."""
        return self if self.verdict == NOT_CHECKED else msgspec.structs.replace(self, verdict=NOT_CHECKED, reason="")


def so_many(needed: int | None, samples: int) -> str:
    """Return a number of samples, rounded so that nobody takes it for exact."""
    if needed is None:
        return "no number of samples"
    if needed > MANY * samples:
        return f"over {MANY} times as many samples"
    digits = max(0, len(str(needed)) - 2)
    return f"about {-(-needed // 10**digits) * 10**digits:,} samples"


# ---------------------------------------------------------------- the bounds of a suite


def bounds_of(suite: Suite) -> Iterator[Bound]:
    """Yield all bounds of a suite: of its models, then of its comparisons."""
    for model in suite.models.values():
        yield from model_bounds(model, suite)
    for comparison in suite.comparisons.values():
        yield from comparison_bounds(comparison)


def model_bounds(model: Model, suite: Suite) -> Iterator[Bound]:
    """Yield the bounds on a model's scores, and on its past."""
    yield from (gate(model, metric) for metric in model.gates)
    yield from (slice_gate(model, metric) for metric in (model.slice_gates if suite.dataset.slices else ()))
    max_drop = suite.against.max_drop if suite.against else {}
    yield from (drop(model, max_drop, metric) for metric in max_drop)


def comparison_bounds(comparison: Comparison) -> Iterator[Bound]:
    """Yield the bounds of a comparison."""
    yield from (compared(comparison, metric) for metric in comparison.bounds)


def gate(model: Model, metric: str) -> Bound:
    """Return the bound on a model's mean."""
    return Bound(GATE, model.suite, model.key, metric, model.gates[metric])


def slice_gate(model: Model, metric: str) -> Bound:
    """Return the bound on the means of a model's slices."""
    return Bound(SLICE_GATE, model.suite, model.key, metric, model.slice_gates[metric])


def drop(model: Model, max_drop: Mapping[str, float], metric: str) -> Bound:
    """Return the bound on a model's mean beside that of its past."""
    return Bound(AGAINST, model.suite, model.key, metric, max_drop[metric])


def compared(comparison: Comparison, metric: str) -> Bound:
    """Return the bound on a difference of two models."""
    kind: Kind = MIN_GAIN if metric in comparison.min_gain else MAX_DROP
    limit = comparison.min_gain[metric] if kind == MIN_GAIN else comparison.max_drop[metric]
    return Bound(kind, comparison.suite, comparison.name, metric, limit, comparison.confidence, comparison.inconclusive)
