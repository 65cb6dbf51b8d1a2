"""Files through the official client."""

import json
import re
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.support.local_service import NEEDS_EXTRA, InProcess, Service, examples, jsonl, upload

pytestmark = NEEDS_EXTRA


def test_a_file_is_stored_read_and_deleted(client: OpenAI) -> None:
    content = jsonl(examples())
    made = client.files.create(file=("train.jsonl", content), purpose="fine-tune")
    assert (made.object, made.filename, made.bytes) == ("file", "train.jsonl", len(content))
    assert (made.purpose, made.status) == ("fine-tune", "processed")
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).read() == content
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError, match=f"No such File object: {made.id}"):
        client.files.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.files.delete(made.id)


def test_files_are_listed_page_by_page(client: OpenAI) -> None:
    made = [upload(client, examples(), f"{number}.jsonl") for number in range(3)]
    assert [file.id for file in client.files.list(limit=2)][:3] == made[::-1]
    oldest_first = [file.id for file in client.files.list(order="asc", purpose="fine-tune")]
    assert [name for name in oldest_first if name in made] == made
    assert not client.files.list(purpose="fine-tune-results", limit=10_000).has_more
    with pytest.raises(openai.BadRequestError, match="continue after"):
        client.files.list(after="file-unknown")
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.list(limit=0)
    assert refused.value.param == "limit"


def test_a_file_that_expires_says_when(client: OpenAI) -> None:
    after: Any = {"anchor": "created_at", "seconds": 7200}
    made = client.files.create(file=("train.jsonl", b"{}"), purpose="fine-tune", expires_after=after)
    assert made.expires_at == made.created_at + 7200
    assert client.files.retrieve(made.id).expires_at == made.expires_at
    assert client.files.create(file=("train.jsonl", b"{}"), purpose="fine-tune").expires_at is None


@pytest.mark.parametrize(
    ("after", "param"),
    [
        ({"anchor": "created_at", "seconds": 3599}, "expires_after[seconds]"),
        ({"anchor": "created_at", "seconds": 2_592_001}, "expires_after[seconds]"),
        ({"anchor": "created_at", "seconds": "soon"}, "expires_after[seconds]"),
        ({"anchor": "created_at"}, "expires_after[seconds]"),
        ({"anchor": "last_used", "seconds": 7200}, "expires_after[anchor]"),
        ({"seconds": 7200}, "expires_after[anchor]"),
    ],
)
def test_an_expiry_that_cannot_be_is_refused(client: OpenAI, after: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError, match=re.escape(f"Invalid value for '{param}'")) as refused:
        client.files.create(file=("train.jsonl", b"{}"), purpose="fine-tune", expires_after=after)
    assert refused.value.param == param


def test_a_file_for_another_purpose_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="should be 'fine-tune' or 'batch'") as refused:
        client.files.create(file=("train.jsonl", b"{}"), purpose="vision")
    assert refused.value.param == "purpose"


@pytest.mark.parametrize("name", ["../../escaped.jsonl", "/etc/escaped.jsonl", "..\\escaped.jsonl", "a/b/escaped.jsonl"])
def test_a_file_name_is_never_a_path(client: OpenAI, service: Service, name: str) -> None:
    made = client.files.create(file=(name, b"{}\n"), purpose="fine-tune")
    assert made.filename == "escaped.jsonl"
    assert not list(service.state.parent.rglob("*escaped*"))
    assert (service.state / "files" / made.id).read_bytes() == b"{}\n"


@pytest.mark.parametrize("name", ["..%2F..%2Fstate.db", "..%2fstate.db", "state.db", "%2Fetc%2Fpasswd"])
def test_a_file_id_is_never_a_path(service: Service, name: str) -> None:
    for path in (f"files/{name}", f"files/{name}/content", f"models/{name}", f"fine_tuning/jobs/{name}"):
        assert httpx2.get(f"{service.base_url}/{path}").status_code == 404


def test_an_upload_that_is_too_large_is_refused(guarded: InProcess) -> None:
    client = guarded.client()
    with pytest.raises(openai.APIStatusError, match="at most 1 MB") as refused:
        client.files.create(file=("train.jsonl", b"x" * (3 * 2**20)), purpose="fine-tune")
    assert refused.value.status_code == 413
    assert not list(client.files.list())
    assert not list((guarded.state / "files").iterdir())


def test_an_upload_without_a_declared_length_is_measured(guarded: InProcess) -> None:
    boundary = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
    headers = {"authorization": f"Bearer {guarded.key}", "content-type": "multipart/form-data; boundary=b"}
    pieces = iter([boundary, *[b"x" * 2**16] * 40, b"\r\n--b--\r\n"])
    answer = httpx2.post(f"{guarded.base_url}/files", content=pieces, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_a_chat_that_is_too_large_is_refused(guarded: InProcess) -> None:
    body = json.dumps({"model": "guarded", "messages": [{"role": "user", "content": "x" * (9 * 2**20)}]})
    headers = {"authorization": f"Bearer {guarded.key}", "content-type": "application/json"}
    answer = httpx2.post(f"{guarded.base_url}/chat/completions", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_without_its_key_nothing_is_served(guarded: InProcess) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        guarded.client("a wrong key").models.list()
    assert refused.value.code == "invalid_api_key"
    assert "wrong" not in refused.value.message
    assert httpx2.get(f"{guarded.base_url}/models").status_code == 401
    assert [model.id for model in guarded.client().models.list()] == ["guarded"]
