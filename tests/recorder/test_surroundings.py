"""The recorder's process among a user's files, variables and signals."""

import math
import os
import signal

import pytest
from evaltape.errors import UserError
from evaltape.recorder.api.client import Endpoint

from tests.support.project import Project, wait_for
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject

RECORD = ("evals", "-m", "baseline", "-k", "test_sample", "--record", "-p", "no:xdist")
ELSEWHERE = "https://api.example.invalid/v1"
SHADOWS = ("secrets", "types", "queue", "openai", "dataclasses", "enum", "aiohttp", "yaml")


def test_files_of_the_user_take_no_module_s_place_and_quiet_runs_still_tell_what_was_spent(
    project: Project, api: ApiServer
) -> None:
    project.extend_suite("price = { input = 1000.0, output = 1000.0 }\n")
    leftover = project.root / "leftover"
    leftover.mkdir()
    for folder in (project.root, leftover):
        for name in SHADOWS:
            (folder / f"{name}.py").write_text("raise RuntimeError('a file of the user')\n")
    run = project.run(*RECORD, "-q", environment={"PYTHONPATH": str(leftover)}, forks=False)
    assert run.exit_code == 0, run.output
    assert api.answered == 6
    assert "Spent in this session: $" in run.output


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_to_all_processes_loses_nothing_that_is_in_flight(project: Project, api: ApiServer, name: str) -> None:
    api.held_after = 0
    running = project.start(*RECORD, "--concurrency", "3")
    wait_for(lambda: api.in_flight == 3)
    os.killpg(running.pid, getattr(signal, name))
    running.process.join()
    api.held_after = math.inf
    wait_for(running.has_left_nothing)
    assert len(project.recorded()) == api.answered == api.calls == 3


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:9"}, "ALL_PROXY: a socks5 proxy; it takes one of http:// or https://"),
        ({"HTTPS_PROXY": "htp://127.0.0.1:9"}, "HTTPS_PROXY: "),
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE = '/nowhere/ca.pem': the certificates can't be read"),
        ({"OPENAI_ORG_ID": "org-1\nX: y"}, "OPENAI_ORG_ID holds characters that can't be sent"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_an_environment_that_lets_nothing_be_asked_is_told_before_anything_is(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as raised:
        Endpoint(ELSEWHERE, "sk-session-key-0123456789", 1.0).open()
    assert str(raised.value).startswith(told)


def test_a_proxy_that_is_not_spoken_to_is_in_nobody_s_way_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tuning: TuningProject
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    tuning.endpoint().open()


def test_retirement_is_told_beside_a_running_loop_and_a_bad_environment_in_one_message(
    project: Project, api: ApiServer
) -> None:
    code = "\nimport asyncio\nasync def main(): return pytest.console_main()\nsys.exit(asyncio.run(main()))"
    told = project.run_in_new_interpreter("--retiring", "evals", code=code)
    assert told.exit_code == 0, told.output
    assert "retirement: chats" in told.output
    refused = project.run("--retiring", "evals", environment={"SSL_CERT_FILE": "/nowhere/ca.pem"})
    refused.assert_refused("SSL_CERT_FILE = '/nowhere/ca.pem': the certificates can't be read")
    for run in (told, refused):
        assert "INTERNALERROR" not in run.output and "Traceback" not in run.output
