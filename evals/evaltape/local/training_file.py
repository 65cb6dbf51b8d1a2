"""Training files: JSONL of chats, checked line by line, and turned into tokens with the assistant's marked.

The checks are those OpenAI makes; what is wrong is said with the number of its line.
"""

import json
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

LEAST_EXAMPLES = 10
ROLES = ("system", "developer", "user", "assistant")


class InvalidFile(Exception):
    """A file that can't be trained on; the message names the line."""


@dataclass(frozen=True, slots=True)
class Example:
    """One chat in tokens; `targets` are the positions of tokens to be learnt."""

    ids: list[int]
    targets: list[int]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file in tokens, and how many of its examples were too long and cut."""

    examples: list[Example]
    cut: int

    @property
    def tokens(self) -> int:
        """Tokens in all examples."""
        return sum(len(example.ids) for example in self.examples)

    def write(self, path: Path) -> None:
        """Stores it, an example a line."""
        with path.open("w", encoding="utf-8") as file:
            for example in self.examples:
                file.write(json.dumps([example.ids, example.targets]) + "\n")


def read_encoded(path: Path) -> list[Example]:
    """What `Encoded.write` stored."""
    with path.open(encoding="utf-8") as file:
        return [Example(*json.loads(line)) for line in file]


def encode(path: Path, tokenizer: Any, ends: Set[int], longest: int, *, least: int = LEAST_EXAMPLES) -> Encoded:
    """Reads a file. Raises `InvalidFile`."""
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


def _check_message(message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise InvalidFile(f"{where}: expected an object with 'role' and 'content', not {_short(message)}")
    if message.get("role") not in ROLES:
        raise InvalidFile(f"{where}: role is {_short(message.get('role'))}; valid: {', '.join(ROLES)}")
    if not isinstance(message.get("content"), str):
        raise InvalidFile(f"{where}: content is {_short(message.get('content'))}; expected a text")
    if any("\ud800" <= letter <= "\udfff" for letter in message["content"]):
        raise InvalidFile(f"{where}: content has half of a surrogate pair, which is no character")
    if message.get("weight", 1) not in (0, 1) or ("weight" in message and message["role"] != "assistant"):
        raise InvalidFile(f"{where}: weight is {_short(message.get('weight'))}; valid: 0 or 1, for the assistant")
    unknown = set(message) - {"role", "content", "weight", "name"}
    if unknown:
        raise InvalidFile(f"{where}: unknown key(s) {', '.join(sorted(unknown))}")


def _example(messages: list[dict[str, Any]], number: int, tokenizer: Any, ends: Set[int]) -> Example:
    """Tokenises piece by piece, so that each answer follows the very tokens it will follow when it is asked for."""
    ids: list[int] = []
    targets: list[int] = []
    done = ""
    chat = [{"role": "system" if one["role"] == "developer" else one["role"], "content": one["content"]} for one in messages]
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        asked = _render(tokenizer, chat[:index], number, speak=True)
        answered = _render(tokenizer, chat[: index + 1], number, speak=False)
        if not asked.startswith(done) or not answered.startswith(asked):
            reason = "the model's chat template rewrites earlier turns: end each chat at its first answer"
            raise InvalidFile(f"line {number}: {reason}")
        ids += _tokens(tokenizer, asked[len(done) :])
        answer = _tokens(tokenizer, answered[len(asked) :])
        if message.get("weight", 1):
            targets += range(len(ids), len(ids) + _learnt(answer, ends))
        ids += answer
        done = answered
    return Example(ids, targets)


def _learnt(answer: list[int], ends: Set[int]) -> int:
    """How many tokens of an answer are to be learnt: up to its end token; templates add a line break after it."""
    first = next((position for position, token in enumerate(answer) if token in ends), len(answer) - 1)
    return first + 1


def _cut(example: Example, longest: int) -> Example:
    """Cuts from the left, the prompt's head, so that the last answer stays."""
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
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
