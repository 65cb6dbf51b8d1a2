"""Retirement: which models end, when, and what of them is not recorded."""

import asyncio
import contextlib
import datetime

import pytest
from evaltape.errors import UserError
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.api.shutdown_dates import ask, ask_all
from evaltape.recorder.wire import Notice
from evaltape.reporting.remarks import retirement_lines

from tests.support.options import workspace_of
from tests.support.project import Project
from tests.support.server import ApiServer, Reply, error
from tests.support.tuning import TuningProject

SMALL = "small-2026-01-01"
OTHER = """
[models.other]
model = "other-2026-01-01"
base_url = "BASE_URL"
"""


def in_days(days: int) -> str:
    return (datetime.date.today() + datetime.timedelta(days=days)).isoformat()


def retiring(project: Project, *args: str) -> list[str]:
    """What `--retiring` says, a paragraph each."""
    run = project.run("evals", "--retiring", *args)
    assert run.exit_code == 0, run.output
    shown = run.output[run.output.index("= retirement: chats =") :].split("\n\n")[0]
    assert max(map(len, shown.splitlines())) <= 80
    return unwrapped(shown).splitlines()[1:]


def retirements_of(project: Project) -> list[str]:
    """What it says, before it is wrapped."""
    workspace = workspace_of(project, "evals", "--retiring")
    with contextlib.chdir(project.root):
        return retirement_lines(workspace, ask_all(workspace))


def unwrapped(shown: str) -> str:
    """The output with its paragraphs in a line each."""
    return shown.replace("\n  ", " ")


def test_all_models_are_listed_and_none_is_asked_to_chat(project: Project, api: ApiServer) -> None:
    project.extend_suite(OTHER)
    api.models = {SMALL: in_days(53), "other-2026-01-01": None}
    assert retiring(project, "-n 2") == [
        f"small ({SMALL}): shuts down on {in_days(53)}, in 53 days; nothing of it is recorded",
        "other (other-2026-01-01): not stated; nothing of it is recorded",
        "Record the rest: pytest evals -m baseline --record-missing (costs what --estimate says)",
    ]
    assert api.calls == 0
    assert not project.cassettes.exists()


def test_what_is_not_recorded_is_counted(recorded: Project, api: ApiServer) -> None:
    api.models = {SMALL: in_days(53)}
    assert retirements_of(recorded) == [f"small ({SMALL}): shuts down on {in_days(53)}, in 53 days; all 6 samples recorded"]
    recorded.cassette("t3").unlink()
    assert retirements_of(recorded)[0].endswith("; 1 of 6 samples not recorded")


@pytest.mark.parametrize(
    ("days", "text"), [(9, "in 9 days"), (1, "in 1 day"), (0, "today"), (-1, "1 day ago"), (-40, "40 days ago")]
)
def test_days_that_are_left(days: int, text: str) -> None:
    assert Notice(SMALL, in_days(days)).in_short() == f"shuts down on {in_days(days)}, {text}"
    assert Notice(SMALL, f"{in_days(days)}T00:00:00Z").in_short() == f"shuts down on {in_days(days)}, {text}"


def test_a_date_in_another_form_is_shown_as_it_is() -> None:
    assert Notice(SMALL, "next spring\x1b[31m").in_short() == r"shuts down on next spring\x1b[31m"
    assert not Notice(SMALL, "next spring").is_near


def asked(api: ApiServer) -> str:
    """What the server says of a model."""

    async def ask_once() -> str:
        endpoint = Endpoint(api.base_url, "sk-test-0123456789abcdef0123", 5.0)
        try:
            return (await ask(endpoint, SMALL)).in_short()
        finally:
            await endpoint.close()

    return asyncio.run(ask_once())


@pytest.mark.parametrize(
    "answer",
    [
        error(404, "Not Found"),
        error(501, "Unsupported"),
        Reply({"id": SMALL, "object": "model"}),
        Reply({"id": SMALL, "object": "model", "shutdown_date": None}),
    ],
    ids=["no route", "not implemented", "no field", "null"],
)
def test_a_server_that_does_not_tell_has_not_stated_it(api: ApiServer, answer: Reply) -> None:
    api.fault(answer, path=SMALL, method="GET")
    assert asked(api) == "not stated"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (error(500, "Internal error"), "HTTP 500: Internal error (invalid_request_error)"),
        (Reply("<html>", content_type="text/html"), "the answer describes no model"),
        (Reply([1, 2]), "the answer describes no model"),
        (Reply("{", content_type="application/json"), "the answer is not JSON of this API"),
    ],
    ids=["in trouble", "HTML", "a list", "half of it"],
)
def test_a_server_in_trouble_is_told_of(api: ApiServer, answer: Reply, problem: str) -> None:
    api.fault(answer, path=SMALL, method="GET")
    assert asked(api).startswith(f"not stated ({problem}")


def test_a_server_that_is_not_there_is_told_of(recorded: Project, api: ApiServer) -> None:
    api.stop()
    assert "not stated (the connection failed" in retirements_of(recorded)[0]


def test_a_tuned_model_is_asked_for_by_the_name_its_job_gave_it(tuned: TuningProject, api: ApiServer) -> None:
    assert [line.split(":")[0] for line in retirements_of(tuned)] == [f"small ({SMALL})", "tuned (ft"]
    assert api.asked("/models/ft:small-2026-01-01:acme:talks:0002", "GET")
    tuned.job_cassette.unlink()
    assert "tuned: not stated (its job is not recorded); 6 of 6 samples not recorded" in retirements_of(tuned)


def test_without_a_key_for_a_model_it_says_so(project: Project) -> None:
    project.edit_suite(project.base_url, "https://api.invalid/v1")
    project.edit_suite("[models.small]", '[models.small]\napi_key_env = "SMALL_KEY"')
    with pytest.raises(UserError, match="SMALL_KEY is not set"):
        retirements_of(project)


def test_a_recording_warns_of_models_that_end_soon(project: Project, api: ApiServer) -> None:
    api.models = {SMALL: in_days(90)}
    shown = unwrapped(project.record("-n 2").output)
    assert f"\nsmall ({SMALL}): shuts down on {in_days(90)}, in 90 days; all 6 samples recorded\n" in shown


def test_a_recording_says_what_is_missing_of_a_model_that_ends_soon(project: Project, api: ApiServer) -> None:
    api.models = {SMALL: in_days(5)}
    shown = unwrapped(project.run("evals", "--record", "-k", "small-t1 or small-t2").output)
    assert "in 5 days; 4 of 6 samples not recorded\nRecord the rest: pytest evals -m baseline --record-missing (costs " in shown


def test_a_recording_keeps_quiet_about_models_that_stay(project: Project, api: ApiServer) -> None:
    api.models = {SMALL: in_days(91)}
    assert "shuts down" not in project.record().output
    assert "shuts down" not in project.run("evals").output


def test_a_recording_does_not_fail_for_it(project: Project, api: ApiServer) -> None:
    project.set_waits("recorder.api.shutdown_dates", PATIENCE_S=0.2)
    api.fault(Reply({}, delay_s=60), path=SMALL, method="GET")
    project.record()
