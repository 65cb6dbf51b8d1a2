"""Chat completions through the official client."""

import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.support.local_service import CONTEXT, NEEDS_EXTRA, Service

pytestmark = NEEDS_EXTRA
NAME = "tiny-1.5"
PROMPTS = ["Hi", "Sum up: Ann has pears. " * 5, "Zoë: 🍐?", "a b c d", "Who came first? " * 12, "x", "Tell me", "No"]


def ask(client: OpenAI, text: str, **parameters: Any) -> Any:
    settings = {"temperature": 0, "max_completion_tokens": 24, "model": NAME, **parameters}
    return client.chat.completions.create(messages=[{"role": "user", "content": text}], **settings)


def text_of(answer: Any) -> str:
    text: str = answer.choices[0].message.content
    return text


def test_an_answer_is_a_whole_completion(client: OpenAI) -> None:
    before = int(time.time())
    raw = client.chat.completions.with_raw_response.create(
        model=NAME, messages=[{"role": "user", "content": "Hi"}], temperature=0, max_completion_tokens=24
    )
    answer: Any = raw.parse()
    assert before <= answer.created <= time.time()
    # The server renews its date once a second, when it has the time.
    assert before - 60 <= parsedate_to_datetime(raw.headers["date"]).timestamp() <= time.time()
    assert raw.headers["openai-processing-ms"].isdigit()
    assert answer.object == "chat.completion"
    assert answer.model == NAME
    assert answer.id.startswith("chatcmpl-")
    assert answer.system_fingerprint.startswith("fp_")
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason in ("stop", "length")
    usage = answer.usage
    assert usage.completion_tokens <= 24
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    # "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", a token for each byte and each special token.
    assert usage.prompt_tokens == 1 + len("user\nHi") + 2 + 1 + len("assistant\n")


def test_system_and_developer_messages_are_read(client: OpenAI) -> None:
    user: Any = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
    answers = []
    for role in ("system", "developer"):
        messages: Any = [{"role": role, "content": "Be brief"}, user]
        answers.append(client.chat.completions.create(model=NAME, messages=messages, temperature=0, max_tokens=8))
    assert text_of(answers[0]) == text_of(answers[1])
    assert answers[0].usage is not None
    assert answers[0].usage.prompt_tokens > ask(client, "Hi").usage.prompt_tokens


def test_greedy_text_is_the_same_alone_and_in_a_batch(client: OpenAI) -> None:
    alone = [text_of(ask(client, prompt)) for prompt in PROMPTS]
    assert len(set(alone)) > 1
    with ThreadPoolExecutor(16) as pool:
        batched = [text_of(answer) for answer in pool.map(lambda prompt: ask(client, prompt), PROMPTS * 2)]
    assert batched == alone * 2


def test_a_seed_gives_the_same_text_whatever_is_batched_with_it(client: OpenAI) -> None:
    def drawn(prompt: str, seed: int = 7) -> str:
        return text_of(ask(client, prompt, temperature=0.9, top_p=0.95, seed=seed))

    alone = [drawn(prompt) for prompt in PROMPTS]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(drawn, PROMPTS * 2)) == alone * 2
    assert drawn(PROMPTS[0], seed=8) != alone[0]


def test_the_length_limit_cuts(client: OpenAI) -> None:
    for parameter in ("max_tokens", "max_completion_tokens"):
        answer = ask(client, "Hi", **{"max_completion_tokens": openai.omit, parameter: 3})
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == 3


