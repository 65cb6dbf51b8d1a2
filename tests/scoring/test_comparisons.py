"""Comparisons of two models: paired on what both answered, and passed, failed or inconclusive."""

from pathlib import Path

import pytest
from evaltape.metrics.metric import build_metrics
from evaltape.scoring.paired_scores import PairedScores
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Comparison, Model
from evaltape.suite.metric_tables import Rouge

from tests.support.predictions import answered, failed
from tests.support.server import ApiServer
from tests.support.tuning import COMPARISON, TWELVE_ROWS, TuningProject

# 100 samples, half of them 0.12 better and half 0.08 worse: the mean is 0.02, its standard error 0.1 / sqrt(99).
LOW, HIGH = [0.4] * 100, [0.52] * 50 + [0.32] * 50


METRICS = build_metrics({"rouge1": Rouge("rouge1")}, "[metrics]", Path())


def scores_of(model: str, scores: list[float | None]) -> ModelScores:
    """A model's ROUGE-1 on samples 0, 1, ...; None for one that failed."""
    predictions = [
        failed(model, str(n)) if score is None else answered(model, str(n), {"rouge1": score}) for n, score in enumerate(scores)
    ]
    return ModelScores(Model(model, "chats", model), METRICS, predictions)


def compared(baseline: list[float | None], candidate: list[float | None], **bound: float) -> PairedScores:
    """A comparison with a bound on ROUGE-1: `min_gain` or `max_drop`."""
    bounds = {kind: {"rouge1": bound[kind]} if kind in bound else {} for kind in ("min_gain", "max_drop")}
    comparison = Comparison(key="tuning-helps", suite="chats", baseline="small", candidate="tuned", **bounds)
    sides = {"baseline": scores_of("small", baseline), "candidate": scores_of("tuned", candidate)}
    return PairedScores(comparison=comparison, **sides)


# ---------------------------------------------------------------- the verdict


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        ({"min_gain": 0.0}, "passed"),
        ({"min_gain": 0.01}, "inconclusive"),
        ({"min_gain": 0.06}, "failed"),
        ({"max_drop": 0.01}, "passed"),
        ({"min_gain": 0.036}, "inconclusive"),
        ({"min_gain": 0.037}, "failed"),
    ],
)
def test_the_whole_interval_has_to_reach_the_bound(bound: dict[str, float], verdict: str) -> None:
    # The interval is 0.02, more or less 1.6604 standard errors of 0.01005: 0.0033 to 0.0367.
    assert compared(LOW, HIGH, **bound).verdict("rouge1") == verdict


def test_a_candidate_that_is_worse_fails_a_max_drop_that_it_passes_over() -> None:
    assert compared(HIGH, LOW, max_drop=0.05).verdict("rouge1") == "passed"
    assert compared(HIGH, LOW, max_drop=0.03).verdict("rouge1") == "inconclusive"
    assert compared(HIGH, [score - 0.1 for score in LOW], max_drop=0.05).verdict("rouge1") == "failed"


def test_an_inconclusive_comparison_says_how_many_samples_would_settle_it() -> None:
    # 1.647 + 0.842 standard errors of 0.1005 / sqrt(n - 2) are the 0.0095 that the mean is off the bound.
    assert str(compared(LOW, HIGH, min_gain=0.0105).decision("rouge1")) == (
        "+0.0200 inconclusive: tuning-helps rouge1: tuned less small (90% interval +0.0033 to +0.0367, 100 samples), min_gain "
        "0.0105: the interval straddles the bound; about 700 samples would settle it (100 decide a change that is 0.0254 off the bound)"
    )


def test_so_many_samples_settle_it() -> None:
    assert compared(LOW * 7, HIGH * 7, min_gain=0.0105).verdict("rouge1") == "passed"
    assert compared(LOW * 7, HIGH * 7, min_gain=0.0295).verdict("rouge1") == "failed"
    assert compared(LOW * 2, HIGH * 2, min_gain=0.0105).verdict("rouge1") == "inconclusive"


def test_a_bound_right_on_the_mean_is_settled_by_no_number() -> None:
    found = str(compared([0.5, 0.25] * 10, [0.75, 0.25] * 10, min_gain=0.125).decision("rouge1"))
    assert found.endswith(
        "min_gain 0.125: the interval straddles the bound; no number of samples would settle it "
        "(20 decide a change that is 0.0783 off the bound)"
    )


def test_too_few_pairs_to_pass_are_said_to_be() -> None:
    found = compared([0.2, 0.3, 0.4], [0.8, 0.85, 0.9], min_gain=0.05)
    assert found.verdict("rouge1") == "inconclusive"
    assert str(found.decision("rouge1")).endswith(
        "min_gain 0.05: 3 pairs: it takes 10 to pass; about 10 samples would settle it"
    )


