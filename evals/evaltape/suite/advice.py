"""Advice that costs money: a command, how much it would call, and the way that costs nothing, if any.

Every message that names a paid command gets it from here, in one spelling.
"""

import msgspec

from evaltape.text import counted, usd

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
        """What it costs, as it follows the command."""
        return f"{COSTS}{self._calls}{'; free: ' + self.free if self.free else ''})"

    @property
    def _calls(self) -> str:
        if self.calls is None:
            return "what --estimate says"
        parts = [counted(self.jobs, "fine-tuning job")] if self.jobs else []
        parts += [counted(self.calls, "call")] if self.calls else []
        most = [f"at most {usd(self.most_usd)}"] if parts and self.most_usd is not None else []
        return ", ".join([*(parts or ["no call"]), *most])

    def __str__(self) -> str:
        return self.command + self.cost
