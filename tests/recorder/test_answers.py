"""Answers in all the forms that APIs give them: what is paid for is recorded, and what is no answer says why."""

import gzip
import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from evaltape.recorder.api.failures import words_of
from evaltape.recording import cassettes
from evaltape.scoring.prediction import read_completion
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asking import answer, failure
from tests.support.project import Project
from tests.support.recording import record_here
from tests.support.server import ApiServer, Reply, completion, error

MIB = 2**20
ESCAPES = "\x1b[2J\x07\u202e"


def predictions(project: Project) -> dict[str, str]:
    return {it["sample"]: it["prediction"] for it in project.results("-k", "test_sample")["predictions"]}


def answering(asked: dict[str, Any], content: Any, **usage: Any) -> Reply:
    reply = completion(asked, "four words of text")
    reply.body["choices"][0]["message"]["content"] = content
    reply.body["usage"].update(usage)
    return reply


# ---------------------------------------------------------------- forms of an answer


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "the red"}, {"type": "text", "text": " car won"}],
        ["the red car", " won"],
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "output_text", "text": "the red car won"},
        ],
    ],
    ids=["parts", "texts", "beside thoughts"],
)
def test_content_as_a_list_of_parts_is_the_text_of_its_parts(content: Any) -> None:
    assert read_completion({"choices": [{"message": {"content": content}}]}).text == "the red car won"


@pytest.mark.parametrize("content", [5, {"text": "x"}, [5], [{"type": "text", "text": 5}]])
def test_content_of_another_kind_is_no_completion(content: Any) -> None:
    with pytest.raises(ValueError, match="not a chat completion"):
        read_completion({"choices": [{"message": {"content": content}}]})


@pytest.mark.parametrize("content_type", ["text/plain", "text/html; charset=utf-8", "application/octet-stream"])
def test_json_is_an_answer_whatever_its_content_type(api: ApiServer, content_type: str) -> None:
    api.fault(lambda asked: replace(completion(asked, "the red car won"), content_type=content_type))
    exchange = answer(api.base_url)
    assert exchange.answered["choices"][0]["message"]["content"] == "the red car won"
    assert exchange.content_type == "application/json"


def test_odd_forms_are_recorded_once_and_replayed(project: Project, api: ApiServer) -> None:
    def odd(asked: dict[str, Any]) -> Reply:
        body = answering(asked, [{"type": "text", "text": "the red car won"}], prompt_tokens="COUNT").body
        return Reply(json.dumps(body).replace('"COUNT"', "1e999"), content_type="text/plain")

    project.extend_suite("price = { input = 100, output = 100 }\n")
    api.fault(odd, match="Ben:")
    run = project.record()
    assert re.search(r"perhaps \$0\.4\d+ more: 1 answer without token counts\.", " ".join(run.output.split()))
    assert record_here(project, "--record-missing") == {}
    assert api.calls == 6
    assert predictions(project)["t1"] == "the red car won"


@pytest.mark.parametrize("count", ["1e999", "-5", "NaN", "-1e999", "1e300", "2.5", '"12"', "true", "[]", str(10**12)])
def test_token_counts_that_can_not_be_true_are_as_if_untold_and_lose_no_answer(count: str) -> None:
    body = f'{{"choices": [{{"message": {{"content": "x"}}}}], "usage": {{"prompt_tokens": {count}, "completion_tokens": 3}}}}'
    read = read_completion(json.loads(body))
    assert (read.text, read.usage.prompt_tokens, read.usage.completion_tokens) == ("x", 0, 0)


