"""Where calls go and with which key: proxies, the environment's address, servers on this machine."""

import re

import pytest
from evaltape.errors import UserError
from evaltape.recorder.api.client import base_url_of, key_of
from evaltape.suite.definition import Model
from evaltape.suite.endpoint import is_local

from tests.support.asking import answer, failure
from tests.support.project import Project
from tests.support.server import ApiServer

KEY = "sk-session-key-0123456789"


def model(base_url: str | None = None, api_key_env: str | None = None) -> Model:
    return Model("small", "talks", "small-1", base_url=base_url, api_key_env=api_key_env)


# ---------------------------------------------------------------- proxies


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> "ApiServer":
    """A server that notes what reaches it as a proxy of the environment."""
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ApiServer() as server:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.port}")
        yield server


def test_no_proxy_is_asked_for_an_address_on_this_machine(api: ApiServer, proxy: ApiServer) -> None:
    answer(api.base_url)
    assert (api.calls, proxy.requests) == (1, [])


def test_a_proxy_of_the_environment_is_asked_for_other_addresses(api: ApiServer, proxy: ApiServer) -> None:
    answer("http://api.example.invalid/v1", KEY)
    assert api.requests == []
    assert [asked.headers["host"] for asked in proxy.asked()] == ["api.example.invalid"]


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_address_in_the_environment_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", value)
    assert base_url_of(model()) == "https://api.openai.com/v1"


def test_the_suite_s_address_comes_before_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://there/v1")
    assert base_url_of(model("http://here/v1")) == "http://here/v1"
    assert base_url_of(model()) == "http://there/v1"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("api.openai.com/v1", "it takes an address like http://127.0.0.1:8000/v1"),
        ("ftp://there/v1", "it takes an address like"),
        ("http:///v1", "it takes an address like"),
        ("http://there:port/v1", "it takes an address like"),
        ("http://me:secret@there/v1", "holds a user name or password"),
        ("http://there/v1?api-key=secret", "paths are added behind it, so it takes neither ? nor #"),
        ("http://there/v1#secret", "paths are added behind it"),
        ("me:secret@there/v1", "it takes an address like"),
        ("there/v1?key=secret", "it takes an address like"),
    ],
)
def test_an_address_that_can_not_be_asked_at_is_refused_before_any_call(
    project: Project, monkeypatch: pytest.MonkeyPatch, url: str, problem: str
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(UserError, match=re.escape(problem)) as refused:
        base_url_of(model())
    assert "secret" not in str(refused.value)
    with pytest.raises(UserError, match=r"^small: base_url "):
        base_url_of(model(url))


def test_such_an_address_is_told_in_a_run(project: Project) -> None:
    project.edit_suite(f'base_url = "{project.base_url}"\n', "")
    run = project.run("evals", "--record", environment={"OPENAI_BASE_URL": "localhost:8000", "OPENAI_API_KEY": KEY})
    run.assert_refused("OPENAI_BASE_URL = 'localhost:8000': it takes an address like http://127.0.0.1:8000/v1")


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:8000/v1", True),
        ("http://LOCALHOST/v1", True),
        ("http://models.localhost/v1", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.1.2.3/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://0.0.0.0:8000/v1", True),
        ("http://192.168.0.2/v1", False),
        ("http://localhost.example.org/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_addresses_on_this_machine_are_known(url: str, local: bool) -> None:
    assert is_local(url) is local


# ---------------------------------------------------------------- keys


def test_a_server_on_this_machine_gets_no_key_and_no_identity(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    answer(api.base_url, key_of(model(), api.base_url))
    answer(api.base_url, key_of(model(api_key_env="OPENAI_API_KEY"), api.base_url))
    first, second = [asked.headers for asked in api.asked()]
    assert not {"authorization", "openai-organization", "openai-project"} & set(first)
    assert (second["authorization"], second["openai-organization"]) == (f"Bearer {KEY}", "org-1")


def test_a_refusal_for_want_of_a_key_says_that_none_was_sent_and_how_to_name_one(api: ApiServer) -> None:
    hint = (
        "No key was sent: a server on this machine gets one only if the suite names its variable, "
        'as in api_key_env = "OPENAI_API_KEY" under the model'
    )
    api.fault("401", times=2)
    assert failure(api.base_url).message.endswith(f"(invalid_api_key). {hint}")
    assert hint not in failure(api.base_url, KEY).message


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(UserError, match="small: its API takes a key, and OPENAI_API_KEY is not set"):
        key_of(model(), "https://api.openai.com/v1")


@pytest.mark.parametrize("value", ["sk-…", "sk-one\ntwo"])
def test_a_key_that_can_not_be_sent_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(UserError, match="OPENAI_API_KEY holds characters that no key has"):
        key_of(model(), "https://api.openai.com/v1")


# ---------------------------------------------------------------- headers of the environment


@pytest.mark.parametrize(
    "headers", ["x-portkey-provider: @openai\nx-portkey-api-key: pk-secret", "Authorization: Bearer pk-secret"]
)
def test_custom_headers_go_to_the_environment_s_address_and_to_no_other_host(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, headers: str
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", headers)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example.com/v1")
    answer(api.base_url, KEY)
    assert "pk-secret" not in str(api.requests[-1].headers)
    assert api.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    monkeypatch.setenv("OPENAI_BASE_URL", f"{api.base_url}/")
    answer(api.base_url, KEY)
    assert "pk-secret" in str(api.requests[-1].headers)
