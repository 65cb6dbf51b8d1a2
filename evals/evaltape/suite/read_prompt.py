"""Reads a `[prompt]`, the suite's or a model's own."""

from evaltape.suite import prompt
from evaltape.suite.definition import Fields
from evaltape.suite.keys import MESSAGE
from evaltape.suite.prompt import INPUT, Prompt
from evaltape.suite.table import Table


def read_prompt(table: Table, fields: Fields) -> Prompt:
    """Return the prompt. One that never names the input is refused: every sample would be asked the same."""
    if "messages" in table:
        read = Prompt(tuple(_message(message) for message in table.listed("messages", MESSAGE)))
        if read.turns[-1][0] != "user":
            raise table.error("messages", "ends with another role than 'user'; a model answers the user's last message")
    else:
        read = Prompt(_system_and_user(table), table.take("conversation"))
    names = {INPUT, fields.input or Fields.input, *([read.conversation] if read.conversation else [])}
    if names.isdisjoint(read.columns):
        key = "messages" if "messages" in table else "user"
        raise table.error(key, f"never names {{{INPUT}}}, so every sample would be asked the same")
    return read


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
