"""The bodies of requests as pydantic's models, read with OpenAI's words for mistakes."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal, TypeVar

from fastapi.concurrency import run_in_threadpool
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    field_validator,
    model_validator,
)
from starlette.datastructures import UploadFile
from starlette.requests import Request

from evaltape.local.errors import ApiError

Body = TypeVar("Body", bound=BaseModel)
SMALL_BYTES = 2**16
"""Larger bodies are parsed in a thread."""
CHUNK_BYTES = 2**20
MOST_TOKENS = 2**31


class Strict(BaseModel):
    """An object without unknown keys; no value is converted."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Open(BaseModel):
    """An object that may have further keys; no value is converted."""

    model_config = ConfigDict(strict=True, extra="allow")


class Fields(Open):
    """A request of which only the model is read."""

    model: str


def _check_metadata(metadata: dict[str, str] | None) -> dict[str, str] | None:
    for key, value in (metadata or {}).items():
        if len(key) > 64 or len(value) > 512:
            raise ValueError(f"key '{key[:64]}': keys have at most 64 characters, values at most 512")
    return metadata


Metadata = Annotated[Annotated[dict[str, str], Field(max_length=16)] | None, AfterValidator(_check_metadata)]
"""At most 16 pairs of texts."""
Seconds = Annotated[int, Field(ge=3600, le=2_592_000)]
"""OpenAI's bounds of an expiry: an hour to thirty days."""

# ---------------------------------------------------------------- chats