def test_a_stop_string_ends_the_text_before_it(client: OpenAI) -> None:
    whole = text_of(ask(client, "Hi"))
    stop = whole[3:5]
    answer = ask(client, "Hi", stop=["never in it", stop])
    assert text_of(answer) == whole[: whole.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


def test_a_streamed_answer_is_the_same_text(client: OpenAI) -> None:
    whole = ask(client, PROMPTS[2])
    chunks = list(ask(client, PROMPTS[2], stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text_of(whole)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_streamed_answer_never_shows_a_part_of_a_stop_string(client: OpenAI) -> None:
    whole = text_of(ask(client, "Hi"))
    chunks = list(ask(client, "Hi", stream=True, stop=whole[3:6]))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole[: whole.index(whole[3:6])]


def test_two_clients_are_answered_at_once(service: Service) -> None:
    first, second = service.client(), service.client()
    slow = ask(first, "Hi", stream=True, max_completion_tokens=400)
    next(iter(slow))
    assert text_of(ask(second, "Hi", max_completion_tokens=2)) is not None
    assert slow.response.is_closed is False
    slow.close()


@pytest.mark.parametrize(
    ("parameters", "status", "code", "param", "words"),
    [
        ({"model": "gpt-4o"}, 404, "model_not_found", "model", "'gpt-4o' does not exist"),
        ({"n": 2}, 400, "unsupported_value", "n", "does not support 2"),
        ({"tools": [{"type": "function"}]}, 400, "unsupported_value", "tools", "tools"),
        ({"response_format": {"type": "json_object"}}, 400, "unsupported_value", "response_format", "json_object"),
        (
            {"response_format": {"type": "json_schema"}},
            400,
            "unsupported_value",
            "response_format",
            "doesn't constrain answers to JSON",
        ),
        ({"logprobs": True}, 400, "unsupported_value", "logprobs", "returns no log probabilities"),
        ({"top_logprobs": 3}, 400, "unsupported_value", "top_logprobs", "returns no log probabilities"),
        (
            {"extra_body": {"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]}},
            400,
            "invalid_value",
            "messages[0]",
            "'tool_calls' is not supported",
        ),
        (
            {"extra_body": {"messages": [{"role": "user", "content": [{"type": "image_url", "text": ""}]}]}},
            400,
            "invalid_value",
            "messages[0].content",
            "only parts of type 'text'",
        ),
        ({"temperature": 3}, 400, "invalid_value", "temperature", "less than or equal to 2"),
        ({"extra_body": {"temperature": "hot"}}, 400, "invalid_value", "temperature", "valid number"),
        ({"extra_body": {"top_k": 4}}, 400, None, None, "Unrecognized request argument supplied: top_k"),
        ({"extra_body": {"messages": []}}, 400, "invalid_value", "messages", "at least 1"),
        ({"extra_body": {"messages": [{"role": "tool", "content": ""}]}}, 400, "invalid_value", "messages[0].role", ""),
        ({"extra_body": {"messages": [{"role": "user"}]}}, 400, "missing_required_parameter", "messages[0].content", ""),
        ({"max_completion_tokens": 0}, 400, "invalid_value", "max_completion_tokens", "greater than or equal to 1"),
        ({"max_completion_tokens": CONTEXT}, 400, "context_length_exceeded", "messages", f"{CONTEXT} in the completion"),
        ({"max_tokens": 4}, 400, "invalid_parameter_combination", "max_tokens", "at the same time"),
        ({"stop": list("abcde")}, 400, None, "stop", "up to 4"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    client: OpenAI, parameters: dict[str, Any], status: int, code: str | None, param: str | None, words: str
) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        ask(client, "Hi", **parameters)
    assert refused.value.status_code == status
    assert (refused.value.code, refused.value.param) == (code, param)
    assert words in refused.value.message
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id is not None
    assert refused.value.request_id.startswith("req_")


def test_a_prompt_longer_than_the_context_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="reduce the length of the messages") as refused:
        ask(client, "x" * CONTEXT)
    assert refused.value.code == "context_length_exceeded"


def test_what_is_not_served_answers_404_in_the_api_s_shape(client: OpenAI, service: Service) -> None:
    with pytest.raises(openai.NotFoundError, match=r"Invalid URL \(POST /v1/responses\)"):
        client.responses.create(model=NAME, input="Hi")
    with pytest.raises(openai.NotFoundError, match=r"Invalid URL \(POST /v1/embeddings\)") as refused:
        client.embeddings.create(model=NAME, input="Hi")
    assert refused.value.type == "invalid_request_error"
    with pytest.raises(openai.APIStatusError, match="Not allowed to GET") as refused_method:
        client.get("/chat/completions", cast_to=object)
    assert refused_method.value.status_code == 405
    answer = httpx2.post(f"{service.base_url}/chat/completions", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "could not parse the JSON body" in answer.json()["error"]["message"]


def test_models_are_listed_and_found(client: OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed[0] == NAME
    assert client.models.retrieve(NAME).owned_by == "local"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-4o")
    assert refused.value.code == "model_not_found"
    with pytest.raises(openai.PermissionDeniedError, match="base model"):
        client.models.delete(NAME)
