"""The recorder's process: what the death of either process leaves behind, and ways to start it."""

import math
import os
import signal
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from evaltape.hooks import xdist
from evaltape.recorder.wire import Outcomes
from evaltape.recording import cassettes

from tests.support.project import Project, wait_for
from tests.support.server import ApiServer, error

SAMPLES, IN_FLIGHT = 12, 4
RECORD = ("evals", "-m", "baseline", "-k", "test_sample")


@pytest.fixture
def slow(project: Project, api: ApiServer) -> Project:
    """A project of twelve samples, at a server that answers the first four."""
    names = [f"p{number:02d}" for number in range(SAMPLES)]
    project.write_rows([{"id": name, "dialogue": f"Ann: I am {name}", "summary": "Ann is there."} for name in names])
    api.held_after = IN_FLIGHT
    return project


def test_a_main_process_that_is_killed_loses_no_answer_that_is_paid_for(slow: Project, api: ApiServer) -> None:
    running = slow.start(*RECORD, "--record", "--concurrency", str(IN_FLIGHT), "-p", "no:xdist")
    wait_for(lambda: api.in_flight == IN_FLIGHT and api.answered == IN_FLIGHT)
    os.kill(running.pid, signal.SIGKILL)
    running.process.join()
    slow.run(*RECORD, "--record-missing").assert_refused("another session is recording this suite. Wait for its end")
    api.held_after = math.inf
    wait_for(running.has_left_nothing)
    assert api.calls == api.answered == len(slow.recorded()) == 2 * IN_FLIGHT
    assert not list(slow.cassettes.glob(".recording.lock"))
    run = slow.run(*RECORD, "--record-missing")
    assert run.outcomes["passed"] == SAMPLES, run.output
    assert api.calls == SAMPLES


def test_a_recorder_that_is_killed_is_told_and_leaves_whole_files(slow: Project, api: ApiServer, workers: str) -> None:
    running = slow.start(*RECORD, "--record", "--concurrency", str(IN_FLIGHT), workers)
    wait_for(lambda: api.in_flight and api.answered == IN_FLIGHT)
    recorder = running.recorder()
    assert recorder is not None
    os.kill(recorder, signal.SIGKILL)
    run = running.wait()
    assert run.exit_code == 2, run.output
    assert "The recording stopped: the recorder has ended before its work was done." in " ".join(run.output.split())
    assert "INTERNALERROR" not in run.output and "Traceback" not in run.output
    assert all(len(cassettes.read(slow.cassette(name))) == 1 for name in slow.recorded())
    api.held_after = math.inf
    assert slow.run(*RECORD, "--record-missing").outcomes["passed"] == SAMPLES


def test_a_process_that_inherits_nothing_records_too(project: Project, api: ApiServer) -> None:
    with (project.root / "conftest.py").open("a") as conftest:
        conftest.write("\nimport multiprocessing\nmultiprocessing.set_start_method('spawn', force=True)\n")
    run = project.run_in_new_interpreter(*RECORD, "--record")
    run.assert_outcomes(passed=6, deselected=2)
    assert api.calls == 6


def test_a_mistake_of_the_plan_is_told_once(project: Project, api: ApiServer, workers: str) -> None:
    project.edit_suite(f'base_url = "{api.base_url}"', 'base_url = "http://api.example.org/v1"')
    run = project.run("evals", "-m", "baseline", "--record", workers)
    run.assert_refused("small: its API takes a key, and OPENAI_API_KEY is not set.")
    assert run.output.count("OPENAI_API_KEY") == 1
    assert not list(project.cassettes.glob(".recording.lock"))


class Channel:
    """A worker's channel, as execnet gives it; the worker reports, or ends, when the test lets it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.send = self.sent.append

    def setcallback(self, receive: Any, endmarker: Any) -> None:
        self.report = lambda: receive("listening")
        self.end = lambda: receive(endmarker)


def test_workers_that_were_only_just_started_come_up_or_end_before_the_session_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xdist, "START_S", 60.0)
    evaluation = SimpleNamespace(settings=SimpleNamespace(records=True), outcomes=Outcomes())
    distribution = xdist.Distribution(cast(Any, evaluation), cast(Any, None))
    comes, ends = channels = Channel(), Channel()
    for channel in channels:
        gateway = SimpleNamespace(newchannel=lambda channel=channel: channel)
        distribution.pytest_configure_node(SimpleNamespace(gateway=gateway, workerinput={}))
    for later_s, happen in ((0.02, ends.end), (0.04, comes.report)):
        threading.Timer(later_s, happen).start()
    distribution.pytest_sessionfinish()
    assert (len(comes.sent), ends.sent) == (1, [])


@pytest.mark.parametrize("mode", ["-p no:xdist", "-n 2"])
def test_half_a_character_in_the_words_of_an_api_fails_its_sample_alone(project: Project, api: ApiServer, mode: str) -> None:
    api.fault(error(400, "Not this: \ud83d"), match="Ben:")
    run = project.run(*RECORD, "--record", mode)
    assert (run.outcomes["passed"], run.outcomes["failed"]) == (5, 1), run.output
    assert "HTTP 400: Not this: " in run.output
