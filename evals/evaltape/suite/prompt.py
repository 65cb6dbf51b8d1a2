"""The prompt: the same template for evaluation and training, so that only the model changes between them."""

import json
import re
import string
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Protocol, get_args

import msgspec

from evaltape.names import nearest
from evaltape.suite.file.basics import Fields, PromptTable, Role
from evaltape.suite.file.reading import Place
from evaltape.suite.file.tables import JudgeTable

Message = dict[str, str]
ROLES: tuple[str, ...] = get_args(Role)
INPUT = "input"
"""The name that stands for a sample's input in every template."""
ANSWER, REFERENCE = "answer", "reference"
"""The names that stand in a judge's template for the answer that it judges, and for a reference."""
_COLUMN = re.compile(r"\w[\w -]*")


class Promptable(Protocol):
    """The parts of a sample that a prompt needs."""

    @property
    def input(self) -> str:
        """The input."""

    @property
    def columns(self) -> Mapping[str, Any]:
        """Further columns of its row."""


class Prompt(msgspec.Struct, frozen=True):
    """The messages a model is asked with.

    >>> Prompt(turns=(("user", "Sum up: {input}"),)).render(sample)
    [{"role": "user", "content": "Sum up: Ann: hi\\nBob: hello"}]
    """

    turns: tuple[tuple[str, str], ...] = ()
    """(role, template) of each message; before a conversation: its system prompt, or nothing."""
    conversation: str | None = None
    """The column that holds the messages themselves."""

    @property
    def columns(self) -> frozenset[str]:
        """The columns it names, `input` for the sample's input among them."""
        named = {column for _, template in self.turns for column in columns(template)}
        return frozenset(named | ({self.conversation} if self.conversation else set()))

    def render(self, sample: Promptable) -> list[Message]:
        """Return the chat messages for a sample.

        Raises `ValueError` for a column that is empty, or holds no text, number or truth value.
        """
        # Values are text, never templates themselves.
        filled = ("".join(text + _value(column, sample) for text, column in _parts(template)) for _, template in self.turns)
        turns = [{"role": role, "content": text} for (role, _), text in zip(self.turns, filled, strict=True)]
        return turns + messages_of(sample.columns[self.conversation]) if self.conversation else turns

    def as_json(self) -> dict[str, Any]:
        """Return the prompt as builtins in a form that stays: it decides whether a training file is still the same."""
        return {"turns": [list(turn) for turn in self.turns], "conversation": self.conversation}


@lru_cache(maxsize=64)
def _parts(template: str) -> tuple[tuple[str, str | None], ...]:
    """Split a template into (text, column) pairs; `{{` and `}}` are braces."""
    parts = []
    for text, column, spec, conversion in string.Formatter().parse(template):
        if column is not None and (not _COLUMN.fullmatch(column) or spec or conversion):
            raise ValueError(f"{{{column}}} is not a column's name; for a brace in the text write {{{{ or }}}}")
        parts.append((text, column))
    return tuple(parts)


def columns(template: str) -> set[str]:
    """Return the columns a template names. Raises `ValueError` for a text that is no template."""
    return {column for _, column in _parts(template) if column is not None}


def _value(column: str | None, sample: Promptable) -> str:
    return "" if column is None else sample.input if column == INPUT else as_text(sample.columns[column])


def as_text(value: Any) -> str:
    """Return a column's value as it stands in a prompt: texts unchanged, numbers and truth values as in JSON.

    Raises `ValueError`, naming the kind of value, for anything else.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ValueError("is empty" if value is None else f"holds {_kind(value)}, a prompt takes texts and numbers")


def messages_of(value: Any) -> list[Message]:
    """Return the messages that a conversation column holds. Raises `ValueError` with its fault."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"holds {_kind(value)} and not a list of messages, {{ role, content }} each")
    messages = [_message(number, turn) for number, turn in enumerate(value, 1)]
    if messages[-1]["role"] != "user":
        raise ValueError(f"ends with a message of role {messages[-1]['role']!r}; a model answers the user's last message")
    return messages


