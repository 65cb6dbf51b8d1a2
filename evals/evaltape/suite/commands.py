"""The commands that messages tell people to type next: they work when pasted into a shell, with any path and id."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from evaltape.names import shown


class Commands:
    """Writes commands for one suite of a session.

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
        """Return the command that records the calls without a valid recording, of every model or of one kind."""
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
