"""A prediction: the model's text for a sample, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evaltape.samples.sample import Sample
from evaltape.suite.definition import Model
from evaltape.text import cut, visible

MOST_TOKENS = 10**9
"""No call has more; an API that says so has miscounted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a chat completion says: a text, or the failure that stands in its place."""

    text: str
    failure: str | None = None
    truncated: bool = False
    served: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer to one sample, with the score of each metric (F1 in 0..1; none for a failed sample).

    `latency_s` and `cost_usd` are those of the recorded call, `recorded` is its day as `2026-11-24`; each None if the
    recording doesn't say.
    """

    model: str
    sample: str
    text: str = ""
    failure: str | None = None
    truncated: bool = False
    served: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_s: float | None = None
    cost_usd: float | None = None
    recorded: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    unscored: Mapping[str, str] = field(default_factory=dict)
    """By metric the reason why it could not score the text."""

    @property
    def answered(self) -> bool:
        """Whether there is a text to score."""
        return self.failure is None

    def as_dict(self) -> dict[str, Any]:
        """The prediction as builtins, as it travels between processes."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __repr__(self) -> str:
        return f"<prediction of {self.model} for {self.sample}>"


@dataclass(frozen=True, repr=False)
class TestedPrediction:
    """A model's answer to one sample, as the fixture `prediction` gives it to a test."""

    __test__ = False
    model: Model
    """The model under test."""
    sample: Sample
    """What it was asked: id, input, references and columns."""
    text: str
    """The answer; empty if there is none."""
    failure: str | None
    """Why there is no answer; None if there is one."""
    truncated: bool
    """Whether the answer was cut at the length limit."""
    latency_s: float | None
    """Seconds from sending the request to the whole answer; None in older recordings and without a call."""
    cost_usd: float | None
    """What the call cost in USD; None likewise, and without a price."""
    scores: Mapping[str, float]
    """The score of each metric that could score it."""
    unscored: Mapping[str, str]
    """By metric the reason why it could not score the answer."""

    def __repr__(self) -> str:
        return f"<prediction of {self.model.key} for {self.sample.id}>"

    @property
    def answered(self) -> bool:
        """Whether there is a text to score."""
        return self.failure is None

    @classmethod
    def of(cls, prediction: Prediction, model: Model, sample: Sample) -> "TestedPrediction":
        """Return a prediction with the model and the sample that it is of."""
        own = {name: getattr(prediction, name) for name in cls.__dataclass_fields__ if name not in ("model", "sample")}
        return cls(model, sample, **own)


def read_completion(body: Any) -> Answer:
    """Return the answer in a chat completion's JSON.

    A refusal, a filtered or an empty text is a failure with its reason; a text cut at the length limit is a text. Token
    counts that can't be true are as if the API had told none (0), so that no answer is lost for them. Raises `ValueError`
    for JSON that isn't a chat completion.
    """
    try:
        choice, usage = body["choices"][0], body.get("usage") or {}
        message, reason = choice["message"], choice.get("finish_reason")
        text, refusal = _text(message.get("content")), message.get("refusal")
        if not isinstance(refusal, str | None):
            raise TypeError("refusal is not a text")
        tokens = _tokens(usage)
        served = str(body.get("model") or "")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a chat completion ({visible(repr(error)[:200])})") from None
    return Answer(text, _failure(text, refusal, reason), reason == "length", served, *tokens)


def _text(content: Any) -> str:
    """Return a message's text: content may be a text, or a list of parts, of which those of text count."""
    if isinstance(content, list):
        parts = [part if isinstance(part, str) else part.get("text", "") for part in content if _is_text(part)]
        content = "".join(parts)
    if not isinstance(content, str | None):
        raise TypeError("content is not a text")
    return content or ""


def _is_text(part: Any) -> bool:
    return isinstance(part, str) or part.get("type") in ("text", "output_text")


def _tokens(usage: Any) -> tuple[int, int]:
    counts = [usage.get(key, 0) for key in ("prompt_tokens", "completion_tokens")]
    counts = [0 if count is None else count for count in counts]
    if not all(type(count) in (int, float) and 0 <= count <= MOST_TOKENS and count == int(count) for count in counts):
        return 0, 0
    return int(counts[0]), int(counts[1])


def _failure(text: str, refusal: str | None, reason: Any) -> str | None:
    if refusal:
        return f"the model refused: {visible(refusal)}"
    if reason == "content_filter":
        return "the API's content filter withheld the answer (finish_reason content_filter)"
    if text.strip():
        return None
    if reason == "length":
        return "the answer is empty: the length limit was reached before any text (max_completion_tokens too low?)"
    return f"the answer is empty (finish_reason {cut(str(reason), 100)})"
