"""The prompt: one template for evaluation and training, so that only the model changes between them."""

import string
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

Message = dict[str, str]


@lru_cache(maxsize=32)
def _parts(template: str) -> tuple[tuple[str, str | None], ...]:
    """The template as (text, column) pairs; `{{` and `}}` are braces."""
    parts = []
    for text, column, spec, conversion in string.Formatter().parse(template):
        if column is not None and (not column.isidentifier() or spec or conversion):
            raise ValueError(f"{{{column}}} is not a column's name; for a brace in the text write {{{{ or }}}}")
        parts.append((text, column))
    return tuple(parts)


def columns(template: str) -> set[str]:
    """The columns a template names. Raises `ValueError` for what is not a template."""
    return {column for _, column in _parts(template) if column is not None}


def render(template: str, values: Mapping[str, str]) -> str:
    """The template with every `{column}` replaced by its value; values are text, never templates themselves."""
    return "".join(text + (values[column] if column is not None else "") for text, column in _parts(template))


def messages(user: str, system: str | None, values: Mapping[str, str]) -> list[Message]:
    """The chat messages of one sample: the system prompt, if there is one, and the user prompt."""
    turns = [("system", system), ("user", user)]
    return [{"role": role, "content": render(text, values)} for role, text in turns if text is not None]


def chat_request(served: str, turns: list[Message], request: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON body of a chat completion call."""
    return {"model": served, "messages": turns, **request}
