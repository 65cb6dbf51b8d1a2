"""The verdict on a session: what is said first, and why."""

from typing import Any

import pytest
from evaltape.findings import Accepted, GateTest
from evaltape.recording.unfinished import ToCome
from evaltape.reporting.results import Results
from evaltape.reporting.verdict import verdict_of
from evaltape.scoring.bounds import MIN_GAIN, Decision
from evaltape.scoring.statistics import Interval
from evaltape.suite.definition import Model
from msgspec.structs import replace

from tests.support import decisions
from tests.support.decisions import gate, paired
from tests.support.report_facts import (
    changed,
    facts,
    suite_of,
    with_against,
    with_lengths,
    with_model,
    with_mutants,
    with_slices,
    without,
)

DIFFERENCE = decisions.difference(0.1, 0.0, 0.2, 11)


def parts(results: Results) -> list[tuple[str, str]]:
    return [(part.text, part.state) for part in verdict_of(suite_of(results), results).parts]


def reasons(results: Results) -> list[str]:
    return [reason.text for reason in verdict_of(suite_of(results), results).reasons]


def session(*passed: bool | None, is_red: bool = False, failed: int = 0, **changes: Any) -> Results:
    """A session of one model with gates that passed, failed or weren't checked."""
    made = without(facts(samples=9, models=("base",), failed=failed), "gates")
    metrics = {f"rouge{n}": decisions.metric(f"rouge{n}") for n in range(len(passed))}
    made = changed(made, metrics={**suite_of(made).metrics, **metrics})
    made = with_model(made, "base", gates={name: gate(name, 0.3, each) for name, each in zip(metrics, passed, strict=True)})
    return replace(changed(made, **changes), is_red=is_red)


@pytest.mark.parametrize(
    ("passed", "text", "state"),
    [
        ((), "No gates are set", "open"),
        ((None, None), "2 gates, not checked in this run", "open"),
        ((True,), "1 of 1 gate holds", "passed"),
        ((True, True), "All 2 gates hold", "passed"),
        ((True, True, True, False), "3 of 4 gates hold", "failed"),
        ((True, False, None), "1 of 2 gates holds, 1 more not checked in this run", "failed"),
    ],
)
def test_the_verdict_counts_gates(passed: tuple[bool | None, ...], text: str, state: str) -> None:
    assert parts(session(*passed)) == [(text, state)]


def test_gates_that_users_wrote_count_as_others_do() -> None:
    ids = ("evals/test_own.py::test_gate[made-base]", "b", "c")
    own = {it: GateTest(passed, "made", "base") for it, passed in zip(ids, (False, True, None), strict=True)}
    made = session(True, True, is_red=True, tests=own)
    assert parts(made) == [("3 of 4 gates hold, 1 more not checked in this run", "failed")]
    assert reasons(made) == ["evals/test_own.py::test_gate[made-base] failed"]


def test_slice_gates_count_as_others_do() -> None:
    made = with_slices(session(True, True))
    assert parts(made)[0] == ("2 of 3 gates hold", "failed")
    assert reasons(made) == ["base rougeL: 1 slice wholly under the slice gate 0.3: topic small talk"]


def test_a_session_that_fails_never_says_that_all_gates_hold() -> None:
    assert parts(session(True, True, is_red=True, other_failures=2)) == [
        ("2 of 2 gates hold", "passed"),
        ("2 other tests of the suite failed", "failed"),
    ]
    elsewhere = replace(session(True, True, is_red=True), other_failures=1)
    assert parts(elsewhere) == [("2 of 2 gates hold", "passed"), ("1 test of no suite failed", "failed")]


def compared(*metrics: Decision) -> Results:
    made = without(facts(models=("base", "tuned"), failed=0), "gates")
    comparison = suite_of(made).comparisons["gain"]
    return changed(made, comparisons={"gain": replace(comparison, metrics={"rouge1": metrics[0], "rougeL": metrics[-1]})})


def decided(verdict: Any, passed: bool | None) -> Decision:
    inconclusive = "skip" if verdict == "inconclusive" and passed is None else "fail"
    decision = decisions.compared(paired(MIN_GAIN, "rouge1", 0.05, inconclusive=inconclusive), verdict, DIFFERENCE)
    assert decision.outcome is passed
    return decision


@pytest.mark.parametrize(
    ("metrics", "text", "state"),
    [
        ((decided("passed", True),), "2 of 2 comparisons passed", "passed"),
        ((decided("passed", True), decided("failed", False)), "1 of 2 comparisons passed", "failed"),
        ((decided("passed", True), decided("inconclusive", False)), "1 of 2 comparisons passed, 1 inconclusive", "failed"),
        ((decided("passed", True), decided("inconclusive", None)), "1 of 2 comparisons passed, 1 inconclusive", "open"),
        ((decided("not checked", None),), "2 comparisons, not checked in this run", "open"),
        (
            (decided("passed", True), decided("not checked", None)),
            "1 of 1 comparison passed, 1 more not checked in this run",
            "passed",
        ),
    ],
)
def test_the_verdict_counts_comparisons(metrics: tuple[Decision, ...], text: str, state: str) -> None:
    assert parts(compared(*metrics))[1] == (text, state)


