"""A prediction: the model's text for a sample, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
