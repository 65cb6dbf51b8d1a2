"""Every kind of bound decided: passed only by numbers that are known, and said in a line that begins with them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evaltape.metrics.metric import Metric
from evaltape.metrics.scorers import exact
from evaltape.reporting.scoreboard import model_groups
from evaltape.samples.sample import Answer, Failure, Sample
from evaltape.scoring.bounds import Bound, Decision, Scores, bounds_of
from evaltape.scoring.paired_scores import AgainstScores, PairedScores, SampleChanges, Side, against_scores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.scoring.slices import SliceScores
from evaltape.suite.definition import Against, Comparison, Dataset, Fields, Model, Suite

from tests.support.metrics import metrics
from tests.support.report_facts import facts, suite_of, with_model

MODEL = Model("small", "chats", "small", gates={"score": 0.5}, slice_gates={"score": 0.5}, allow_failed=0)
SIDE = Side("main", None, "main")
METRICS = {
    "score": Metric("score", exact, "[metrics]", bounds=(None, None)),
    "share": Metric("share", exact, "[metrics]"),
    "late": Metric("late", exact, "[metrics]", False, (0.0, None)),
    **metrics({"latency_s": {}}),
}
NOTHING: Mapping[str, float] = {}
"""Of an answer that a metric couldn't score."""

Row = float | Mapping[str, float] | None
"""A score, the scores of an answer, or None for a failed sample."""


def scores(*rows: Row, metric: str = "score", text: str = "a", **changes: Any) -> ModelScores:
    """A model with one sample a row."""

    def prediction(number: int, row: Row) -> Prediction:
        sample = Sample(f"s{number:03d}", "", ("a",))
        if row is None:
            return Prediction(MODEL, sample, Answer(failure=Failure("call", "it broke")))
        found = row if isinstance(row, Mapping) else {metric: row}
        return Prediction(MODEL, sample, Answer(text), found, {} if found else {metric: "no number"})

    model = msgspec.structs.replace(MODEL, **changes)
    return ModelScores(model, METRICS, [prediction(number, row) for number, row in enumerate(rows)])


def by_slice(*groups: Sequence[Row], metric: str = "score", smallest: int = 20, **changes: Any) -> SliceScores:
    """A model with a slice for each group."""
    found = scores(*(row for group in groups for row in group), metric=metric, **changes)
    values = {f"s{number:03d}": str(place) for number, place in enumerate(_places(groups))}
    sliced = msgspec.structs.replace(found, slice_values={"topic": values})
    return SliceScores(sliced, smallest)


def _places(groups: Sequence[Sequence[Row]]) -> list[int]:
    return [place for place, group in enumerate(groups) for _ in group]


def pair(before: Sequence[Row], after: Sequence[Row], metric: str = "score") -> PairedScores:
    """A candidate beside a baseline."""
    comparison = Comparison(key="gain", suite="chats", baseline="old", candidate="small")
    sides = {"baseline": scores(*before, metric=metric), "candidate": scores(*after, metric=metric)}
    return PairedScores(comparison=comparison, **sides)


def past(
    before: Sequence[Row], after: Sequence[Row], metric: str = "score", now: str = "b", changes: SampleChanges | None = None
) -> AgainstScores:
    """A model beside its past."""
    found = against_scores(SIDE, scores(*before, metric=metric), scores(*after, metric=metric, text=now))
    return msgspec.structs.replace(found, samples=changes or SampleChanges())


def decide(kind: Any, limit: float, found: Scores, metric: str = "score", inconclusive: str = "fail") -> Decision:
    return found.decide(Bound(kind, "chats", "small", metric, limit, inconclusive=inconclusive))


MIXED = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0] * 4
OTHERS = SampleChanges(changed=[f"c{n}" for n in range(39)])


# ---------------------------------------------------------------- unknown is never fine


