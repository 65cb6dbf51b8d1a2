"""What a client may send: the bodies of requests, checked, with OpenAI's words for what is wrong."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from evaltape.local.errors import ApiError

# Accepted without effect: they change billing, routing or bookkeeping, never the text.
IGNORED = {"user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
IGNORED |= {"prompt_cache_options", "parallel_tool_calls"}
# Not supported here; the values that ask for nothing are let through.
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
STRICT = ConfigDict(strict=True, extra="forbid")


class Message(BaseModel):
    """One message of a chat; its content as one text."""

    model_config = ConfigDict(strict=True, extra="allow")
    role: Literal["system", "developer", "user", "assistant"]
    content: str

    @field_validator("content", mode="before")
    @classmethod
    def _one_text(cls, content: Any) -> Any:
        if isinstance(content, list):
            if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
                raise ValueError("only parts of type 'text' are supported by this model")
            content = "".join(part["text"] for part in content)
        if isinstance(content, str) and any("\ud800" <= letter <= "\udfff" for letter in content):
            raise ValueError("half of a surrogate pair is no character")
        return content

    def rendered(self) -> dict[str, str]:
        """The message as chat templates know it."""
        return {"role": "system" if self.role == "developer" else self.role, "content": self.content}


class StreamOptions(BaseModel):
    """How a streamed answer is sent."""

    model_config = ConfigDict(strict=True, extra="ignore")
    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """The body of `POST /v1/chat/completions`."""

    model_config = ConfigDict(strict=True, extra="allow")
    model: str
    messages: list[Message] = Field(min_length=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    max_completion_tokens: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def check(self) -> None:
        """Raises `ApiError` for parameters that would change the answer and aren't supported."""
        for name, value in (self.model_extra or {}).items():
            if name in IGNORED or value is None or value in UNSUPPORTED.get(name, ()):
                continue
            if name not in UNSUPPORTED:
                raise ApiError(f"Unrecognized request argument supplied: {name}")
            message = f"Unsupported value: '{name}' does not support {_short(value)} with this model."
            raise ApiError(message, param=name, code="unsupported_value")
        if len(self.stops) > 4 or "" in self.stops:
            raise ApiError("Invalid 'stop': up to 4 strings, none of them empty.", param="stop")
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
            raise ApiError(message, param="max_tokens", code="invalid_parameter_combination")

    @property
    def stops(self) -> list[str]:
        """The strings that end the answer."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def most(self) -> int | None:
        """The length limit that was asked for, in tokens."""
        return self.max_completion_tokens or self.max_tokens


class Hyperparameters(BaseModel):
    """How to train, "auto" where the service is to choose."""

    model_config = STRICT
    n_epochs: Literal["auto"] | int = "auto"
    batch_size: Literal["auto"] | int = "auto"
    learning_rate_multiplier: Literal["auto"] | float = "auto"

    @field_validator("n_epochs", "batch_size", "learning_rate_multiplier", mode="before")
    @classmethod
    def _null_is_auto(cls, value: Any) -> Any:
        if value is None:
            return "auto"
        if value != "auto" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"must be 'auto' or a number, not {_short(value)}")
        return value

    @field_validator("n_epochs")
    @classmethod
    def _epochs(cls, value: Any) -> Any:
        return _within(value, 1, 50)

    @field_validator("batch_size")
    @classmethod
    def _batch(cls, value: Any) -> Any:
        return _within(value, 1, 256)

    @field_validator("learning_rate_multiplier")
    @classmethod
    def _rate(cls, value: Any) -> Any:
        return _within(value, 0.01, 100)


class Supervised(BaseModel):
    """The settings of supervised fine-tuning."""

    model_config = STRICT
    hyperparameters: Hyperparameters | None = None


class Method(BaseModel):
    """The way of fine-tuning."""

    model_config = ConfigDict(strict=True, extra="allow")
    type: str
    supervised: Supervised | None = None


class JobRequest(BaseModel):
    """The body of `POST /v1/fine_tuning/jobs`."""

    model_config = STRICT
    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    suffix: str | None = Field(None, min_length=1, max_length=64)
    seed: int | None = Field(None, ge=0, lt=2**31)
    metadata: dict[str, str] | None = Field(None, max_length=16)
    integrations: list[Any] | None = Field(None, max_length=0)

    @field_validator("metadata")
    @classmethod
    def _small(cls, metadata: dict[str, str] | None) -> dict[str, str] | None:
        for key, value in (metadata or {}).items():
            if len(key) > 64 or len(value) > 512:
                raise ValueError(f"key '{key[:64]}': keys have at most 64 characters, values at most 512")
        return metadata

    def chosen(self) -> Hyperparameters:
        """The hyperparameters, from `method` or the older `hyperparameters`. Raises `ApiError`."""
        if self.method is None:
            return self.hyperparameters or Hyperparameters()
        if self.method.type != "supervised":
            message = f"Method '{self.method.type}' is not supported here. Valid: 'supervised'."
            raise ApiError(message, param="method.type", code="unsupported_value")
        if self.hyperparameters is not None:
            message = "'hyperparameters' and 'method' can't be given together: put them into 'method'."
            raise ApiError(message, param="hyperparameters", code="invalid_parameter_combination")
        return (self.method.supervised and self.method.supervised.hyperparameters) or Hyperparameters()


def refusal(errors: Sequence[Any]) -> ApiError:
    """OpenAI's error for a body that FastAPI has found wrong."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return ApiError("We could not parse the JSON body of your request. The API expects a JSON payload.")
    param = _path(first["loc"][1:])
    if first["type"] == "missing":
        return ApiError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if first["type"] == "extra_forbidden":
        return ApiError(f"Unrecognized request argument supplied: {param}", param=param)
    what = re.sub("^Value error, |^Input ", "", first["msg"])
    return ApiError(f"Invalid value for '{param}': {what}.", param=param or None, code="invalid_value")


def _path(parts: Sequence[Any]) -> str:
    """`messages[0].role`; what pydantic adds to tell the members of a union apart is left out."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif re.fullmatch(r"[a-z_]+", part) and part not in ("str", "int", "float"):
            path += f".{part}" if path else part
    return path


def _within(value: Any, low: float, high: float) -> Any:
    if value != "auto" and not low <= value <= high:
        raise ValueError(f"must be 'auto' or from {low} to {high}, not {value}")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
