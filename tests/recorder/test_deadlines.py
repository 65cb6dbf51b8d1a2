"""Every wait has an end and says what it waits for: slow answers, Retry-After of any kind, an API that refuses everything."""

import datetime
import math
import os
import re
import signal
from email.utils import format_datetime
from typing import Any

import pytest
from evaltape.recorder import loop
from evaltape.recorder.api import failures
from evaltape.recorder.api.failures import LONGEST_WAIT_S, retry_after
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asking import failure
from tests.support.project import Project, wait_for
from tests.support.recording import Watched, add_lane
from tests.support.server import ApiServer, Reply, completion, error
from tests.support.tuning import TuningProject

DATE = "Tue, 24 Nov 2026 20:00:00 GMT"


# ---------------------------------------------------------------- the whole call


def test_a_byte_now_and_then_holds_no_call_for_longer_than_the_timeout(api: ApiServer) -> None:
    api.fault(lambda asked: Reply(completion(asked, "never whole").body, trickle_s=0.05))
    failed = failure(api.base_url, timeout_s=0.3)
    assert (failed.message, failed.transient, failed.may_be_billed) == ("no answer within 0.3 s", True, True)


def test_an_answer_that_never_begins_is_given_up(api: ApiServer) -> None:
    api.fault("hang")
    assert failure(api.base_url, timeout_s=0.2).message == "no answer within 0.2 s"


@pytest.mark.parametrize(("fault", "billed"), [("reset", True), ("cut", True), ("500", True), ("400", False), ("429", False)])
def test_a_failure_says_whether_it_may_have_been_billed(api: ApiServer, fault: str, billed: bool) -> None:
    api.fault(fault)
    assert failure(api.base_url).may_be_billed is billed


def test_what_was_never_sent_was_not_billed(api: ApiServer) -> None:
    api.stop()
    failed = failure(api.base_url)
    assert (failed.transient, failed.may_be_billed) == (True, False)
    assert failed.message.startswith("the connection failed: ")
    nowhere = failure("http://nowhere.invalid/v1", "sk-0123456789abcdef")
    assert (nowhere.transient, nowhere.may_be_billed) == (True, False)


