"""Recordings by other engines' files: requests out, answers in, whole or in parts."""

import json
import re
import shutil
from typing import Any

import pytest
from evaltape.errors import UserError
from evaltape.recorder.batches.outputs import FromFiles
from evaltape.scoring.prediction import read_completion
from evaltape.suite.reader import load_suite

from tests.support.forked import REPOSITORY
from tests.support.options import settings_of
from tests.support.project import Project
from tests.support.recording import Watched, record_here, requests_here, requests_in
from tests.support.server import ApiServer, completion

BASELINE = ("evals", "-m", "baseline", "-p", "no:xdist")


def answered(request: dict[str, Any], text: str | None = None) -> str:
    """The line that OpenAI's Batch API writes for a request."""
    said = text if text is not None else request["body"]["messages"][0]["content"].split("\n\n", 1)[1].split("\n")[0]
    response = {"status_code": 200, "request_id": "req_1", "body": completion(request["body"], said).body}
    return json.dumps({"id": "batch_req_1", "custom_id": request["custom_id"], "response": response, "error": None})


def failed(request: dict[str, Any], **reply: Any) -> str:
    return json.dumps({"id": "x", "custom_id": request["custom_id"], "response": None, "error": None, **reply})


def write(project: Project, name: str, *lines: str, end: str = "\n") -> str:
    (project.root / name).write_text("\n".join(lines) + end)
    return name


def test_requests_are_written_and_answers_become_ordinary_recordings(project: Project, api: ApiServer) -> None:
    run = project.run(*BASELINE, "--record-missing", "--requests-to", "out")
    assert run.exit_code == 0, run.output
    requests = requests_in(project)
    first = next(iter(requests.values()))
    assert (first["method"], first["url"], first["body"]["model"]) == ("POST", "/v1/chat/completions", "small-2026-01-01")
    assert [name.split("@")[0] for name in requests] == [f"chats/small/t{n}" for n in range(1, 7)]
    assert not project.cassettes.exists()

    lines = [answered(request) for request in requests.values()]
    # In parts, in another order, doubled, an error before the answer, and the last line cut.
    expired = failed(first, error={"code": "batch_expired", "message": "It expired."})
    one = write(project, "one.jsonl", lines[4], expired, lines[2], lines[0])
    two = write(project, "two.jsonl", *reversed(lines), lines[1][:40], end="")
    # Beside many parts that hold nothing: more names than the command line of a process takes as one word.
    parts = [write(project, f"{number:0200}.jsonl", end="") for number in range(600)]
    run = project.run(*BASELINE, "--record", "--snapshot-update", "--answers-from", one, two, *parts, forks=False)
    assert run.exit_code == 0, run.output
    assert "two.jsonl: its last line is cut off, and isn't read" in run.output
    assert api.requests == []
    cassette = project.cassette("t1").read_text()
    assert '"x-evaltape-came": ["answers-from"]' in cassette
    assert "latency" not in cassette
    assert not (project.cassettes / "small/unfinished.json").exists()

    # The same answers again are this recording's own.
    assert record_here(project, "--record", "--answers-from", one, two) == {}
    assert not (project.cassettes / "small/unfinished.json").exists()
    results = project.results()
    assert results["models"]["small"]["failed"] == 0
    assert results["predictions"][0]["prediction"] == "Ben: the red car won"
    run = project.run(*BASELINE, "--record-missing", "--requests-to", "out")
    assert "Nothing is to be asked" in run.output
    assert not (project.root / "out/chats.small.jsonl").exists()


def test_what_is_not_among_the_answers_stays_missing(project: Project, api: ApiServer) -> None:
    assert record_here(project, "--record") == {}
    live = shutil.copytree(project.root / "cassettes", project.root.parent / "live")
    api.forget()
    asked = list(requests_here(project, "--record").values())
    project.edit_suite("temperature = 0", "temperature = 1")
    hot = list(requests_here(project, "--record").values())
    vllm = failed(
        hot[2], response={"status_code": 400, "request_id": "r"}, error={"error": {"message": "It is too long.", "code": 400}}
    )
    late = failed(hot[3], error={"code": "batch_expired", "message": "This request expired."})
    filtered = {"error": {"code": "content_filter", "message": "The prompt was filtered."}}
    shut = failed(hot[4], response={"status_code": 400, "request_id": "r", "body": filtered})
    file = write(project, "out.jsonl", answered(hot[0]), answered(asked[1]), vllm, late, shut)
    run = project.run(*BASELINE, "--record", "-vv", "--answers-from", file)
    assert run.exit_code == 1
    for message in (
        "out.jsonl, line 2: an answer to another request than today's, which --requests-to writes",
        "HTTP 400: It is too long.",
        "This request expired. (batch_expired)",
        "no answer to it is among those of --answers-from",
        "recording unfinished: 4 of 6 samples still to come",
        "--answers-from: 1 answer not taken",
    ):
        assert message in run.output, run.output
    left = json.loads((project.cassettes / "small/unfinished.json").read_text())
    assert sorted(left["to_come"]) == ["t2", "t3", "t4", "t6"]
    assert api.requests == []

    # A second round, for what is missing alone.
    missing = requests_here(project, "--record-missing")
    assert [name.split("@")[0] for name in missing] == [f"chats/small/t{n}" for n in (2, 3, 4, 6)]
    more = write(project, "more.jsonl", *map(answered, missing.values()))
    run = project.run(*BASELINE, "--record-missing", "--answers-from", more, "--against", str(live))
    ways = "the answers of small came by another engine's files, those of"
    assert f"{ways} {live.name} by live calls" in " ".join(run.output.split()).replace(str(live), live.name), run.output
    assert not (project.cassettes / "small/unfinished.json").exists()
    assert "The prompt was filtered" in project.cassette("t5").read_text()


