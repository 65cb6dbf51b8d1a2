"""Cassettes: what is written reads back exactly, vcrpy can use it, and what is no cassette is refused by name."""

import json
import os
import string
from pathlib import Path
from typing import Any

import openai
import pytest
import vcr
import yaml
from evaltape.errors import RecordingError
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from hypothesis import given
from hypothesis import strategies as st
from vcr.cassette import Cassette

from tests.support.project import Project
from tests.support.server import ApiServer

URL = "http://127.0.0.1:8000/v1/chat/completions"
ASKED = {"model": "m", "messages": [{"role": "user", "content": "Sum up:\n\nAnn: hi\nBob: yo"}], "temperature": 0}
DATE = "Tue, 24 Nov 2026 20:06:50 GMT"
ANSWERED = {"choices": [{"message": {"content": "Ann greets Bob."}}]}
TEXTS = st.text(st.characters(exclude_categories=()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def chat(asked: Any = ASKED, answered: Any = ANSWERED) -> Exchange:
    return Exchange("POST", URL, asked, 200, answered)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "t1.yaml"


@pytest.fixture(scope="module")
def any_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "t1.yaml"


def refusal(path: Path, asked: dict[str, Any] = ASKED) -> str:
    with pytest.raises(RecordingError) as caught:
        cassettes.replay(path, asked)
    return str(caught.value)


# ---------------------------------------------------------------- what is written


@given(JSON, JSON)
def test_what_is_written_reads_back_exactly(any_path: Path, asked: Any, answered: Any) -> None:
    exchange = chat({"x": asked}, {"y": answered})
    cassettes.write(any_path, [exchange, exchange])
    assert cassettes.read(any_path) == [exchange, exchange]


@given(JSON, JSON)
def test_vcrpy_reads_the_same(any_path: Path, asked: Any, answered: Any) -> None:
    cassettes.write(any_path, [chat({"x": asked}, {"y": answered})])
    loaded = Cassette.load(path=str(any_path))
    ((request, response),) = loaded.data
    assert (request.method, request.uri) == ("POST", URL)
    assert json.loads(request.body) == {"x": asked}
    assert json.loads(response["body"]["string"]) == {"y": answered}


@given(st.text(st.sampled_from(string.printable + "é\x85\u2028\ufeff😀'\"\\{}[]&*!#|>%@`- ")))
def test_texts_that_are_not_json_read_back_exactly(any_path: Path, text: str) -> None:
    exchange = Exchange("GET", "http://h/v1/files/file-1/content", None, 200, text, "text/csv")
    cassettes.write(any_path, [exchange])
    assert cassettes.read(any_path) == [exchange]


def test_a_cassette_is_readable_line_by_line(path: Path) -> None:
    cassettes.write(path, [chat()])
    assert (
        path.read_text()
        == """\
version: 1
interactions:
- request:
    method: POST
    uri: "http://127.0.0.1:8000/v1/chat/completions"
    headers: {"content-type": ["application/json"]}
    body: |-
      {"model": "m",
       "messages": [{"role": "user", "content": "Sum up:\\n\\nAnn: hi\\nBob: yo"}],
       "temperature": 0}
  response:
    status: {"code": 200, "message": "OK"}
    headers: {"content-type": ["application/json"]}
    body:
      string: |-
        {"choices": [{"message": {"content": "Ann greets Bob."}}]}
"""
    )


def test_the_openai_client_replays_a_recording_through_vcrpy_alone(project: Project, api: ApiServer) -> None:
    project.record()
    api.stop()
    client = openai.OpenAI(base_url=api.base_url, api_key="none", max_retries=0)
    request = yaml.safe_load(project.cassette("t1").read_text())["interactions"][0]["request"]
    with vcr.use_cassette(str(project.cassette("t1")), record_mode="none", match_on=["method", "uri", "body"]) as cassette:
        answer = client.chat.completions.create(**json.loads(request["body"]))
    assert answer.choices[0].message.content == "Ben: the red car won"
    assert cassette.all_played


def test_a_cassette_that_vcrpy_wrote_replays(path: Path, api: ApiServer) -> None:
    client = openai.OpenAI(base_url=api.base_url, api_key="none", max_retries=0)
    with vcr.use_cassette(str(path), filter_headers=["authorization"]):
        client.chat.completions.create(**ASKED)
    answer = cassettes.replay(path, ASKED).answered
    assert answer["choices"][0]["message"]["content"] == "Ann: hi"


def test_what_is_recorded_of_a_call_reads_back(path: Path) -> None:
    exchange = Exchange("POST", URL, ASKED, 200, ANSWERED, "application/json", DATE, 1.234567, 0.000012345)
    cassettes.write(path, [exchange])
    assert cassettes.read(path) == [exchange]


@pytest.mark.parametrize("by_hand", [False, True], ids=["as written", "edited"])
def test_headers_of_our_own_that_hold_no_number_are_as_none(path: Path, by_hand: bool) -> None:
    cassettes.write(path, [Exchange("POST", URL, ASKED, 200, ANSWERED, latency_s=1.0, cost_usd=2.0)])
    text = path.read_text().replace('"1.000000"', '"1e999"').replace('["2.000000000"]', "[]")
    path.write_text("# edited\n" + text if by_hand else text)
    (exchange,) = cassettes.read(path)
    assert (exchange.latency_s, exchange.cost_usd) == (None, None)


@pytest.mark.parametrize("status", [500, 429, 307, 199, 0])
def test_a_recording_of_an_error_is_no_answer_whatever_its_body(path: Path, status: int) -> None:
    cassettes.write(path, [Exchange("POST", URL, ASKED, status, ANSWERED)])
    assert refusal(path) == f"t1.yaml: recorded with HTTP status {status}, which is no answer"


def test_nothing_is_asked_for_again_that_is_only_not_fetched_or_not_merged(path: Path) -> None:
    assert not cassettes.is_valid(lambda: cassettes.read(path))
    cassettes.write(path, [Exchange("POST", URL, ASKED, 200, ANSWERED)])
    assert cassettes.is_valid(lambda: cassettes.read(path))
    path.write_text(f"<<<<<<< ours\n{path.read_text()}=======\n{path.read_text()}>>>>>>> theirs\n")
    with pytest.raises(RecordingError, match=r"Take one side whole .* which calls nothing: git checkout --ours"):
        cassettes.is_valid(lambda: cassettes.read(path))
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(RecordingError, match="Fetch it first, recording it again would be paid: git lfs pull"):
        cassettes.is_valid(lambda: cassettes.read(path))


def test_a_pointer_of_git_lfs_is_told_for_what_it_is(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    assert refusal(path) == "t1.yaml: a Git LFS pointer, which stands for a recording that isn't on this machine"


def test_no_text_of_a_cassette_reaches_a_message_raw(path: Path) -> None:
    evil = "\x1b[2J\x07\u202e"
    shown = r"\x1b[2J\x07\u202e"
    asked = {"model": evil, "messages": [{"role": evil, "content": "x"}], evil: evil}
    cassettes.write(path, [chat(asked)])
    told = refusal(path)
    assert f"another model ('{shown}'; the suite names 'm')" in told
    assert f"messages by {shown}; the suite has user" in told
    assert f"another {shown} (" in told
    cassettes.write(path, [Exchange("POST", f"http://h/{evil}", ASKED, 200, ANSWERED)])
    told += refusal(path)
    path.write_text(f"version: 1\ninteractions: {evil}\n- {evil}: [")
    told += refusal(path)
    assert not set("\x1b\x07\u202e") & set(told)


def test_a_recording_larger_than_what_is_read_is_not_written(path: Path) -> None:
    with pytest.raises(RecordingError, match=r"t1\.yaml: not written, because it would be larger than 32 MiB"):
        cassettes.write(path, [chat(answered={"x": "a" * (33 * 2**20)})])
    assert os.listdir() == []


def test_neither_credentials_nor_a_query_of_the_address_are_kept(path: Path) -> None:
    cassettes.write(path, [Exchange("POST", "https://me:pw@api.host:8443/v1/chat/completions?key=abc", ASKED, 200, ANSWERED)])
    assert cassettes.read(path)[0].url == "https://api.host:8443/v1/chat/completions"
    assert "pw" not in path.read_text()


# ---------------------------------------------------------------- matching


@pytest.mark.parametrize(
    "url",
    ["https://api.openai.com/v1/chat/completions", "http://10.0.0.1/proxy/openai/v1/chat/completions"],
)
def test_a_recording_matches_whatever_its_host_and_prefix(path: Path, url: str) -> None:
    cassettes.write(path, [Exchange("POST", url, ASKED, 200, ANSWERED)])
    assert cassettes.replay(path, ASKED).answered == ANSWERED


def test_a_recording_matches_whatever_the_order_of_its_keys(path: Path) -> None:
    cassettes.write(path, [chat(dict(reversed(ASKED.items())))])
    assert cassettes.replay(path, ASKED).answered == ANSWERED


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"temperature": 0.5}, "another temperature (0; the suite asks for 0.5)"),
        ({"seed": 1}, "another seed (none; the suite asks for 1)"),
        ({"model": "n"}, "another model ('m'; the suite names 'n')"),
        ({"messages": [{"role": "user", "content": "Sum up:\n\nAnn: hi\nBob: you"}]}, "another prompt (line 4 differs)"),
        ({"messages": [{"role": "user", "content": "Sum up:\n\nAnn: hi\nBob: yo\n"}]}, "another prompt (line 5 differs)"),
        (
            {"messages": [{"role": "system", "content": "x"}, *ASKED["messages"]]},
            "another prompt (messages by user; the suite has system, user)",
        ),
        ({"model": "n", "top_p": 1}, "another model ('m'; the suite names 'n'); another top_p (none; the suite asks for 1)"),
    ],
)  # fmt: skip
def test_another_call_is_told_by_what_differs(path: Path, changed: dict[str, Any], difference: str) -> None:
    cassettes.write(path, [chat()])
    assert refusal(path, {**ASKED, **changed}) == f"t1.yaml: recorded with {difference}"