@given(st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens"]), st.floats() | st.integers()))
def test_whatever_a_usage_holds_counts_are_whole_numbers_from_0(usage: dict[str, Any]) -> None:
    read = read_completion({"choices": [{"message": {"content": "x"}}], "usage": usage})
    assert all(type(count) is int and 0 <= count <= 10**9 for count in (read.usage.prompt_tokens, read.usage.completion_tokens))


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_an_answer_too_large_for_a_recording_is_given_up_before_it_is_read(api: ApiServer, compressed: bool) -> None:
    body = gzip.compress(b" " * (33 * MIB)) if compressed else b" " * (33 * MIB)
    api.fault(Reply(body, headers={"content-encoding": "gzip"} if compressed else {}))
    failed = failure(api.base_url)
    assert failed.message == "the answer is larger than 32 MiB, which no recording may be"
    assert (failed.transient, failed.may_be_billed) == (False, True)


# ---------------------------------------------------------------- errors, in the words of the API


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": "The model is still loading"}, "The model is still loading"),
        ({"detail": [{"loc": ["body", "temperature"], "msg": "Input should be less than 2", "type": "less_than"}]}, "body.temperature: Input should be less than 2"),
        ({"error": "no such model"}, "no such model"),
        ({"error": {"message": "no such model"}}, "no such model"),
        ({"message": "no such model", "code": "x"}, "no such model (x)"),
        ({"object": "error", "message": "too long"}, "too long"),
        ({"reason": {"deep": 1}}, '{"reason": {"deep": 1}}'),
        ("upstream is tired", "upstream is tired"),
        ("<html><head><title>Sign in</title></head></html>", "Sign in"),
        ("", "Unprocessable Entity"),
        ([], "Unprocessable Entity"),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_an_error_is_told_in_the_words_of_the_api(api: ApiServer, body: Any, words: str) -> None:
    api.fault(Reply(body, 422))
    assert failure(api.base_url).message == f"HTTP 422: {words}"


@pytest.mark.parametrize("body", [{"error": "out of memory"}, {"error": {"message": "out of memory", "code": 400}}])
def test_an_error_with_the_status_of_an_answer_is_told_too(api: ApiServer, body: Any) -> None:
    api.fault(Reply(body))
    failed = failure(api.base_url)
    assert (failed.message, failed.transient, failed.may_be_billed) == ("HTTP 200: out of memory", False, True)


@pytest.mark.parametrize(("code", "mend"), [(502, "attempt"), (429, "pace"), (404, "model"), (402, "account")])
def test_the_code_of_such_an_error_says_whether_to_try_again(api: ApiServer, code: int, mend: str) -> None:
    api.fault(Reply({"error": {"message": "provider is down", "code": code}}))
    failed = failure(api.base_url)
    assert failed.mend == mend


def test_what_an_api_says_instead_of_an_answer_is_what_the_sample_s_test_says(project: Project, api: ApiServer) -> None:
    api.fault(Reply({"detail": f"use{ESCAPES} /v2"}), match="Ben:")
    api.fault(Reply({"error": f"bad{ESCAPES}"}), match="Mia:")
    api.fault(error(400, f"bad{ESCAPES}ly", f"co{ESCAPES}de"), match="Kai:")
    api.fault(lambda asked: completion(asked, "", f"sto{ESCAPES}p"), match="Ida:")
    run = project.run("evals", "-m", "baseline", "-k", "test_sample", "--record")
    assert run.outcomes["failed"] == 4, run.output
    told = " ".join(run.output.split())
    shown = r"\x1b[2J\x07\u202e"
    assert f"HTTP 200: the answer is not a chat completion (KeyError('choices')): use{shown} /v2. Not recorded" in told
    assert f"HTTP 200: bad{shown}. Not recorded" in told
    assert f"HTTP 400: bad{shown}ly (co{shown}de). Not recorded" in told
    assert f"(finish_reason sto{shown}p)" in told
    assert not set("\x1b\x07\u202e") & set(run.output)


def test_a_long_error_is_cut(api: ApiServer) -> None:
    api.fault(error(400, "x" * 100_000))
    assert 400 < len(failure(api.base_url).message) < 600


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["message", "detail", "error", "loc", "msg", "x"]), inner), max_leaves=30))  # fmt: skip
def test_any_body_of_an_error_has_words(body: Any) -> None:
    assert words_of(body, "nothing")


# ---------------------------------------------------------------- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirected_call_is_not_followed_and_says_where_to(api: ApiServer, status: int) -> None:
    location = f"{api.base_url}/elsewhere/chat/completions"
    api.fault(Reply("", status, {"location": location + "?token=sk-abcdefghijklmnop1234"}))
    failed = failure(api.base_url)
    assert failed.message == (
        f"HTTP {status}: the API redirects the call to {location}; paid calls aren't sent on. "
        f"Name it in base_url: {api.base_url}/elsewhere"
    )
    assert (failed.transient, failed.may_be_billed) == (False, False)
    assert len(api.requests) == 1


def test_a_redirect_to_the_same_place_names_no_other(api: ApiServer) -> None:
    api.fault(Reply("", 307, {"location": "/v1/chat/completions/"}))
    message = failure(api.base_url).message
    assert f"redirects the call to {api.base_url}/chat/completions/" in message
    assert "Name it in base_url" not in message


# ---------------------------------------------------------------- what is recorded of a call


def test_date_latency_and_cost_are_recorded_and_read(project: Project, api: ApiServer) -> None:
    project.extend_suite("price = { input = 1000, output = 2000 }\n")
    date = "Tue, 24 Nov 2026 20:06:50 GMT"
    api.fault(lambda asked: replace(completion(asked, "three little words"), headers={"date": date}), match="Ben:")
    assert record_here(project, "--record", only=["t1"]) == {}
    (exchange,) = cassettes.read(project.cassette("t1"))
    assert exchange.date == date
    assert exchange.latency_s is not None
    assert 0 < exchange.latency_s < 60
    assert exchange.cost_usd == pytest.approx((exchange.answered["usage"]["prompt_tokens"] * 1000 + 3 * 2000) / 1e6)
    headers = re.findall(r"headers: (.*)", project.recorded()["t1"])[1]
    assert re.fullmatch(
        r'\{"content-type": \["application/json"\], "date": \["Tue, 24 Nov 2026 20:06:50 GMT"\], '
        r'"x-evaltape-latency-s": \["\d+\.\d{6}"\], "x-evaltape-cost-usd": \["0\.\d{9}"\]\}',
        headers,
    )


def test_the_latency_is_that_of_the_whole_answer(api: ApiServer) -> None:
    api.fault(lambda asked: replace(completion(asked, "words"), trickle_s=0.0005))
    exchange = answer(api.base_url)
    assert exchange.latency_s is not None
    assert exchange.latency_s > 0.0005 * len(json.dumps(exchange.answered)) / 2


def test_without_a_price_no_cost_is_recorded_and_without_a_date_none(project: Project, api: ApiServer) -> None:
    api.fault(lambda asked: replace(completion(asked, "words"), headers={"date": "24 Nov 2026"}), match="Ben:", times=math.inf)
    assert record_here(project, "--record", only=["t1"]) == {}
    (exchange,) = cassettes.read(project.cassette("t1"))
    assert (exchange.cost_usd, exchange.date) == (None, None)
    assert exchange.latency_s is not None
