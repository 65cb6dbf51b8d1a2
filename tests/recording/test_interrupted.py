"""A recording that is killed, interrupted, or can't write: every cassette stays whole, and little is paid for twice."""

import math
import os
import shutil
import signal
from pathlib import Path

import pytest
from evaltape.recording import cassettes

from tests.support.project import ROWS, Project, Running, wait_for
from tests.support.server import ApiServer

SAMPLES = 24
IN_FLIGHT = 4


@pytest.fixture
def long(project: Project, api: ApiServer) -> Project:
    """A project with so many samples that some are left when a session ends early."""
    rows = [{"id": f"p{n:02d}", "dialogue": f"Ann: number {n}", "summary": f"Number {n}."} for n in range(SAMPLES)]
    project.write_rows(rows)
    return project


def start(project: Project, *args: str) -> Running:
    command = ("evals", "-m", "baseline", "-k", "test_sample", "--record", "--concurrency", str(IN_FLIGHT), *args)
    return project.start(*command)


def finish(project: Project, api: ApiServer, *args: str) -> None:
    """Record what is missing, and be sure that this is all of it."""
    api.held_after = math.inf
    run = project.run("evals", "-m", "baseline", "-k", "test_sample", "--record-missing", *args)
    assert run.outcomes["passed"] == SAMPLES, run.output
    assert len(project.recorded()) == SAMPLES


def assert_whole(folder: Path) -> int:
    """Every cassette is a whole one; how many there are."""
    found = sorted((folder / "small").glob("*.yaml"))
    for path in found:
        assert len(cassettes.read(path)) == 1
    return len(found)


@pytest.mark.parametrize(("answered", "mode"), [(0, "-p no:xdist"), (5, "-n 2"), (17, "-p no:xdist"), (SAMPLES - 1, "-n 0")])
def test_a_killed_session_leaves_whole_files_and_is_finished_for_what_was_in_flight(
    long: Project, api: ApiServer, answered: int, mode: str
) -> None:
    api.held_after = answered
    running = start(long, mode)
    wait_for(lambda: api.in_flight and api.answered == answered)
    running.kill()
    running.process.join()
    wait_for(lambda: not api.has_clients())
    kept = assert_whole(long.cassettes)
    assert kept >= answered - IN_FLIGHT
    paid = api.answered
    (long.cassettes / "small").mkdir(exist_ok=True)
    unfinished = long.cassettes / f"small/.p{SAMPLES - 1}.yaml.1f2e3d4c.part"
    unfinished.write_text("version: 1")
    finish(long, api)
    assert not unfinished.exists()
    assert api.answered - paid == SAMPLES - kept
    assert api.answered <= SAMPLES + IN_FLIGHT


def test_a_killed_session_that_replaced_recordings_leaves_the_old_or_the_new_ones(long: Project, api: ApiServer) -> None:
    finish(long, api)
    old = long.recorded()
    api.answers["small-2026-01-01"] = lambda prompt: "Another answer."
    api.forget()
    api.held_after = 12
    running = start(long, "-p no:xdist")
    wait_for(lambda: api.in_flight and api.answered == 12)
    running.kill()
    running.process.join()
    wait_for(lambda: not api.has_clients())
    new = long.recorded()
    assert set(new) == set(old)
    changed = [name for name in new if new[name] != old[name]]
    assert 12 - IN_FLIGHT <= len(changed) < SAMPLES
    assert all("Another answer." in new[name] for name in changed)


@pytest.mark.parametrize("mode", ["-p no:xdist", "-n 2"])
def test_an_interrupt_waits_for_what_is_in_flight_so_that_nothing_is_paid_for_twice(
    long: Project, api: ApiServer, mode: str
) -> None:
    api.held_after = 8
    running = start(long, mode)
    wait_for(lambda: api.in_flight == IN_FLIGHT and "." * 8 in running.output)
    os.killpg(running.pid, signal.SIGINT)
    wait_for(lambda: "Waiting for 4 calls in flight" in running.output)
    api.held_after = math.inf
    run = running.wait()
    assert run.exit_code == 2, run.output
    kept = assert_whole(long.cassettes)
    assert kept == api.answered == 8 + IN_FLIGHT
    finish(long, api)
    assert api.answered == SAMPLES


@pytest.mark.parametrize("mode", ["-p no:xdist", "-n 2"])
def test_an_interrupt_while_no_test_waits_any_more_waits_for_what_is_in_flight_too(
    project: Project, api: ApiServer, mode: str
) -> None:
    api.held_after = len(ROWS)
    running = project.start(
        "evals", "-m", "baseline", "-k", "test_sample", "--record", "--repeat", "2", "--concurrency 6", mode
    )
    wait_for(lambda: "......" in running.output and api.in_flight == len(ROWS))  # The repeats are.
    os.killpg(running.pid, signal.SIGINT)
    wait_for(lambda: "Waiting for 6 calls in flight" in running.output)
    api.held_after = math.inf
    run = running.wait()
    assert run.exit_code == 2, run.output
    assert len(project.recorded()) == api.answered == 2 * len(ROWS)


def test_a_second_interrupt_ends_the_wait_without_a_traceback_and_leaves_whole_files_and_no_process(
    long: Project, api: ApiServer
) -> None:
    api.held_after = 0
    running = start(long, "-p no:xdist")
    wait_for(lambda: api.in_flight == IN_FLIGHT)
    os.kill(running.pid, signal.SIGINT)
    wait_for(lambda: "Waiting for 4 calls in flight" in running.output)
    os.kill(running.pid, signal.SIGINT)
    run = running.wait()
    assert run.exit_code == 2, run.output
    assert "Traceback" not in run.output
    assert running.has_left_nothing()
    assert_whole(long.cassettes)
    finish(long, api)