def test_a_failed_comparison_is_told_with_its_bound() -> None:
    found = str(compared(HIGH, [score - 0.1 for score in LOW], max_drop=0.05).decision("rouge1"))
    assert found.endswith(", 100 samples), max_drop 0.05")
    assert found.startswith("-0.1200 failed: tuning-helps rouge1: ")


# ---------------------------------------------------------------- pairs


def test_only_samples_that_both_answered_are_compared() -> None:
    pair = compared([0.1, None, 0.3, None, 0.5], [0.2, 0.9, None, None, 0.6], min_gain=0.05)
    assert [one.sample for one in pair.pairs] == ["0", "4"]
    difference = pair.differences["rouge1"]
    assert (difference.samples, difference.mean) == (2, pytest.approx(0.1))


def test_samples_are_paired_by_id_and_not_by_place() -> None:
    pair = compared([0.1, 0.9], [0.9, 0.1], min_gain=0.0)
    pair.candidate.predictions.reverse()  # type: ignore[attr-defined]
    assert [(one.before.sample.id, one.after.sample.id) for one in pair.pairs] == [("0", "0"), ("1", "1")]
    assert pair.differences["rouge1"].mean == 0.0


def test_where_nothing_can_be_compared_it_fails_and_says_why() -> None:
    pair = compared([None, None], [0.5, 0.6], min_gain=0.0)
    assert pair.verdict("rouge1") == "failed"
    assert str(pair.decision("rouge1")) == (
        "0 samples answered by both: tuning-helps rouge1: tuned less small. 2 of 2 samples failed, 0 allowed: small: "
        "0: it broke; 1: it broke"
    )


# ---------------------------------------------------------------- in a run


@pytest.fixture
def twelve(tuning: TuningProject, api: ApiServer) -> TuningProject:
    """A tuned project with a comparison on twelve samples, recorded."""
    tuning.write_rows(TWELVE_ROWS)
    tuning.extend_suite(COMPARISON)
    api.references = {row["dialogue"]: row["summary"] for row in TWELVE_ROWS}
    tuning.run("evals", "--record", "--snapshot-update", "-p no:xdist")
    return tuning


def test_a_comparison_passes_fails_or_is_inconclusive_by_metric(twelve: TuningProject) -> None:
    twelve.edit_suite("min_gain = { rouge1 = 0.02 }", "min_gain = { rouge1 = 0.02, rouge2 = 0.6 }\nmax_drop = { rougeL = 0.0 }")
    twelve.extend_suite('\n[compare.the-other-way]\nbaseline = "tuned"\ncandidate = "small"\nmax_drop = { rouge1 = 0.1 }\n')
    results = twelve.results_of("-k", "test_compare", "-p no:xdist")["comparisons"]
    verdicts = {metric: (found["verdict"], found["passed"]) for metric, found in results["tuning-helps"].items()}
    assert verdicts == {
        "rouge1": ("passed", True),
        "rouge2": ("inconclusive", False),
        "rougeL": ("passed", True),
    }
    assert (results["the-other-way"]["rouge1"]["verdict"], results["the-other-way"]["rouge1"]["passed"]) == (
        "failed",
        False,
    )


def test_the_results_tell_the_exact_difference_on_the_pairs_there_are(twelve: TuningProject) -> None:
    # By hand, for the first line as the prediction: 8/11, 8/11, 8/9, 0, 1 and 4/8; the tuned model always scores 1.
    twelve.cassette("t4").unlink()
    found = twelve.results_of("-k", "test_compare", "-p no:xdist")["comparisons"]["tuning-helps"]["rouge1"]
    gains = [3 / 11, 3 / 11, 1 / 9, 0.0, 1 / 2] * 2 + [1.0]
    assert (found["samples"], found["confidence"], found["verdict"]) == (11, 0.95, "passed")
    assert found["difference"] == pytest.approx(sum(gains) / 11, abs=1e-15)
    assert 0.02 < found["low"] < found["difference"] < found["high"] < 1
    assert "p_value" not in found


def test_a_comparison_carries_the_mark_of_its_candidate(tuned: TuningProject) -> None:
    tuned.extend_suite(COMPARISON)
    tuned.extend_suite(
        '[models.other]\nmodel = "other"\nbase_url = "BASE_URL"\n\n[compare.bases]\nbaseline = "small"\n'
        'candidate = "other"\nmax_drop = { rouge1 = 0.5 }\n'
    )
    collected = {
        mark: [
            line.split("::")[1]
            for line in tuned.run("evals", "-m", mark, "--collect-only", "-q").output.splitlines()
            if "compare[" in line
        ]
        for mark in ("baseline", "finetuned")
    }
    assert collected == {
        "baseline": ["test_compare[chats-bases-rouge1]"],
        "finetuned": ["test_compare[chats-tuning-helps-rouge1]"],
    }