# ---------------------------------------------------------------- Retry-After


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "86400"}, 86_400),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "1e999"}, math.inf),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Tue, 24 Nov 2026 20:00:30 GMT", "date": DATE}, 30),
        ({"retry-after": "Tue, 24 Nov 2026 19:00:00 GMT", "date": DATE}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 99 Nov 2026 20:00:30 GMT"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_counts_from_now_if_the_api_tells_no_time_of_its_own() -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    seconds = retry_after({"retry-after": format_datetime(later, usegmt=True)})
    assert seconds is not None
    assert 50 < seconds <= 60


@given(st.text() | st.floats().map(str), st.text())
def test_whatever_a_header_says_the_wait_is_a_number_from_0(text: str, date: str) -> None:
    seconds = retry_after({"retry-after": text, "date": date})
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("status", [429, 503])
def test_no_api_is_waited_for_longer_than_the_longest_wait(api: ApiServer, status: int) -> None:
    api.fault(error(status, "later", headers={"retry-after": "86400"}))
    failed = failure(api.base_url)
    assert (failed.retry_after_s, failed.asked_to_wait_s) == (LONGEST_WAIT_S, 86_400)


def test_backoff_grows_and_is_not_shorter_than_what_the_api_asks() -> None:
    assert all(failures.FIRST_BACKOFF_S <= failures.backoff_s(1) <= 2 * failures.FIRST_BACKOFF_S for _ in range(20))
    assert max(failures.backoff_s(1_000) for _ in range(20)) <= failures.LONGEST_BACKOFF_S
    assert failures.backoff_s(1, 100.0) == 100.0


# ---------------------------------------------------------------- a recorder that waits


@pytest.fixture
def recorder(tuning: TuningProject) -> Watched:
    """A recorder with the six calls to the base."""
    return of_base(tuning)


def of_base(tuning: TuningProject, **options: Any) -> Watched:
    """A recorder with the six calls to the base; for the options see `Watched`."""
    watched = Watched(**options)
    add_lane(watched, tuning, tuning.loaded()[0].models["small"])
    return watched


@pytest.mark.parametrize("status", [429, 503])
def test_a_long_wait_is_capped_shown_noted_and_ended_by_an_interrupt(
    tuning: TuningProject, api: ApiServer, status: int
) -> None:
    recorder = of_base(tuning, until=lambda tally: tally.waits)
    api.fault(Reply({"detail": "busy until tomorrow"}, status, {"retry-after": "86400"}), times=math.inf)
    recorder.run()
    shown = [wait for report in recorder.reports for wait in report["waits"].values()]
    assert shown[0] in (
        f"waiting 2 min 00 s: HTTP {status}: busy until tomorrow",
        f"waiting 1 min 59 s: HTTP {status}: busy until tomorrow",
    )
    note = f"small: the API asked to wait 24 h 00 min (HTTP {status}: busy until tomorrow); it is asked again after 2 min 00 s"
    assert recorder.tally.notes == [note]
    assert recorder.tally.waits == {}
    assert recorder.tally.stopped == "interrupted"


def test_calls_that_are_given_up_with_a_stopped_session_may_have_been_billed(
    tuning: TuningProject, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "GRACE_S", 0.1)
    api.fault("hang", times=math.inf)
    recorder = of_base(tuning, until=lambda tally: api.in_flight == 4)
    recorder.run()
    assert (recorder.tally.spend.broke_off, recorder.budget.holds, api.calls) == (4, set(), 4)


def test_an_interrupt_ends_a_wait_of_a_session_at_once(project: Project, api: ApiServer) -> None:
    api.fault(error(503, "busy", headers={"retry-after": "100"}), times=math.inf)
    running = project.start("evals", "--record", "-p", "no:xdist")
    wait_for(lambda: api.calls >= 6)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(timeout_s=60).exit_code == 2
    assert api.calls == 6


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are short, and an API is given up soon."""
    monkeypatch.setattr(failures, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(failures, "PATIENCE_S", 0.3)
    monkeypatch.setattr(failures, "GIVE_UP_AFTER", 3)


@pytest.mark.usefixtures("brisk")
def test_an_api_that_refuses_every_call_for_its_pace_is_given_up_as_a_whole(recorder: Watched, api: ApiServer) -> None:
    api.fault("429 at once", times=math.inf)
    recorder.run()
    assert recorder.tally.calls.failed == 6
    (note,) = recorder.tally.notes
    assert re.match(
        r"small: \d calls not asked: the API has refused every call for \d s, the last with HTTP 429: Rate limit", note
    )
    assert api.calls < 60


@pytest.mark.usefixtures("brisk")
def test_an_api_that_fails_one_call_after_another_is_given_up_as_a_whole(recorder: Watched, api: ApiServer) -> None:
    api.fault("500", times=math.inf)
    recorder.run()
    assert recorder.tally.calls.failed == 6
    assert api.calls < 6 * failures.ATTEMPTS
    (note,) = recorder.tally.notes
    assert note.startswith("small: ")
    assert "not asked: 3 calls failed one after another, the last with HTTP 500: The server had an error" in note


@pytest.mark.usefixtures("brisk")
def test_failures_between_answers_give_up_nothing(recorder: Watched, api: ApiServer) -> None:
    for name in ("Ben:", "Kai:", "Eva:"):
        api.fault("500", match=name, times=math.inf)
    recorder.concurrency = 1
    recorder.run()
    assert recorder.tally.calls.failed <= 4
    assert api.answered >= 2


# ---------------------------------------------------------------- one pace for one API


def test_lanes_to_one_model_of_one_api_share_its_pace(tuning: TuningProject) -> None:
    recorder, small, endpoint = Watched(), tuning.loaded()[0].models["small"], tuning.endpoint()
    one, two = (add_lane(recorder, tuning, small, endpoint, key=key) for key in (("one", "small"), ("two", "small")))
    three = add_lane(recorder, tuning, small, tuning.endpoint("http://127.0.0.1:9/v1"))
    assert one.throttle is two.throttle
    assert one.throttle is not three.throttle
