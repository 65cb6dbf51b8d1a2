"""The JSON of a request's body: read within bounds, and refused if an answer could not repeat it."""

import json
import re
from typing import Any, TypeVar

from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from evaltape.local.errors import ApiError
from evaltape.local.requests.refusal import path, refusal

Body = TypeVar("Body", bound=BaseModel)
MOST_DEPTH = 64
MOST_VALUES = 200_000
# Larger bodies are parsed in a thread.
SMALL_BYTES = 2**16
# JSON can spell half of a surrogate pair only by escaping it.
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CANNOT_PARSE = "We could not parse the JSON body of your request"


async def read_json(request: Request, kind: type[Body], *, most_values: int = MOST_VALUES) -> Body:
    """Return a request's body as a model of pydantic's. Raise `ApiError` if it isn't one, or has too many values."""
    raw = await request.body()
    check_type(request, r"application/(json|[^;,\s]*\+json)", "application/json")
    if len(raw) <= SMALL_BYTES:
        return parse(raw, kind, most_values)
    return await run_in_threadpool(parse, raw, kind, most_values)


def check_type(request: Request, pattern: str, expected: str) -> None:
    """Raise `ApiError` if the body is declared as something else, or not at all."""
    declared = request.headers.get("content-type", "").strip()
    if re.match(rf"{pattern}\s*(;|$)", declared, re.IGNORECASE):
        return
    if not declared:
        message = f"The request has no Content-Type header: send 'Content-Type: {expected}'."
    else:
        message = f"Unsupported content type: '{declared}'. {request.url.path} accepts '{expected}' only."
    raise ApiError(message, code="unsupported_content_type")


def parse(raw: bytes, kind: type[Body], most_values: int = MOST_VALUES) -> Body:
    """Return JSON text as a model of pydantic's. Raise `ApiError` if it isn't one."""
    value = _decoded(raw)
    _check_values(value, most_values, may_have_surrogates=_ESCAPED_SURROGATE.search(raw) is not None)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise refusal(error.errors(include_url=False)) from None


def _decoded(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ApiError(f"{_CANNOT_PARSE}: it isn't UTF-8 (byte {error.start}).") from None
    if not text.strip():
        raise ApiError("The request has no body. The API expects a JSON object.")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        message = f"{_CANNOT_PARSE} ({error.msg}, line {error.lineno}, column {error.colno})."
        raise ApiError(f"{message} The API expects a JSON payload.") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # a number of thousands of digits
        raise ApiError(f"{_CANNOT_PARSE} ({error}).") from None
    if not isinstance(value, dict):
        raise ApiError("The body of the request must be a JSON object.")
    return value


def _refuse_constant(name: str) -> Any:
    raise ApiError(f"{_CANNOT_PARSE}: {name} is not JSON.")


def _check_values(body: dict[str, Any], most_values: int, *, may_have_surrogates: bool) -> None:
    """Raise `ApiError` for nesting and sizes that nothing here needs, and for strings that aren't text."""
    left = most_values
    pending: list[tuple[Any, tuple[Any, ...]]] = [(body, ())]
    while pending:
        container, place = pending.pop()
        items = list(container.items()) if isinstance(container, dict) else list(enumerate(container))
        left -= len(items)
        if left < 0:
            raise ApiError(f"The body has too many values: at most {most_values:,} are read here.")
        if len(place) >= MOST_DEPTH:
            raise _too_deep()
        for key, value in items:
            if may_have_surrogates:
                _check_text(key, place)
                _check_text(value, (*place, key))
            if isinstance(value, dict | list):
                pending.append((value, (*place, key)))


def _check_text(value: Any, place: tuple[Any, ...]) -> None:
    if isinstance(value, str) and _SURROGATE.search(value):
        param = path(place) or None
        message = f"Invalid value for '{param or 'body'}': it has half of a surrogate pair, which is not a character."
        raise ApiError(message, param=param, code="invalid_value")


def _too_deep() -> ApiError:
    return ApiError(f"The body is nested too deeply: at most {MOST_DEPTH} levels are read here.")
