"""What a recording tells of its answers: when, how long, at what cost; and recordings that aren't on this machine."""

from typing import Any

import pytest
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.folder import recorded_on
from msgspec.structs import replace

from tests.support.project import Project
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
EXCHANGE = Exchange("POST", "http://h/v1/chat/completions", {}, 200, {"created": 1_795_377_337})


@pytest.mark.parametrize(
    ("date", "answered", "day"),
    [
        ("Tue, 24 Nov 2026 23:59:59 GMT", {"created": 1}, "2026-11-24"),
        ("Sun, 01 Feb 2026 00:00:00 GMT", {}, "2026-02-01"),
        (None, {"created": 1_795_377_337}, "2026-11-22"),
        ("soon", {"created": 1_795_377_337}, "2026-11-22"),
        ("Tue, 24 Foo 2026 23:59:59 GMT", {}, None),
        (None, {"created": "1795377337"}, None),
        (None, {"created": 10**30}, None),
        (None, {"created": -5}, None),
        (None, {}, None),
        (None, "a text", None),
    ],
)
def test_the_day_is_that_of_the_api_s_header_or_else_of_its_body(date: str | None, answered: Any, day: str | None) -> None:
    assert recorded_on(replace(EXCHANGE, date=date, answered=answered)) == day


def test_an_answer_tells_latency_cost_and_day_as_recorded(tuning: TuningProject) -> None:
    model, sample, recordings = tuning.loaded()[0].models["small"], tuning.samples()[0], tuning.recordings()
    exchange = replace(
        EXCHANGE, asked=recordings.request(model, sample), answered={"choices": [{"message": {"content": "hi"}}]}
    )
    timed = replace(exchange, latency_s=1.25, cost_usd=0.003, date="Tue, 24 Nov 2026 23:59:59 GMT")
    for recorded, told in ((exchange, (None, None, None)), (timed, (1.25, 0.003, "2026-11-24"))):
        cassettes.write(recordings.cassette(model, sample), [recorded])
        answer = recordings.answer(model, sample)
        assert (answer.latency_s, answer.cost_usd, answer.recorded) == told


def test_what_git_lfs_keeps_elsewhere_is_to_be_fetched_and_not_paid_for_again(recorded: Project, api: ApiServer) -> None:
    recorded.cassette("t2").write_text(POINTER)
    run = recorded.run("evals", "-m", "baseline", "-k", "test_sample")
    assert run.outcomes["failed"] == 1, run.output
    told = "small/t2.yaml: a Git LFS pointer, which stands for a recording that isn't on this machine. Fetch it: git lfs pull"
    assert told in " ".join(run.output.split())
    again = recorded.run("evals", "-m", "baseline", "--record-missing")
    again.assert_refused("t2.yaml: a Git LFS pointer", "recording it again would be paid: git lfs pull")
    assert api.calls == 0
    assert recorded.cassette("t2").read_text() == POINTER


def test_a_job_that_git_lfs_keeps_elsewhere_is_not_trained_again(tuned: TuningProject, api: ApiServer) -> None:
    tuned.job_cassette.write_text(POINTER)
    run = tuned.run("evals", "-m", "finetuned", "--record-missing")
    run.assert_refused("tuned/job.yaml: a Git LFS pointer", "Fetch it first: git lfs pull")
    assert api.requests == []


def test_a_recording_of_an_error_passes_for_no_answer_and_is_asked_again(recorded: Project, api: ApiServer) -> None:
    text = recorded.cassette("t2").read_text()
    recorded.cassette("t2").write_text(text.replace('{"code": 200', '{"code": 500'))
    run = recorded.run("evals", "-m", "baseline", "-k", "t2")
    assert "t2.yaml: recorded with HTTP status 500, which is no answer. Record it: " in " ".join(run.output.split())
    recorded.run("evals", "-m", "baseline", "--record-missing").assert_outcomes(passed=8)
    assert api.calls == 1
