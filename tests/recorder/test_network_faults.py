"""Faults of the network and the API while recording: what is tried again, what fails, and what is on disk afterwards."""

import math
import re

import pytest
from evaltape.recorder import throttle
from evaltape.recorder.api import failures

from tests.support.project import ROWS, Project, Run
from tests.support.recording import record_here, recorder_here
from tests.support.server import FAULTS, ApiServer, Reply, error

SOON = error(429, "Rate limit reached", "rate_limit_exceeded", headers={"retry-after": "0.1"})
PASSING = ["500", "502", "503", "html error", "reset", "cut", SOON, "429 at once", "429 without retry-after"]
LASTING = {
    "400": "HTTP 400: Unsupported value: 'temperature' does not support 7 (unsupported_value)",
    "401": "HTTP 401: Incorrect API key provided: [removed] of [removed], [removed] (invalid_api_key)",
    "403": "HTTP 403: Organization [removed] may not create fine-tuning jobs (permission_denied)",
    "404": "HTTP 404: The model has been shut down (model_not_found)",
    "html": "the answer is ",
    "not json": "the answer is not JSON of this API",
    "not a completion": "HTTP 200: the answer is not a chat completion (KeyError('choices'))",
}


def many_rows(project: Project, number: int) -> list[str]:
    """Give the project so many samples; the texts that tell them apart."""
    names = [f"Person{n:02d}:" for n in range(number)]
    project.write_rows([{**ROWS[0], "id": f"p{n:02d}", "dialogue": f"{name} the red car won"} for n, name in enumerate(names)])
    return names


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between attempts there is little time, and after a refusal the pace is soon high again."""
    monkeypatch.setattr(failures, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(failures, "UNREACHED_S", 0.2)
    monkeypatch.setattr(throttle, "UNTOLD_S", 0.1)
    monkeypatch.setattr(throttle, "PACE_PLATEAU", 100.0)


def record(project: Project, *args: str) -> Run:
    return project.run("evals", "-m", "baseline", "-k", "test_sample", "--record", *args)


@pytest.mark.usefixtures("brisk")
def test_transient_faults_are_tried_again_and_leave_no_trace(project: Project, api: ApiServer) -> None:
    names = many_rows(project, len(PASSING) + 1)
    plain = record_here(project, "--record")
    wanted = project.answers()
    api.forget()
    for name, fault in zip(names, PASSING, strict=False):
        api.fault(fault, match=name)
    assert record_here(project, "--record") == plain == {}
    assert project.answers() == wanted
    assert len(wanted) == len(names)
    assert api.calls == 2 * len(PASSING) + 1
    assert api.answered == len(PASSING) + 1


def test_a_hang_and_a_slow_answer_are_given_up_and_asked_again(project: Project, api: ApiServer) -> None:
    api.fault("hang", match="Ben:")
    api.fault("slow", match="Mia:")
    run = record(project, "-o", "eval_timeout_s=0.6")
    assert run.exit_code == 0, run.output
    assert api.calls == 8
    assert "Too late." not in project.recorded()["t2"]


def test_lasting_faults_fail_their_sample_at_once_in_the_words_of_the_api(project: Project, api: ApiServer) -> None:
    names = many_rows(project, len(LASTING) + 1)
    for name, fault in zip(names, LASTING, strict=False):
        api.fault(fault, match=name, times=math.inf)
    run = record(project, "--results", "results.json", "-n 2")
    assert run.outcomes["failed"] == len(LASTING), run.output
    assert run.outcomes["passed"] == 1
    assert api.calls == len(LASTING) + 1
    assert list(project.recorded()) == [f"p{len(LASTING):02d}"]
    words = " ".join(run.output.split())
    for message in LASTING.values():
        assert message in words
    assert "Not recorded. Record the rest: pytest evals -m baseline --record-missing" in words


@pytest.mark.usefixtures("brisk")
def test_faults_that_do_not_pass_fail_their_sample_after_five_attempts(project: Project, api: ApiServer) -> None:
    names = many_rows(project, 6)
    faults = {"500": "HTTP 500: The server had an error", "html error": "HTTP 502: ", "reset": "the connection failed: ", "cut": "the connection failed: ", "hang": "no answer within 0.2 s"}  # fmt: skip
    for name, fault in zip(names, faults, strict=False):
        api.fault(fault, match=name, times=math.inf)
    errors = record_here(project, "--record", "-o", "eval_timeout_s=0.2")
    assert list(project.recorded()) == ["p05"]
    assert api.calls == 4 * 5 + 3 + 1  # A timeout may be paid each time, so it gets fewer attempts.
    assert sorted(errors) == [f"p{n:02d}" for n in range(5)]
    for (sample, told), message in zip(sorted(errors.items()), faults.values(), strict=True):
        assert message in told
        assert told.endswith("(after 3 attempts)" if sample == "p04" else "(after 5 attempts)")


def test_what_failed_is_finished_by_record_missing(project: Project, api: ApiServer) -> None:
    api.fault("400", match="Ben:")
    api.fault("not json", match="Mia:")
    assert record(project).exit_code == 1
    api.forget()
    run = project.run("evals", "-m", "baseline", "--record-missing", "--snapshot-update")
    run.assert_outcomes(passed=8)
    assert api.calls == 2


def test_a_pace_that_the_api_refuses_is_learned_and_every_call_answered(project: Project, api: ApiServer) -> None:
    many_rows(project, 40)
    api.rate_per_s = 20
    assert record_here(project, "--record", "--concurrency", "32") == {}
    assert api.answered == 40
    assert len(project.recorded()) == 40
    assert 0 < api.statuses[429] < 40


@pytest.mark.usefixtures("brisk")
def test_retry_after_is_waited_for(project: Project, api: ApiServer) -> None:
    api.fault(error(429, "slow down", "rate_limit_exceeded", headers={"retry-after": "0.5"}), match="Ben:")
    record_here(project, "--record", only=["t1"])
    first, second = api.asked()
    assert second.received_s - first.received_s >= 0.5


@pytest.mark.usefixtures("brisk")
def test_a_key_refused_in_mid_run_fails_what_follows_and_keeps_what_was_answered(project: Project, api: ApiServer) -> None:
    api.fault("401", after=2, times=math.inf)
    recorder = recorder_here(project, "--record", "--concurrency", "1")
    assert len(recorder.errors()) == recorder.tally.calls.failed == 4
    assert len(project.recorded()) == 2
    assert api.calls <= 6


@pytest.mark.usefixtures("brisk")
def test_a_model_that_disappears_in_mid_run_is_told_and_what_was_answered_is_kept(project: Project, api: ApiServer) -> None:
    api.fault("404", after=2, times=math.inf)
    errors = record_here(project, "--record", "--concurrency", "1")
    assert len(project.recorded()) == 2
    assert "HTTP 404: The model has been shut down (model_not_found)" in set(errors.values())


def test_an_exhausted_quota_ends_the_run_at_once(project: Project, api: ApiServer) -> None:
    api.fault("quota", after=2, times=math.inf)
    run = record(project, "--concurrency", "1", "-n 2")
    assert run.exit_code != 0
    assert api.calls == 3
    assert len(project.recorded()) == 2
    words = " ".join(run.output.split())
    assert "HTTP 429: You exceeded your current quota (insufficient_quota)" in words
    assert "--record-missing goes on" in words
    api.forget()
    again = project.run("evals", "-m", "baseline", "-k", "test_sample", "--record-missing")
    assert again.exit_code == 0, again.output
    assert api.calls == 4


@pytest.mark.usefixtures("brisk")
def test_a_server_that_is_not_there_is_told_for_each_sample(project: Project, api: ApiServer) -> None:
    api.stop()
    errors = record_here(project, "--record", only=["t1", "t2"])
    assert sorted(errors) == ["t1", "t2"]
    told = r"(not asked: the API couldn't be reached for \d s, the last with )?the connection failed: .+"
    assert all(re.fullmatch(told, error) for error in errors.values()), errors
    assert any(error.startswith("not asked: ") for error in errors.values())
    assert project.recorded() == {}


def test_answers_in_any_order_are_the_samples_own(project: Project, api: ApiServer) -> None:
    names = many_rows(project, 12)
    for n, name in enumerate(names):
        api.fault(lambda asked, n=n: Reply(FAULTS["truncated"](asked).body, delay_s=(11 - n) / 80), match=name)  # type: ignore[operator]
    api.answers["small-2026-01-01"] = lambda prompt: prompt
    record_here(project, "--record")
    for n, name in enumerate(names):
        assert name in project.recorded()[f"p{n:02d}"]


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_a_fault_in_a_compressed_answer_is_no_answer(project: Project, api: ApiServer, fault: str) -> None:
    api.gzip = True
    api.fault(fault, match="Ben:")
    assert record_here(project, "--record", only=["t1"]) == {}
    assert api.calls == 2
    assert "the red car won" in project.recorded()["t1"]
