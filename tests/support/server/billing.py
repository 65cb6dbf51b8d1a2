"""What APIs that aren't quite OpenAI's bill, and what they say they bill: a rule for the server that counts both.

A `Biller` answers every chat call by its habits and adds up what it charges for. It bills what it has worked on, also where
the answer is lost, cut, late or unreadable; a refusal costs nothing.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.server.http import Asked
from tests.support.server.replies import Reply, completion, error
from tests.support.server.server import CHAT

ANSWER_LIMIT = 10
"""The most tokens that the calls of these sessions allow an answer."""
Usage = dict[str, Any]


def _honest(prompt: int, answer: int) -> Usage:
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


USAGES: dict[str, Callable[[int, int], Usage | None]] = {
    "as OpenAI": _honest,
    "reasoning beside the answer": lambda prompt, answer: {**_honest(prompt, 1), "total_tokens": prompt + answer},
    "reasoning in details alone": lambda prompt, answer: {
        "prompt_tokens": prompt,
        "completion_tokens": 1,
        "completion_tokens_details": {"reasoning_tokens": answer - 1},
    },
    "no usage": lambda prompt, answer: None,
    "null": lambda prompt, answer: dict.fromkeys(_honest(0, 0)),
    "zeros": lambda prompt, answer: _honest(0, 0),
    "no answer counted": lambda prompt, answer: _honest(prompt, 0),
    "counts that don't add up": lambda prompt, answer: {**_honest(prompt, 1), "total_tokens": 1},
}
"""What an API says of the tokens that it bills."""
FAULTS: dict[str, tuple[bool, Callable[[Reply], Reply]]] = {
    "pace": (False, lambda _: error(429, "Rate limit reached", "rate_limit_exceeded", headers={"retry-after-ms": "20"})),
    "server error": (True, lambda _: error(500, "The server had an error")),
    "reset": (True, lambda _: Reply(reset=True)),
    "cut": (True, lambda reply: replace(reply, cut=True)),
    "late": (True, lambda reply: replace(reply, delay_s=3600.0)),
    "unreadable": (True, lambda _: Reply("data: {}", content_type="text/event-stream")),
    "filtered": (True, lambda _: error(400, "The prompt was filtered", "content_filter")),
    "long headers": (True, lambda reply: replace(reply, headers={"x-policy": "a" * 20_000})),
}
"""By name whether the call is billed, and what is sent in place of its answer."""
ANSWERED = (None, "long headers", "filtered")
"""Faults after which there is an answer to record."""


@dataclass
class Biller:
    """A rule for the server, in place of its own chat completions; all its choices follow from the seed."""

    seed: int
    usage: str = "as OpenAI"
    """How it counts, by `USAGES`."""
    share: float = 0.0
    """The share of calls that a fault meets."""
    faults: tuple[str, ...] = ()
    too_large: str = ""
    """Prompts with this text are over the account's limit: refused for their size each time."""
    exceeds: float = 1.0
    """How much longer than its request allows an answer may be."""
    template: int = 0
    """Tokens that it adds to every message."""
    price: float = 0.001
    """USD a token."""
    billed_usd: float = 0.0
    dearest_usd: float = 0.0
    """The dearest answer."""
    sent: Counter[str] = field(default_factory=Counter)
    """Calls by their fault; `answered` without one."""
    answered: set[str] = field(default_factory=set)
    """The prompts that were answered in a way that can be recorded."""
    fault: Any = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def applies(self, asked: Asked) -> bool:
        """Whether this call is the one."""
        if asked.method != "POST" or not asked.path.endswith(CHAT):
            return False
        self.fault = self._reply(asked.json)
        return True

    def _reply(self, asked: dict[str, Any]) -> Reply:
        prompt = asked["messages"][-1]["content"]
        if self.too_large and self.too_large in prompt:
            self.sent["too large"] += 1
            return error(429, "Request too large on tokens per min (TPM): Limit 30000, Requested 45000", "rate_limit_exceeded")
        name = self._random.choice(self.faults) if self.faults and self._random.random() < self.share else None
        is_billed, made = FAULTS[name] if name else (True, lambda reply: reply)
        tokens = self._random.randint(2, max(2, int(ANSWER_LIMIT * self.exceeds)))
        reply = completion(asked, "Fine.")
        prompt_tokens = reply.body["usage"]["prompt_tokens"] + self.template * len(asked["messages"])
        reply.body["usage"] = USAGES[self.usage](prompt_tokens, tokens)
        self.sent[name or "answered"] += 1
        if is_billed:
            cost_usd = (prompt_tokens + tokens) * self.price
            self.billed_usd += cost_usd
            self.dearest_usd = max(self.dearest_usd, cost_usd)
        if name in ANSWERED:
            self.answered.add(prompt)
        return made(reply)
