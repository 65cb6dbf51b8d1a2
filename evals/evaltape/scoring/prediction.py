"""A prediction: a model's answer to a sample, with its scores; two of a sample; and when answers were recorded."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from evaltape.samples.sample import Answer, Failure, Sample, Usage
from evaltape.suite.cost import read_usage
from evaltape.suite.definition import Model
from evaltape.text import cut, visible


class Prediction(msgspec.Struct, frozen=True):
    """A model's answer to a sample with its scores, as the fixture `prediction` gives it to a test."""

    model: Model
    """The model under test."""
    sample: Sample
    """The sample: id, input, references and columns."""
    answer: Answer
    """The recorded answer."""
    scores: Mapping[str, float] = {}
    """The score of each metric that could score the answer; empty for a failed sample."""
    unscored: Mapping[str, str] = {}
    """By metric the reason why it could not score the answer."""
    unread: tuple[str, ...] = ()
    """The unscored metrics with an unreadable verdict of their judge."""

    def __repr__(self) -> str:
        return f"<prediction of {self.model.key} for {self.sample.id}>"

    @property
    def text(self) -> str:
        """The answer; empty for a failed sample."""
        return self.answer.text

    @property
    def answered(self) -> bool:
        """Whether there is a text to score."""
        return self.answer.failure is None

    @property
    def failure(self) -> str | None:
        """Why there is no answer, in a line; None for an answered sample. `answer.failure` has its parts."""
        return None if self.answer.failure is None else str(self.answer.failure)

    @property
    def truncated(self) -> bool:
        """Whether the answer was cut at the length limit."""
        return self.answer.truncated

    @property
    def latency_s(self) -> float | None:
        """Seconds from sending the request to the whole answer; None in older recordings and without a call."""
        return self.answer.latency_s

    @property
    def cost_usd(self) -> float | None:
        """The price of the call in USD; None likewise, and without a price."""
        return self.answer.cost_usd


def read_completion(body: Any) -> Answer:
    """Return the answer in a chat completion's JSON.

    A refusal, a filtered or an empty text is a failure with its reason; a text cut at the length limit is a text. Impossible
    token counts become 0, so that no answer is lost for them. Raises `ValueError` for JSON that isn't a chat completion.
    """
    try:
        choice = body["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        text, refusal = _text(message.get("content")), message.get("refusal")
        if not isinstance(refusal, str | None):
            raise TypeError("refusal is not a text")
        usage = read_usage(body.get("usage"), bool(text))
        served = str(body.get("model") or "")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a chat completion ({visible(repr(error)[:200])})") from None
    return Answer(text, _failure(text, refusal, reason), reason == "length", served, Usage(usage.prompt, usage.answer))


def read_refused_prompt(body: Any) -> Answer:
    """Return the answer in the error by which an API's content filter refuses a prompt."""
    reason = "refused by the API's content filter"
    words = visible(cut(str(body["error"].get("message") or ""), 300))
    return Answer(failure=Failure("filtered", f"{reason}: {words}" if words else reason, cause=reason))


def _text(content: Any) -> str:
    """Return a message's text: content is a text, or a list of parts, of which the texts count."""
    if isinstance(content, list):
        there = [it for it in content if isinstance(it, str) or it.get("type") in ("text", "output_text")]
        content = "".join(part if isinstance(part, str) else part.get("text", "") for part in there)
    if not isinstance(content, str | None):
        raise TypeError("content is not a text")
    return content or ""


def _failure(text: str, refusal: str | None, reason: Any) -> Failure | None:
    if refusal:
        return Failure("refused", f"the model refused: {visible(refusal)}", cause="the model refused")
    if reason == "content_filter":
        withheld = "the API's content filter withheld the answer"
        return Failure("filtered", f"{withheld} (finish_reason content_filter)", cause=withheld)
    if text.strip():
        return None
    if reason == "length":
        why = ": the length limit was reached before any text (max_completion_tokens too low?)"
    else:
        why = f" (finish_reason {cut(str(reason), 100)})"
    return Failure("empty", f"the answer is empty{why}", cause="the answer is empty")


class Pair(msgspec.Struct, frozen=True):
    """A sample with two answers."""

    before: Prediction
    """The baseline's, or that of the other side."""
    after: Prediction
    """The candidate's, or today's."""

    @property
    def sample(self) -> str:
        """The sample's id."""
        return self.after.sample.id

    def change(self, metric: str) -> float | None:
        """Return the second score less the first; None if either is missing."""
        if metric not in self.before.scores or metric not in self.after.scores:
            return None
        return self.after.scores[metric] - self.before.scores[metric]


def recorded_days(predictions: Iterable[Prediction]) -> tuple[str, str] | None:
    """Return the days of the first and the last recorded call, as `2026-11-24`; None if no recording says."""
    days = sorted(one.answer.recorded for one in predictions if one.answer.recorded is not None)
    return (days[0], days[-1]) if days else None


def served_versions(predictions: Iterable[Prediction]) -> dict[str, int]:
    """Return the models that the API says it served, in the order of time, each with the number of its answers.

    Several mean that it changed midway, and the mean then mixes models.
    """
    answers: dict[str, list[Prediction]] = {}
    for one in predictions:
        if one.answer.served:
            answers.setdefault(one.answer.served, []).append(one)
    # By their first and last day, unknown days last; sorting keeps the order of the samples.
    names = sorted(answers, key=lambda name: recorded_days(answers[name]) or ("unknown",))
    return {name: len(answers[name]) for name in names}