def _message(number: int, turn: Any) -> Message:
    keys = {key for key, value in turn.items() if value is not None} if isinstance(turn, Mapping) else set()
    if keys != {"role", "content"}:
        raise ValueError(f"holds no message as its item {number}: that has exactly the keys role and content")
    if turn["role"] not in ROLES:
        raise ValueError(f"has the role {turn['role']!r} in message {number}; roles: {', '.join(ROLES)}")
    if not isinstance(turn["content"], str) or not turn["content"].strip():
        raise ValueError(f"has no text as the content of message {number}")
    return {"role": turn["role"], "content": turn["content"]}


class PromptChange(msgspec.Struct, frozen=True):
    """Two requests to a model about a sample."""

    sample: str
    """The sample's id."""
    then: str
    """The messages that were recorded, as text."""
    now: str
    """The messages of today's suite."""


def prompt_change(sample: str, then: Any, now: Any) -> PromptChange | None:
    """Return how the messages of two requests about a sample differ; None if they don't, or without messages in either."""
    texts = [_messages_as_text(body) for body in (then, now)]
    return None if texts[0] == texts[1] or "" in texts else PromptChange(sample, *texts)


def _messages_as_text(body: Any) -> str:
    """Return the messages of a recorded request as text, a single message without its role."""
    turns = body.get("messages") if isinstance(body, Mapping) else None
    turns = [turn for turn in turns if isinstance(turn, Mapping)] if isinstance(turns, list) else []
    if len(turns) == 1:
        return str(turns[0].get("content"))
    return "\n".join(f"{turn.get('role')}: {turn.get('content')}" for turn in turns)


def turns_as_text(messages: list[Message]) -> str:
    """Return messages as a text, `role: content` a line: the input of a sample without an input column."""
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)


def chat_request(served: str, turns: list[Message], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON body of a chat completion call."""
    return {"model": served, "messages": turns, **request}


def _kind(value: Any) -> str:
    names = {str: "a text", bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


DEFAULT_INPUT = "dialogue"
"""The column that holds the input where a suite names no column."""


def read_prompt(table: PromptTable, place: Place, fields: Fields) -> Prompt:
    """Return the prompt. It has to name the input; otherwise every sample would be asked the same."""
    read, key = _read(table, place)
    names = {INPUT, fields.input or DEFAULT_INPUT, *([read.conversation] if read.conversation else [])}
    _require(read, INPUT, names, place, key, "every sample would be asked the same")
    return read


def read_judge_prompt(judge: JudgeTable, place: Place) -> Prompt:
    """Return a judge's prompt: a text for the user's message, or a table as `[prompt]`. It has to name the answer."""
    if isinstance(judge.prompt, str):
        read, key = Prompt((("user", _template(judge.prompt, place, "prompt")),)), "prompt"
    else:
        place = place.inside("prompt")
        if judge.prompt.conversation is not None:
            raise place.error("conversation", "is of samples; a judge is asked with user, system or messages")
        read, key = _read(judge.prompt, place)
    _require(read, ANSWER, {ANSWER}, place, key, "every answer would get the same verdict")
    return read


def _read(table: PromptTable, place: Place) -> tuple[Prompt, str]:
    """Return the prompt, and the key of its main message."""
    if table.messages is None:
        texts = [("system", table.system), ("user", table.user)]
        turns = tuple((role, _template(text, place, role)) for role, text in texts if text is not None)
        return Prompt(turns, table.conversation), "user"
    if table.messages[-1].role != "user":
        raise place.error("messages", "ends with another role than 'user'; a model answers the user's last message")
    places = [place.inside(f"messages[{number}]") for number in range(len(table.messages))]
    turns = tuple((it.role, _template(it.content, at, "content")) for it, at in zip(table.messages, places, strict=True))
    return Prompt(turns), "messages"


def _require(read: Prompt, name: str, names: Collection[str], place: Place, key: str, otherwise: str) -> None:
    """Refuse a prompt without any of these names; `name` is the usual name, and a mistyped name is told."""
    if read.columns.isdisjoint(names):
        mistyped = next((column for column in sorted(read.columns) if nearest(column, names)), None)
        hint = f". It names {{{mistyped}}}: did you mean {{{name}}}?" if mistyped else ""
        raise place.error(key, f"never names {{{name}}}, so {otherwise}{hint}")


def _template(text: str, place: Place, key: str) -> str:
    try:
        columns(text)
    except ValueError as error:
        raise place.error(key, f": {error}") from None
    return text