@pytest.mark.parametrize(
    ("kind", "limit", "found", "verdict", "says"),
    [
        ("gate", 0.0, scores(), "failed", "no sample was answered: small score, gate 0"),
        ("gate", 0.0, scores(None, None), "failed", "2 of 2 samples failed, 0 allowed: small: s000: it broke"),
        ("gate", 0.0, scores(None, allow_failed=1), "failed", "no sample was answered: small score, gate 0"),
        ("gate", 0.0, scores(1.0, NOTHING), "failed", "1 of 2 answers not scored: small score: s001: no number"),
        ("gate", 0.0, scores(NOTHING), "failed", "1 of 1 answers not scored: small score: s000: no number"),
        ("slice_gate", 0.9, by_slice([0.0] * 30), "failed", "1 slice wholly under slice gate 0.9: small score: topic 0 0.0000"),
        ("slice_gate", 0.9, by_slice([0.3] * 30), "inconclusive", "with equal scores, so not known to reach slice gate 0.9"),
        ("slice_gate", 0.1, by_slice([0.3] * 30), "passed", "1 slice within reach of slice gate 0.1"),
        ("slice_gate", 0.1, by_slice(MIXED[:19]), "not checked", "slice gate 0.1: no slice has 20 samples"),
        ("slice_gate", 0.1, by_slice(), "not checked", "no slice has 20 samples"),
        ("slice_gate", 0.1, by_slice(MIXED, [None]), "failed", "1 of 25 samples failed, 0 allowed"),
        ("slice_gate", 0.1, by_slice(MIXED, [NOTHING]), "failed", "1 of 25 answers not scored"),
        (
            "slice_gate",
            0.1,
            by_slice(MIXED, [None] * 20, allow_failed=20),
            "failed",
            "1 slice without a score or wholly under slice gate 0.1: small score: topic 1: no sample was scored",
        ),
        ("min_gain", 0.0, pair([], []), "failed", "0 samples answered by both"),
        ("min_gain", 0.0, pair([0.5] * 12, [None] * 12), "failed", "12 of 12 samples failed, 0 allowed: small: s000"),
        ("min_gain", 0.0, pair([NOTHING] * 12, MIXED[:12]), "failed", "0 samples answered by both"),
        ("min_gain", 0.0, pair([0.5], [0.9]), "inconclusive", "1 pair: it takes 10 to pass"),
        ("max_drop", 0.02, pair([0.5] * 40, [0.5] * 40), "inconclusive", "all differences are equal: it takes 50 pairs"),
        ("max_drop", 0.02, pair([1.0] * 60, [1.0] * 60), "inconclusive", "the interval straddles the bound"),
        ("max_drop", 0.02, pair([1.0] * 133, [1.0] * 133), "passed", "max_drop 0.02"),
        ("max_drop", 0.5, pair([1.0] * 40, [0.0] * 40), "failed", "-1.0000 failed"),
        ("against", 0.02, past([], []), "not checked", "no answer at main is scored by score"),
        ("against", 0.02, past([None] * 12, MIXED[:12]), "not checked", "no answer at main is scored by score"),
        ("against", 0.02, past(MIXED[:12], [None] * 12), "failed", "no sample is scored by score on both sides"),
        ("against", 0.02, past([0.9], [0.9], now="a", changes=OTHERS), "not checked", "1 sample in common: it takes 10"),
        ("against", 0.02, past([0.9] * 12, [0.9] * 12, now="a", changes=OTHERS), "inconclusive", "all differences are equal"),
        ("against", 0.02, past([0.9], [0.9], now="a"), "passed", "nothing changed"),
        ("against", 0.02, past([0.9], [0.9]), "inconclusive", "1 pair: it takes 10 to pass"),
    ],
)
def test_what_is_not_known_is_never_fine(kind: Any, limit: float, found: Scores, verdict: str, says: str) -> None:
    decision = decide(kind, limit, found)
    assert decision.verdict == verdict
    assert says in str(decision)
    assert decision.passed == (verdict == "passed")
    assert decision.fails == (verdict in ("failed", "inconclusive"))


@pytest.mark.parametrize("kind", ["gate", "slice_gate", "min_gain", "max_drop", "against"])
@pytest.mark.parametrize("verdict", ["failed", "inconclusive", "not checked"])
@pytest.mark.parametrize("outcome", [True, False, None])
def test_nothing_passes_but_by_its_numbers_and_its_test(kind: Any, verdict: Any, outcome: bool | None) -> None:
    bound = Bound(kind, "chats", "small", "score", 0.5)
    known = Decision(bound, METRICS["score"], verdict, "")
    assert known.tested(outcome).outcome is (False if outcome is False else None)
    assert known.tested(outcome).verdict != "passed"
    assert known.untested.outcome is None
    holds = Decision(bound, METRICS["score"], "passed", "")
    assert holds.tested(outcome).outcome is outcome
    assert (holds.untested.verdict, holds.untested.outcome) == ("not checked", None)


def test_a_test_that_passes_where_the_numbers_do_not_checks_nothing() -> None:
    missed = decide("gate", 0.9, scores(0.1))
    assert (missed.tested(True).verdict, missed.tested(True).reason) == (
        "not checked",
        "a test on it passed, though the numbers don't",
    )
    assert missed.tested(False).verdict == "failed"


def test_a_test_of_ones_own_may_put_up_with_an_inconclusive_difference() -> None:
    unsure = decide("min_gain", 0.0, pair([0.5], [0.9]))
    assert [(each.verdict, each.outcome) for each in map(unsure.tested, (True, False, None))] == [
        ("inconclusive", None),
        ("inconclusive", False),
        ("inconclusive", None),
    ]
    may_stay_open = decide("min_gain", 0.0, pair([0.5], [0.9]), inconclusive="skip")
    assert not may_stay_open.fails
    assert may_stay_open.tested(None).outcome is None


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("column", "gate"),
    [([0.7] * 3, 0.7), ([0.1] * 10, 0.1), ([0.1, 0.2, 0.3], 0.2), ([0.7] + [0.0] * 6, 0.1), ([0.9, 0.8, 0.1], 0.6)],
)
def test_a_gate_that_the_mean_meets_exactly_passes(column: list[float], gate: float) -> None:
    assert decide("gate", gate, scores(*column)).verdict == "passed"
    assert decide("gate", gate, scores(*column, metric="late"), metric="late").verdict == "passed"
    assert decide("gate", gate + 1e-15, scores(*column)).verdict == "failed"