def test_bounds_against_another_commit_are_counted_and_named() -> None:
    made = with_against(session(True))
    assert parts(made)[1] == ("against main: 0 of 1 bound passed", "failed")
    assert reasons(made) == ["base rouge1 against main: -0.0500 (90% interval -0.0600 to -0.0400), max_drop 0.02, failed"]


def test_accepted_scores_that_changed_or_are_missing_are_told() -> None:
    made = facts(samples=9, models=("base", "other"), failed=0)
    made = with_model(without(made, "gates", "comparisons"), "base", accepted=Accepted(False, {"rouge1": (0.5, 0.4)}))
    assert parts(made)[1:] == [("accepted scores of 1 model changed", "failed")]
    made = with_model(made, "other", accepted=Accepted(False, {"rouge1": (None, 0.4)}, exists=False))
    assert parts(made)[1:] == [
        ("accepted scores of 1 model changed", "failed"),
        ("no scores of 1 model are accepted yet", "failed"),
    ]


def test_failed_predictions_are_counted_and_are_a_failure_where_a_test_says_so() -> None:
    assert parts(session(True, True, failed=2, is_red=True, lost=2))[1] == ("2 of 9 predictions failed", "failed")
    allowed = with_model(session(True, True, failed=2), "base", model=Model("base", "made", "base", allow_failed=2))
    assert parts(allowed)[1] == ("2 of 9 predictions failed", "open")


def test_tests_that_failed_before_they_asked_for_an_answer_are_a_failure_though_every_gate_holds() -> None:
    assert parts(session(True, True, is_red=True, lost=1)) == [
        ("2 of 2 gates hold", "passed"),
        ("tests of 1 sample failed before they had an answer", "failed"),
    ]


def test_failed_predictions_that_no_test_failed_for_leave_the_suite_open_also_where_another_is_red() -> None:
    assert parts(session(None, failed=2))[1] == ("2 of 9 predictions failed", "open")
    assert parts(session(True, True, failed=2, is_red=True))[1] == ("2 of 9 predictions failed", "open")


def test_an_unfinished_recording_is_told() -> None:
    made = with_model(session(False), "base", unfinished=ToCome(83, 200))
    assert parts(made)[1] == ("recording of base unfinished: 83 of 200 to come", "failed")


# ---------------------------------------------------------------- why


def test_each_gate_and_comparison_that_does_not_hold_is_named() -> None:
    assert reasons(facts(models=("base", "tuned"))) == [
        "base rougeL: mean 0.4000 is 0.0500 under its gate 0.45 (95% interval 0.3500 to 0.4500)",
        "tuned rougeL: mean 0.4000 is 0.0500 under its gate 0.45 (95% interval 0.3500 to 0.4500)",
        "gain rougeL: +0.1000 (90% interval +0.0200 to +0.1800), min_gain 0.05, inconclusive: the interval straddles the bound; "
        "about 29 samples would settle it (11 decide a change that is 0.0897 off the bound)",
    ]


def test_where_less_is_better_a_mean_is_over_its_gate() -> None:
    made = with_lengths(without(facts(models=("base", "tuned")), "gates", "comparisons"))
    assert reasons(made) == ["tuned words: mean 23.0 is 3.0 over its gate 20 (95% interval 21.0 to 25.0)"]


def test_a_gate_that_its_mean_holds_tells_of_failed_samples_and_unscored_answers() -> None:
    made = with_model(
        facts(models=("base",), failed=2), "base", gates={"rouge1": gate("rouge1", 0.3, False, "2 of 12 samples failed")}
    )
    assert reasons(made) == ["base rouge1: mean 0.4000 holds its gate 0.3, but 2 of 12 samples failed"]
    two = {name: gate(name, 0.3, False, "2 of 12 samples failed") for name in ("rouge1", "rougeL")}
    assert reasons(with_model(made, "base", gates=two)) == [
        "base rouge1, rougeL: means hold their gates, but 2 of 12 samples failed"
    ]
    made = with_model(made, "base", unfinished=ToCome(2, 12))
    assert reasons(made) == ["base rouge1: mean 0.4000 holds its gate 0.3, but the recording is unfinished"]


def test_where_nothing_was_answered_the_verdict_says_so() -> None:
    made = facts(models=("base", "tuned"), failed=12)
    comparison = suite_of(made).comparisons["gain"]
    nothing = decisions.compared(paired(MIN_GAIN, "rougeL", 0.05), "failed", None)
    made = changed(made, comparisons={"gain": replace(comparison, metrics={"rougeL": nothing})})
    assert reasons(made) == [
        "base rouge1, rougeL: no sample was scored",
        "tuned rouge1, rougeL: no sample was scored",
        "gain rougeL: no sample was scored on both sides",
    ]


def test_the_mutation_score_is_a_line() -> None:
    from evaltape.reporting.verdict import mutation_line

    assert mutation_line(suite_of(facts())) is None
    assert mutation_line(suite_of(with_mutants(facts()))) == (
        "Kinds of damage that the gates notice at 25% of the answers: 0 of 1 for base."
    )


def test_a_mean_just_under_its_gate_never_looks_like_it() -> None:
    score = Interval(0.3799996, 0.3, 0.5, 9)
    made = with_model(session(), "base", means={"rouge1": score}, gates={"rouge1": gate("rouge1", 0.38, False)})
    assert reasons(made) == ["base rouge1: mean 0.3799996 is 0.0000004 under its gate 0.38 (95% interval 0.3000 to 0.5000)"]
