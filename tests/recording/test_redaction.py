"""Which texts hold a secret, and which only a word: both sides."""

import base64
import json
import math
from urllib.parse import quote

import pytest
from evaltape.recording.redaction import REMOVED, holds_secret, is_random, without_secrets
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.project import Project
from tests.support.server import ApiServer, completion, error

WORDS = ["ollama", "none-needed", "EMPTY", "dummy", "lm-studio", "sk-1234", "password", "x", "not-needed"]
KEYS = ["hunter2+/=", "token-abc123", "sk-proj-0123456789abcdef", "0123456789abcdef", "Tr0ub4dor&3", "a" * 16]


# ---------------------------------------------------------------- keys that are words


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    "text",
    ['"system_fingerprint": "fp_{}"', '"model": "{}/llama3"', '"owned_by": "{}"', "The {} grazes.", "monkey{}", "a {} token"],
)
def test_a_key_that_is_a_word_stops_no_recording_of_the_word(word: str, text: str) -> None:
    assert not is_random(word)
    assert not holds_secret(text.replace("{}", word), [word])


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    "text", ["Authorization: Bearer {}", '{"api_key": "{}"}', r'{"x": "{\"api_key\": \"{}\"}"}', "Your key is {}.", "API key provided: {}", "token={}"]
)  # fmt: skip
def test_where_keys_stand_such_a_word_is_one(word: str, text: str) -> None:
    assert holds_secret(text.replace("{}", word), [word])


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("text", ["{}", "x{}y", '{"fingerprint": "fp_{}"}'])
def test_a_key_that_can_not_be_a_word_is_one_anywhere(key: str, text: str) -> None:
    assert is_random(key)
    assert holds_secret(text.replace("{}", key), [key])


@pytest.mark.parametrize("text", ["{}", "x{}y", '{"said": "it is {}, as you know"}'])
def test_a_random_key_is_found_in_disguise(text: str) -> None:
    key = "sk-Proj_0123456789abcdefGHIJ4711wxyz+/="
    split = [key[:9] + mark + key[9:] for mark in (" ", "\n", r"\n", ", then ", "`-`")]
    encoded = [base64.b64encode(before + key.encode() + b"after").decode() for before in (b"", b"a", b"ab")]
    others = [
        base64.urlsafe_b64encode(key.encode()).decode(),
        key.encode().hex(),
        quote(key, safe=""),
        f"first {key[:20]} rest",
    ]
    percent = "".join(f"%{ord(character):02x}" for character in key)
    found = [
        holds_secret(text.replace("{}", it), [key]) for it in [key.upper(), key.lower(), *split, *encoded, *others, percent]
    ]
    assert all(found), found
    assert not holds_secret(text.replace("{}", "Proj_0123456789"), [key])
    assert not holds_secret("It is not needed for local use", ["not-needed-for-local"])


def test_a_key_is_found_as_json_writes_it() -> None:
    key = 'quo"ted\\0123456789-é'
    for ascii_only in (True, False):
        assert holds_secret(json.dumps({"x": key}, ensure_ascii=ascii_only), [key])


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1), st.text(), st.text())
def test_every_random_key_is_found_and_removed_whatever_it_is_made_of(key: str, before: str, after: str) -> None:
    assume(is_random(key))
    assert holds_secret(before + key + after, [key])
    assume(key not in REMOVED + before + after)
    assert key not in without_secrets(f"{before} {key} {after}", key)


def test_without_a_key_nothing_is_one() -> None:
    assert not holds_secret("any text", ["", ""])
    assert without_secrets("any text", "") == "any text"


# ---------------------------------------------------------------- what has the form of a key


@pytest.mark.parametrize(
    "text",
    [
        "Bearer responsibilities lie with the board",
        "Bearer internationalisation",
        "sk-learn-compatible-estimators",
        "risk-0123456789abcdefghij",
        "disk-usage",
        "The bearer of 20 gifts",
    ],
)
def test_prose_is_no_key(text: str) -> None:
    assert not holds_secret(text)


@pytest.mark.parametrize(
    "text", ["sk-abcdefghijklmnop1234", "(sk-proj-ABC_DEF-0123456789)", "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30", "Bearer 0123456789abcdef"]
)  # fmt: skip
def test_what_has_the_form_of_a_key_is_one(text: str) -> None:
    assert holds_secret(text)


# ---------------------------------------------------------------- in the words of an API


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Incorrect API key provided: ollama", "Incorrect API key provided: [removed]"),
        ("fp_ollama was tired", "fp_ollama was tired"),
        ("Unknown parameter: 'user_location'", "Unknown parameter: 'user_location'"),
        ("Bearer token required", "Bearer token required"),
        ("of org-plantedABCDEFG12345, proj_0123456789 at req_plantedOPQRSTU90", "of [removed], [removed] at [removed]"),
        ("key sk-abc*****1234 is wrong", "key [removed] is wrong"),
        ("sent Bearer abcdefgh1", "sent [removed]"),
    ],
)
def test_errors_are_told_without_keys_and_identities_and_otherwise_whole(text: str, shown: str) -> None:
    assert without_secrets(text, "ollama") == shown


# ---------------------------------------------------------------- in a recording


def test_a_server_s_key_that_is_a_word_is_no_hindrance(project: Project, api: ApiServer) -> None:
    project.extend_suite('api_key_env = "LLAMA_KEY"\n')

    def fingerprinted(asked: dict[str, object]) -> object:
        reply = completion(asked, "Bearer responsibilities, said the ollama.")
        reply.body["system_fingerprint"] = "fp_ollama"
        return reply

    api.fault(fingerprinted, times=math.inf)  # type: ignore[arg-type]
    run = project.run("evals", "-m", "baseline", "-k", "test_sample", "--record", environment={"LLAMA_KEY": "ollama"})
    assert run.outcomes["passed"] == 6, run.output
    assert {asked.headers["authorization"] for asked in api.asked()} == {"Bearer ollama"}


def test_a_key_of_any_length_is_removed_from_an_error(project: Project, api: ApiServer) -> None:
    project.extend_suite('api_key_env = "LLAMA_KEY"\n')
    api.fault(error(401, "no such key: ab1"), match="Ben:")
    run = project.run("evals", "-m", "baseline", "-k", "t1", "--record", "--results=r.json", environment={"LLAMA_KEY": "ab1"})
    assert "no such key: [removed]" in " ".join(run.output.split())
    assert not [name for name, content in project.files().items() if b"ab1" in content and name.endswith(".json")]


def test_a_prompt_that_no_recording_may_hold_is_not_paid_for(project: Project, api: ApiServer) -> None:
    key = "sk-proj-planted0123456789abcdef"
    project.write_rows([{"id": "t1", "dialogue": f"Ann: it is {key}", "summary": "A key."}])
    run = project.run("evals", "-m", "baseline", "-k", "test_sample", "--record")
    assert "not asked, because the prompt holds an API key or what looks like one" in " ".join(run.output.split())
    assert api.calls == 0


def test_a_request_that_no_recording_may_hold_is_refused(project: Project, api: ApiServer) -> None:
    project.edit_suite("temperature = 0", 'user = "sk-proj-planted0123456789abcdef"')
    run = project.run("evals", "-m", "baseline", "--record")
    run.assert_refused("[models.small] request holds an API key or what looks like one")
    assert api.calls == 0
