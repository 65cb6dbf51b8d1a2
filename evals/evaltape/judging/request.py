"""How a judge is asked about an answer, and how that differs where a recorded verdict is of another request."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from evaltape.samples.sample import Sample
from evaltape.suite.definition import Judge, Model
from evaltape.suite.prompt import ANSWER, REFERENCE, chat_request

_SLOT = "\x00answer\x00"
"""Stands for the answer where a template is compared with a recorded message; no recorded text holds it."""


class JudgedSample(msgspec.Struct, frozen=True):
    """A sample with an answer to it, as a judge's prompt names them."""

    input: str
    columns: Mapping[str, Any]


def judge_request(judge: Judge, sample: Sample, answer: str) -> dict[str, Any]:
    """Return the JSON body that a judge is asked with.

    Raises `ValueError` for a column that holds nothing, and for {reference} without a reference.
    """
    columns = {**sample.columns, ANSWER: answer, REFERENCE: sample.references[0] if sample.references else None}
    return chat_request(judge.served, judge.prompt.render(JudgedSample(sample.input, columns)), judge.request)


def as_model(judge: Judge) -> Model:
    """Return a judge as the model that the API is asked for, with its own prompt."""
    return Model(
        key=judge.key,
        suite=judge.suite,
        served=judge.served,
        request=judge.request,
        prompt=judge.prompt,
        base_url=judge.base_url,
        api_key_env=judge.api_key_env,
        price=judge.price,
    )


def is_other_answer(judge: Judge, sample: Sample, recorded: Any) -> bool:
    """Return whether a recorded request asks about this sample by this prompt, and differs in the answer alone."""
    asked = judge_request(judge, sample, _SLOT)
    if not isinstance(recorded, dict) or {**recorded, "messages": None} != {**asked, "messages": None}:
        return False
    then = recorded.get("messages")
    if not isinstance(then, list) or len(then) != len(asked["messages"]):
        return False
    return all(_fits(now, before) for now, before in zip(asked["messages"], then, strict=True))


def question_name(sample: str, answer: str) -> str:
    """Return the name of the cassette that holds an exam's verdict on an answer, without suffix."""
    return hashlib.sha256(json.dumps([sample, answer]).encode()).hexdigest()[:20]


def _fits(now: Mapping[str, str], then: Any) -> bool:
    """Return whether a recorded message is the template with some answer in it."""
    if not isinstance(then, dict) or then.get("role") != now["role"] or not isinstance(then.get("content"), str):
        return False
    first, *others = now["content"].split(_SLOT)
    text = then["content"]
    if not text.startswith(first) or (not others and text != first):
        return False
    return not others or text.endswith(others[-1])