def test_every_mean_of_tenths_reaches_the_gate_that_it_is() -> None:
    for tenths in range(11):
        for count in range(1, 40):
            column = [0.0] * count + [tenths / 10] * count
            assert decide("gate", round(tenths / 20, 2), scores(*column)).passed, (tenths, count)


@pytest.mark.parametrize(
    ("decision", "line"),
    [
        (
            decide("gate", 0.5, scores(0.25, 0.5, 0.75, metric="share"), "share"),
            "0.5000 >= 0.5: small share: mean holds its gate (95% interval 0.0000 to 1.0000, 3 samples)",
        ),
        (
            decide("gate", 0.38, scores(0.3799996, 0.3799996)),
            "0.3799996 < 0.38: small score: mean under its gate (95% interval unknown: 2 equal scores, 2 samples)",
        ),
        (
            decide("gate", 20, scores(22.0, 22.0, metric="late"), "late"),
            "22.0000 > 20: small late: mean over its gate (95% interval 3.4785 or more, 2 samples)",
        ),
        (
            decide("gate", 0.5, scores(0.25)),
            "0.2500 < 0.5: small score: mean under its gate (95% interval unknown: one score, 1 sample)",
        ),
    ],
)
def test_a_gate_in_a_line(decision: Decision, line: str) -> None:
    assert str(decision) == line


def test_an_interval_on_few_clusters_says_so() -> None:
    found = scores(*MIXED)
    of_two = {f"s{number:03d}": str(number // 2) for number in range(24)}
    few = msgspec.structs.replace(found, clusters=of_two)
    assert str(decide("gate", 0.5, few)).endswith(", 24 samples, 12 clusters: few, so it is not exact)")
    made = with_model(facts(24, models=("base",), failed=0), "base", means={"rouge1": few.intervals["score"]})
    (group,) = (each for each in model_groups(suite_of(made)) if each.model)
    assert "12 clusters: few, so intervals are not exact" in group.facts


def test_an_end_of_an_interval_that_misses_its_bound_is_shown_to() -> None:
    found = pair([0.5] * 30, [0.6, 0.7, 0.8] * 10)
    low = found.differences["score"].low
    assert low is not None
    decision = decide("min_gain", low + 2e-6, found)
    assert decision.verdict == "inconclusive"
    shown = str(decision).split("90% interval +")[1].split(" ")[0]
    assert float(shown) < low + 2e-6
    assert len(shown) > 6


def test_a_number_of_samples_that_no_one_can_have_is_not_told_to_the_last_digit() -> None:
    found = pair([0.5] * 30, [0.6, 0.7, 0.8] * 10)
    mean = found.differences["score"].mean
    assert "over 100 times as many samples would settle it" in str(decide("min_gain", mean - 0.0005, found))
    assert "about 430 samples would settle it" in str(decide("min_gain", mean - 0.01, found))


# ---------------------------------------------------------------- the bounds of a suite


def test_a_suite_lists_all_its_bounds() -> None:
    compare = Comparison(
        key="gain",
        suite="chats",
        baseline="old",
        candidate="small",
        min_gain={"score": 0.1},
        max_drop={"share": 0.2},
        inconclusive="skip",
    )
    dataset = Dataset(path="rows.jsonl", fields=Fields(), split="train", slices=("topic",))
    suite = Suite(
        file=Path("chats.toml"),
        dataset=dataset,
        metrics={},
        models={"small": MODEL},
        comparisons={"gain": compare},
        against=Against({"score": 0.02}),
    )
    found = [
        ((bound.kind, bound.suite, bound.subject, bound.metric), bound.suite_key, bound.limit, bound.required, bound.title)
        for bound in bounds_of(suite)
    ]
    assert found == [
        (("gate", "chats", "small", "score"), "gates", 0.5, 0.5, "score"),
        (("slice_gate", "chats", "small", "score"), "slice_gates", 0.5, 0.5, "slices score"),
        (("against", "chats", "small", "score"), "max_drop", 0.02, -0.02, "against score"),
        (("min_gain", "chats", "gain", "score"), "min_gain", 0.1, 0.1, "gain score"),
        (("max_drop", "chats", "gain", "share"), "max_drop", 0.2, -0.2, "gain share"),
    ]
    assert [bound.inconclusive for bound in bounds_of(suite)] == ["fail"] * 3 + ["skip"] * 2
    unsliced = msgspec.structs.replace(suite, dataset=msgspec.structs.replace(dataset, slices=()))
    assert "slice_gate" not in [bound.kind for bound in bounds_of(unsliced)]
