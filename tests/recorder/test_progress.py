"""How a recording gets on: live lines in a terminal, plain lines in a log, nothing where quiet is asked for."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from evaltape.recorder.wire import LaneTally, Notice, Spend, Tally
from evaltape.reporting.progress import Rate, last_line, live_lines, log_lines

from tests.support.project import Project, wait_for
from tests.support.recording import record_here
from tests.support.server import ApiServer
from tests.support.terminal import Screen, Shown, run_in_terminal
from tests.support.tuning import TuningProject

PRICE = "price = { input = 100.0, output = 200.0 }\n"
LIVE = re.compile(r"recording small \d+/30, \d+ in flight(, (stopping|\d+ (s|min) left))?(, \d+ tokens)?, \$0\.\d+")
ROWS = [{"id": f"s{n}", "dialogue": f"Ann: number {n}\nBob: ok", "summary": f"number {n}"} for n in range(30)]


@pytest.fixture
def thirty(project: Project, api: ApiServer) -> Project:
    """A project of thirty samples at a server that takes its time; whatever is said, is said twenty times a second."""
    api.latency_s = 0.05
    project.write_rows(ROWS)
    project.extend_suite(PRICE)
    project.set_waits("reporting.progress", SAY_EVERY_S=0.05, LIVE_EVERY_S=0.05)
    project.set_waits("recorder.loop", REPORT_EVERY_S=0.03)
    return project


def record_in_terminal(
    project: Project, *args: str, columns: int = 80, watch: Callable[[str], None] = lambda text: None, **environment: str
) -> Shown:
    """Record in a terminal, four calls in flight."""
    command = ["evals", "--record", "--snapshot-update", "--concurrency", "4", *args]
    environment = {"PYTHONPATH": str(project.patches), **environment}
    return run_in_terminal(command, project.root, project.environment(more=environment), columns, watch)


@pytest.mark.parametrize("args", [("-p", "no:xdist"), ("-n", "2"), ("-v", "-n", "0")], ids=" ".join)
def test_a_live_line_stands_under_what_pytest_writes_and_leaves_no_trace(
    thirty: Project, api: ApiServer, args: tuple[str, str, str] | tuple[str, str]
) -> None:
    api.held_after = 8

    def go_on(text: str) -> None:
        if "in flight" in text:
            api.held_after = math.inf

    shown = record_in_terminal(thirty, *args, watch=go_on)
    assert shown.exit_code == 0, shown.text
    live = [state for state in shown.states if "in flight" in state]
    lasts = {state.splitlines()[-1] for state in live}
    assert len(lasts) > 3
    assert [line for line in lasts if not LIVE.fullmatch(line)] == []
    assert all(state.count("in flight") == 1 for state in live)
    assert "in flight" not in shown.text
    assert_reads_as_without(shown.text, args)


def assert_reads_as_without(text: str, args: tuple[str, ...]) -> None:
    """pytest's own lines are whole: every sample's dot or word is there, and the hundred percent at the margin."""
    before_scores = text[: text.index("= scores: ")]
    if "-v" in args:
        passed = re.findall(
            r"^evals/test_baseline.py::test_sample\[chats-small-s\d+\] PASSED +\[ *\d+%\]$", before_scores, re.M
        )
        assert len(passed) == 30
    else:
        dots = re.search(r"^(evals/test_baseline.py )?\.{32} +\[100%\]$", before_scores, re.M)
        assert dots, before_scores
        assert len(dots[0]) == 79


def test_the_live_line_is_cut_to_a_narrow_terminal(thirty: Project) -> None:
    shown = record_in_terminal(thirty, "-p", "no:xdist", columns=46)
    live = [state.splitlines()[-1] for state in shown.states if "recording small" in state]
    assert live
    assert all(len(line) < 46 for line in live)
    assert "in flight" not in shown.text


@pytest.mark.parametrize(("args", "environment"), [(("-s",), {}), ((), {"CI": "true"})], ids=["without capture", "in CI"])
def test_where_others_write_to_the_terminal_there_are_whole_lines(
    thirty: Project, api: ApiServer, args: tuple[()] | tuple[str], environment: dict[str, str]
) -> None:
    thirty.set_waits("reporting.progress", SAY_IDLE_EVERY_S=0.05)
    api.latency_s, api.held_after = 0.0, 8
    line = re.compile(r"^recording small \d+/30, 4 in flight", re.M)

    def go_on(text: str) -> None:
        if line.search(text):
            api.held_after = math.inf

    shown = record_in_terminal(thirty, "-p", "no:xdist", *args, watch=go_on, **environment)
    assert "\x1b[J" not in shown.raw
    assert line.search(shown.text)


def test_a_log_gets_whole_lines_and_a_last_one(thirty: Project, api: ApiServer, workers: str) -> None:
    thirty.set_waits("reporting.progress", SAY_IDLE_EVERY_S=0.05)
    api.held_after = 8
    running = thirty.start("evals", "--record", "--snapshot-update", "--concurrency", "4", workers)
    wait_for(lambda: "4 in flight" in running.output)
    api.held_after = math.inf
    run = running.wait()
    lines = [line for line in run.output.splitlines() if line.startswith("record")]
    assert len(lines) > 2
    assert [line for line in lines[:-1] if not LIVE.fullmatch(line)] == []
    assert re.fullmatch(r"recorded 30 of 30 calls, 330 tokens, \$0.0420, in \d+ s", lines[-1])
    dots = re.findall(r"^(?:evals/test_baseline\.py )?(\.+)(?: +\[100%\])?$", run.output, re.M)
    assert sum(map(len, dots)) == 32
    assert "\x1b" not in run.output


@pytest.mark.parametrize("args", ["-q", "-p no:terminal", "-q -n 2"])
def test_quiet_and_without_a_terminal_reporter_nothing_is_shown(thirty: Project, api: ApiServer, args: str) -> None:
    api.latency_s = 0.02
    run = thirty.run("evals", "--record", "--snapshot-update", args)
    assert run.exit_code == 0, run.output
    assert not re.search("^record", run.output, re.M)


def test_a_replay_shows_nothing(recorded: Project) -> None:
    assert not re.search("^record", recorded.run("evals").output, re.M)


def test_what_is_not_missing_is_not_counted(thirty: Project, api: ApiServer) -> None:
    api.latency_s = 0.0
    assert record_here(thirty, "--record") == {}
    for name in ("s3", "s4"):
        thirty.cassette(name).unlink()
    assert "\nrecorded 2 of 2 calls, " in thirty.run("evals", "--record-missing").output
    assert not re.search("^record", thirty.run("evals", "--record-missing").output, re.M)


def test_failures_are_counted(project: Project, api: ApiServer) -> None:
    api.fault("400", match="tea")
    assert "\nrecorded 5 of 6 calls, 1 failed, " in project.run("evals", "--record").output


def test_a_job_is_shown_while_it_is_waited_for(tuning: TuningProject, api: ApiServer) -> None:
    tuning.set_waits("reporting.progress", LIVE_EVERY_S=0.05)
    tuning.set_waits("recorder.loop", REPORT_EVERY_S=0.03)
    api.tuning.states = ("validating_files", "queued", *["running"] * 10, "succeeded")
    shown = record_in_terminal(tuning, "-p", "no:xdist")
    assert shown.exit_code == 0, shown.text
    job = re.compile(r"^job tuned: running, 0 min \d\d s, Step \d+: training loss=\d\.\d\d$", re.M)
    assert {line for state in shown.states for line in job.findall(state)}
    assert not job.search(shown.text)


# ---------------------------------------------------------------- what is said


@pytest.fixture
def tally() -> Tally:
    """The tally of a recording of two models."""
    lanes = [("small", 30), ("large", 10)]
    priced: dict[str, Any] = {"tokens": 9_000, "has_price": True}
    return Tally([LaneTally(model, 1_000, done, in_flight=8, **priced) for model, done in lanes], Spend(0.018))


def test_several_models_have_a_line_each(tally: Tally) -> None:
    rate = Rate(100.0)
    rate.note(110.0, 40)
    tally.lanes[1].failed = 2
    tally.statuses["job tuned"] = "running, 3 min 20 s"
    assert live_lines(tally, rate, stopping=False) == [
        "recording 40/2,000, 16 in flight, 2 failed, 8 min left, 18,000 tokens, $0.0180",
        "  small 30/1,000, 8 in flight",
        "  large 10/1,000, 8 in flight, 2 failed",
        "job tuned: running, 3 min 20 s",
    ]
    assert log_lines(tally, rate, stopping=False) == [
        "recording 40/2,000, 16 in flight, 2 failed, 8 min left, 18,000 tokens, $0.0180: small 30/1,000, "
        "8 in flight; large 10/1,000, 8 in flight, 2 failed",
        "job tuned: running, 3 min 20 s",
    ]
    assert live_lines(tally, rate, stopping=True)[0] == (
        "recording 40/2,000, 16 in flight, 2 failed, stopping, 18,000 tokens, $0.0180"
    )


def test_what_is_waited_for_stands_under_the_calls(tally: Tally) -> None:
    tally.waits["small"] = "waiting 2 min 00 s: HTTP 503: busy"
    lines = live_lines(tally, Rate(100.0), stopping=False)
    assert lines[3:] == ["  small: waiting 2 min 00 s: HTTP 503: busy"]
    assert log_lines(tally, Rate(100.0), stopping=False)[1:] == lines[3:]


@pytest.mark.parametrize(
    ("broke_off", "uncounted", "doubt"),
    [
        (0, 0, ""),
        (1, 0, "1 call broke off"),
        (3, 0, "3 calls broke off"),
        (0, 2, "2 answers without token counts"),
        (1, 1, "1 call broke off, 1 answer without token counts"),
    ],
)
def test_what_is_in_doubt_is_counted_in_words(broke_off: int, uncounted: int, doubt: str) -> None:
    assert Spend(broke_off=broke_off, uncounted=uncounted).doubts == doubt


def test_the_last_line(tally: Tally) -> None:
    assert last_line(tally, 75.0) == "recorded 40 of 2,000 calls, 18,000 tokens, $0.0180, in 1 min 15 s"


def test_without_prices_no_money_is_spoken_of(tally: Tally) -> None:
    for lane in tally.lanes:
        lane.has_price = False
    tally.spend.usd = 0.0
    assert "$" not in live_lines(tally, Rate(100.0), stopping=False)[0]


def test_a_tally_travels_as_json(tally: Tally) -> None:
    tally.notices["small"] = Notice("small-1", problem="none")
    tally.left = {"large": ["s1"]}
    assert msgspec.convert(json.loads(json.dumps(msgspec.to_builtins(tally))), Tally) == tally


def test_the_time_left_follows_the_pace_of_late() -> None:
    rate = Rate(0.0)
    assert rate.left_s(10) is None
    for second in range(1, 61):
        rate.note(float(second), second)
    assert rate.left_s(10) == pytest.approx(10)
    for second in range(61, 121):
        rate.note(float(second), 60 + (second - 60) * 10)
    assert rate.left_s(10) == pytest.approx(1)


def test_the_screen_of_these_tests_knows_what_a_terminal_does() -> None:
    screen = Screen(5)
    screen.feed("ab\r\ncdefgh\x1b[1A\rX\x1b[2CY\x1b[31mZ\x1b[J")
    assert screen.text == "ab\nXdeYZ"
