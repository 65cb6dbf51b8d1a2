"""How many calls may be in flight and how fast they may start, on a clock of the test's."""

import heapq
import math

import pytest
from evaltape.recorder.api.failures import LONGEST_WAIT_S
from evaltape.recorder.throttle import (
    CUT,
    FIRST_LIMIT,
    PACE_CURVE,
    PACE_DIP,
    PACE_PLATEAU,
    SPACING_S,
    Throttle,
    seconds,
)


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
    assert throttle.wait_s(0.0) == LONGEST_WAIT_S


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


def test_after_an_episode_calls_keep_a_little_under_the_pace_that_was_taken() -> None:
    throttle = Throttle(most=64)
    for n in range(20):
        throttle.start(n / 20)
    for _ in range(19):
        throttle.succeed(0.95, {})
    throttle.refuse(started=0.95, now=0.96, retry_after_s=1.0)
    assert throttle.taken == 19
    assert throttle.pace(1.0) == pytest.approx(19 * (PACE_PLATEAU - PACE_DIP))
    first = start(throttle, 1.0, 1)
    assert first == pytest.approx(1.96)
    assert start(throttle, first, 1) - first == pytest.approx(1 / throttle.pace(first))


def test_the_pace_stays_a_little_under_what_was_taken_and_then_looks_for_more() -> None:
    throttle = Throttle(most=64)
    for n in range(20):
        throttle.start(n / 20)
    throttle.refuse(started=0.95, now=0.96, retry_after_s=0.0)
    back = 0.96 + math.cbrt(throttle.taken * PACE_DIP / PACE_CURVE)
    paces = [throttle.pace(now) for now in (1.0, 2.0, back, back + 1, back + 4)]
    assert paces == sorted(paces)
    plateau = 19 * PACE_PLATEAU
    assert paces[2:] == pytest.approx([plateau, plateau + PACE_CURVE, plateau + 64 * PACE_CURVE])
    assert paces[3] < 19 < paces[4]


def test_refused_calls_do_not_count_as_taken() -> None:
    throttle = Throttle(most=64)
    for n in range(20):
        throttle.start(n / 100)
    for n in range(15, 20):
        throttle.refuse(started=n / 100, now=0.3, retry_after_s=1.0)
    assert throttle.taken == 19
    assert throttle.episodes == 1


def test_a_refusal_soon_after_a_pause_lowers_the_pace_itself() -> None:
    throttle = Throttle(most=64)
    for n in range(20):
        throttle.start(n / 20)
    throttle.refuse(started=0.95, now=1.0, retry_after_s=1.0)
    throttle.start(2.1)
    pace = throttle.pace(2.2)
    throttle.refuse(started=2.1, now=2.2, retry_after_s=1.0)
    assert throttle.taken == pytest.approx(pace * CUT)


@pytest.mark.parametrize("latency_s", [0.02, 0.1, 0.5])
def test_an_api_of_40_calls_a_second_answers_200_in_1_3_times_the_least_time_and_refuses_few(latency_s: float) -> None:
    took_s, refused = simulated(Throttle(most=32), calls=200, per_second=40, latency_s=latency_s)
    assert took_s < 1.3 * 200 / 40
    assert refused <= 20


def simulated(throttle: Throttle, calls: int, per_second: int, latency_s: float) -> tuple[float, int]:
    """How long an API with a sliding window takes for so many calls, and how many it refuses, with Retry-After: 1."""
    now, refused = 0.0, 0
    taken: list[float] = []
    under_way: list[tuple[float, float, bool]] = []
    while len(taken) < calls or under_way:
        while len(taken) < calls and throttle.wait_s(now) <= 0:
            throttle.start(now)
            fits = sum(start > now - 1 for start in taken) < per_second
            taken += [now] if fits else []
            heapq.heappush(under_way, (now + (latency_s if fits else 0.002), now, fits))
        now = min(now + max(throttle.wait_s(now), 1e-4), under_way[0][0] if under_way else math.inf)
        while under_way and under_way[0][0] <= now:
            _, started, fits = heapq.heappop(under_way)
            refused += not fits
            throttle.succeed(now, {}) if fits else throttle.refuse(started, now, 1.0)
    return now, refused


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
    assert (throttle.limit, throttle.pace(1.0), throttle.in_flight) == (16, math.inf, 0)


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
