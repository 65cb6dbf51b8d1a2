"""How many calls may be in flight and how fast they may start, on a clock of the test's."""

import math

import pytest

from evals.harness.throttle import CUT, FIRST_LIMIT, LONGEST_PAUSE_S, SPACING_S, Throttle, seconds


def start(throttle: Throttle, now: float, number: int) -> float:
    """Start calls one by one as soon as each may; the time of the last."""
    for _ in range(number):
        now += throttle.wait_s(now)
        throttle.start(now)
    return now


def test_no_more_than_the_limit_are_in_flight() -> None:
    throttle = Throttle(most=4)
    now = start(throttle, 0.0, 4)
    assert throttle.wait_s(now) == math.inf
    throttle.succeed(now, {})
    assert throttle.wait_s(now + 1) == 0.0


def test_a_run_starts_slowly_and_grows_by_each_success_to_the_most() -> None:
    throttle = Throttle(most=40)
    now = start(throttle, 0.0, FIRST_LIMIT)
    assert throttle.wait_s(now + 1) == math.inf
    for _ in range(FIRST_LIMIT):
        throttle.succeed(now, {})
    assert throttle.limit == 2 * FIRST_LIMIT
    start(throttle, now, 32)
    for _ in range(32):
        throttle.succeed(now, {})
    assert throttle.limit == 40


def test_starts_lie_apart() -> None:
    throttle = Throttle(most=4)
    throttle.start(0.0)
    assert throttle.wait_s(0.0) == pytest.approx(SPACING_S)


def test_a_refusal_pauses_as_long_as_the_api_asks() -> None:
    throttle = Throttle(most=16)
    throttle.start(0.0)
    throttle.refuse(started=0.0, now=1.0, retry_after_s=7.0)
    assert throttle.wait_s(1.0) == pytest.approx(7.0)
    assert throttle.wait_s(8.0) == 0.0


def test_a_refusal_without_a_time_pauses_for_a_second() -> None:
    throttle = Throttle(most=16)
    throttle.start(0.0)
    throttle.refuse(started=0.0, now=1.0, retry_after_s=None)
    assert throttle.wait_s(1.0) == pytest.approx(1.0)


def test_a_pause_has_an_end_whatever_the_api_asks() -> None:
    throttle = Throttle(most=16)
    throttle.start(0.0)
    throttle.refuse(started=0.0, now=0.0, retry_after_s=86_400)
    assert throttle.wait_s(0.0) == LONGEST_PAUSE_S


def test_a_burst_of_refusals_is_one_episode_and_cuts_once() -> None:
    throttle = Throttle(most=16)
    now = start(throttle, 0.0, 16)
    for _ in range(16):
        throttle.refuse(started=0.0, now=now, retry_after_s=0.1)
    assert throttle.limit == pytest.approx(16 * CUT)
    assert throttle.in_flight == 0


def test_a_second_episode_cuts_again() -> None:
    throttle = Throttle(most=16)
    throttle.start(0.0)
    throttle.refuse(started=0.0, now=0.5, retry_after_s=0.1)
    throttle.start(1.0)
    throttle.refuse(started=1.0, now=1.5, retry_after_s=0.1)
    assert throttle.limit == pytest.approx(16 * CUT * CUT)


def test_after_an_episode_calls_keep_to_the_pace_that_was_reached() -> None:
    throttle = Throttle(most=16)
    for n in range(10):
        throttle.start(n / 10)
    throttle.refuse(started=0.9, now=0.95, retry_after_s=0.0)
    assert throttle.pace == pytest.approx(9 * 0.95)
    first = start(throttle, 1.0, 1)
    assert start(throttle, first, 1) - first == pytest.approx(1 / throttle.pace)


def test_the_pace_grows_again_with_successes() -> None:
    throttle = Throttle(most=16)
    throttle.start(0.0)
    throttle.refuse(started=0.0, now=0.1, retry_after_s=0.0)
    before = throttle.pace
    throttle.start(1.0)
    throttle.succeed(2.0, {})
    assert before is not None
    assert throttle.pace is not None
    assert throttle.pace > before


def test_the_limit_never_falls_under_one_call() -> None:
    throttle = Throttle(most=2)
    for n in range(20):
        throttle.start(n * 10.0)
        throttle.refuse(started=n * 10.0, now=n * 10.0 + 1, retry_after_s=0.0)
    assert throttle.wait_s(1000.0) == 0.0


def test_a_failure_that_says_nothing_of_the_pace_changes_nothing() -> None:
    throttle = Throttle(most=16)
    throttle.start(0.0)
    throttle.fail()
    assert (throttle.limit, throttle.pace, throttle.in_flight) == (16, None, 0)


def test_an_answer_that_says_nothing_is_left_pauses_until_there_is_more() -> None:
    throttle = Throttle(most=16)
    throttle.start(0.0)
    throttle.succeed(1.0, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s"})
    assert throttle.wait_s(1.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("text", "duration_s"), [("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3s", 3723), ("", 0), ("soon", 0), ("1.5s", 1.5)]
)
def test_durations_are_read_as_headers_write_them(text: str, duration_s: float) -> None:
    assert seconds(text) == pytest.approx(duration_s)
