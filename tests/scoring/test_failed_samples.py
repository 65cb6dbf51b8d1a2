"""A refusal, a filtered or an empty answer is the model's answer: recorded, failed with its reason, and failed in replay."""

import json
from collections.abc import Iterator
from typing import Any

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
IDS = ["t1", "t2", "t3", "t4", "t5", "t6"]
EVIL = "\x1b]0;owned\x07\x1b[2J\u202eevil"
ANYTHING = "tab\there, \\ back, \"quoted\", 'single', {braces}, émoji 😀, \u2028 \x85 \ufeff \x00, trailing \n\n "


class Recorded:
    """A recording of a project, and its results."""

    def __init__(self, project: Project, api: ApiServer, *args: str) -> None:
        self.project, self.api = project, api
        self.run = project.run("evals", "-m", "baseline", "--record", "--results", "recorded.json", *args)
        self.results = json.loads((project.root / "recorded.json").read_text())["suites"]["chats"]


def fail(api: ApiServer) -> None:
    """Let the first five samples fail, each in its way; the sixth is answered."""
    for fault, speaker in SPEAKERS.items():
        api.fault(fault, match=speaker)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A recording whose first five samples failed. Not to be written to."""
    with ApiServer() as api:
        fail(api)
        yield Recorded(Project(tmp_path_factory.mktemp("failed") / "project", api.base_url), api)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A recording of answers that are odd, each in its way. Not to be written to."""
    with ApiServer() as api:
        project = Project(tmp_path_factory.mktemp("odd") / "project", api.base_url)
        project.edit_suite("[models.small]", "[models.small]\nallow_failed = 3")
        api.fault("truncated", match="Ben:")
        api.fault(lambda asked: completion(asked, "Mia and Olu have lunch", refusal="No."), match="Mia:")
        api.fault(lambda asked: completion(asked, f"{EVIL} tea"), match="Kai:")
        api.fault(lambda asked: completion(asked, " \n\t"), match="Ida:")
        api.fault(lambda asked: completion(asked, None, refusal=EVIL), match="Eva:")
        api.fault(lambda asked: completion(asked, ANYTHING), match="Gus:")
        return Recorded(project, api, "--snapshot-update", "--color=no")


@pytest.fixture(scope="module")
def odd_again(odd: Recorded) -> Any:
    """The results of its replay."""
    return odd.project.results()


def test_each_is_recorded_and_failed_with_its_reason_and_again_in_replay(
    project: Project, api: ApiServer, workers: str
) -> None:
    fail(api)
    recorded = Recorded(project, api, workers)
    recorded.run.assert_outcomes(failed=7, passed=1)
    assert api.calls == 6
    assert sorted(project.recorded()) == IDS

    replayed = project.results(workers)
    assert api.calls == 6
    for results in (recorded.results, replayed):
        small = results["models"]["small"]
        assert small["failures"] == dict(zip(IDS[:5], FAILURES.values(), strict=True))
        assert (small["samples"], small["failed"], small["truncated"]) == (6, 5, 0)
        assert small["scores"]["rouge1"]["mean"] == 0.5
        assert small["gates"]["rouge1"]["passed"] is False


def test_record_missing_does_not_ask_again_for_what_was_answered_so(failed: Recorded) -> None:
    failed.project.run("evals", "-m", "baseline", "--record-missing").assert_outcomes(failed=7, passed=1)
    assert failed.api.calls == 6


def test_a_failed_sample_is_in_the_predictions_with_its_reason_and_without_a_score(failed: Recorded) -> None:
    first = failed.results["predictions"][0]
    assert first["failure"] == FAILURES["refusal"]
    assert not {"rouge1", "rouge2", "rougeL"} & set(first)


def test_the_output_names_failed_samples_with_their_reason(failed: Recorded) -> None:
    output = failed.run.output
    assert "5 of 6 samples failed, 0 allowed: small: t1: the model refused: I can't help with that.; t2: " in output
    assert "; and 2 more" in output
    assert "FAILED evals/test_baseline.py::test_sample[chats-small-t1] - " in output


def test_a_truncated_answer_is_scored_and_counted(odd: Recorded, odd_again: Any) -> None:
    small, (first, *_) = odd_again["models"]["small"], odd_again["predictions"]
    assert (small["failed"], small["truncated"]) == (3, 1)
    assert "rouge1" in first
    assert small["scores"]["rouge1"]["scored"] == 3
    assert json.loads((odd.project.snapshots / "small.scores").read_text())["truncated"] == 1


def test_a_text_beside_a_refusal_is_a_refusal(odd: Recorded) -> None:
    assert odd.results["models"]["small"]["failures"]["t2"] == "the model refused: No."


def test_a_blank_answer_is_an_empty_one(odd: Recorded) -> None:
    assert odd.results["models"]["small"]["failures"]["t4"] == "the answer is empty (finish_reason stop)"


def test_nothing_else_fails(odd: Recorded) -> None:
    assert sorted(odd.results["models"]["small"]["failures"]) == ["t2", "t4", "t5"]


def test_escape_sequences_of_a_model_do_not_reach_the_terminal(odd: Recorded) -> None:
    assert "\x1b" not in odd.run.output
    assert "\u202e" not in odd.run.output
    assert "\\x1b[2J" in odd.run.output


def test_what_a_model_says_reads_back_exactly_whatever_it_is(odd: Recorded, odd_again: Any) -> None:
    for results in (odd.results, odd_again):
        assert results["predictions"][5]["prediction"] == ANYTHING
