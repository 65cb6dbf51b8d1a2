"""Reads a prompt: the suite's, a model's own or a judge's."""

from collections.abc import Collection

from evaltape.names import nearest
from evaltape.suite import prompt
from evaltape.suite.file.call_tables import PromptTable
from evaltape.suite.file.dataset_tables import Fields
from evaltape.suite.file.place import Place
from evaltape.suite.file.tables import JudgeTable
from evaltape.suite.prompt import ANSWER, INPUT, Prompt

DEFAULT_INPUT = "dialogue"
"""The column that holds the input where a suite names no column."""


def read_prompt(table: PromptTable, place: Place, fields: Fields) -> Prompt:
    """Return the prompt. One that never names the input is refused: every sample would be asked the same."""
    read = _read(table, place)
    names = {INPUT, fields.input or DEFAULT_INPUT, *([read.conversation] if read.conversation else [])}
    _require(read, INPUT, names, place, _main_key(table), "every sample would be asked the same")
    return read


def read_judge_prompt(judge: JudgeTable, place: Place) -> Prompt:
    """Return a judge's prompt: a text for the user's message, or a table as `[prompt]`. It has to name the answer."""
    needed = "every answer would get the same verdict"
    if isinstance(judge.prompt, str):
        read = Prompt((("user", _template(judge.prompt, place, "prompt")),))
        _require(read, ANSWER, {ANSWER}, place, "prompt", needed)
        return read
    inside = place.inside("prompt")
    if judge.prompt.conversation is not None:
        raise inside.error("conversation", "is of samples; a judge is asked with user, system or messages")
    read = _read(judge.prompt, inside)
    _require(read, ANSWER, {ANSWER}, inside, _main_key(judge.prompt), needed)
    return read


def _read(table: PromptTable, place: Place) -> Prompt:
    if table.messages is None:
        texts = [("system", table.system), ("user", table.user)]
        turns = tuple((role, _template(text, place, role)) for role, text in texts if text is not None)
        return Prompt(turns, table.conversation)
    if table.messages[-1].role != "user":
        raise place.error("messages", "ends with another role than 'user'; a model answers the user's last message")
    places = [place.inside(f"messages[{number}]") for number in range(len(table.messages))]
    return Prompt(tuple((it.role, _template(it.content, at, "content")) for it, at in zip(table.messages, places, strict=True)))


def _main_key(table: PromptTable) -> str:
    return "user" if table.messages is None else "messages"


def _require(read: Prompt, name: str, names: Collection[str], place: Place, key: str, otherwise: str) -> None:
    """Refuse a prompt that has none of these names, of which `name` is the usual one; a mistyped name is told."""
    if read.columns.isdisjoint(names):
        mistyped = next((column for column in sorted(read.columns) if nearest(column, names)), None)
        hint = f". It names {{{mistyped}}}: did you mean {{{name}}}?" if mistyped else ""
        raise place.error(key, f"never names {{{name}}}, so {otherwise}{hint}")


def _template(text: str, place: Place, key: str) -> str:
    try:
        prompt.columns(text)
    except ValueError as error:
        raise place.error(key, f": {error}") from None
    return text