def test_a_parameter_that_was_dropped_is_told(path: Path) -> None:
    cassettes.write(path, [chat()])
    asked = {key: value for key, value in ASKED.items() if key != "temperature"}
    assert refusal(path, asked) == "t1.yaml: recorded with another temperature (0; the suite asks for none)"


def test_a_call_to_another_endpoint_is_told(path: Path) -> None:
    cassettes.write(path, [Exchange("POST", "http://h/v1/responses", ASKED, 200, ANSWERED)])
    assert refusal(path) == "t1.yaml: recorded with a call to /v1/responses, not to /chat/completions"


# ---------------------------------------------------------------- damaged, foreign, hostile

GOOD = "version: 1\ninteractions:\n- request: {body: '{}', headers: {}, method: POST, uri: 'http://h/v1/chat/completions'}\n"
BAD = {
    "empty": ("", "not a readable cassette"),
    "no interactions": ("version: 1\ninteractions: []\n", "an empty cassette"),
    "a list": ("- 1\n", "not a readable cassette"),
    "a word": ("hello", "not a readable cassette"),
    "other YAML": ("a: 1\n", "not a readable cassette"),
    "not YAML": ("version: 1\n\tinteractions: [\n", "not a readable cassette"),
    "interactions of another kind": ("version: 1\ninteractions: 5\n", "not a readable cassette"),
    "no response": (GOOD, "not a readable cassette (KeyError: 'response')"),
    "an empty response": (GOOD + "  response: {}\n", "a cassette, but not of this API"),
    "a response that is no JSON": (
        GOOD + "  response: {status: {code: 200}, headers: {}, body: {string: hello}}\n",
        "a cassette, but not of this API",
    ),
    "a status that is no number": (
        GOOD + "  response: {status: {code: x}, headers: {}, body: {string: '{}'}}\n",
        "a cassette, but not of this API",
    ),
    "a request body that is no text": (
        GOOD.replace("'{}'", "2026-01-01") + "  response: {status: {code: 200}, headers: {}, body: {string: '{}'}}\n",
        "a",
    ),
    "a tag that runs code": ("version: 1\ninteractions: !!python/object/apply:os.system ['touch ran']\n", "tags, anchors and aliases"),
    "a harmless tag": ("version: 1\ninteractions: !!seq []\n", "tags, anchors and aliases"),
    "aliases that explode": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"{c}: &{c} [{', '.join(['*' + b] * 10)}]\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True)),
        "tags, anchors and aliases",
    ),
    "a bomb of merge keys": (
        "a: &a {k: 1}\n" + "".join(f"{c}: &{c} {{<<: [{', '.join(['*' + b] * 10)}]}}\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True)),
        "tags, anchors and aliases",
    ),
    "lists in lists": ("version: 1\ninteractions: " + "[" * 1_000_000, "not a readable cassette"),
    "lists in more lists than recordings have": ("version: 1\ninteractions: " + "[" * 100, "nested more than 16 levels deep"),
    "lists in lists, as a block": ("- " * 100_000, "nested more than 16 levels deep"),
    "many nodes": ("- a\n" * 200_000, "more than 100,000 nodes"),
    "JSON in JSON": (
        GOOD + "  response: {status: {code: 200}, headers: {}, body: {string: '" + "[" * 100_000 + "'}}\n",
        "a cassette, but not of this API",
    ),
    "a number without end": (
        GOOD + "  response: {status: {code: 200}, headers: {}, body: {string: '" + "9" * 100_000 + "'}}\n",
        "a cassette, but not of this API",
    ),
    "over 32 MiB": ("x" * (32 * 2**20 + 1), "larger than 32 MiB"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_what_is_no_cassette_is_refused_by_name(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    told = refusal(path)
    assert told.startswith("t1.yaml: ")
    assert message in told
    assert len(told) < 400
    assert os.listdir() == ["t1.yaml"]


def test_a_missing_cassette_is_told(path: Path) -> None:
    assert refusal(path) == "t1.yaml: there is no such recording"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\x00" * 64, b"version: 1\ninteractions:\n- \x07"])
def test_bytes_that_are_no_text_are_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert "t1.yaml: not a readable cassette" in refusal(path)


def test_a_folder_for_a_cassette_is_refused(path: Path) -> None:
    path.mkdir()
    assert refusal(path).startswith("t1.yaml: not a readable cassette (IsADirectoryError")


@given(st.data())
def test_whatever_is_in_a_cassette_it_is_read_or_refused(any_path: Path, data: st.DataObject) -> None:
    cassettes.write(any_path, [chat()])
    text = bytearray(any_path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    any_path.write_bytes(bytes(text))
    try:
        read = cassettes.read(any_path)
    except RecordingError:
        return
    assert all(isinstance(exchange, Exchange) for exchange in read)


# ---------------------------------------------------------------- writing whole, and without secrets


def test_a_refused_write_leaves_the_old_cassette(path: Path) -> None:
    cassettes.write(path, [chat()])
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="not written, because the answer holds an API key or what looks like one"):
        cassettes.write(path, [chat(answered={"x": "your key is sk-abcdefghijklmnop1234"})])
    with pytest.raises(RecordingError, match="not written"):
        cassettes.write(path, [chat(answered={"x": "the secret is hunter2"})], secrets=("hunter2",))
    assert path.read_bytes() == before
    assert os.listdir() == ["t1.yaml"]


def test_a_link_is_replaced_and_what_it_points_to_stays(path: Path) -> None:
    target = path.with_name("precious.txt")
    target.write_text("precious")
    path.symlink_to(target)
    cassettes.write(path, [chat()])
    assert not path.is_symlink()
    assert target.read_text() == "precious"
