"""JSON bodies of requests as models of pydantic's, with OpenAI's words for mistakes in them."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from evaltape.local.errors import ApiError

Body = TypeVar("Body", bound=BaseModel)
STRICT = ConfigDict(strict=True, extra="forbid")
SMALL_BYTES = 2**16
"""Larger bodies are parsed in a thread."""


def _check_metadata(metadata: dict[str, str] | None) -> dict[str, str] | None:
    for key, value in (metadata or {}).items():
        if len(key) > 64 or len(value) > 512:
            raise ValueError(f"key '{key[:64]}': keys have at most 64 characters, values at most 512")
    return metadata


Metadata = Annotated[Annotated[dict[str, str], Field(max_length=16)] | None, AfterValidator(_check_metadata)]
"""At most 16 pairs of texts."""


class Fields(BaseModel):
    """A body of which only the model is read."""

    model_config = ConfigDict(strict=True, extra="allow")
    model: str


async def read_json(request: Request, kind: type[Body]) -> Body:
    """Return a request's body as a model of pydantic's. Raise `ApiError` if it isn't one."""
    raw = await request.body()
    check_type(request, r"application/(json|[^;,\s]*\+json)", "application/json")
    return parse(raw, kind) if len(raw) <= SMALL_BYTES else await run_in_threadpool(parse, raw, kind)


def check_type(request: Request, pattern: str, expected: str) -> None:
    """Raise `ApiError` if the body is declared as something else, or not at all."""
    declared = request.headers.get("content-type", "").strip()
    if re.match(rf"{pattern}\s*(;|$)", declared, re.IGNORECASE):
        return
    message = f"Unsupported content type: '{declared}'. {request.url.path} accepts '{expected}' only."
    if not declared:
        message = f"The request has no Content-Type header: send 'Content-Type: {expected}'."
    raise ApiError(message, code="unsupported_content_type")


def parse(raw: bytes, kind: type[Body]) -> Body:
    """Return JSON text as a model of pydantic's. Raise `ApiError` if it isn't one."""
    if not raw.strip():
        raise ApiError("The request has no body. The API expects a JSON object.")
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        raise refusal(error.errors(include_url=False)) from None


def refusal(errors: Sequence[Any]) -> ApiError:
    """Return OpenAI's error for the first of pydantic's findings."""
    first = errors[0]
    param = _path(first["loc"]) or None
    if first["type"] == "json_invalid":
        reason = first["msg"].removeprefix("Invalid JSON: ")
        return ApiError(f"We could not parse the JSON body of your request ({reason}). The API expects a JSON payload.")
    if param is None:
        return ApiError("The body of the request must be a JSON object.")
    if first["type"] == "missing":
        return ApiError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if first["type"] == "extra_forbidden":
        return ApiError(f"Unrecognized request argument supplied: {param or first['loc'][-1]}", param=param)
    reason = re.sub("^Value error, |^Input ", "", first["msg"])
    return ApiError(f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")


def shortened(value: Any) -> str:
    """Return a value as Python writes it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _path(parts: Sequence[Any]) -> str:
    """Return `messages[0].role`, without the names that pydantic gives the members of a union."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[a-z_]+(\[[a-z]+\])?", part) and part not in ("str", "int", "float"):
            text += f".{part}" if text else part
    return text
