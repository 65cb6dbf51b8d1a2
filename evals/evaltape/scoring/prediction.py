"""A prediction: the model's text for a sample, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evaltape.samples.sample import Sample
from evaltape.suite.definition import Model
from evaltape.text import visible


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
    """A model's answer to one sample, with the score of each metric (F1 in 0..1; none for a failed sample)."""

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
    """The answer in a chat completion's JSON.

    A refusal, a filtered or an empty text is a failure with its reason; a text cut at the length limit is a text.
    Raises `ValueError` for JSON that is no chat completion.
    """
    try:
        choice, usage = body["choices"][0], body.get("usage") or {}
        message, reason = choice["message"], choice.get("finish_reason")
        text = message.get("content") or ""
        refusal = message.get("refusal")
        tokens = (int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
        if not isinstance(text, str) or not isinstance(refusal, str | None):
            raise TypeError("content is not a text")
        served = str(body.get("model") or "")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a chat completion ({error!r})") from None
    return Answer(text, _failure(text, refusal, reason), reason == "length", served, *tokens)


def _failure(text: str, refusal: str | None, reason: Any) -> str | None:
    if refusal:
        return f"the model refused: {visible(refusal)}"
    if reason == "content_filter":
        return "the API's content filter withheld the answer (finish_reason content_filter)"
    if text.strip():
        return None
    if reason == "length":
        return "the answer is empty: the length limit was reached before any text (max_completion_tokens too low?)"
    return f"the answer is empty (finish_reason {reason})"
