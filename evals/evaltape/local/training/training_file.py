"""Training files: JSONL of chats, checked line by line and turned into tokens, with the assistant's marked.

The checks are OpenAI's; an error names its line.
"""

import json
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

LEAST_EXAMPLES = 10
MOST_CHARACTERS = 500
"""An error's message is cut after these."""
ROLES = ("system", "developer", "user", "assistant")


class InvalidFile(Exception):
    """A file that can't be trained on; the message names the line.

    It may quote what the file holds, and is part of the job that the API shows: JSON has to be able to carry it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message[:MOST_CHARACTERS].encode("utf-8", "backslashreplace").decode())


@dataclass(frozen=True, slots=True)
class Example:
    """One chat in tokens."""

    ids: list[int]
    """Its tokens."""
    targets: list[int]
    """The positions of the tokens to be learnt."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file in tokens."""

    examples: list[Example]
    """Its chats, in their order."""
    cut: int
    """How many of them were too long, and cut."""

    @property
    def tokens(self) -> int:
        """The tokens in all examples."""
        return sum(len(example.ids) for example in self.examples)

    def write(self, path: Path) -> None:
        """Write it to a file, an example a line."""
        with path.open("w", encoding="utf-8") as file:
            for example in self.examples:
                file.write(json.dumps([example.ids, example.targets]) + "\n")


def read_encoded(path: Path) -> list[Example]:
    """Read what `Encoded.write` wrote."""
    with path.open(encoding="utf-8") as file:
        return [Example(*json.loads(line)) for line in file]


def encode(path: Path, tokenizer: Any, ends: Set[int], longest: int, *, least: int = LEAST_EXAMPLES) -> Encoded:
    """Read a file of at least `least` chats, each cut to its last `longest` tokens. Raise `InvalidFile` for an invalid one."""
    examples, cut = [], 0
    for number, messages in _chats(path):
        example = _example(messages, number, tokenizer, ends)
        cut += len(example.ids) > longest
        example = _cut(example, longest)
        if not example.targets:
            raise InvalidFile(f"line {number}: no assistant message is to be learnt (each has weight 0, or was cut)")
        examples.append(example)
    if len(examples) < least:
        raise InvalidFile(f"file has {len(examples)} example(s), but must have at least {least} examples")
    return Encoded(examples, cut)


def _chats(path: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _chat(line, number)


def _chat(line: bytes, number: int) -> list[dict[str, Any]]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"line {number}: not valid JSON ({error})") from None
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages:
        raise InvalidFile(f"line {number}: expected an object with a list 'messages', not {_short(row)}")
    unknown = set(row) - {"messages"}
    if unknown:
        raise InvalidFile(f"line {number}: unknown key(s) {', '.join(sorted(unknown))}: only 'messages' is supported")
    for index, message in enumerate(messages):
        _check_message(message, f"line {number}, messages[{index}]")
    if messages[0]["role"] == "assistant":
        raise InvalidFile(f"line {number}: the first message must be from the system or the user, not the assistant")
    if messages[-1]["role"] != "assistant":
        raise InvalidFile(f"line {number}: the last message must be from the assistant, not '{messages[-1]['role']}'")
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
    if message.get("weight", 1) not in (0, 1) or ("weight" in message and message["role"] != "assistant"):
        raise InvalidFile(f"{place}: weight is {_short(message.get('weight'))}; valid: 0 or 1, for the assistant")
    unknown = set(message) - {"role", "content", "weight", "name"}
    if unknown:
        raise InvalidFile(f"{place}: unknown key(s) {', '.join(sorted(unknown))}")


def _example(messages: list[dict[str, Any]], number: int, tokenizer: Any, ends: Set[int]) -> Example:
    """Tokenise piece by piece, so that each answer follows the same tokens as when the model is asked for it."""
    ids: list[int] = []
    targets: list[int] = []
    done = ""
    chat = [_for_template(message) for message in messages]
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        question = _render(tokenizer, chat[:index], number, speak=True)
        whole = _render(tokenizer, chat[: index + 1], number, speak=False)
        if not question.startswith(done) or not whole.startswith(question):
            reason = "the model's chat template rewrites earlier turns: end each chat at its first answer"
            raise InvalidFile(f"line {number}: {reason}")
        ids += _tokens(tokenizer, question[len(done) :])
        answer = _tokens(tokenizer, whole[len(question) :])
        if message.get("weight", 1):
            targets += range(len(ids), len(ids) + _learnt(answer, ends))
        ids += answer
        done = whole
    return Example(ids, targets)


def _for_template(message: dict[str, Any]) -> dict[str, str]:
    role = "system" if message["role"] == "developer" else message["role"]
    return {"role": role, "content": message["content"]}


def _learnt(answer: list[int], ends: Set[int]) -> int:
    """Return how many tokens of an answer are to be learnt: up to its end token; templates add a line break after it."""
    first = next((position for position, token in enumerate(answer) if token in ends), len(answer) - 1)
    return first + 1


def _cut(example: Example, longest: int) -> Example:
    """Cut the beginning off, so that the last answer stays."""
    extra = max(0, len(example.ids) - longest)
    # A first token has nothing before it to be learnt from.
    kept = [position - extra for position in example.targets if position > extra]
    return Example(example.ids[extra:], kept)


def _render(tokenizer: Any, chat: list[dict[str, str]], number: int, *, speak: bool) -> str:
    try:
        text: str = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=speak)
    except (TemplateError, ValueError, TypeError) as error:
        raise InvalidFile(f"line {number}: the model's chat template refuses it: {error}") from None
    return text


def _tokens(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _short(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):
        return "a value nested too deeply"
    return text if len(text) <= 60 else text[:57] + "..."
