"""The commands that messages tell people to type next, with any path and id fit for a shell; and their cost."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from evaltape.names import shown
from evaltape.suite.cost import most_usd
from evaltape.suite.definition import Model, Suite
from evaltape.suite.prompt import Promptable, chat_request
from evaltape.text import counted, usd


class Commands:
    """Writes commands for a suite of a session.

    They name test paths and the budget as the session did, and `suite` and `cassettes` if these aren't the configured ones.
    To record some calls they say `--record-missing`, never a part of a name: other names may contain it.

    >>> Commands(["evals"], suite=Path("evals/suites/samsum.toml")).record_all("baseline", missing=True)
    'pytest evals -m baseline --record-missing --suite evals/suites/samsum.toml'
    """

    def __init__(
        self,
        args: Sequence[str] = (),
        suite: Path | None = None,
        cassettes: Path | None = None,
        budget_usd: float | None = None,
        batch: bool = False,
    ) -> None:
        self._args = tuple(args)
        self._budget = [] if budget_usd is None else ["--budget", f"{budget_usd:g}"]
        self._batch = ["--batch"] if batch else []
        self._options = [] if suite is None else ["--suite", shown(suite)]
        self._options += [] if cassettes is None else ["--cassettes", shown(cassettes)]

    def record_all(self, kind: str = "baseline", missing: bool = False) -> str:
        """Return the command that records every model of a kind, or only the missing calls of these."""
        words = ("--record-missing", *self._batch) if missing else ("--record",)
        return self._pytest(*self._args, "-m", kind, *words)

    def record_missing(self, kind: str | None = None) -> str:
        """Return the command that records the calls without a valid recording, of every model or of a kind."""
        return self._pytest(*self._args, *(["-m", kind] if kind else []), "--record-missing", *self._batch, *self._budget)

    def retrain(self) -> str:
        """Return the command that pays for new fine-tuning jobs although there are some."""
        return self._pytest(*self._args, "-m", "finetuned", "--record", "--retrain", *self._budget)

    def replay(self, test_ids: Iterable[str]) -> str:
        """Return the command that runs these tests again, from their recordings."""
        return self._pytest(*test_ids)

    def accept(self, test_ids: Iterable[str]) -> str:
        """Return the command that accepts the scores of these tests."""
        return self._pytest(*test_ids, "--snapshot-update")

    def _pytest(self, *words: str) -> str:
        return shlex.join(["pytest", *words, *self._options])


COSTS = " (costs "
"""Stands between the command and the cost, so that the command can be told from it."""


class Advice(msgspec.Struct, frozen=True):
    """A command that may call an API.

    >>> str(Advice("pytest evals --record-missing", calls=6, most_usd=0.0123, free="git checkout -- cassettes/chats"))
    'pytest evals --record-missing (costs 6 calls, at most $0.0123; free: git checkout -- cassettes/chats)'
    >>> str(Advice("pytest evals --record-missing", calls=0))
    'pytest evals --record-missing (costs no call)'
    """

    command: str
    """To be pasted into a shell."""
    calls: int | None = None
    """How many calls it makes; None if that is unknown."""
    most_usd: float | None = None
    """The most that they cost; None if the suite states no price."""
    jobs: int = 0
    """How many fine-tuning jobs it pays for."""
    free: str | None = None
    """The command that has the same end without a call."""

    @property
    def cost(self) -> str:
        """The cost, to follow the command."""
        parts = [counted(self.jobs, "fine-tuning job")] if self.jobs else []
        parts += [counted(self.calls, "call")] if self.calls else []
        most = [f"at most {usd(self.most_usd)}"] if parts and self.most_usd is not None else []
        known = ", ".join([*(parts or ["no call"]), *most])
        free = f"; free: {self.free}" if self.free else ""
        return f"{COSTS}{'what --estimate says' if self.calls is None else known}{free})"

    def __str__(self) -> str:
        return self.command + self.cost


def called_models(suite: Suite, kind: str | None = None) -> list[Model]:
    """Return the models that are called, of a kind or of both; answers of others come from a file."""
    return [it for it in suite.models.values() if it.predictions is None and kind in (None, it.kind)]


def advise(command: str, calls: Iterable[tuple[Model, Promptable]], free: str | None) -> Advice:
    """Return a command with the most that these calls cost; without it if some model lacks a price."""
    calls = list(calls)
    bodies = ((model, chat_request(model.served, model.prompt.render(sample), model.request)) for model, sample in calls)
    is_priced = all(model.price is not None for model, _ in calls)
    return Advice(command, len(calls), sum(most_usd(*call) for call in bodies) if is_priced else None, free=free)
