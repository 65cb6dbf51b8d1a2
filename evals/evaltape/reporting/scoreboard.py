"""The score table, before it is drawn: groups of lines, one group per model and comparison, made of the results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evaltape.scoring.paired import two_sided
from evaltape.text import counted

if TYPE_CHECKING:
    from evaltape.hooks.suite_run import SuiteRun

DECIMALS = 4
MOST_DECIMALS = 15
PASSED, FAILED, INCONCLUSIVE, NOT_CHECKED = "passed", "failed", "inconclusive", "not checked"

Results = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One metric: a mean or a difference with its interval, and, where one is set, its bound and the verdict."""

    metric: str
    value: float
    low: float | None
    high: float | None
    bound_kind: str = ""
    bound: float | None = None
    verdict: str = ""
    signed: bool = False

    @property
    def shown_value(self) -> str:
        """The value, with as many decimals as it takes to differ from a bound that it misses."""
        digits, floor = DECIMALS, self.floor
        if floor is not None and self.value < floor:
            while digits < MOST_DECIMALS and round(self.value, digits) >= round(floor, digits):
                digits += 1
        return self._number(self.value, digits)

    @property
    def shown_interval(self) -> str:
        """Both ends."""
        return f"{self._number(self.low, DECIMALS)} to {self._number(self.high, DECIMALS)}"

    @property
    def shown_bound(self) -> str:
        """The bound as the suite file has it."""
        return "" if self.bound is None else f"{self.bound_kind} {self.bound:g}".strip()

    @property
    def floor(self) -> float | None:
        """The bound as the least value that holds it."""
        return -self.bound if self.bound is not None and self.bound_kind == "max_drop" else self.bound

    def _number(self, value: float | None, digits: int) -> str:
        if value is None:
            return "unknown"
        return f"{value:+.{digits}f}" if self.signed else f"{value:.{digits}f}"


@dataclass(frozen=True, slots=True)
class Group:
    """One model, or one comparison. `facts` are short; `alarming` ones among them want to be seen."""

    title: str
    facts: list[str]
    lines: list[Line]
    alarming: list[str] = field(default_factory=list)


def model_groups(session: "SuiteRun", found: Results) -> Iterator[Group]:
    """What costs nothing, then each model that was looked at."""
    for name, computed in found["computed"].items():
        lines = [_line(metric, score) for metric, score in computed["scores"].items()]
        yield Group(f"{name} (computed, not recorded)", ["what a model has to beat"], lines)
    for key, told in found["models"].items():
        lines = [_line(metric, score, told["gates"].get(metric)) for metric, score in told["scores"].items()]
        failed = _failed(told, session.suite.models[key].allow_failed)
        yield Group(key, _facts(told, len(session.samples)), lines, failed)


def comparison_groups(session: "SuiteRun", found: Results) -> Iterator[Group]:
    """Each comparison of two models that were looked at."""
    for name, metrics in found["comparisons"].items():
        asked = session.suite.comparisons[name]
        title = f"{name}: {asked.candidate} less {asked.baseline}"
        lines = []
        for metric, told in metrics.items():
            kind, bound = ("min_gain", asked.min_gain) if metric in asked.min_gain else ("max_drop", asked.max_drop)
            checked = (name, metric) in session.evidence.comparisons
            verdict = told["verdict"] if checked else NOT_CHECKED
            ends = told["difference"], told["low"], told["high"]
            lines.append(Line(metric, *ends, kind, bound[metric], verdict, signed=True))
        samples = [counted(told["samples"], "sample") for told in metrics.values()][:1]
        interval = [f"{two_sided(asked.confidence)} interval"]
        nothing = [] if metrics else ["no sample was answered by both"]
        yield Group(title, samples + interval, lines, nothing)


def _line(metric: str, score: Mapping[str, float], gate: Mapping[str, Any] | None = None) -> Line:
    ends = score["mean"], score["low"], score["high"]
    if gate is None:
        return Line(metric, *ends)
    verdict = {True: PASSED, False: FAILED, None: NOT_CHECKED}[gate["passed"]]
    return Line(metric, *ends, "", gate["threshold"], verdict)


def _facts(told: Mapping[str, Any], samples: int) -> list[str]:
    number = told["samples"]
    facts = [counted(number, "sample") if number == samples else f"{number} of {counted(samples, 'sample')}"]
    return facts + ([f"{told['truncated']} truncated"] if told["truncated"] else [])


def _failed(told: Mapping[str, Any], allowed: int) -> list[str]:
    return [f"{told['failed']} failed ({allowed} allowed)"] if told["failed"] else []
