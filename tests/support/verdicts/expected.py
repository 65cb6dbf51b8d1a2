"""What a run of a random world has to say: of each test its outcome, of each bound its verdict, by plain recomputation.

Each is a set: it has two members where an end of an interval lies on a bound but for rounding.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.support.verdicts.statistics import Change, Ends, are_near, change, exact_mean, mean_interval, verdicts
from tests.support.verdicts.world import Answer, Comparison, Metric, Model, Suite, World, input_of

Bound = tuple[str, str, str, str]
"""Kind, suite, subject (a model or a comparison), metric."""
GATE, SLICES, COMPARE, AGAINST = "gates", "slice_gates", "comparisons", "against"
KINDS = {
    "test_gate": GATE,
    "test_odd": GATE,
    "test_any": GATE,
    "test_slices": SLICES,
    "test_odd_slices": SLICES,
    "test_compare": COMPARE,
    "test_any_pair": COMPARE,
    "test_odd_pair": COMPARE,
    "test_against": AGAINST,
    "test_any_past": AGAINST,
}
"""The bounds that tests of each function assert on."""
ON_SAMPLES = ("test_sample", "test_id", "test_broken")
ON_MODELS = ("test_scores", "test_whole", "test_past")
PASSED, FAILED, INCONCLUSIVE, NOT_CHECKED = "passed", "failed", "inconclusive", "not checked"


@dataclass(frozen=True)
class Test:
    """One test of a run."""

    function: str
    suite: str
    subject: str
    last: str
    """A metric or a sample; empty for a test of a model."""

    @property
    def bound(self) -> Bound | None:
        """The bound that it asserts on."""
        kind = KINDS.get(self.function)
        return (kind, self.suite, self.subject, self.last) if kind else None


@dataclass(frozen=True)
class Mean:
    """A mean with its interval."""

    mean: float
    ends: Ends
    scored: int


class Expected:
    """What has to be said of a world, given the tests that ran and what became of them."""

    def __init__(self, world: World, outcomes: Mapping[Test, str]) -> None:
        self.world = world
        self.outcomes = outcomes
        self.looked_at: dict[tuple[str, str], set[str]] = {}
        for test in outcomes:
            for model, samples in self._looks_at(test):
                self.looked_at.setdefault((test.suite, model), set()).update(samples)

    def _looks_at(self, test: Test) -> Iterator[tuple[str, Iterable[str]]]:
        suite = self.world.suites[test.suite]
        everything = [row.id for row in suite.rows]
        if test.function in ON_SAMPLES:
            yield from [] if _is_broken(test) else [(test.subject, [test.last])]
        elif self.world.samples is None and (self.world.is_against or not _is_on_past(test)):
            yield from ((model.key, everything) for model in self._models_of(test))

    def _models_of(self, test: Test) -> list[Model]:
        suite = self.world.suites[test.suite]
        if KINDS.get(test.function) == COMPARE:
            pair = comparison_of(suite, test.subject)
            return [suite.models[pair.baseline], suite.models[pair.candidate]]
        return [suite.models[test.subject]]

    # ------------------------------------------------------------ tests

    def outcome(self, test: Test) -> set[str]:
        """What may become of a test."""
        suite = self.world.suites[test.suite]
        if test.function in ON_SAMPLES:
            answer = suite.models[test.subject].answers[test.last]
            fine = answer.text is not None and len(answer.scores) == len(suite.metrics)
            holds = {"test_sample": fine, "test_id": not test.last.endswith("7"), "test_broken": not _is_broken(test)}
            return _if(holds[test.function])
        if self._is_skipped_at_once(test):
            return {"skipped"}
        if test.function == "test_scores":
            scores = [one.scores for one in suite.models[test.subject].answers.values()]
            return _if(self.world.is_update and any(scores))
        if test.function == "test_whole":
            return _if(len([one for one in suite.models[test.subject].answers.values() if one.text is not None]) % 2 == 1)
        if test.function == "test_past":
            return _if(len(test.subject) % 2 == 1)
        return {self._outcome_on(test, verdict) for verdict in self.numbers(test.bound, whole=True)}

    def _outcome_on(self, test: Test, verdict: str) -> str:
        kind, suite, subject, metric = test.bound or ("", "", "", "")
        if kind != GATE and verdict in (INCONCLUSIVE, NOT_CHECKED) and not self._fails(kind, suite, subject, verdict):
            return "skipped"
        if test.function.startswith("test_any"):
            return PASSED
        if test.function.startswith("test_odd"):
            return PASSED if len(subject + metric) % 2 else FAILED
        return PASSED if verdict == PASSED else FAILED

    def _is_skipped_at_once(self, test: Test) -> bool:
        """Whether a test is skipped before it looks at any score."""
        if self.world.samples is not None:
            return True
        if _is_on_past(test):
            return not self.world.is_against or not in_common(self.world.suites[test.suite])
        return False

    def _fails(self, kind: str, suite: str, subject: str, verdict: str) -> bool:
        """Whether a verdict fails the test on it."""
        lets_open = kind == COMPARE and comparison_of(self.world.suites[suite], subject).inconclusive == "skip"
        return verdict == FAILED or (verdict == INCONCLUSIVE and not lets_open)

    # ------------------------------------------------------------ bounds

    def bounds(self, suite: Suite) -> Iterator[Bound]:
        """Yield all bounds that results have to hold."""
        seen = [model for model in suite.models.values() if (suite.name, model.key) in self.looked_at]
        for model in seen:
            yield from ((GATE, suite.name, model.key, name) for name in model.gates)
            yield from ((SLICES, suite.name, model.key, name) for name in (model.slice_gates if suite.has_slices else ()))
            yield from ((AGAINST, suite.name, model.key, name) for name in (suite.max_drop if self.world.is_against else ()))
        keys = {model.key for model in seen}
        for pair in suite.comparisons:
            if {pair.baseline, pair.candidate} <= keys:
                yield from ((COMPARE, suite.name, pair.name, name) for name in pair.bounds)

    def verdict(self, bound: Bound) -> set[tuple[str, bool | None]]:
        """What results have to say of a bound: (verdict, passed)."""
        tests = [test for test in self.outcomes if test.bound == bound and not self._is_skipped_at_once(test)]
        said = {self.outcomes[test] for test in tests}
        if not tests:
            return {(NOT_CHECKED, None)}
        return {self._together(bound, number, said) for number in self.numbers(bound)}

    def _together(self, bound: Bound, numbers: str, said: set[str]) -> tuple[str, bool | None]:
        if FAILED in said:
            return (numbers if self._fails(*bound[:3], numbers) else FAILED), False
        if PASSED in said and numbers == PASSED:
            return PASSED, True
        return (INCONCLUSIVE if numbers == INCONCLUSIVE else NOT_CHECKED), None

    # ------------------------------------------------------------ numbers

    def numbers(self, bound: Bound | None, whole: bool = False) -> set[str]:
        """The verdicts that the scores may come to: of the samples that were looked at, or of all."""
        assert bound is not None
        kind, name, subject, metric_name = bound
        suite = self.world.suites[name]
        metric = metric_of(suite, metric_name)
        if kind == COMPARE:
            pair = comparison_of(suite, subject)
            of, limit = pair.bounds[metric_name]
            found = self.change(suite, pair, metric, whole)
            return verdicts(found, _least(of, limit, metric), metric.higher) if found else {FAILED}
        model = suite.models[subject]
        answers = self.answers(suite, model, whole)
        if kind == AGAINST:
            return self._past(suite, model, metric)
        if _is_unusable(model, answers, metric):
            return {FAILED}
        if kind == SLICES:
            return _together([_slice(suite, model, metric, each) for each in self.gated(suite, answers)])
        if not column(answers, metric):
            return {FAILED}
        gate, mean = model.gates[metric_name], exact_mean(column(answers, metric))
        return {PASSED if (mean >= gate if metric.higher else mean <= gate) else FAILED}

    def answers(self, suite: Suite, model: Model, whole: bool = False) -> dict[str, Answer]:
        """The answers that were looked at."""
        seen = None if whole else self.looked_at.get((suite.name, model.key), set())
        return {name: one for name, one in model.answers.items() if seen is None or name in seen}

    def mean(self, suite: Suite, model: Model, metric: Metric, topic: str | None = None) -> Mean | None:
        """The mean that results have to show."""
        answers = self.answers(suite, model)
        if topic is not None:
            answers = self.slices(suite, answers)[topic]
        return mean_of(suite, metric, answers)

    def slices(self, suite: Suite, answers: Mapping[str, Answer]) -> dict[str, dict[str, Answer]]:
        """Answers by topic."""
        found: dict[str, dict[str, Answer]] = {}
        for row in suite.rows:
            if row.topic is not None and row.id in answers:
                found.setdefault(row.topic, {})[row.id] = answers[row.id]
        return found

    def gated(self, suite: Suite, answers: Mapping[str, Answer]) -> list[dict[str, Answer]]:
        """The slices that are large enough."""
        return [each for each in self.slices(suite, answers).values() if len(each) >= suite.slice_min]

    def change(self, suite: Suite, pair: Comparison, metric: Metric, whole: bool = False) -> Change | None:
        """The difference of a comparison; None without a pair."""
        before, after = (self.answers(suite, suite.models[key], whole) for key in (pair.baseline, pair.candidate))
        return change_of(suite, metric, before, after, pair.confidence)

    def past(self, suite: Suite, model: Model, metric: Metric) -> Change | None:
        """The difference to the other side; None without a pair."""
        common = in_common(suite)
        before, after = ({name: side[name] for name in common} for side in (model.past, model.answers))
        found = change_of(suite, metric, before, after, 0.95)
        if found is None or not is_unchanged(suite, model):
            return found
        return Change(0.0, 0.0, 0.0, found.pairs, found.counted, found.is_alike, found.span)

    def _past(self, suite: Suite, model: Model, metric: Metric) -> set[str]:
        common = in_common(suite)
        added = [row.id for row in suite.rows if row.id not in suite.past_rows]
        dropped = [name for name in suite.past_rows if name not in {row.id for row in suite.rows}]
        changed = len(suite.rows) - len(added) - len(common)
        if len(self.answers(suite, model)) < len(suite.rows) or not common:
            return {NOT_CHECKED}
        if (added or dropped or changed) and len(common) < 10:
            return {NOT_CHECKED}
        if not any(metric.name in model.past[name].scores for name in common):
            return {NOT_CHECKED}
        found = self.past(suite, model, metric)
        if found is None:
            return {FAILED}
        if is_unchanged(suite, model) and len(common) >= changed + max(len(added), len(dropped)):
            return {PASSED}
        return verdicts(found, _least("max_drop", suite.max_drop[metric.name], metric), metric.higher)


# ---------------------------------------------------------------- parts of it


def _is_broken(test: Test) -> bool:
    """Whether a fixture fails the test before it asks for an answer."""
    return test.function == "test_broken" and test.last.endswith("8")


def _is_on_past(test: Test) -> bool:
    return KINDS.get(test.function) == AGAINST or test.function == "test_past"


def _if(holds: bool) -> set[str]:
    return {PASSED if holds else FAILED}


def metric_of(suite: Suite, name: str) -> Metric:
    """A metric of a suite by its name."""
    return next(metric for metric in suite.metrics if metric.name == name)


def comparison_of(suite: Suite, name: str) -> Comparison:
    """A comparison of a suite by its name."""
    return next(each for each in suite.comparisons if each.name == name)


def column(answers: Mapping[str, Answer], metric: Metric) -> list[float]:
    """The scores that there are."""
    return [one.scores[metric.name] for one in answers.values() if metric.name in one.scores]


def _least(kind: str, limit: float, metric: Metric) -> float:
    gain = limit if kind == "min_gain" else -limit
    return gain if metric.higher else -gain


def _is_unusable(model: Model, answers: Mapping[str, Answer], metric: Metric) -> bool:
    failed = sum(one.text is None for one in answers.values())
    unscored = sum(one.text is not None and metric.name not in one.scores for one in answers.values())
    return failed > model.allow_failed or unscored > 0


def _threads(suite: Suite, names: Iterable[str]) -> list[str] | None:
    known = {row.id: row.thread or "" for row in suite.rows}
    return [known[name] for name in names] if suite.has_clusters else None


def mean_of(suite: Suite, metric: Metric, answers: Mapping[str, Answer]) -> Mean | None:
    """The mean of answers with its interval; None without a score."""
    scores = column(answers, metric)
    if not scores:
        return None
    names = [name for name, one in answers.items() if metric.name in one.scores]
    return Mean(exact_mean(scores), mean_interval(scores, _threads(suite, names), metric.limits), len(scores))


def change_of(
    suite: Suite, metric: Metric, before: Mapping[str, Answer], after: Mapping[str, Answer], confidence: float
) -> Change | None:
    """The difference of the samples that both sides scored; None without one."""
    names = [n for n, one in before.items() if metric.name in one.scores and n in after and metric.name in after[n].scores]
    if not names:
        return None
    then, now = ([side[name].scores[metric.name] for name in names] for side in (before, after))
    return change(then, now, _threads(suite, names), metric.limits, confidence)


def in_common(suite: Suite) -> list[str]:
    """The samples that are the same on the other side."""
    return [row.id for row in suite.rows if suite.past_rows.get(row.id) == input_of(row)]


def is_unchanged(suite: Suite, model: Model) -> bool:
    """Whether the answers to all samples in common are the same."""
    return all(model.past[name].text == model.answers[name].text for name in in_common(suite))


def _slice(suite: Suite, model: Model, metric: Metric, answers: Mapping[str, Answer]) -> set[str]:
    found, gate = mean_of(suite, metric, answers), model.slice_gates[metric.name]
    if found is None:
        return {FAILED}
    if found.mean >= gate if metric.higher else found.mean <= gate:
        return {PASSED}
    end = found.ends[1] if metric.higher else found.ends[0]
    if end is None:
        return {INCONCLUSIVE}
    if end != gate and are_near(end, gate):
        return {PASSED, FAILED}
    return {FAILED if (end < gate if metric.higher else end > gate) else PASSED}


def _together(slices: list[set[str]]) -> set[str]:
    if not slices:
        return {NOT_CHECKED}
    surely = [verdict for each in slices if len(each) == 1 for verdict in each]
    if FAILED in surely:
        return {FAILED}
    calm = {INCONCLUSIVE if INCONCLUSIVE in surely else PASSED}
    return calm | ({FAILED} if any(FAILED in each for each in slices) else set())
