"""Requests that no good client sends: each is refused with OpenAI's error body, and nothing of it stays."""

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from openai import OpenAI

from tests.support.hostile import Hostile, requests
from tests.support.local_service import NEEDS_EXTRA, InProcess, Service, examples, upload

pytestmark = NEEDS_EXTRA
NAME = "tiny-1.5"
HALF = "\\ud800"


def chat_body(**changes: Any) -> str:
    body = {"model": NAME, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "temperature": 0}
    return json.dumps({**body, **changes})


@settings(max_examples=250)
@given(request=requests())
def test_whatever_is_sent_the_answer_is_a_result_or_an_error_of_openai_s_shape(service: Service, request: Hostile) -> None:
    answer = service.send(request.method, request.path, request.body, request.headers)
    assert answer.status < 500, (request, answer)
    if answer.status >= 400 and request.method != "HEAD":
        assert answer.error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "\ud800"},
        {"stop": ["x", "\udfff"]},
        {"user": "\ud83c"},
        {"metadata": {"key": "\ud83c"}},
        {"metadata": {"\ud83c": "value"}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "\ud83c!"}]}]},
    ],
)
def test_half_of_a_surrogate_pair_is_refused_in_every_string_of_a_chat(service: Service, changes: dict[str, Any]) -> None:
    answer = service.post("chat/completions", chat_body(**changes))
    assert answer.status == 400
    assert re.search(r"could not parse the JSON body of your request \(.* hex escape at line 1", answer.error["message"])


@pytest.mark.parametrize("key", ["metadata", "suffix", "training_file", "model"])
def test_half_of_a_surrogate_pair_in_a_job_is_refused_and_leaves_no_job(client: OpenAI, service: Service, key: str) -> None:
    jobs = [job.id for job in client.fine_tuning.jobs.list()]
    value = {"key": "\ud800"} if key == "metadata" else "\ud800"
    body = {"model": NAME, "training_file": upload(client, examples()), key: value}
    assert service.post("fine_tuning/jobs", json.dumps(body)).status == 400
    assert [job.id for job in client.fine_tuning.jobs.list()] == jobs


def test_half_of_a_surrogate_pair_in_a_training_file_fails_its_job_and_all_jobs_are_still_listed(client: OpenAI) -> None:
    from tests.support.local_service import wait_for

    file = upload(client, [*examples(), {"messages": [{"role": "\ud800", "content": ""}]}])
    job = client.fine_tuning.jobs.create(model=NAME, training_file=file)
    failed = wait_for(client, job.id, "failed")
    assert failed.error is not None
    assert "line 13: not valid JSON (unexpected end of hex escape" in failed.error.message
    assert job.id in [listed.id for listed in client.fine_tuning.jobs.list()]


@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape", "idna", "undefined", "utf-16"])
def test_a_form_in_another_encoding_than_utf_8_is_refused_and_nothing_is_stored(
    client: OpenAI, service: Service, charset: str
) -> None:
    stored = [file.id for file in client.files.list()]
    parts = ['name="purpose"\r\n\r\nfine-tune', 'name="file"; filename="\\ud800"\r\n\r\n{}']
    body = "".join(f"--b\r\ncontent-disposition: form-data; {part}\r\n" for part in parts) + "--b--\r\n"
    answer = service.send("POST", "files", body, [("content-type", f"multipart/form-data; boundary=b; charset={charset}")])
    assert answer.status == 400
    assert answer.error["code"] == "unsupported_content_type"
    assert [file.id for file in client.files.list()] == stored


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "The request has no body. The API expects a JSON object."),
        ("  \n", "The request has no body."),
        ("{", "could not parse the JSON body of your request (EOF while parsing an object at line 1 column 1)"),
        (chat_body()[:-1] + ', "temperature": NaN}', "Invalid value for 'temperature'"),
        (chat_body()[:-1] + ', "seed": -Infinity}', "Invalid value for 'seed': should be a valid integer."),
        (chat_body()[:-1] + ', "temperature": 1e999}', "Invalid value for 'temperature'"),
        (chat_body()[:-1] + f', "seed": {"9" * 5000}}}', "could not parse the JSON body of your request (number out of range"),
        (
            chat_body()[:-1] + f', "max_tokens": {"9" * 4300}}}',
            "Invalid value for 'max_tokens': should be less than 2147483648.",
        ),
        (
            chat_body()[:-1] + f', "tools": {"[" * 500}{"]" * 500}}}',
            "could not parse the JSON body of your request (recursion limit exceeded",
        ),
        ("[" * 100_000, "recursion limit exceeded"),
        ("[]", "must be a JSON object"),
        ("null", "must be a JSON object"),
        (chat_body(stop=["x"] * 300_000), "Invalid 'stop': up to 4 strings"),
        (chat_body(messages=[{"role": "user", "content": ""}] * 5000), "you sent 0 characters in 5,000 message(s)"),
        (chat_body().encode("utf-16"), "expected value at line 1 column 1"),
        (b'{"model": "\xed\xa0\x80"}', "invalid unicode code point at line 1 column 12"),
        ("\ufeff" + chat_body(), "could not parse the JSON body"),
        (chat_body(**{"x" * 100_000: 1}), "Unrecognized request argument supplied: xxx"),
        (chat_body(model="x" * 100_000), "does not exist or you do not have access to it"),
    ],
)
def test_a_body_that_is_no_request_is_refused_saying_why(service: Service, body: bytes | str, words: str) -> None:
    answer = service.post("chat/completions", body)
    assert 400 <= answer.status < 500
    assert words in answer.error["message"]
    assert len(answer.error["message"]) <= 1000


