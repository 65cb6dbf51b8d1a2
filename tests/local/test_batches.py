"""Batches through the official client, and what happens to them in between."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.local_service import NEEDS_EXTRA, PATIENCE_S, jsonl, upload_batch, wait_for_batch

pytestmark = NEEDS_EXTRA
NAME = "tiny-1.5"
CHAT: Any = "/v1/chat/completions"


def request(custom_id: str, text: str = "Hi", **changes: Any) -> dict[str, Any]:
    body = {"model": NAME, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_completion_tokens": 8}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": {**body, **changes}}


def create(client: OpenAI, rows: list[Any], **settings: Any) -> Any:
    return client.batches.create(input_file_id=upload_batch(client, rows), endpoint=CHAT, completion_window="24h", **settings)


def lines_of(client: OpenAI, file: str | None) -> dict[str, Any]:
    assert file is not None
    return {row["custom_id"]: row for row in map(json.loads, client.files.content(file).text.splitlines())}


def test_a_batch_is_answered_as_its_requests_are(client: OpenAI) -> None:
    rows = [request(f"r{number}", f"Tell me {number}") for number in range(20)]
    rows.insert(7, request("hot", temperature=3))
    made = create(client, rows, metadata={"digest": "d"}, output_expires_after={"anchor": "created_at", "seconds": 7200})
    assert (made.object, made.status, made.endpoint, made.completion_window) == ("batch", "validating", CHAT, "24h")
    assert made.expires_at == made.created_at + 24 * 3600
    done = wait_for_batch(client, made.id, "completed")
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (21, 20, 1)
    assert (done.metadata, done.model) == ({"digest": "d"}, NAME)
    assert done.created_at <= done.in_progress_at <= done.finalizing_at <= done.completed_at
    answers = lines_of(client, done.output_file_id)
    assert answers.keys() == {f"r{number}" for number in range(20)}
    alone = client.chat.completions.create(**rows[3]["body"])
    response = answers["r3"]["response"]
    assert (answers["r3"]["error"], response["status_code"]) == (None, 200)
    assert response["body"]["choices"][0]["message"]["content"] == alone.choices[0].message.content
    assert response["body"]["usage"]["completion_tokens"] <= 8
    failed = lines_of(client, done.error_file_id)["hot"]["response"]
    assert (failed["status_code"], failed["body"]["error"]["param"]) == (400, "temperature")
    file = client.files.retrieve(done.output_file_id)
    assert (file.purpose, file.filename) == ("batch_output", f"{made.id}_output.jsonl")
    assert file.expires_at == file.created_at + 7200
    assert [batch.id for batch in client.batches.list(limit=1).data] == [made.id]


def test_batches_are_listed_page_by_page_and_an_ended_one_cannot_be_cancelled(client: OpenAI) -> None:
    made = [create(client, [request("a", stream=True)]).id for _ in range(3)]
    done = [wait_for_batch(client, name, "completed") for name in made]
    assert [batch.id for batch in client.batches.list(limit=2)][:3] == made[::-1]
    assert done[0].output_file_id is None
    assert lines_of(client, done[0].error_file_id)["a"]["response"]["body"]["error"]["param"] == "stream"
    with pytest.raises(openai.ConflictError, match="Cannot cancel a batch with status 'completed'"):
        client.batches.cancel(made[0])
    with pytest.raises(openai.NotFoundError, match="No such Batch object: batch_1"):
        client.batches.retrieve("batch_1")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], [("empty_file", None, None)]),
        ([request("a"), "text"], [("invalid_json_line", 2, None)]),
        ([request("a"), request("a")], [("duplicate_custom_id", 2, "custom_id")]),
        ([{**request("a"), "method": "GET"}], [("invalid_method", 1, "method")]),
        ([{**request("a"), "url": "/v1/responses"}], [("invalid_url", 1, "url")]),
        ([request("a"), request("b", model="other")], [("mismatched_model", 2, "body.model")]),
        ([{"custom_id": "a", "method": "POST", "url": CHAT}], [("missing_required_parameter", 1, "body")]),
        ([{**request("a"), "custom_id": 1}], [("invalid_value", 1, "custom_id")]),
        ([request("\ud800")], [("invalid_json_line", 1, None)]),
        ([None] * 30, [("invalid_json_line", number, None) for number in range(1, 21)]),
    ],
)
def test_a_file_that_is_no_batch_fails_it_naming_lines(client: OpenAI, rows: list[Any], found: list[Any]) -> None:
    failed = wait_for_batch(client, create(client, rows).id, "failed")
    findings = [(finding.code, finding.line, finding.param) for finding in failed.errors.data]
    assert findings[: len(found)] == found
    assert failed.failed_at is not None
    assert failed.output_file_id is failed.error_file_id is None


@pytest.mark.parametrize(
    ("settings", "param", "words"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint", "'/v1/embeddings'. Batches here are answered by /v1/chat/completions"),
        ({"completion_window": "1h"}, "completion_window", "'24h'"),
        ({"input_file_id": "file-unknown"}, "input_file_id", "file-unknown: no such file"),
        ({"metadata": {"k" * 65: ""}}, "metadata", "at most 64 characters"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, "output_expires_after.seconds", "3600"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(client: OpenAI, settings: dict[str, Any], param: str, words: str) -> None:
    given = {"input_file_id": upload_batch(client, [request("a")]), "endpoint": CHAT, "completion_window": "24h", **settings}
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(**given)
    assert refused.value.param == param
    assert words in refused.value.message


def test_a_training_file_is_no_input(client: OpenAI) -> None:
    file = client.files.create(file=("train.jsonl", jsonl([request("a")])), purpose="fine-tune").id
    with pytest.raises(openai.BadRequestError, match="its purpose is 'fine-tune', not 'batch'"):
        client.batches.create(input_file_id=file, endpoint=CHAT, completion_window="24h")


# ---------------------------------------------------------------- interrupted


class Answers:
    """Answers requests with their own text, as many as the test allows."""

    def __init__(self, allowed: int = 10**6) -> None:
        self.left, self.asked, self.statuses = allowed, [], []  # type: ignore[var-annotated]

    async def __call__(self, raw: bytes) -> tuple[int, dict[str, Any]]:
        if self.statuses:
            return self.statuses.pop(), {}
        if not self.left:
            await asyncio.sleep(3600)
        self.left -= 1
        text = json.loads(raw)["messages"][0]["content"]
        self.asked.append(text)
        return 200, {"text": text}


class World:
    """A state folder whose service a test starts, stops and lets time pass for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now_s = folder, 1_800_000_000.0

    def start(self, answers: Answers) -> None:
        from evaltape.local.batches import Batches
        from evaltape.local.state import State

        self.state = State(self.folder, lambda: self.now_s)
        self.batches = Batches(self.state, {CHAT: answers}, in_flight=3)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.running = asyncio.run_coroutine_threadsafe(self.batches.run(), self.loop)

    def create(self, count: int) -> str:
        from evaltape.local.requests import BatchRequest

        rows = [request(f"r{number}", f"text {number}") for number in range(count)]
        file = self.state.files.add("in.jsonl", "batch", [jsonl(rows)])["id"]
        body = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}

        async def create() -> str:
            name: str = self.batches.create(BatchRequest.model_validate(body))["id"]
            return name

        return asyncio.run_coroutine_threadsafe(create(), self.loop).result(PATIENCE_S)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)

    def ended(self, name: str, status: str) -> dict[str, Any]:
        self.until(lambda: self.batches.get(name)["status"] == status)
        return self.batches.get(name)

    def lines(self, file: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.state.files.path(file).read_text().splitlines()]

    def stop(self) -> None:
        self.running.cancel()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), self.loop).result(PATIENCE_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE_S)
        self.loop.close()
        self.state.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "state")
    yield made
    made.stop()


