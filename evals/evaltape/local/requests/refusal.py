"""OpenAI's error for what pydantic reports of a body."""

import re
from collections.abc import Sequence
from typing import Any

from evaltape.local.errors import ApiError


def refusal(errors: Sequence[Any]) -> ApiError:
    """Return the error for the first of pydantic's findings."""
    first = errors[0]
    param = path(first["loc"]) or None
    if first["type"] == "missing":
        return ApiError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if first["type"] == "extra_forbidden":
        return ApiError(f"Unrecognized request argument supplied: {param or first['loc'][-1]}", param=param)
    what = re.sub("^Value error, |^Input ", "", first["msg"])
    return ApiError(f"Invalid value for '{param}': {what}.", param=param, code="invalid_value")


def path(parts: Sequence[Any]) -> str:
    """Return `messages[0].role`, without what pydantic adds to name the members of a union."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[a-z_]+", part) and part not in ("str", "int", "float"):
            text += f".{part}" if text else part
    return text


def shortened(value: Any) -> str:
    """Return a value as Python writes it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
