"""Reads a prompt: the suite's, a model's own or a judge's."""

from collections.abc import Iterable

from evaltape.suite import prompt
from evaltape.suite.definition import Fields
from evaltape.suite.keys import MESSAGE
from evaltape.suite.prompt import ANSWER, INPUT, Prompt
from evaltape.suite.table import Table

DEFAULT_INPUT = "dialogue"
"""The column that holds the input where a suite names none."""


def read_prompt(table: Table, fields: Fields) -> Prompt:
    """Return the prompt. One that never names the input is refused: every sample would be asked the same."""
    read = _read(table)
    names = {INPUT, fields.input or DEFAULT_INPUT, *([read.conversation] if read.conversation else [])}
    _require(table, read, names, f"{{{INPUT}}}, so every sample would be asked the same")
    return read


def read_judge_prompt(table: Table) -> Prompt:
    """Return a judge's prompt: a text for the user's message, or a table as `[prompt]`. It has to name the answer."""
    text = table.take("prompt")
    if isinstance(text, str):
        read = Prompt((("user", _template(table, "prompt", text)),))
        inside, key = table, "prompt"
    else:
        inside = table.table("prompt") or table
        read, key = _read(inside), ""
    _require(inside, read, {ANSWER}, f"{{{ANSWER}}}, so every answer would get the same verdict", key)
    if read.conversation:
        raise inside.error("conversation", "is of samples; a judge is asked with user, system or messages")
    return read


def _read(table: Table) -> Prompt:
    if "messages" in table:
        read = Prompt(tuple(_message(message) for message in table.listed("messages", MESSAGE)))
        if read.turns[-1][0] != "user":
            raise table.error("messages", "ends with another role than 'user'; a model answers the user's last message")
    else:
        read = Prompt(_system_and_user(table), table.take("conversation"))
    return read


def _require(table: Table, read: Prompt, names: Iterable[str], what: str, key: str = "") -> None:
    if read.columns.isdisjoint(names):
        key = key or ("messages" if "messages" in table else "user")
        raise table.error(key, f"never names {what}")


def _system_and_user(table: Table) -> tuple[tuple[str, str], ...]:
    texts = [(role, table.take(role)) for role in ("system", "user")]
    return tuple((role, _template(table, role, text)) for role, text in texts if text is not None)


def _message(table: Table) -> tuple[str, str]:
    return table.take("role"), _template(table, "content", table.take("content"))


def _template(table: Table, key: str, text: str) -> str:
    try:
        prompt.columns(text)
    except ValueError as error:
        raise table.error(key, f": {error}") from None
    return text
