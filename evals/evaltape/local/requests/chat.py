"""The body of a chat request."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evaltape.local.errors import ApiError
from evaltape.local.requests.body import shortened

# Accepted without effect: they change billing, routing or bookkeeping, never the text.
IGNORED = {"user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
IGNORED |= {"prompt_cache_options", "parallel_tool_calls"}
# Refused, except for the values that ask for nothing.
UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "n": (1,),
    "store": (False,),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": ("none",),
    "verbosity": ("medium",),
    "web_search_options": (),
    "moderation": (),
}
REASONS = {
    "response_format": "The local service doesn't constrain answers to JSON: ask for JSON in the prompt and check the answer",
    "logprobs": "The local service returns no log probabilities",
    "top_logprobs": "The local service returns no log probabilities",
    "tools": "The local service calls no tools",
    "functions": "The local service calls no functions",
    "n": "The local service gives one answer a request: send the request again, with another seed",
}
MOST_TOKENS = 2**31
Stops = Annotated[list[str], Field(fail_fast=True)]


class Message(BaseModel):
    """One message of a chat, its content as one text."""

    model_config = ConfigDict(strict=True, extra="allow")
    role: Literal["system", "developer", "user", "assistant"]
    content: str

    @field_validator("content", mode="before")
    @classmethod
    def _join_parts(cls, content: Any) -> Any:
        if not isinstance(content, list):
            return content
        for part in content:
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                raise ValueError("only parts of type 'text' are supported by this model")
        return "".join(part["text"] for part in content)

    @model_validator(mode="after")
    def _refuse_calls(self) -> "Message":
        for name in ("tool_calls", "function_call", "audio"):
            if (self.model_extra or {}).get(name):
                raise ValueError(f"'{name}' is not supported by this model")
        return self

    def for_template(self) -> dict[str, str]:
        """Return the message as chat templates know it."""
        return {"role": "system" if self.role == "developer" else self.role, "content": self.content}


class StreamOptions(BaseModel):
    """How a streamed answer is sent."""

    model_config = ConfigDict(strict=True, extra="ignore")
    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """The body of `POST /v1/chat/completions`."""

    model_config = ConfigDict(strict=True, extra="allow")
    model: str
    messages: list[Message] = Field(min_length=1, fail_fast=True)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    max_completion_tokens: int | None = Field(None, ge=1, lt=MOST_TOKENS)
    max_tokens: int | None = Field(None, ge=1, lt=MOST_TOKENS)
    stop: str | Stops | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def check(self) -> None:
        """Raise `ApiError` for parameters that would change the answer and aren't supported."""
        for name, value in (self.model_extra or {}).items():
            if name in IGNORED or value is None or value in UNSUPPORTED.get(name, ()):
                continue
            if name not in UNSUPPORTED:
                raise ApiError(f"Unrecognized request argument supplied: {name}")
            raise _unsupported(name, value)
        if len(self.stops) > 4 or "" in self.stops:
            raise ApiError("Invalid 'stop': up to 4 strings, none of them empty.", param="stop")
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
            raise ApiError(message, param="max_tokens", code="invalid_parameter_combination")

    @property
    def stops(self) -> Sequence[str]:
        """The strings that end the answer."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def most_tokens(self) -> int | None:
        """The requested length limit of the answer."""
        return self.max_completion_tokens or self.max_tokens


def _unsupported(name: str, value: Any) -> ApiError:
    message = f"Unsupported value: '{name}' does not support {shortened(value)} with this model."
    if name in REASONS:
        message += f" {REASONS[name]}."
    return ApiError(message, param=name, code="unsupported_value")
