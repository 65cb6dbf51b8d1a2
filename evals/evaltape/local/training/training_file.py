"""Training files: JSONL of chats or of preferences, checked line by line and made into the rows that TRL's trainers take.

The checks are OpenAI's; an error names its line.
"""

import json
from collections.abc import Set
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import TemplateError

LEAST_EXAMPLES = 10
MOST_CHARACTERS = 500
"""An error's message is cut after these."""
ROLES = ("system", "developer", "user", "assistant")
PREFERENCE = ("input", "preferred_output", "non_preferred_output")
Chat = list[dict[str, Any]]


class InvalidFile(Exception):
    """A file that can't be trained on; the message names the line.

    It may quote the file, and is part of the job that the API shows: JSON has to be able to carry it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message[:MOST_CHARACTERS].encode("utf-8", "backslashreplace").decode())


class Encoder(msgspec.Struct):
    """Makes rows of a file for one model."""

    tokenizer: Any
    ends: Set[int]
    """The tokens that end an answer."""
    longest: int
    """The tokens of a row; the beginning of a longer one is cut off."""
    cut: int = 0
    """Rows that were too long."""
    tokens: int = 0
    """The tokens of all rows; of preferences, of both answers."""

    def write(self, source: Path, target: Path, method: str, *, least: int = LEAST_EXAMPLES) -> int:
        """Write the rows of a file; return their number. Raise `InvalidFile` for an invalid one, or too few rows."""
        row_of = self._preference if method == "dpo" else self._supervised
        count = 0
        with source.open("rb") as lines, target.open("w", encoding="utf-8") as rows:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    rows.write(json.dumps(row_of(line, number)) + "\n")
                    count += 1
        if count < least:
            raise InvalidFile(f"file has {count} example(s), but must have at least {least} examples")
        return count

    def _supervised(self, line: bytes, number: int) -> dict[str, Any]:
        """Return tokens and labels: those of the assistant, and -100 elsewhere."""
        row = _object(line, number, "messages")
        chat = _chat(row["messages"], f"line {number}", "messages")
        if chat[-1]["role"] != "assistant":
            raise InvalidFile(f"line {number}: the last message must be from the assistant, not '{chat[-1]['role']}'")
        ids, labels = self._tokens_of(chat, number)
        self.tokens += len(ids[-self.longest :])
        self.cut += len(ids) > self.longest
        # A first token has nothing before it to be learnt from.
        ids, labels = ids[-self.longest :], [-100, *labels[-self.longest :][1:]]
        if all(label == -100 for label in labels):
            raise InvalidFile(f"line {number}: no assistant message is to be learnt (each has weight 0, or was cut)")
        return {"input_ids": ids, "labels": labels}

    def _tokens_of(self, chat: Chat, number: int) -> tuple[list[int], list[int]]:
        """Tokenise piece by piece, so that each answer follows the same tokens as when the model is asked for it."""
        ids: list[int] = []
        labels: list[int] = []
        done = ""
        for index, message in enumerate(chat):
            if message["role"] != "assistant":
                continue
            question = self._render(chat[:index], number, speak=True)
            whole = self._render(chat[: index + 1], number, speak=False)
            if not question.startswith(done) or not whole.startswith(question):
                reason = "the model's chat template rewrites earlier turns: end each chat at its first answer"
                raise InvalidFile(f"line {number}: {reason}")
            asked, answer = self._tokens(question[len(done) :]), self._tokens(whole[len(question) :])
            # Templates add a line break after the token that ends an answer.
            learnt = next((place + 1 for place, token in enumerate(answer) if token in self.ends), len(answer))
            learnt *= message.get("weight", 1)
            ids += asked + answer
            labels += [-100] * len(asked) + answer[:learnt] + [-100] * (len(answer) - learnt)
            done = whole
        return ids, labels

    def _preference(self, line: bytes, number: int) -> dict[str, Any]:
        """Return a prompt with a chosen and a rejected answer, as conversations."""
        row = _object(line, number, *PREFERENCE)
        given = row["input"] if isinstance(row["input"], dict) else {}
        prompt = _chat(given.get("messages"), f"line {number}", "input.messages")
        answers = [_chat(row[name], f"line {number}", name, is_answer=True) for name in PREFERENCE[1:]]
        for answer in answers:
            rendered = self._render(prompt + answer, number, speak=False)
            size = len(self._tokens(rendered))
            self.tokens += min(size, self.longest)
            self.cut += size > self.longest
        plain = [[_for_template(message) for message in chat] for chat in (prompt, *answers)]
        return dict(zip(("prompt", "chosen", "rejected"), plain, strict=True))

    def _render(self, chat: Chat, number: int, *, speak: bool) -> str:
        try:
            messages = [_for_template(message) for message in chat]
            text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=speak)
        except (TemplateError, ValueError, TypeError) as error:
            raise InvalidFile(f"line {number}: the model's chat template refuses it: {error}") from None
        return text

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def _object(line: bytes, number: int, *keys: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"line {number}: not valid JSON ({error})") from None
    if not isinstance(row, dict) or row.keys() != set(keys):
        raise InvalidFile(f"line {number}: expected an object with the keys {', '.join(keys)}, not {_short(row)}")
    return row


def _chat(messages: Any, place: str, key: str, *, is_answer: bool = False) -> Chat:
    if not isinstance(messages, list) or not messages:
        raise InvalidFile(f"{place}: {key} is {_short(messages)}; expected a list of messages")
    for index, message in enumerate(messages):
        _check_message(message, f"{place}, {key}[{index}]")
    if is_answer and (len(messages) != 1 or messages[0]["role"] != "assistant"):
        raise InvalidFile(f"{place}: {key} must be one message from the assistant")
    if not is_answer and messages[0]["role"] == "assistant":
        raise InvalidFile(f"{place}: the first message must be from the system or the user, not the assistant")
    return messages


def _check_message(message: Any, place: str) -> None:
    if not isinstance(message, dict):
        raise InvalidFile(f"{place}: expected an object with 'role' and 'content', not {_short(message)}")
    if message.get("role") not in ROLES:
        raise InvalidFile(f"{place}: role is {_short(message.get('role'))}; valid: {', '.join(ROLES)}")
    if not isinstance(message.get("content"), str):
        raise InvalidFile(f"{place}: content is {_short(message.get('content'))}; expected a string")
    if any("\ud800" <= letter <= "\udfff" for letter in message["content"]):
        raise InvalidFile(f"{place}: content has half of a surrogate pair, which is not a character")
    weight = message.get("weight", 1)
    if weight not in (0, 1) or isinstance(weight, float) or ("weight" in message and message["role"] != "assistant"):
        raise InvalidFile(f"{place}: weight is {_short(weight)}; valid: 0 or 1, for the assistant")
    unknown = set(message) - {"role", "content", "weight", "name"}
    if unknown:
        raise InvalidFile(f"{place}: unknown key(s) {', '.join(sorted(unknown))}")


def _for_template(message: dict[str, Any]) -> dict[str, str]:
    role = "system" if message["role"] == "developer" else message["role"]
    return {"role": role, "content": message["content"]}


def _short(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):
        return "a value nested too deeply"
    return text if len(text) <= 60 else text[:57] + "..."
