"""A judge's verdict: the request for it, and the score in the answer, found in a JSON object or by a regular expression.

A judge may think aloud, put its JSON in a code fence, and say `true` or `"yes"`; the last JSON object with the key counts.
An unreadable verdict is no score: the sample stays unscored, with the reason.
"""

import json
import math
import re
from typing import Any

import msgspec

from evaltape.metrics.extraction import quoted, values_of
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Judge, Model, Verdict
from evaltape.suite.prompt import ANSWER, REFERENCE, chat_request

THINKING_ENDS = "</think>"
_YES_OR_NO = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_SLOT = "\x00answer\x00"
"""Stands for the answer where a request is compared with a recorded one; no recorded text holds it."""
_OF_TEXT = r'(?:[^"\\]|\\.)*'
"""The characters of a text in JSON."""


class Unread(Exception):
    """An answer without a verdict; the message shows the reason."""


def read_verdict(answer: str, form: Verdict) -> float:
    """Return the verdict in a judge's answer, in 0..1: 1 for true, and for the greatest number of a scale.

    >>> read_verdict('Nobody says so. {"faithful": false}', Verdict(json="faithful"))
    0.0

    Raises `Unread`.
    """
    said = answer.rpartition(THINKING_ENDS)[2]
    value: Any = None
    if form.json is not None:
        values = values_of(said, form.json)
        if not values:
            raise Unread(f"no JSON object with the key {form.json!r} in {quoted(said)}")
        value = values[-1]
    else:
        match = re.search(form.regex or "", said)
        if match is None:
            raise Unread(f"{form.regex!r} doesn't match {quoted(said)}")
        value = (match[1] if match.re.groups else match[0]) or ""
    value = _parsed(value) if isinstance(value, str) else value
    if form.scale is None and value in (0, 1):
        return float(value)
    try:
        return as_score(value, form.scale)
    except ValueError as valid:
        raise Unread(f"its verdict is {quoted(value)}, not {valid}") from None


def as_score(value: Any, scale: tuple[float, float] | None) -> float:
    """Return a person's label in 0..1: true or false, or a number of the scale. Raises `ValueError` with the valid values."""
    if scale is None and isinstance(value, bool):
        return float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if scale is not None and is_number and math.isfinite(value) and scale[0] <= value <= scale[1]:
        return float((value - scale[0]) / (scale[1] - scale[0]))
    raise ValueError("true or false" if scale is None else f"a number from {scale[0]:g} to {scale[1]:g}")


def _parsed(text: str) -> Any:
    """Return a verdict in a text as JSON: `Yes` as true, `4` and `4.5` as numbers; else the text."""
    bare = text.strip().strip("*_.\"'`").strip()
    truth = _YES_OR_NO.get(bare.casefold())
    if truth is not None:
        return bool(truth)
    return float(bare) if re.fullmatch(r"[-+]?\d{1,15}(\.\d{1,15})?", bare) else text


def judge_request(judge: Judge, sample: Sample, answer: str) -> dict[str, Any]:
    """Return the JSON body that a judge is asked with.

    Raises `ValueError` for a column that holds nothing, and for {reference} without a reference.
    """
    columns = {**sample.columns, ANSWER: answer, REFERENCE: sample.references[0] if sample.references else None}
    return chat_request(judge.served, judge.prompt.render(msgspec.structs.replace(sample, columns=columns)), judge.request)


def as_model(judge: Judge) -> Model:
    """Return a judge as a model that can be asked."""
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
    asked, slot = (json.dumps(it, sort_keys=True) for it in (judge_request(judge, sample, _SLOT), _SLOT))
    parts = map(re.escape, asked.split(slot[1:-1]))
    return re.fullmatch(_OF_TEXT.join(parts), json.dumps(recorded, sort_keys=True)) is not None
