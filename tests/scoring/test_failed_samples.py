"""A refusal, a filtered or an empty answer is the model's answer: recorded, failed with its reason, and failed in replay."""

import json

import pytest

from tests.support.project import Project
from tests.support.server import ApiServer, completion

FAILURES = {
    "refusal": "the model refused: I can't help with that.",
    "filtered": "the API's content filter withheld the answer (finish_reason content_filter)",
    "empty": "the answer is empty (finish_reason stop)",
    "null": "the answer is empty (finish_reason stop)",
    "empty at the limit": "the answer is empty: the length limit was reached before any text (max_completion_tokens too low?)",
}
SPEAKERS = dict(zip(FAILURES, ["Ben:", "Mia:", "Kai:", "Ida:", "Eva:"], strict=True))


@pytest.fixture
def failing(project: Project, api: ApiServer) -> Project:
    """A project whose first five samples fail, each in its way; the sixth is answered."""
    for fault, speaker in SPEAKERS.items():
        api.fault(fault, match=speaker)
    return project


def test_each_is_recorded_and_failed_with_its_reason_and_again_in_replay(
    failing: Project, api: ApiServer, workers: str
) -> None:
    run = failing.run("evals", "-m", "baseline", "--record", "--results", "recorded.json", workers)
    run.assert_outcomes(failed=7, passed=1)
    assert api.calls == 6
    assert sorted(failing.recorded()) == ["t1", "t2", "t3", "t4", "t5", "t6"]
    recorded = json.loads((failing.root / "recorded.json").read_text())["suites"]["chats"]

    replayed = failing.results(workers)
    assert api.calls == 6
    for results in (recorded, replayed):
        small = results["models"]["small"]
        assert small["failures"] == dict(zip(["t1", "t2", "t3", "t4", "t5"], FAILURES.values(), strict=True))
        assert (small["samples"], small["failed"], small["truncated"]) == (6, 5, 0)
        assert small["scores"]["rouge1"]["mean"] == 0.5
        assert small["gates"]["rouge1"]["passed"] is False


def test_record_missing_does_not_ask_again_for_what_was_answered_so(failing: Project, api: ApiServer) -> None:
    failing.run("evals", "-m", "baseline", "--record")
    failing.run("evals", "-m", "baseline", "--record-missing")
    assert api.calls == 6


def test_a_failed_sample_is_in_the_predictions_with_its_reason_and_without_a_score(failing: Project) -> None:
    results = failing.results("--record")
    first = results["predictions"][0]
    assert first["failure"] == FAILURES["refusal"]
    assert not {"rouge1", "rouge2", "rougeL"} & set(first)


def test_the_output_names_failed_samples_with_their_reason(failing: Project) -> None:
    run = failing.run("evals", "-m", "baseline", "--record")
    assert "5 of 6 samples failed, 0 allowed: small: t1: the model refused: I can't help with that.; t2: " in run.output
    assert "; and 2 more" in run.output
    assert "FAILED evals/test_baseline.py::test_sample[chats-small-t1] - " in run.output


def test_a_truncated_answer_is_scored_and_counted(project: Project, api: ApiServer) -> None:
    api.fault("truncated", match="Ben:")
    project.record()
    small = project.results()["models"]["small"]
    assert (small["failed"], small["truncated"]) == (0, 1)
    assert json.loads((project.snapshots / "small.scores").read_text())["truncated"] == 1


def test_a_text_beside_a_refusal_is_a_refusal(project: Project, api: ApiServer) -> None:
    api.fault(lambda asked: completion(asked, "the red car won the race", refusal="No."), match="Ben:")
    results = project.results("--record")
    assert results["models"]["small"]["failures"] == {"t1": "the model refused: No."}


def test_a_blank_answer_is_an_empty_one(project: Project, api: ApiServer) -> None:
    api.fault(lambda asked: completion(asked, " \n\t"), match="Ben:")
    results = project.results("--record")
    assert results["models"]["small"]["failures"] == {"t1": "the answer is empty (finish_reason stop)"}


def test_escape_sequences_of_a_model_do_not_reach_the_terminal(project: Project, api: ApiServer) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202eevil"
    api.fault(lambda asked: completion(asked, None, refusal=evil), match="Ben:")
    api.fault(lambda asked: completion(asked, f"{evil} tea"), match="Kai:")
    run = project.run("evals", "-m", "baseline", "--record", "--color=no")
    assert "\x1b" not in run.output
    assert "\u202e" not in run.output
    assert "\\x1b[2J" in run.output


def test_what_a_model_says_reads_back_exactly_whatever_it_is(project: Project, api: ApiServer) -> None:
    text = "tab\there, \\ back, \"quoted\", 'single', {braces}, émoji 😀, \u2028 \x85 \ufeff \x00, trailing \n\n "
    api.answers["small-2026-01-01"] = lambda prompt: text
    assert {prediction["prediction"] for prediction in project.results("--record")["predictions"]} == {text}
    assert {prediction["prediction"] for prediction in project.results()["predictions"]} == {text}
