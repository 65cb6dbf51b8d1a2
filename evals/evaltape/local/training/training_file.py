"""Training files: JSONL of chats or of preferences, checked line by line and made into the rows that TRL's trainers take.

The checks are OpenAI's; an error names its line.
"""

import json
import re
from collections.abc import Set
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from jinja2 import TemplateError
from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from evaltape.local.requests import Message, Strict, path_of, shortened

LEAST_EXAMPLES = 10
MOST_CHARACTERS = 500
"""An error's message is cut after these."""


class Turn(Message):
    """A message of a training chat; `weight: 0` leaves an answer out of the learning."""

    model_config = ConfigDict(strict=True, extra="forbid")
    name: str | None = None
    weight: Literal[0, 1] | None = None

    @model_validator(mode="after")
    def _weigh_answers(self) -> "Turn":
        if self.weight is not None and self.role != "assistant":
            raise ValueError("only messages of the assistant have a weight")
        return self


def _check_start(turns: list[Turn]) -> list[Turn]:
    if turns[0].role == "assistant":
        raise ValueError("the first message must be from the system or the user")
    return turns


def _check_end(turns: list[Turn]) -> list[Turn]:
    if turns[-1].role != "assistant":
        raise ValueError("the last message must be from the assistant")
    return turns


Turns = Annotated[list[Turn], Field(min_length=1)]
Prompt = Annotated[Turns, AfterValidator(_check_start)]
Preferred = Annotated[Turns, Field(max_length=1), AfterValidator(_check_end)]


class Chat(Strict):
    """A line of a file for supervised fine-tuning."""

    messages: Annotated[Prompt, AfterValidator(_check_end)]


class Input(Strict):
    """The prompt of a preference."""

    messages: Prompt


class Preference(Strict):
    """A line of a file for direct preference optimisation."""

    input: Input
    preferred_output: Preferred
    non_preferred_output: Preferred


Row = TypeVar("Row", Chat, Preference)


class InvalidFile(Exception):
    """A file that can't be trained on; the message names the line.

    It may quote the file, and is part of the job that the API shows, so it is text that JSON can carry.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message[:MOST_CHARACTERS].encode("utf-8", "backslashreplace").decode())


class Encoder(msgspec.Struct):
    """Makes rows of a file for a model."""

    tokenizer: Any
    ends: Set[int]
    """The tokens that end an answer."""
    longest: int
    """The tokens of a row; a longer row loses its beginning."""
    cut: int = 0
    """Rows that were too long."""
    tokens: int = 0
    """The tokens of all rows; of preferences, of both answers."""

    def write(self, source: Path, target: Path, method: str, *, least: int = LEAST_EXAMPLES) -> int:
        """Write the rows of a file; return their number. Raise `InvalidFile` for invalid lines, or too few."""
        row_of = self._preference if method == "dpo" else self._supervised
        count = 0
        with source.open("rb") as lines, target.open("w", encoding="utf-8") as rows:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        rows.write(json.dumps(row_of(line)) + "\n")
                    except InvalidFile as error:
                        raise InvalidFile(f"line {number}: {error}") from None
                    count += 1
        if count < least:
            raise InvalidFile(f"file has {count} example(s), but must have at least {least} examples")
        return count

    def _supervised(self, line: bytes) -> dict[str, Any]:
        """Return tokens and labels: the token where the assistant speaks, else -100."""
        ids, labels = self._tokens_of(_parsed(line, Chat).messages)
        self.tokens += len(ids[-self.longest :])
        self.cut += len(ids) > self.longest
        # The first token has nothing before it to be learnt from.
        ids, labels = ids[-self.longest :], [-100, *labels[-self.longest :][1:]]
        if all(label == -100 for label in labels):
            raise InvalidFile("no assistant message is to be learnt (each has weight 0, or was cut)")
        return {"input_ids": ids, "labels": labels}

    def _tokens_of(self, turns: list[Turn]) -> tuple[list[int], list[int]]:
        """Tokenise piece by piece, so that each answer follows the same tokens as when the model is asked for it."""
        ids: list[int] = []
        labels: list[int] = []
        done = ""
        for index, turn in enumerate(turns):
            if turn.role != "assistant":
                continue
            question = self._render(turns[:index], speak=True)
            whole = self._render(turns[: index + 1])
            if not question.startswith(done) or not whole.startswith(question):
                raise InvalidFile("the model's chat template rewrites earlier turns: end each chat at its first answer")
            asked, answer = self._tokens(question[len(done) :]), self._tokens(whole[len(question) :])
            # Templates add a line break after the token that ends an answer.
            learnt = next((place + 1 for place, token in enumerate(answer) if token in self.ends), len(answer))
            learnt = 0 if turn.weight == 0 else learnt
            ids += asked + answer
            labels += [-100] * len(asked) + answer[:learnt] + [-100] * (len(answer) - learnt)
            done = whole
        return ids, labels

    def _preference(self, line: bytes) -> dict[str, Any]:
        """Return a prompt with a chosen and a rejected answer, as conversations."""
        row = _parsed(line, Preference)
        prompt, answers = row.input.messages, (row.preferred_output, row.non_preferred_output)
        for answer in answers:
            size = len(self._tokens(self._render(prompt + answer)))
            self.tokens += min(size, self.longest)
            self.cut += size > self.longest
        plain = [[turn.for_template() for turn in turns] for turns in (prompt, *answers)]
        return dict(zip(("prompt", "chosen", "rejected"), plain, strict=True))

    def _render(self, turns: list[Turn], *, speak: bool = False) -> str:
        try:
            messages = [turn.for_template() for turn in turns]
            text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=speak)
        except (TemplateError, ValueError, TypeError) as error:
            raise InvalidFile(f"the model's chat template refuses it: {error}") from None
        return text

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def _parsed(line: bytes, kind: type[Row]) -> Row:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path, reason = path_of(first["loc"]), re.sub("^Value error, |^Input |^Invalid JSON: ", "", first["msg"])
        match first["type"]:
            case "json_invalid":
                raise InvalidFile(f"not valid JSON ({reason})") from None
            case "missing":
                raise InvalidFile(f"{path} is missing") from None
            case "extra_forbidden":
                raise InvalidFile(f"unknown key {path}") from None
        raise InvalidFile(f"{path or 'it'} is {shortened(first['input'])}: {reason}") from None
