"""The prompt: the same template for evaluation and training, so that only the model changes between them."""

import json
import re
import string
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Protocol, get_args

import msgspec
from msgspec import Meta

from evaltape.names import nearest
from evaltape.suite.file.reading import Place
from evaltape.suite.file.values import Column, Rules, Table, Text, checked, key, reads

Message = dict[str, str]
Role = Literal["system", "developer", "user", "assistant"]
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


def _template_problem(text: str) -> str | None:
    try:
        columns(text)
    except ValueError as error:
        return f": {error}"
    return None


def _messages_problem(messages: "tuple[MessageTable, ...]") -> str | None:
    is_asked = messages[-1].role == "user"
    return None if is_asked else "ends with another role than 'user'; a model answers the user's last message"


Template = Annotated[Text, checked(_template_problem)]


class MessageTable(Table, frozen=True):
    """A message."""

    role: Annotated[Role, key("Who says it.")]
    content: Annotated[Template, key("May name {input} and any other column.")]


class Prompt(Table, frozen=True):
    """The messages of a call: {input} and every other column by its name are replaced by the sample's.

    >>> Prompt(user="Sum up: {input}").render(sample)
    [{"role": "user", "content": "Sum up: Ann: hi\\nBob: hello"}]
    """

    rules: ClassVar[Rules] = Rules(one_of=("user", "messages", "conversation"), apart=(("messages", "system"),))
    user: Annotated[Template | None, key("The user's message.")] = None
    system: Annotated[Template | None, key("The system message before it, or before a conversation.")] = None
    messages: Annotated[
        Annotated[tuple[MessageTable, ...], Meta(min_length=1)] | None,
        checked(_messages_problem),
        key("All messages, for few-shot prompts; the last one is the user's."),
    ] = None
    conversation: Annotated[Column | None, key("A column of messages, { role, content } each; the last is the user's.")] = None

    @property
    def turns(self) -> list[tuple[str, str]]:
        """(role, template) of each message; before a conversation: its system prompt, or nothing."""
        if self.messages is not None:
            return [(message.role, message.content) for message in self.messages]
        return [(role, text) for role, text in (("system", self.system), ("user", self.user)) if text is not None]

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


def check_prompt(prompt: Prompt, place: Place, column: str | None) -> None:
    """Refuse a prompt without the input, by that name or its `column`: every sample would be asked the same."""
    names = {INPUT, column or DEFAULT_INPUT, *([prompt.conversation] if prompt.conversation else [])}
    problem = _unnamed(prompt, INPUT, names, "every sample would be asked the same")
    if problem is not None:
        raise place.error("messages" if prompt.messages else "user", problem)


def check_judge_prompt(prompt: Prompt, place: Place) -> None:
    """Refuse a judge's prompt without the answer."""
    if prompt.conversation is not None:
        raise place.error("conversation", "is of samples; a judge is asked with user, system or messages")
    problem = _no_answer(prompt)
    if problem is not None:
        raise place.error("messages" if prompt.messages else "user", problem)


def _no_answer(prompt: Prompt) -> str | None:
    return _unnamed(prompt, ANSWER, {ANSWER}, "every answer would get the same verdict")


def _unnamed(prompt: Prompt, name: str, names: Collection[str], otherwise: str) -> str | None:
    """Return why a prompt lacks all of these names; `name` is the usual name, and a mistyped name is told."""
    if not prompt.columns.isdisjoint(names):
        return None
    mistyped = next((column for column in sorted(prompt.columns) if nearest(column, names)), None)
    hint = f". It names {{{mistyped}}}: did you mean {{{name}}}?" if mistyped else ""
    return f"never names {{{name}}}, so {otherwise}{hint}"


def _judge_problem(text: str) -> str | None:
    return _template_problem(text) or _no_answer(Prompt(user=text))


JudgePrompt = Annotated[
    Prompt,
    reads(Annotated[Text, checked(_judge_problem)] | Prompt, lambda it: Prompt(user=it) if isinstance(it, str) else it),
    key("Names {answer}, and perhaps {input}, {reference} and columns."),
]
"""A judge's prompt: a text for the user's message, or a table."""