@pytest.mark.parametrize(
    ("path", "content_type", "words"),
    [
        ("chat/completions", None, "The request has no Content-Type header: send 'Content-Type: application/json'."),
        ("chat/completions", "text/plain", "Unsupported content type: 'text/plain'. /v1/chat/completions accepts"),
        ("fine_tuning/jobs", "application/x-www-form-urlencoded", "/v1/fine_tuning/jobs accepts 'application/json' only."),
        ("files", None, "send 'Content-Type: multipart/form-data'."),
        ("files", "application/json", "/v1/files accepts 'multipart/form-data' only."),
    ],
)
def test_a_missing_or_wrong_content_type_is_named(service: Service, path: str, content_type: str | None, words: str) -> None:
    headers = [("content-type", content_type)] if content_type else []
    answer = service.send("POST", path, chat_body(), headers)
    assert (answer.status, answer.error["code"]) == (400, "unsupported_content_type")
    assert words in answer.error["message"]


def test_json_with_parameters_in_its_type_is_read(service: Service) -> None:
    answer = service.send("POST", "chat/completions", chat_body(), [("content-type", "Application/JSON ; charset=utf-8")])
    assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("origin", "null")],
        [("origin", "https://example.com")],
        [("origin", "http://localhost:3000"), ("origin", "https://example.com")],
        [("origin", "https://example.com"), ("origin", "http://localhost:3000")],
        [("origin", "http://localhost.example.com")],
        [("origin", "http://127.0.0.1@example.com")],
        [("origin", "file://")],
        [("origin", "http://[")],
        [("host", "example.com")],
        [("host", "[::")],
    ],
)
def test_without_a_key_a_web_page_cannot_use_the_service(
    client: OpenAI, service: Service, headers: list[tuple[str, str]]
) -> None:
    stored = len(list(client.files.list()))
    for method, path in (("GET", "models"), ("POST", "files"), ("POST", "chat/completions")):
        answer = service.send(method, path, chat_body() if method == "POST" else "", headers)
        assert answer.status == 403
        assert answer.error["code"] == "forbidden_origin"
    assert len(list(client.files.list())) == stored


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8000"])
def test_a_page_of_this_machine_can_use_the_service(service: Service, origin: str) -> None:
    assert service.send("GET", "models", headers=[("origin", origin)]).status == 200


def test_with_a_key_the_origin_does_not_matter(guarded: InProcess) -> None:
    key = ("authorization", f"Bearer {guarded.key}")
    assert guarded.send("GET", "models", headers=[("origin", "null"), key]).status == 200
    assert guarded.send("GET", "models", headers=[("origin", "null")]).status == 401


@pytest.mark.parametrize(("sent", "status"), [("Bearer clé ✓", 200), ("Bearer clé", 401), ("Bearer \xff", 401), ("", 401)])
def test_a_key_may_have_any_characters(sent: str, status: int) -> None:
    from evaltape.local.guard import Guard

    statuses = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    headers = [(b"authorization", sent.encode("latin-1" if "\xff" in sent else "utf-8"))]
    scope = {"type": "http", "method": "GET", "path": "/v1/models", "headers": headers}
    asyncio.run(Guard(app, api_key="clé ✓", max_upload_bytes=1)(scope, receive, send))
    assert statuses[0] == status


@pytest.mark.parametrize("path", ["responses", "responses/resp_1", "embeddings", "completions", "uploads", "moderations"])
def test_a_route_that_is_not_served_says_what_to_use(service: Service, path: str) -> None:
    error = service.post(path, "{}").error
    assert error["code"] == "unsupported_endpoint"
    assert error["message"].startswith(f"Invalid URL (POST /v1/{path}): the local service has no /v1/{path.split('/')[0]}, ")
    assert error["message"].endswith("It has /v1/models, /v1/chat/completions, /v1/files, /v1/batches and /v1/fine_tuning/jobs")


@pytest.mark.parametrize("path", ["chat/completions/", "files/", "/models", "nothing"])
def test_a_wrong_path_is_not_redirected(service: Service, path: str) -> None:
    answer = service.post(path, chat_body())
    assert answer.status == 404
    assert answer.error["message"] == f"Invalid URL (POST /v1/{path})"


def test_a_base_url_without_v1_is_explained(service: Service) -> None:
    answer = service.send("POST", "chat/completions", chat_body(), root="/")
    assert answer.status == 404
    assert "the client's base URL ends with it" in answer.error["message"]


def test_a_long_stop_string_takes_no_longer(service: Service) -> None:
    """It was compared with every beginning of it: 4 MB of it held the engine for hours."""
    answer = service.post("chat/completions", chat_body(stop="x" * 4_000_000, stream=True, max_tokens=4))
    assert answer.status == 200
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_the_service_wrote_no_traceback(service: Service) -> None:
    assert "Traceback" not in service.log.read_text()
