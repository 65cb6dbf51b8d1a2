"""No key, cookie, organisation, project or request id reaches the disk or the output, whatever a server plants and where."""

import gzip
import math
from dataclasses import replace

import pytest

from tests.support.project import Project, Run
from tests.support.server import ApiServer, Reply, completion, error
from tests.support.server.replies import COOKIE, KEY_IN_ERRORS, ORGANISATION, PROJECT, REQUEST

KEY = "sk-proj-SessionKey0123456789abcdefghijklmnopqrstuv"
USER = "user-plantedABCDEFGH1234"
SECRETS = {"key": KEY, "another key": KEY_IN_ERRORS, "organisation": ORGANISATION, "project": PROJECT, "request": REQUEST, "cookie": COOKIE, "user": USER, "address": "ann.planted@"}  # fmt: skip
IDENTITY = {
    "organization_id": ORGANISATION,
    "project_id": PROJECT,
    "user_id": USER,
    "project": PROJECT,
    "organization": ORGANISATION,
    "org_id": ORGANISATION,
    "user_email": "ann.planted@example.org",
}
SAMPLE = "evals/test_baseline.py::test_sample["
LOUD = [
    "-vv",
    "--showlocals",
    "-rA",
    "--log-level=DEBUG",
    "--junitxml=junit.xml",
    "--results=results.json",
    "--report=report.html",
]


@pytest.fixture
def keyed(project: Project) -> Project:
    """A project whose model is asked with the session's key."""
    project.extend_suite('api_key_env = "OPENAI_API_KEY"\n')
    return project


def assert_clean(project: Project, run: Run) -> None:
    """Nothing planted is in any file of the project, nor in what was printed."""
    files = {**project.files(), "the output": run.output.encode()}
    assert len(files) > 10
    for name, content in files.items():
        found = {what for what, secret in SECRETS.items() if secret.encode() in content}
        assert not found, (name, found, run.output[-3000:])


def with_identity(asked: dict[str, object]) -> Reply:
    reply = completion(asked, "the red car won")
    body = {**reply.body, **IDENTITY, "meta": [{"deep": {**IDENTITY, "kept": "kept"}}]}
    return replace(reply, body=body)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_a_recording_keeps_no_identity_and_sends_no_cookie_back(keyed: Project, api: ApiServer, compressed: bool) -> None:
    api.gzip = compressed
    api.fault(with_identity, times=math.inf)
    run = keyed.run("evals", "-m", "baseline", "--record", "--concurrency", "1", *LOUD, key=KEY)
    assert {call.headers["authorization"] for call in api.asked()} == {f"Bearer {KEY}"}
    assert api.calls == 6
    assert not [asked for asked in api.requests if "cookie" in asked.headers]
    assert len(keyed.recorded()) == 6
    assert_clean(keyed, run)
    text = keyed.cassette("t1").read_bytes()  # The text that it is, however it was sent.
    assert b"kept" in text
    assert b"the red car won" in text
    assert gzip.compress(b"")[:2] not in text
    assert b"content-encoding" not in text.lower()


def test_errors_that_hold_keys_and_identities_are_told_without(keyed: Project, api: ApiServer) -> None:
    loud = f"Key {KEY} (Bearer {KEY}) of {ORGANISATION}, {PROJECT}, {USER} at {REQUEST}"
    api.fault("401", match="Ben:")
    api.fault(error(400, loud, "bad"), match="Mia:")
    api.fault(Reply(f"<html>{KEY} {ORGANISATION} {REQUEST}</html>", 403, content_type="text/html"), match="Kai:")
    api.fault(Reply({"error": f"{KEY} {ORGANISATION}"}, 400), match="Ida:")
    api.fault(Reply({"detail": [{"msg": KEY}, ORGANISATION]}, 422), match="Eva:")
    api.fault(Reply(f"{{'{KEY}': {ORGANISATION}", 200), match="Gus:")
    run = keyed.run("evals", "-m", "baseline", "--record", *LOUD, "-n 2", key=KEY)
    assert run.outcomes["failed"] == 8, run.output
    assert keyed.recorded() == {}
    assert_clean(keyed, run)


def test_an_answer_that_holds_the_key_is_not_written(keyed: Project, api: ApiServer) -> None:
    api.fault(lambda asked: completion(asked, f"Your key is {KEY}."), match="Ben:")
    api.fault(lambda asked: completion(asked, f"A key: {KEY_IN_ERRORS}."), match="Mia:")
    run = keyed.run("evals", "-m", "baseline", "--record", *LOUD, key=KEY)
    assert "t1.yaml: not written, because the answer holds an API key or what looks like one" in run.output
    told = [line for line in run.output.splitlines() if line.startswith(f"FAILED {SAMPLE}")]
    assert len(told) == 2
    assert all("Asking again ends the same: change the prompt, the data or the key" in line for line in told)
    assert "recording unfinished: 2 of 6 samples still to come. Asking again ends the same" in run.output
    assert "--record-missing" not in run.output  # It would pay, and throw the answer away again.
    assert sorted(keyed.recorded()) == ["t3", "t4", "t5", "t6"]
    assert_clean(keyed, run)


def test_a_key_that_a_server_hides_in_its_json_is_not_written_as_it_is(keyed: Project, api: ApiServer) -> None:
    for speaker, hidden in (("Ben:", KEY[:10] + "\\u002d" + KEY[10:]), ("Mia:", '","'.join(KEY))):
        body = '{"model": "m", "x": ["' + hidden + '"], "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'
        api.fault(Reply(body), match=speaker, times=math.inf)
    run = keyed.run("evals", "-m", "baseline", "--record", *LOUD, key=KEY)
    assert_clean(keyed, run)


def test_a_dialogue_that_holds_a_key_is_not_recorded(keyed: Project) -> None:
    keyed.write_rows([{"id": "t1", "dialogue": f"Ann: it is {KEY_IN_ERRORS}", "summary": "A key."}])
    run = keyed.run("evals", "-m", "baseline", "--record", key=KEY)
    assert "what looks like" in run.output
    assert keyed.recorded() == {}


def test_a_short_or_odd_key_is_kept_out_too(keyed: Project, api: ApiServer) -> None:
    api.fault(error(400, "no such key: hunter2+/=", "bad"), match="Ben:")
    api.fault(lambda asked: completion(asked, "Pass: hunter2+/="), match="Mia:")
    run = keyed.run("evals", "-m", "baseline", "--record", *LOUD, key="hunter2+/=")
    assert sorted(keyed.recorded()) == ["t3", "t4", "t5", "t6"]
    assert "hunter2" not in run.output
    assert not [name for name, content in keyed.files().items() if b"hunter2" in content]


def test_replay_needs_and_reads_no_key(recorded: Project) -> None:
    recorded.extend_suite('api_key_env = "NOWHERE_SET"\n')
    recorded.run("evals", "-m", "baseline").assert_outcomes(passed=8)