def test_a_restart_asks_only_for_what_was_not_answered(world: World) -> None:
    first, second = Answers(allowed=5), Answers()
    world.start(first)
    name = world.create(12)
    world.until(lambda: world.batches.get(name)["request_counts"]["completed"] == 5)
    world.stop()
    world.start(second)
    done = world.ended(name, "completed")
    assert done["request_counts"] == {"total": 12, "completed": 12, "failed": 0}
    assert sorted(first.asked + second.asked) == sorted(f"text {number}" for number in range(12))
    rows = world.lines(done["output_file_id"])
    assert {row["custom_id"]: row["response"]["body"]["text"] for row in rows} == {f"r{n}": f"text {n}" for n in range(12)}
    world.until(lambda: not list((world.folder / "batches").iterdir()))


def test_a_cancelled_batch_keeps_the_answers_that_it_has(world: World) -> None:
    world.start(Answers(allowed=5))
    name, waiting = world.create(12), world.create(2)
    world.until(lambda: world.batches.get(name)["request_counts"]["completed"] == 5)
    assert world.batches.cancel(waiting)["status"] == "cancelling"
    assert world.batches.cancel(name)["status"] == "cancelling"
    done = world.ended(name, "cancelled")
    assert (done["request_counts"]["completed"], done["error_file_id"]) == (5, None)
    assert len(world.lines(done["output_file_id"])) == 5
    assert done["cancelling_at"] and done["cancelled_at"]
    assert world.ended(waiting, "cancelled")["output_file_id"] is None


def test_a_batch_expires_and_says_so_for_each_request_left(world: World) -> None:
    world.start(Answers(allowed=5))
    name = world.create(12)
    world.until(lambda: world.batches.get(name)["request_counts"]["completed"] == 5)
    world.now_s += 24 * 3600
    done = world.ended(name, "expired")
    assert done["request_counts"] == {"total": 12, "completed": 5, "failed": 7}
    errors = world.lines(done["error_file_id"])
    assert [row["error"]["code"] for row in errors] == ["batch_expired"] * 7
    assert {row["response"] for row in errors} == {None}
    assert len(world.lines(done["output_file_id"])) == 5


def test_a_busy_server_is_asked_again(world: World) -> None:
    answers = Answers()
    answers.statuses = [429, 503]
    world.start(answers)
    done = world.ended(world.create(4), "completed")
    assert done["request_counts"] == {"total": 4, "completed": 4, "failed": 0}


def test_an_input_that_is_deleted_before_it_is_read_fails_the_batch(world: World) -> None:
    world.start(Answers(allowed=0))
    world.create(1)
    name = world.create(1)
    world.state.files.delete(world.batches.get(name)["input_file_id"])
    world.stop()
    world.start(Answers())
    assert world.ended(name, "failed")["errors"]["data"][0]["code"] == "file_not_found"