# Accepted without effect: they change billing, routing or bookkeeping, never the text.
IGNORED = {"user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
IGNORED |= {"prompt_cache_options", "parallel_tool_calls"}
# Refused, except for the values that ask for nothing.
UNSUPPORTED: dict[str, tuple[Any, ...]] = dict.fromkeys(("audio", "prediction", "web_search_options", "moderation"), ())
UNSUPPORTED |= {"tools": ([],), "tool_choice": ("none", "auto"), "functions": ([],), "function_call": ("none", "auto")}
UNSUPPORTED |= {"response_format": ({"type": "text"},), "logprobs": (False,), "top_logprobs": (0,), "logit_bias": ({},)}
UNSUPPORTED |= {"presence_penalty": (0,), "frequency_penalty": (0,), "n": (1,), "store": (False,), "modalities": (["text"],)}
UNSUPPORTED |= {"reasoning_effort": ("none",), "verbosity": ("medium",)}
REASONS = {
    "response_format": "The local service doesn't constrain answers to JSON: ask for JSON in the prompt and check the answer",
    "logprobs": "The local service returns no log probabilities",
    "top_logprobs": "The local service returns no log probabilities",
    "tools": "The local service calls no tools",
    "functions": "The local service calls no functions",
    "n": "The local service gives one answer a request: send the request again, with another seed",
}


class Message(Open):
    """A message of a chat, its content as a text."""

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


class StreamOptions(Open):
    """How a streamed answer is sent."""

    include_usage: bool | None = None


class ChatRequest(Open):
    """The body of `POST /v1/chat/completions`."""

    model: str
    messages: list[Message] = Field(min_length=1, fail_fast=True)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    max_completion_tokens: int | None = Field(None, ge=1, lt=MOST_TOKENS)
    max_tokens: int | None = Field(None, ge=1, lt=MOST_TOKENS)
    stop: str | Annotated[list[str], Field(fail_fast=True)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def check(self) -> None:
        """Raise `ApiError` for parameters that would change the answer and aren't supported."""
        for name, value in (self.model_extra or {}).items():
            if name in IGNORED or value is None or value in UNSUPPORTED.get(name, ()):
                continue
            if name not in UNSUPPORTED:
                raise ApiError(f"Unrecognized request argument supplied: {name}")
            reason = f" {REASONS[name]}." if name in REASONS else ""
            message = f"Unsupported value: '{name}' does not support {shortened(value)} with this model.{reason}"
            raise ApiError(message, param=name, code="unsupported_value")
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


# ---------------------------------------------------------------- batches and files


class OutputExpiry(Strict):
    """How long the output and the error file are kept."""

    anchor: Literal["created_at"]
    seconds: Seconds


class BatchRequest(Strict):
    """The body of `POST /v1/batches`."""

    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"]
    metadata: Metadata = None
    output_expires_after: OutputExpiry | None = None


class BatchLine(Open):
    """A line of a batch's input file."""

    custom_id: str
    method: Literal["POST"]
    url: str
    body: Fields


def _digits(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


class Upload(Open):
    """A file that a client sends, with its purpose and how long it is to be kept."""

    file: InstanceOf[UploadFile]
    purpose: Literal["fine-tune", "batch"]
    anchor: Literal["created_at"] | None = Field(None, alias="expires_after[anchor]")
    expires_after_s: Annotated[Seconds, BeforeValidator(_digits)] | None = Field(None, alias="expires_after[seconds]")

    @model_validator(mode="before")
    @classmethod
    def _need_both(cls, form: dict[str, Any]) -> dict[str, Any]:
        names = {"expires_after[anchor]", "expires_after[seconds]"}
        return form | (dict.fromkeys(names - form.keys(), "") if names & form.keys() else {})

    @property
    def filename(self) -> str:
        """Its name without folders and control characters; it is only ever shown."""
        last = re.split(r"[/\\]", self.file.filename or "")[-1]
        return re.sub(r"[\x00-\x1f\x7f]", "", last)[:255] or "file"

    def pieces(self) -> Iterator[bytes]:
        """Yield the content piece by piece."""
        return iter(lambda: self.file.file.read(CHUNK_BYTES), b"")


# ---------------------------------------------------------------- fine-tuning jobs


def _auto_or(low: float, high: float, kind: Any = float) -> Any:
    """Return the type of a number within bounds that the service may choose: `null` and "auto" are the same."""

    def check(value: Any) -> Any:
        if value is None or value == "auto":
            return "auto"
        name = "a whole number" if kind is int else "a number"
        if isinstance(value, bool) or not isinstance(value, int | kind):
            raise ValueError(f"must be 'auto' or {name}, not {shortened(value)}")
        if not low <= value <= high:
            raise ValueError(f"must be 'auto' or from {low} to {high}, not {shortened(value)}")
        return value

    return Annotated[Literal["auto"] | kind, BeforeValidator(check)]


class Hyperparameters(Strict):
    """How to train; "auto" leaves a number to the service."""

    n_epochs: _auto_or(1, 50, int) = "auto"  # type: ignore[valid-type]
    batch_size: _auto_or(1, 256, int) = "auto"  # type: ignore[valid-type]
    learning_rate_multiplier: _auto_or(0.01, 100) = "auto"  # type: ignore[valid-type]


class DpoHyperparameters(Hyperparameters):
    """How to train on preferences."""

    beta: _auto_or(0.001, 2) = "auto"  # type: ignore[valid-type]


class Supervised(Strict):
    """The settings of supervised fine-tuning."""

    hyperparameters: Hyperparameters | None = None


class Dpo(Strict):
    """The settings of direct preference optimisation."""

    hyperparameters: DpoHyperparameters | None = None


class Method(Open):
    """The way of fine-tuning."""

    type: str
    supervised: Supervised | None = None
    dpo: Dpo | None = None


class JobRequest(Strict):
    """The body of `POST /v1/fine_tuning/jobs`."""

    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    suffix: str | None = Field(None, min_length=1, max_length=64)
    seed: int | None = Field(None, ge=0, lt=2**31)
    metadata: Metadata = None
    integrations: list[Any] | None = Field(None, max_length=0)

    def chosen(self) -> tuple[str, Hyperparameters]:
        """Return the method and its hyperparameters. Raise `ApiError` for another method, or if they are given twice."""
        if self.method is None:
            return "supervised", self.hyperparameters or Hyperparameters()
        if self.hyperparameters is not None:
            message = "'hyperparameters' and 'method' can't be given together: put them into 'method'."
            raise ApiError(message, param="hyperparameters", code="invalid_parameter_combination")
        if self.method.type == "supervised":
            return "supervised", (self.method.supervised and self.method.supervised.hyperparameters) or Hyperparameters()
        if self.method.type == "dpo":
            return "dpo", (self.method.dpo and self.method.dpo.hyperparameters) or DpoHyperparameters()
        message = f"Method {shortened(self.method.type)} is not supported here. Valid: 'supervised', 'dpo'."
        raise ApiError(message, param="method.type", code="unsupported_value")


# ---------------------------------------------------------------- reading


async def read_json(request: Request, kind: type[Body]) -> Body:
    """Return a request's body. Raise `ApiError` if it isn't of this kind."""
    raw = await request.body()
    _check_type(request, r"application/(json|[^;,\s]*\+json)", "application/json")
    return parse(raw, kind) if len(raw) <= SMALL_BYTES else await run_in_threadpool(parse, raw, kind)


async def read_upload(request: Request) -> Upload:
    """Return the upload that a request holds. Raise `ApiError` for any other form."""
    _check_type(request, "multipart/form-data", "multipart/form-data")
    # Python knows encodings that decode to something other than text, or fail.
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]*)", request.headers["content-type"], re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        raise ApiError(f"Unsupported charset '{charset[1]}': a form is read as UTF-8.", code="unsupported_content_type")
    form = await request.form(max_files=1, max_fields=8)
    return _valid(Upload.model_validate, dict(form))


def parse(raw: bytes, kind: type[Body]) -> Body:
    """Return JSON text as a model of pydantic's. Raise `ApiError` if it is invalid."""
    if not raw.strip():
        raise ApiError("The request has no body. The API expects a JSON object.")
    return _valid(kind.model_validate_json, raw)


def refusal(errors: Sequence[Any]) -> ApiError:
    """Return OpenAI's error for the first of pydantic's findings."""
    first = errors[0]
    param = path_of(first["loc"]) or None
    if first["type"] == "json_invalid":
        reason = first["msg"].removeprefix("Invalid JSON: ")
        return ApiError(f"We could not parse the JSON body of your request ({reason}). The API expects a JSON payload.")
    if param is None:
        return ApiError("The body of the request must be a JSON object.")
    if first["type"] == "missing":
        return ApiError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if first["type"] == "extra_forbidden":
        return ApiError(f"Unrecognized request argument supplied: {param}", param=param)
    reason = re.sub("^Value error, |^Input ", "", first["msg"])
    return ApiError(f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")


def shortened(value: Any) -> str:
    """Return a value as Python writes it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _valid(validate: Callable[[Any], Body], value: Any) -> Body:
    try:
        return validate(value)
    except ValidationError as error:
        raise refusal(error.errors(include_url=False)) from None


def _check_type(request: Request, pattern: str, expected: str) -> None:
    """Raise `ApiError` if the body is declared as something else, or not at all."""
    declared = request.headers.get("content-type", "").strip()
    if re.match(rf"{pattern}\s*(;|$)", declared, re.IGNORECASE):
        return
    message = f"Unsupported content type: '{declared}'. {request.url.path} accepts '{expected}' only."
    if not declared:
        message = f"The request has no Content-Type header: send 'Content-Type: {expected}'."
    raise ApiError(message, code="unsupported_content_type")


def path_of(parts: Sequence[Any]) -> str:
    """Return `messages[0].role`, without the names that pydantic gives the members of a union."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[a-z_]+(\[[a-z]+\])?", part) and part not in ("str", "int", "float"):
            text += f".{part}" if text else part
    return text
