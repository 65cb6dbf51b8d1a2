"""What can mend a failure decides what becomes of it: the next attempt, the sample, the model, the account, or the session."""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from evaltape.recorder import throttle
from evaltape.recorder.api import client, failures
from evaltape.recorder.api.failures import Mend, of_status
from evaltape.recorder.lane import Call
from evaltape.recording.cassettes import Exchange
from evaltape.recording.folder import answer_of

from tests.support.recording import SAMPLES, Recording
from tests.support.server import ApiServer, Reply, completion, error
from tests.support.tuning import TuningProject


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are short, and after a refusal the pace is soon high again."""
    monkeypatch.setattr(failures, "FIRST_BACKOFF_S", 0.005)
    monkeypatch.setattr(failures, "LONGEST_BACKOFF_S", 0.05)
    monkeypatch.setattr(failures, "UNREACHED_S", 0.2)
    monkeypatch.setattr(failures, "WRITE_PATIENCE_S", 0.5)
    monkeypatch.setattr(throttle, "PACE_PLATEAU", 100.0)


@pytest.fixture
def recording(tuning: TuningProject) -> Recording:
    """A recording of one model, not yet run."""
    made = Recording(tuning)
    made.add()
    return made


# ---------------------------------------------------------------- what a refusal is about


@pytest.mark.parametrize(
    ("status", "code", "words", "mend"),
    [
        (429, "rate_limit_exceeded", "Rate limit reached on requests per min (RPM): Limit 60, Used 60, Requested 1.", "pace"),
        (429, "rate_limit_exceeded", "Rate limit reached on tokens per min: Limit 30000, Used 29000, Requested 2,000", "pace"),
        (429, "rate_limit_exceeded", "Request too large on tokens per min (TPM): Limit 30000, Requested 45000", "call"),
        (429, None, "TPM exceeded. Limit: 30,000, Requested: 45,000", "call"),
        (429, None, "Rate limit reached on requests per day (RPD): Limit 200, Used 200, Requested 1", "model"),
        (429, None, "Quota exceeded: GenerateRequestsPerDayPerProjectPerModel-FreeTier", "model"),
        (429, "insufficient_quota", "You exceeded your current quota", "account"),
        (429, "billing_not_active", "Your account is not active", "account"),
        (429, None, "Billing hard limit has been reached", "account"),
        (402, None, "Insufficient Balance", "account"),
        (401, "invalid_api_key", "Incorrect API key", "model"),
        (404, "model_not_found", "No such model", "model"),
        (307, None, "redirected", "model"),
        (400, None, "Unsupported value", "call"),
        (413, None, "Payload too large", "call"),
        (408, None, "timeout", "attempt"),
        (503, None, "Overloaded", "attempt"),
        (501, None, "Not implemented", "model"),
    ],
)
def test_the_words_of_an_api_say_what_could_mend_a_failure(status: int, code: str | None, words: str, mend: Mend) -> None:
    assert of_status(status, words, code, {}).mend == mend


def test_a_sample_too_large_for_the_account_fails_alone_and_is_sent_once(recording: Recording, api: ApiServer) -> None:
    words = "Request too large on tokens per min (TPM): Limit 30000, Requested 45000"
    api.fault(error(429, words, "rate_limit_exceeded"), match="number 3 ", times=math.inf)
    recorder = recording.run().recorder
    assert len(recording.recorded()) == SAMPLES - 1
    assert api.calls == SAMPLES
    assert list(recorder.errors()) == ["s3"]
    assert f"HTTP 429: {words}" in recorder.errors()["s3"]


def test_a_call_refused_for_its_pace_again_and_again_while_others_are_answered_fails_alone(
    recording: Recording, api: ApiServer
) -> None:
    api.fault("429 at once", match="number 3 ", times=math.inf)
    recorder = recording.run().recorder
    assert len(recording.recorded()) == SAMPLES - 1
    assert api.calls == SAMPLES - 1 + failures.REFUSALS
    assert recorder.errors()["s3"].endswith(f"(after {failures.REFUSALS} attempts)")


def test_a_refused_call_goes_behind_those_that_wait(recording: Recording, api: ApiServer) -> None:
    api.fault("429 at once", match="number 0 ")
    recording.run()
    assert len(recording.recorded()) == SAMPLES
    assert "number 0 " in api.asked()[-1].text


def test_the_requests_of_a_day_are_not_waited_for(recording: Recording, api: ApiServer) -> None:
    words = "Rate limit reached on requests per day (RPD): Limit 10, Used 10, Requested 1"
    api.fault(error(429, words, headers={"retry-after": "432"}), after=10, times=math.inf)
    recorder = recording.run().recorder
    assert len(recording.recorded()) == 10
    assert api.calls <= 10 + failures.HOPELESS + 4
    (note,) = recorder.tally.notes
    assert f"not asked: {failures.HOPELESS} calls in a row failed alike, the last with HTTP 429: {words}" in note


@pytest.mark.parametrize(
    "fault",
    [
        "401",
        "404",
        "not a completion",
        "not json",
        Reply({"error": "no provider"}),
        Reply("data: {}", content_type="text/event-stream"),
    ],
    ids=["401", "404", "no completion", "no JSON", "an error with status 200", "a stream"],
)
def test_an_api_of_which_nothing_can_be_used_is_asked_a_few_times(recording: Recording, api: ApiServer, fault: Any) -> None:
    api.fault(fault, times=math.inf)
    recorder = recording.run().recorder
    assert api.calls <= failures.HOPELESS + 4
    assert len(recorder.errors()) == SAMPLES
    (note,) = recorder.tally.notes
    assert "calls in a row failed alike" in note


def test_an_account_without_money_stops_its_own_models_alone(tuning: TuningProject, api: ApiServer) -> None:
    with ApiServer(latency_s=0.02) as other:
        recording = Recording(tuning)
        recording.add("poor")
        recording.add("rich", other.base_url)
        api.fault("quota", times=math.inf)
        recorder = recording.run().recorder
    assert recording.recorded("rich") == {sample.id for sample in recording.samples}
    assert recording.recorded("poor") == set()
    assert api.calls <= 4
    assert recorder.tally.stopped is None
    assert any(note.startswith("poor: ") and "not asked: HTTP 429: You exceeded" in note for note in recorder.tally.notes)


def test_the_only_account_without_money_stops_the_recording(recording: Recording, api: ApiServer) -> None:
    api.fault("quota", after=5, times=math.inf)
    recorder = recording.run().recorder
    assert (recorder.tally.stopped or "").startswith("HTTP 429: You exceeded your current quota")
    assert len(recording.recorded()) == 5
    assert sum(map(len, recorder.tally.left.values())) > 0


# ---------------------------------------------------------------- time


def test_timeouts_lower_what_is_in_flight_until_the_api_answers_in_time(tuning: TuningProject, api: ApiServer) -> None:
    def busy(asked: dict[str, Any]) -> Reply:
        return Reply(completion(asked, "Fine.").body, delay_s=0.05 * api.in_flight)

    api.fault(busy, times=math.inf)
    recording = Recording(tuning, concurrency=16)
    recording.add(timeout_s=0.25)
    recorder = recording.run().recorder
    assert len(recording.recorded()) >= SAMPLES - 2, recorder.errors()
    (note, *_) = recorder.tally.notes
    assert "no answer within 0.25 s (eval_timeout_s), so fewer calls are in flight" in note
    assert "(--concurrency)" in note


def test_an_api_that_never_answers_in_time_is_not_paid_five_times_a_sample(tuning: TuningProject, api: ApiServer) -> None:
    api.fault("hang", times=math.inf)
    recording = Recording(tuning, concurrency=16)
    recording.add(timeout_s=0.2)
    recorder = recording.run().recorder
    assert api.calls <= 16 + failures.TIMEOUTS_ALONE
    assert any("even a single call at a time got no answer within 0.2 s; eval_timeout_s" in it for it in recorder.tally.notes)


def test_an_answer_that_arrived_while_the_process_was_stopped_is_read(
    tuning: TuningProject, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LATE_S", 0.1)
    # So long that it takes the loop several turns to read it.
    api.fault(lambda asked: Reply(completion(asked, "Fine. " * 60_000).body, delay_s=0.2), times=math.inf)
    recording = Recording(tuning, number=4)
    recording.add(timeout_s=0.5)

    async def be_stopped() -> None:
        while api.calls < 4:
            await asyncio.sleep(0.005)
        time.sleep(0.8)  # As with Ctrl-Z: the loop sees nothing of the answers and the timeout until it goes on.

    recording.recorder.add_work(be_stopped, is_job=False)
    recorder = recording.run().recorder
    assert (len(recording.recorded()), api.calls, recorder.tally.spend.broke_off) == (4, 4, 0)


# ---------------------------------------------------------------- the network


def test_a_network_that_is_lost_for_a_while_is_waited_for_and_costs_nothing(
    recording: Recording, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "UNREACHED_S", 0.1)

    def lose_network() -> None:
        while len(recording.recorded()) < 4:
            time.sleep(0.01)
        api.stop()
        time.sleep(0.4)
        api.__enter__()

    api.latency_s = 0.05
    losing = threading.Thread(target=lose_network)
    losing.start()
    recorder = recording.run().recorder
    losing.join()
    assert len(recording.recorded()) == SAMPLES, recorder.tally.notes
    assert recorder.tally.spend.broke_off <= 4  # Those in flight when it was lost.


def test_an_api_that_was_never_reached_is_soon_given_up(recording: Recording, api: ApiServer) -> None:
    api.stop()
    recorder = recording.run().recorder
    assert len(recorder.errors()) == SAMPLES
    assert recorder.tally.spend.broke_off == 0
    assert any("not asked: the API couldn't be reached for " in note for note in recorder.tally.notes)


# ---------------------------------------------------------------- answers


def test_an_answer_with_long_headers_is_recorded(recording: Recording, api: ApiServer) -> None:
    api.fault(lambda asked: replace(completion(asked, "Fine."), headers={"x-policy": "a" * 60_000}), times=math.inf)
    assert len(recording.run().recorded()) == SAMPLES


def test_a_prompt_that_the_content_filter_refuses_is_recorded_as_the_answer(recording: Recording, api: ApiServer) -> None:
    api.fault(error(400, "The prompt triggered our policy", "content_filter"), match="number 3 ", times=math.inf)
    recorder = recording.run().recorder
    assert (len(recording.recorded()), recorder.errors()) == (SAMPLES, {})
    answer = recording.project.recordings().valid_answer(*recording.asked[3])
    assert str(answer.failure) == "refused by the API's content filter: The prompt triggered our policy"
    assert answer.failure is not None
    assert answer.failure.kind == "filtered"
    plain = {"error": {"code": "invalid_value", "message": "no"}}
    with pytest.raises(ValueError, match="not a chat completion"):
        answer_of(Exchange("POST", "http://a/v1/chat/completions", {}, 400, plain))


class Failing(Call):
    """A call whose answer can't be written at first."""

    failures: list[OSError]

    def keep(self, exchange: Exchange) -> None:
        """Fail as long as there are failures."""
        if self.failures:
            raise self.failures.pop()
        super().keep(exchange)


def failing(recording: Recording, number: int) -> Callable[[], Recording]:
    """Let the first writings fail, as with too many open files."""
    Failing.failures = [OSError(24, "Too many open files")] * number
    for call in recording.recorder.lanes[0].waiting:
        call.__class__ = Failing
    return recording.run


def test_answers_that_can_not_be_written_for_a_while_are_kept_until_they_can(recording: Recording, api: ApiServer) -> None:
    recorder = failing(recording, 20)().recorder
    assert (len(recording.recorded()), api.calls, recorder.errors()) == (SAMPLES, SAMPLES, {})


def test_while_answers_can_not_be_written_no_further_call_is_paid(recording: Recording, api: ApiServer) -> None:
    recorder = failing(recording, 10_000)().recorder
    assert api.calls <= 4
    assert "can't be written: Too many open files. Files written earlier are whole" in (recorder.tally.stopped or "")