def test_files_that_are_no_answers_to_the_suite_are_refused(project: Project) -> None:
    requests = list(requests_here(project, "--record-missing").values())
    lines = [answered(request) for request in requests]
    of_other_suite = lines[0].replace("chats/small", "tickets/small")
    files = {
        "other.jsonl": ([of_other_suite], "other.jsonl: answers to the suite 'tickets', and this session is of chats"),
        "text.jsonl": (["hello", *lines], "text.jsonl, line 1 isn't JSON. An output file is JSON Lines of"),
        "cut.jsonl": ([*lines[:2], lines[2][:50], lines[3]], "cut.jsonl, line 3 isn't JSON"),
        "model.jsonl": ([*lines[:1], lines[1].replace("chats/small", "chats/smal")],
                        "model.jsonl, line 2: an answer of 'smal', which isn't a model of the suite chats. Did you mean 'small'?"),
        "asked.jsonl": ([json.dumps(requests[0])], "asked.jsonl, line 1 is a request: name the engine's output"),
        "id.jsonl": ([failed({"custom_id": "request-1"}, error="no")], "id.jsonl, line 1: the custom_id 'request-1' isn't one that"),
        "half.jsonl": ([failed(requests[0])], "half.jsonl, line 1 holds no response and no error"),
    }  # fmt: skip
    suites = {"chats": load_suite(project.suite)}
    for name, (content, message) in files.items():
        write(project, name, *content)
        with pytest.raises(UserError) as refused:
            FromFiles([project.root / name], suites, Watched())
        assert message in str(refused.value).replace(f"{project.root}/", "")
    recorder = Watched()
    FromFiles([project.root / write(project, "mixed.jsonl", of_other_suite, *lines)], suites, recorder)
    assert [note.split(": ")[1] for note in recorder.tally.notes] == [
        "1 of 7 answers are to the suite 'tickets', and aren't read"
    ]

    run = project.run(*BASELINE, "--record", "--answers-from", "out/none.jsonl")
    run.assert_refused("--answers-from out/none.jsonl: can't be read: No such file or directory")
    assert not (project.cassettes / "small").exists()
    for given, message in (("text.jsonl", "text.jsonl, line 1 isn't JSON"), ("evals", "evals: a folder without .jsonl files")):
        with pytest.raises(UserError) as refused:
            record_here(project, "--record", "--answers-from", given)
        assert message in str(refused.value)
    assert not (project.cassettes / "small").exists()


def test_ways_that_exclude_each_other_are_refused(project: Project) -> None:
    refused = {
        "--batch": "--batch is a way to record: add --record, or --record-missing",
        "--record --batch --requests-to out": "--batch and --requests-to are different ways to the same answers",
        "--record --answers-from out --budget 1": "--answers-from calls nothing, and costs nothing: leave out --budget",
        "--record-missing --requests-to out --estimate": "--requests-to calls nothing, and costs nothing: leave out --estimate",
        "--record --batch --retiring": "--batch is about a recording, --retiring lists which models end",
    }
    for words, message in refused.items():
        with pytest.raises(UserError) as error:
            settings_of(project.root, "evals", *words.split())
        assert message in str(error.value)
    assert settings_of(project.root, "evals", "-o", "eval_batch_wait=90 min").batch_wait_s == 5400
    with pytest.raises(UserError, match="eval_batch_wait = soon: it takes a time, as in 90 s, 30 min or 12 h"):
        settings_of(project.root, "evals", "-o", "eval_batch_wait=soon")


def test_what_the_page_does_with_ray_makes_answers(project: Project) -> None:
    page = (REPOSITORY / "docs/scale.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {"__name__": "page"}
    exec(code, names)
    project.edit_suite("temperature = 0", "temperature = 0\nmax_completion_tokens = 50")
    requests = list(requests_here(project, "--record-missing").values())
    asked = [names["ask"](request) for request in requests]
    assert asked[0]["sampling_params"] == {"max_tokens": 50, "temperature": 0}
    told = {"generated_text": "Ben: the red car won", "num_input_tokens": 12, "num_generated_tokens": 5}
    file = write(project, "0_000000.json", *(json.dumps(names["reply"]({**request, **told})) for request in requests))
    outputs = FromFiles([project.root / file], {"chats": load_suite(project.suite)}, Watched())
    replies = [outputs.find(name) for name in (request["custom_id"] for request in requests)]
    answers = [read_completion(reply.body) for reply in replies if reply is not None and reply.is_answer]
    assert [(answer.text, answer.usage.completion_tokens) for answer in answers] == [("Ben: the red car won", 5)] * 6
    rows = [{**requests[0], **told, "num_generated_tokens": tokens} for tokens in (49, 50)]
    assert [names["reply"](row)["response"]["body"]["choices"][0]["finish_reason"] for row in rows] == ["stop", "length"]