# ---------------------------------------------------------------- disks and folders


def test_a_disk_that_fills_up_stops_the_run_and_leaves_whole_files(long: Project, api: ApiServer) -> None:
    long.set_waits("recorder.api.failures", WRITE_PATIENCE_S=0.2)
    long.patch(
        "recorder",
        "    import resource, signal\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n",
    )
    api.answers["small-2026-01-01"] = lambda prompt: "x" * 300_000 if "number 12" in prompt else "Number."
    run = start(long, "--concurrency", "1").wait()
    assert run.exit_code != 0
    assert "cassettes/chats/small/p12.yaml can't be written: File too large" in run.output
    assert "Traceback" not in run.output
    assert assert_whole(long.cassettes) == 12
    assert api.calls == 13
    assert not list(long.cassettes.rglob("*.part"))
    api.answers.clear()
    shutil.rmtree(long.patches)
    finish(long, api)


def test_a_folder_of_cassettes_that_cannot_be_written_is_refused_before_any_call(long: Project, api: ApiServer) -> None:
    long.cassettes.mkdir(parents=True)
    (long.cassettes / "small").write_text("a file where a folder should be")
    run = start(long, "--concurrency", "1").wait()
    run.assert_refused("cassettes/chats/small: recordings can't be written here: Not a directory")
    assert api.calls == 0


def test_whatever_goes_wrong_with_an_answer_its_test_hears_of_it(project: Project, api: ApiServer) -> None:
    project.patch("recording.cassettes", "    import evaltape.recording.cassettes as cassettes\n    del cassettes.text_of\n")
    run = project.run("evals", "-m", "baseline", "-k", "test_sample", "--record", "-n 2")
    assert run.outcomes["failed"] == 6, run.output
    assert "the call broke off: NameError(" in run.output


def test_cassettes_that_cannot_be_made_are_refused_before_any_call(project: Project, api: ApiServer) -> None:
    (project.root / "cassettes").write_text("a file where a folder should be")
    run = project.run("evals", "-m", "baseline", "--record", "-n 2")
    run.assert_refused("cassettes/chats: recordings can't be written here: ", "Name another folder with --cassettes")
    assert api.requests == []


@pytest.mark.parametrize("option", ["--results", "--report"])
def test_a_file_that_cannot_be_written_is_told_and_fails_the_run(recorded: Project, option: str) -> None:
    (recorded.root / "taken").mkdir()
    run = recorded.run("evals", "-m", "baseline", option, "taken")
    run.assert_outcomes(passed=8)
    assert run.exit_code == 1
    assert "taken can't be written: Is a directory" in run.output
    assert "Traceback" not in run.output and "INTERNALERROR" not in run.output
    assert "rouge1" in run.output


# ---------------------------------------------------------------- links and strangers


def test_a_model_folder_that_links_elsewhere_is_refused_and_nothing_there_is_touched(recorded: Project, api: ApiServer) -> None:
    elsewhere = recorded.root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.yaml").write_text("precious")
    for path in (recorded.cassettes / "small").iterdir():
        path.unlink()
    (recorded.cassettes / "small").rmdir()
    (recorded.cassettes / "small").symlink_to(elsewhere)
    run = recorded.run("evals", "-m", "baseline", "--record")
    run.assert_refused("cassettes/chats/small leads out of ", "Recordings are written only inside it")
    assert {path.name: path.read_text() for path in elsewhere.iterdir()} == {"precious.yaml": "precious"}
    assert api.requests == []


def test_a_folder_of_the_suite_that_links_elsewhere_is_refused(project: Project, api: ApiServer) -> None:
    elsewhere = project.root.parent / "elsewhere"
    elsewhere.mkdir()
    (project.root / "cassettes").mkdir()
    project.cassettes.symlink_to(elsewhere)
    run = project.run("evals", "-m", "baseline", "--record")
    run.assert_refused("cassettes/chats leads out of ")
    assert list(elsewhere.iterdir()) == []


# ---------------------------------------------------------------- two at once


def test_a_second_recording_of_the_suite_is_refused_while_the_first_goes_on(long: Project, api: ApiServer) -> None:
    api.held_after = 2
    running = start(long)
    wait_for(lambda: api.in_flight and api.answered == 2)
    run = long.run("evals", "-m", "baseline", "--record-missing")
    run.assert_refused("cassettes/chats: another session is recording this suite. Wait for its end")
    api.held_after = math.inf
    run = running.wait()
    assert run.exit_code == 0, run.output
    assert api.calls == SAMPLES
    assert len(long.recorded()) == SAMPLES
    finish(long, api)


def test_a_replay_may_run_beside_a_recording_whose_gates_say_that_it_is_unfinished(recorded: Project, api: ApiServer) -> None:
    api.held_after = 0
    running = recorded.start("evals", "-m", "baseline", "--record", "--concurrency", "1")
    wait_for(lambda: api.in_flight)
    run = recorded.run("evals", "-m", "baseline")
    running.kill()
    assert run.outcomes == {"passed": len(ROWS), "failed": 2}, run.output
    assert "small: recording unfinished: 6 of 6 samples still to come" in run.output


def test_two_recordings_of_other_folders_do_not_meet(project: Project, api: ApiServer) -> None:
    api.latency_s = 0.3
    both = [project.start("evals", "-k", "test_sample", "--record", "--cassettes", folder) for folder in ("one", "two")]
    assert [running.wait().exit_code for running in both] == [0, 0]
    assert api.calls == 2 * len(ROWS)
